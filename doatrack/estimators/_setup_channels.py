"""What is wrong with single channels, before any geometry: dead, weak, clipped, copied, unrelated."""

import itertools

import numpy as np
from numpy.typing import NDArray

from doatrack.estimators._setup_evidence import DelayEvidence
from doatrack.estimators._setup_report import Finding

__all__ = ["ChannelStatistics", "channel_findings", "unrelated_findings"]

Array = NDArray[np.float64]

_DEAD_DB, _WEAK_DB = -40.0, -20.0
_CLIPPED = 1e-4  # share of samples
_SAME = 1e-4  # 1 - correlation of copies
_UNRELATED_PEAK = 0.053  # highest correlation of independent noises within the lags looked at, window 4096
_RELATED_PEAK = 0.08
_NOTHING_SHARED = 0.075  # between all pairs: bursts of independent noises reach 0.067, the weakest of 50 scenes 0.094
_LEAST_SHARE = 0.2


class ChannelStatistics:
    """Sums over all samples of all recordings, block by block."""

    def __init__(self, n_mics: int) -> None:
        self.n_samples = 0
        self._sum = np.zeros(n_mics)
        self._products = np.zeros((n_mics, n_mics))
        self._peak = np.zeros(n_mics)
        self._flat = np.zeros(n_mics)

    def add(self, waveform: NDArray[np.float32]) -> None:
        """Take in a recording (n_mics, n_samples)."""
        x = waveform.astype(np.float64)
        self.n_samples += x.shape[1]
        self._sum += x.sum(axis=1)
        self._products += x @ x.T
        peak = np.abs(x).max(axis=1, initial=0.0)
        stuck = (np.abs(x) >= 0.999 * peak[:, None]) & (peak[:, None] > 0)
        run = stuck[:, 2:] & stuck[:, 1:-1] & stuck[:, :-2]  # three samples at the top: no wave does that
        self._flat += run.sum(axis=1)
        self._peak = np.maximum(self._peak, peak)

    @property
    def covariance(self) -> Array:
        """Covariance of the channels (n_mics, n_mics)."""
        n = max(self.n_samples, 1)
        return np.asarray(self._products / n - np.outer(self._sum, self._sum) / n**2)

    @property
    def level_db(self) -> Array:
        """Level of each channel without its constant part, in dB re full scale (n_mics,)."""
        return np.asarray(10 * np.log10(np.maximum(np.diag(self.covariance), 1e-30)))

    @property
    def clipped_share(self) -> Array:
        """Share of samples that stick at the channel's highest value (n_mics,)."""
        return np.asarray(self._flat / max(self.n_samples, 1))


def channel_findings(statistics: ChannelStatistics) -> list[Finding]:
    """Return what levels and equal signals tell."""
    level = statistics.level_db
    findings = []
    for m, db in enumerate(level):
        others = float(np.median(np.delete(level, m)))
        if db - others < _WEAK_DB and others > -250:
            findings.append(_quiet(m, db - others, silent=db < -250))
        if statistics.clipped_share[m] > _CLIPPED and db > -250:
            findings.append(_clipped(m, float(statistics.clipped_share[m])))
    covariance = statistics.covariance
    power = np.sqrt(np.maximum(np.diag(covariance), 1e-30))
    likeness = covariance / np.outer(power, power)
    for i, j in itertools.combinations(range(len(level)), 2):
        if 1 - abs(likeness[i, j]) < _SAME and min(level[i], level[j]) > -250:
            findings.append(_copied(i, j, inverted=likeness[i, j] < 0))
    return findings


def unrelated_findings(evidence: DelayEvidence, channels: NDArray[np.int64]) -> list[Finding]:
    """Return channels that share no sound with the others, or none with any; `channels` (n_mics,) name them."""
    findings: list[Finding] = []
    if evidence.n_mics < 3 or evidence.n_frames == 0:
        return findings
    peak = np.abs(evidence.gcc).max(axis=2).mean(axis=1)
    if peak.max() < _NOTHING_SHARED:
        return [_all_unrelated(channels)]
    for m in range(evidence.n_mics):
        own = (evidence.mic_pairs == m).any(axis=1)
        rest = float(np.median(peak[~own]))
        share = (float(peak[own].mean()) - _UNRELATED_PEAK) / max(rest - _UNRELATED_PEAK, 1e-9)
        if rest > _RELATED_PEAK and share < _LEAST_SHARE:
            findings.append(_unrelated(int(channels[m])))
    return findings


def _quiet(channel: int, difference_db: float, *, silent: bool) -> Finding:
    dead = silent or difference_db < _DEAD_DB
    words = "holds no sound at all" if silent else f"is {-difference_db:.0f} dB below the others"
    return Finding(
        "dead" if dead else "weak",
        (channel,),
        1.0 if silent else 0.95,
        f"Channel {channel + 1} {words}.",
        "Check its microphone, cable and gain; until then leave it out of --channels and of the array."
        if dead
        else "Check its gain. Directions do not need equal gains, but its noise counts more.",
        {"level_db": None if silent else round(difference_db, 1)},
    )


def _clipped(channel: int, share: float) -> Finding:
    return Finding(
        "clipped",
        (channel,),
        0.99,
        f"Channel {channel + 1} sticks at its highest value in {100 * share:.2g} % of its samples.",
        "Lower its gain and record again: clipping spoils the delays of loud sounds.",
        {"share": share},
    )


def _copied(first: int, second: int, *, inverted: bool) -> Finding:
    return Finding(
        "copied",
        (first, second),
        0.99,
        f"Channels {first + 1} and {second + 1} hold the same signal"
        f"{', one of them inverted' if inverted else ''}: one of them is no microphone of its own.",
        "Check the routing of channels; a recorder that mixes to mono or copies a channel does this.",
        {},
    )


def _unrelated(channel: int) -> Finding:
    return Finding(
        "unrelated",
        (channel,),
        0.95,
        f"Channel {channel + 1} has sound, but none that the others have: noise of an open input, a loudspeaker's "
        "reference, or another device without a common clock.",
        "Check what is recorded there; leave it out of --channels and of the array.",
        {},
    )


def _all_unrelated(channels: NDArray[np.int64]) -> Finding:
    return Finding(
        "unrelated",
        tuple(int(c) for c in channels),
        0.95,
        "No two channels share a sound: each has noise of its own.",
        "Check that all microphones are connected, hear the same room, and are recorded by one device with one clock.",
        {},
    )
