"""Self-check of a set-up: whether recordings agree with the claimed array."""

import dataclasses
import itertools
import math

import numpy as np
from numpy.typing import NDArray

from doatrack._validation import check_int, check_real
from doatrack.audio.recordings import Recordings, Signals
from doatrack.estimators._setup_channels import ChannelStatistics, channel_findings, unrelated_findings
from doatrack.estimators._setup_evidence import DelayEvidence, Wiring, measure_delays
from doatrack.estimators._setup_findings import unexplained, wiring_findings
from doatrack.estimators._setup_repairs import LEAST_GAIN, SCALES, SCREENED, find_repairs
from doatrack.estimators._setup_report import Finding, SetupReport
from doatrack.estimators._setup_symmetry import same_up_to_symmetry, symmetries
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import SPEED_OF_SOUND, MicArray

__all__ = ["check_setup"]

_MOST_S, _MOST_RECORDINGS = 300.0, 60  # in all
_NONE_LEFT = "Fewer than two channels are left to compare."
_FEWEST_FRAMES = 8
_UNEXPLAINED = 0.6
_NAMED = 6
_ROUGHLY = (0.8, 1.25)


def check_setup(
    signals: Signals,
    array: MicArray,
    *,
    sample_rate: int = 16000,
    speed_of_sound: float = SPEED_OF_SOUND,
    random_state: int = 0,
) -> SetupReport:
    """Look for wrong wiring and geometry in recordings: no labels are needed.

    Channels are first looked at alone: dead, weak, clipped, copied, without any sound in common with the others. Then
    every frame's correlations are compared with the delays that any one direction would give; if another sign of a
    channel, another order of channels, another scale of the positions or a delay of a channel explains them
    clearly better, that is reported. It assumes that one source at a time is the loudest, some metres away.

    Parameters
    ----------
    signals : array, list of arrays, path or list of paths
        Recordings of one set-up, some seconds or more in all, best with sound from several directions. Of many, 60
        are read, evenly chosen, and five minutes in all: the beginning of each.
    array : MicArray
        The array as claimed.
    sample_rate : int
        In Hz; arrays are taken to have it, files are resampled to it.
    speed_of_sound : float
        In m/s.
    random_state : int
        Seed of the resampling that gives the confidence.

    Returns
    -------
    SetupReport
        Findings with explanation, remedy and confidence, and notes on what could not be told.

    Raises
    ------
    InvalidInputError
        On signals with another number of channels than the array has microphones.

    Notes
    -----
    A mistake that only turns or mirrors the world leaves no trace in delays: channels of a square exchanged
    all round, any order of a regular tetrahedron. A planar array whose positions are too large looks like one with
    sources far above its plane; too small ones are found. Two channels exchanged are found if a source stands where it
    matters.

    Cost: some tens of scores of the whole map and a search of orders; 8 s of sound take about 1 s with 4 to 8
    microphones and 3.5 s with 12, on one core.

    Examples
    --------
    >>> from doatrack.simulation import SceneSettings, simulate_scene
    >>> array = MicArray.from_preset("frl_octahedral_7")
    >>> scene = simulate_scene(array, SceneSettings(duration_s=4.0, rt60_range=(0.2, 0.3)), seed=0)
    >>> check_setup(scene.waveform, array).is_fine
    True
    >>> wrong = scene.waveform.copy()
    >>> wrong[2] *= -1
    >>> finding = check_setup(wrong, array).findings[0]
    >>> finding.kind, finding.channels
    ('inverted', (2,))
    """
    if not isinstance(array, MicArray):
        raise InvalidInputError(
            f"array must be a MicArray, got {type(array).__name__}. Call check_setup(signals, array) in this order."
        )
    check_int("sample_rate", sample_rate, 1000)
    check_real("speed_of_sound", speed_of_sound, 100.0, 10000.0)
    generator = np.random.default_rng(check_int("random_state", random_state, 0))
    recordings = Recordings(signals, array.n_mics, sample_rate)
    chosen = np.unique(np.linspace(0, len(recordings) - 1, _MOST_RECORDINGS).round().astype(int))
    n_samples = round(_MOST_S / len(chosen) * sample_rate)
    waveforms = [_beginning(recordings, int(k), n_samples) for k in chosen]
    statistics = ChannelStatistics(array.n_mics)
    for waveform in waveforms:
        statistics.add(waveform)
    findings = channel_findings(statistics)
    good = _usable(findings, np.arange(array.n_mics))
    if len(good) < 2:
        return SetupReport(tuple(findings), (_NONE_LEFT,), 0, math.nan)

    def measured(brief: bool = False) -> DelayEvidence:
        heard = [w[good] for w in waveforms]
        return measure_delays(heard, array.select(good), sample_rate, speed_of_sound, brief=brief)

    evidence = measured()
    unrelated = unrelated_findings(evidence, good)
    if unrelated:
        findings += unrelated
        good = _usable(findings, good)
        if len(good) < 2:
            return SetupReport(tuple(findings), (_NONE_LEFT,), 0, math.nan)
        evidence = measured()
    if evidence.n_frames < _FEWEST_FRAMES:
        return SetupReport(tuple(findings), (_too_little(evidence.n_frames),), 0, math.nan)
    return _geometry_report(evidence, measured(brief=True), good, findings, array, generator)


def _beginning(recordings: Recordings, index: int, n_samples: int) -> NDArray[np.float32]:
    blocks, read = [], 0
    for block in recordings.blocks(index):
        blocks.append(block)
        read += block.shape[1]
        if read >= n_samples:
            break
    return np.concatenate(blocks, axis=1)[:, :n_samples] if blocks else recordings[index]


def _usable(findings: list[Finding], channels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the channels that can be compared; of copies the first."""
    bad = {c for f in findings if f.kind in ("dead", "unrelated") for c in f.channels}
    bad |= {f.channels[1] for f in findings if f.kind == "copied"}
    return np.array([c for c in channels if c not in bad], dtype=np.int64)


def _too_little(n_frames: int) -> str:
    return (
        f"Only {n_frames} frames hold sound that stands out, too few to judge geometry and wiring. Record some "
        "seconds of someone talking or clapping while walking around the array."
    )


def _geometry_report(
    evidence: DelayEvidence,
    brief: DelayEvidence,
    good: NDArray[np.int64],
    findings: list[Finding],
    array: MicArray,
    generator: np.random.Generator,
) -> SetupReport:
    given = Wiring.as_given(evidence.n_mics)
    fit = float(evidence.scores(given)[0].mean() / evidence.peaks().mean())
    repairs = find_repairs(evidence, brief, generator) if evidence.n_mics > 2 else []
    final = repairs[-1].after if repairs else given
    findings = findings + wiring_findings(evidence, repairs, good)
    left = float(evidence.scores(final)[0].mean() / evidence.peaks().mean())
    if left < _UNEXPLAINED:
        findings.append(unexplained(left))
    few = evidence.thinned(SCREENED)
    scale_range = _scale_range(few, final)
    notes = _notes(few, final, good, array, scale_range)
    return SetupReport(tuple(findings), tuple(notes), evidence.n_frames, fit, scale_range)


def _scale_range(evidence: DelayEvidence, wiring: Wiring) -> tuple[float, float]:
    """Return the factors on the given positions that explain the delays nearly as well as the best."""
    scores = np.array([evidence.scores(dataclasses.replace(wiring, scale=float(s)))[0].mean() for s in SCALES])
    able = SCALES[scores > (1 - LEAST_GAIN["scale"]) * scores.max()]
    return round(float(able.min()), 2), round(float(able.max()), 2)


def _notes(
    evidence: DelayEvidence,
    wiring: Wiring,
    good: NDArray[np.int64],
    array: MicArray,
    scale_range: tuple[float, float],
) -> list[str]:
    notes = []
    if evidence.n_mics == 2:
        return ["Two channels tell nothing about order, signs or scale."]
    alike = len(symmetries(evidence.positions))
    if alike > 1:
        notes.append(
            f"{'At least 64' if alike >= 64 else alike} orders of the channels only turn or mirror this array; which "
            "of them is right, no recording tells without a known direction."
        )
    hidden = _hidden_swaps(evidence, wiring)
    if hidden:
        named = ", ".join(f"{good[i] + 1} and {good[j] + 1}" for i, j in hidden[:_NAMED])
        more = f" and {len(hidden) - _NAMED} more pairs" if len(hidden) > _NAMED else ""
        notes.append(f"If these channels were exchanged, these recordings would hardly show it: {named}{more}.")
    low, high = scale_range
    if low < _ROUGHLY[0] or high > _ROUGHLY[1]:
        limit = " or more" if high >= SCALES[-1] * 0.99 else ""
        why = f" (this array is {array.kind}: a source in another direction makes up for it)"
        notes.append(
            f"The size of the array is known only roughly: positions {low:g} to {high:g}{limit} times as large as "
            f"given fit about as well{why if array.dimension < 3 else ''}."
        )
    return notes


def _hidden_swaps(evidence: DelayEvidence, wiring: Wiring) -> list[tuple[int, int]]:
    """Return pairs of channels whose exchange would go unnoticed though it is no turn of the array."""
    now = evidence.scores(wiring)[0].mean()
    hidden = []
    for i, j in itertools.combinations(range(evidence.n_mics), 2):
        order = wiring.order.copy()
        order[[i, j]] = order[[j, i]]
        if same_up_to_symmetry(evidence.positions, wiring.order, order):
            continue
        swapped = evidence.scores(dataclasses.replace(wiring, order=order))[0].mean()
        if now < (1 + LEAST_GAIN["order"]) * swapped:
            hidden.append((i, j))
    return hidden
