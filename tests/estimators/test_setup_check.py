"""Faults put into recordings are found and named; what delays cannot show is not claimed; good ones raise no alarm."""

import json

import numpy as np
import pytest
import soundfile

from doatrack import MicArray
from doatrack.estimators import Finding, SetupReport, check_setup
from doatrack.estimators._setup_evidence import Wiring, measure_delays
from doatrack.estimators._setup_symmetry import plainest_order, same_up_to_symmetry, symmetries
from doatrack.exceptions import InvalidInputError

RATE, SPEED = 16000, 343.0
OCTAHEDRON = MicArray.from_preset("frl_octahedral_7")
SQUARE = MicArray.from_preset("respeaker_usb_4")


def plane_waves(array, seed=0, duration_s=2.0, noise=0.05, n_directions=5):
    """Bursts of noise from several directions, one after the other, with pauses."""
    rng = np.random.default_rng(seed)
    n = round(duration_s * RATE / n_directions)
    frequency = np.fft.rfftfreq(n, 1 / RATE)
    parts = []
    for _ in range(n_directions):
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        early = array.positions @ direction / SPEED
        burst = rng.normal(size=n) * (np.arange(n) < 0.8 * n)
        spectrum = np.fft.rfft(burst) * np.exp(2j * np.pi * frequency * early[:, None])
        parts.append(np.fft.irfft(spectrum, n))
    clean = np.concatenate(parts, axis=1)
    return (0.1 * (clean + noise * rng.normal(size=clean.shape))).astype(np.float32)


@pytest.fixture(scope="module")
def waves():
    return plane_waves(OCTAHEDRON)


def kinds(report):
    return [(finding.kind, finding.channels) for finding in report.findings]


@pytest.mark.parametrize(
    "array", [OCTAHEDRON, SQUARE, MicArray.from_preset("tetrahedron_4"), MicArray([[0.0, 0, 0], [0.05, 0, 0]])]
)
def test_nothing_is_found_where_nothing_is_wrong(array):
    report = check_setup(plane_waves(array), array)
    assert report.is_fine
    assert report.fit > 0.9
    assert report.n_frames >= 8


def test_an_inverted_channel_is_named(waves):
    waves = waves.copy()
    waves[4] *= -1
    report = check_setup(waves, OCTAHEDRON)
    assert kinds(report) == [("inverted", (4,))]
    assert report.findings[0].confidence > 0.95
    assert "Channel 5 is inverted" in str(report)


@pytest.mark.parametrize("order", [[1, 0, 2, 3, 4, 5, 6], [6, 0, 1, 2, 3, 4, 5], [0, 1, 6, 3, 5, 4, 2]])
def test_a_wrong_order_is_found_with_the_right_one_up_to_symmetry(waves, order):
    report = check_setup(waves[order], OCTAHEDRON)
    if same_up_to_symmetry(OCTAHEDRON.positions, np.arange(7), np.array(order)):
        assert report.is_fine
        return
    assert [finding.kind for finding in report.findings] == ["order"]
    mended = report.findings[0].details["channels"]
    assert same_up_to_symmetry(OCTAHEDRON.positions, np.arange(7), np.array(order)[mended])
    assert check_setup(waves[order][mended], OCTAHEDRON).is_fine
    assert f"--channels {','.join(str(c + 1) for c in mended)}" in report.findings[0].remedy


def test_any_order_of_many_microphones_is_put_right():
    array = MicArray.from_preset("nao_head_12")
    waves = plane_waves(array, duration_s=4.0, n_directions=8)
    order = np.random.default_rng(3).permutation(12)
    report = check_setup(waves[order], array)
    assert [finding.kind for finding in report.findings] == ["order"]
    assert (order[report.findings[0].details["channels"]] == np.arange(12)).all()


def test_what_only_turns_the_world_is_not_claimed_and_said():
    waves = plane_waves(SQUARE)
    report = check_setup(waves[[1, 2, 3, 0]], SQUARE)
    assert report.is_fine
    assert any("8 orders of the channels only turn or mirror this array" in note for note in report.notes)
    assert [f.kind for f in check_setup(waves[[1, 0, 2, 3]], SQUARE).findings] == ["order"]


@pytest.mark.parametrize("factor", [0.6, 1.6])
def test_a_wrong_scale_is_measured(waves, factor):
    report = check_setup(waves, MicArray(OCTAHEDRON.positions / factor))
    assert kinds(report) == [("scale", ())]
    assert report.findings[0].details["factor"] == pytest.approx(factor, rel=0.07)
    low, high = report.scale_range
    assert low <= factor <= high
    assert ("farther apart" in str(report)) == (factor > 1)


def test_the_size_of_a_flat_array_has_no_upper_limit():
    report = check_setup(plane_waves(SQUARE), MicArray(SQUARE.positions * 1.1))
    assert report.scale_range[1] == pytest.approx(2.5)
    assert any("known only roughly" in note and "planar" in note for note in report.notes)


@pytest.mark.parametrize("samples", [3, -5])
def test_a_channel_that_is_late_is_measured(waves, samples):
    waves = waves.copy()
    waves[3] = np.roll(waves[3], samples)
    report = check_setup(waves, OCTAHEDRON)
    assert kinds(report) == [("offset", (3,))]
    assert report.findings[0].details["samples"] == pytest.approx(samples, abs=0.5)
    assert ("late" in str(report)) == (samples > 0)


def test_channels_without_sound_of_their_own_are_named_and_left_out(waves, rng):
    for change, expected in (
        (lambda x: x * 0, ("dead", (2,))),
        (lambda x: x * 0 + 0.25, ("dead", (2,))),
        (lambda x: x * 1e-3, ("dead", (2,))),
        (lambda x: x * 0.03, ("weak", (2,))),
        (lambda x: np.clip(x, -0.1, 0.1), ("clipped", (2,))),
        (lambda x: rng.normal(size=x.shape) * 0.1, ("unrelated", (2,))),
    ):
        spoilt = waves.copy()
        spoilt[2] = change(spoilt[2])
        report = check_setup(spoilt, OCTAHEDRON)
        assert kinds(report) == [expected]
        assert report.fit > 0.9


@pytest.mark.parametrize("sign", [1, -1])
def test_copied_channels_are_named(waves, sign):
    waves = waves.copy()
    waves[5] = sign * 0.5 * waves[1]
    report = check_setup(waves, OCTAHEDRON)
    assert kinds(report) == [("copied", (1, 5))]
    assert ("inverted" in str(report)) == (sign < 0)


def test_two_faults_are_both_found(waves):
    waves = waves[[0, 1, 2, 3, 6, 5, 4]].copy()
    waves[1] *= -1
    waves[3] = 0
    report = check_setup(waves, OCTAHEDRON)
    assert {finding.kind for finding in report.findings} == {"dead", "inverted", "order"}
    assert next(f.channels for f in report.findings if f.kind == "inverted") == (1,)
    order = next(f for f in report.findings if f.kind == "order")
    assert 3 not in order.details["channels"]


def test_unrelated_recordings_are_not_explained(rng):
    # delays of another array altogether
    report = check_setup(plane_waves(MicArray(OCTAHEDRON.positions * [4.0, 0.2, 1.0])), OCTAHEDRON)
    assert not report.is_fine


@pytest.mark.parametrize("at_once", [True, False])
def test_channels_that_share_nothing_are_told_and_their_geometry_is_not_judged(rng, at_once):
    bursts = np.arange(8 * RATE) % 12000 < 4000
    own = [bursts if at_once else np.roll(bursts, 3000 * m) for m in range(OCTAHEDRON.n_mics)]
    report = check_setup(0.1 * rng.normal(size=(OCTAHEDRON.n_mics, 8 * RATE)) * own, OCTAHEDRON)
    assert [finding.kind for finding in report.findings] == ["unrelated"]
    assert report.findings[0].channels == tuple(range(OCTAHEDRON.n_mics))
    assert "No two channels share a sound" in str(report)
    assert "Fewer than two channels are left" in str(report)


def test_too_little_sound_is_said(rng):
    for quiet in (np.zeros((7, 16000), np.float32), rng.normal(size=(7, 16000)) * 0.1, np.zeros((7, 100))):
        report = check_setup(quiet, OCTAHEDRON)
        assert report.n_frames == 0
        assert "inverted" not in str(report)
        assert "nothing can be said" in str(report) or report.findings
        json.dumps(report.to_dict(), allow_nan=False)


def test_recordings_files_and_blocks_count_together(waves, tmp_path):
    half = waves.shape[1] // 2
    inverted = waves.copy()
    inverted[0] *= -1
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for path, part in zip(paths, (inverted[:, :half], inverted[:, half:]), strict=True):
        soundfile.write(path, part.T, RATE, subtype="FLOAT")
    first = check_setup(paths, OCTAHEDRON)
    second = check_setup([inverted[:, :half], inverted[:, half:]], OCTAHEDRON)
    assert first == second
    assert kinds(first) == [("inverted", (0,))]


def test_of_many_recordings_some_are_read_and_of_long_ones_the_beginning(waves, monkeypatch):
    from doatrack.estimators import setup_check

    monkeypatch.setattr(setup_check, "_MOST_RECORDINGS", 3)
    monkeypatch.setattr(setup_check, "_MOST_S", 3 * waves.shape[1] / RATE)
    silence = np.zeros((7, 16000), np.float32)
    many = [waves, silence, waves, silence, waves]  # the first, the third and the last are read
    inverted = waves.copy()
    inverted[1] *= -1
    assert check_setup(many, OCTAHEDRON) == check_setup([waves] * 3, OCTAHEDRON)
    longer = [np.concatenate([waves, inverted], axis=1)] * 3
    assert check_setup(longer, OCTAHEDRON) == check_setup([waves] * 3, OCTAHEDRON)


def test_the_plainest_of_equal_orders_moves_fewest_channels():
    assert len(symmetries(SQUARE.positions)) == 8
    assert len(symmetries(MicArray.from_preset("tetrahedron_4").positions)) == 24
    assert symmetries(MicArray.from_preset("nao_head_12").positions) == [list(range(12))]
    assert len(symmetries(MicArray.from_preset("minidsp_uma_8").positions)) == 12
    turned = plainest_order(SQUARE.positions, np.array([1, 2, 3, 0]))
    assert turned.tolist() == [0, 1, 2, 3]
    assert (plainest_order(SQUARE.positions, np.array([3, 2, 0, 1])) == np.arange(4)).sum() == 2


def test_scores_are_those_of_the_true_direction():
    array = OCTAHEDRON
    evidence = measure_delays([plane_waves(array, noise=0.0)], array, RATE, SPEED)
    score, best = evidence.scores(Wiring.as_given(7))
    assert score.shape == best.shape == (evidence.n_frames,)
    clear = score / np.abs(evidence.gcc).max(axis=2).mean(axis=0)
    assert (clear <= 1 + 1e-6).all()
    assert np.median(clear) > 0.9


def test_wrong_use_is_named(waves):
    with pytest.raises(InvalidInputError, match=r"array must be a MicArray, got ndarray"):
        check_setup(waves, OCTAHEDRON.positions)
    with pytest.raises(InvalidInputError, match=r"must have 4 channels"):
        check_setup(waves, SQUARE)
    with pytest.raises(InvalidInputError, match="speed_of_sound must be at least 100"):
        check_setup(waves, OCTAHEDRON, speed_of_sound=1.0)


def test_reports_are_written_in_words_and_plain_values():
    finding = Finding("offset", (1,), 0.97, "Channel 2 is 3 samples late.", "Use one clock.", {"samples": 3.0})
    report = SetupReport((finding,), ("A note.",), 20, 0.7, (0.9, 1.1))
    assert str(report).splitlines() == [
        "1 problem found. 20 frames with sound; the delays fit the array as given to 70 %.",
        "- offset (97 % sure): Channel 2 is 3 samples late. Use one clock.",
        "Note: A note.",
    ]
    values = json.loads(json.dumps(report.to_dict()))
    assert values["findings"][0]["channels"] == [1]
    assert values["scale_range"] == [0.9, 1.1]


@pytest.mark.parametrize("name", ["recordings/respeaker4"])
def test_real_recordings_raise_no_alarm_and_show_what_is_put_into_them(shared_data, name):
    array = MicArray.from_json(shared_data / name / "array.json")
    files = sorted((shared_data / name / "audio").glob("*.flac"))[:3]
    waves = [soundfile.read(file, dtype="float32")[0].T for file in files]
    assert check_setup(waves, array).is_fine
    swapped = check_setup([wave[[1, 0, 2, 3]] for wave in waves], array)
    assert [finding.kind for finding in swapped.findings] == ["order"]
    inverted = check_setup([wave * [[1], [1], [-1], [1]] for wave in waves], array)
    assert kinds(inverted) == [("inverted", (2,))]
