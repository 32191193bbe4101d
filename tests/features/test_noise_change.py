"""Noise that starts and stops: levels, changes, and what is learned after them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from doatrack import SRPPHAT
from doatrack.features import FrameSettings, GCCExtractor, GCCFeatures
from doatrack.features.noise_change import RISES, RISES_LIVE, NoiseLevels, noise_changes, recent_rise
from doatrack.features.noise_learner import NoiseLearner
from doatrack.features.noise_model import NoiseModel
from doatrack.features.weighted_gcc import WeightedGCC
from doatrack.geometry import MicArray

ARRAY = MicArray([[0.05, 0, 0], [-0.05, 0.01, 0], [0, 0.05, 0.03], [0.01, -0.03, 0.05]])
RATE = 16000


def random_spectra(n: int, n_freq: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.randn(n_freq, n, 3, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.sampled_from([2, 4, 6, 12]))
def test_levels_do_not_depend_on_the_parts(sizes, n_snapshots):
    spectra = random_spectra(sum(sizes))
    parts, whole = NoiseLevels(n_snapshots, most=5), NoiseLevels(n_snapshots, most=5)
    for part in spectra.split(sizes, dim=1):
        parts.append(part)
    whole.append(spectra)
    assert parts.n_pieces == whole.n_pieces == sum(sizes) // n_snapshots
    np.testing.assert_allclose(parts.last(5), whole.last(5), rtol=1e-5)
    assert len(parts.last(100)) == min(5, parts.n_pieces)


def test_a_level_is_the_least_power_of_a_group_of_frequencies():
    spectra = random_spectra(12)
    levels = NoiseLevels(6, most=9)
    levels.append(spectra)
    power = (spectra.abs() ** 2).sum(dim=2)[::4, 1::2].unflatten(0, (-1, 2)).sum(dim=1)
    expected = power.unflatten(1, (2, 3)).amin(dim=2).log().T
    np.testing.assert_allclose(levels.last(9), expected, rtol=1e-4)


def test_digital_silence_is_no_level():
    spectra = random_spectra(240)
    spectra[:, 60:190] = 0
    spectra[:, 195] = 0
    levels = NoiseLevels(12, most=20)
    levels.append(spectra)
    known = levels.last(20)
    assert np.isinf(known[5:15]).all()
    assert np.isfinite(known[[*range(5), *range(15, 20)]]).all()
    assert known[np.isfinite(known)].min() > -3
    assert noise_changes(known) == []
    assert all(recent_rise(known[: k + 1]) == 0 for k in range(20))


def speech_like(n: int, n_groups: int = 60, seed: int = 0) -> np.ndarray:
    """Levels of noise, with sound far above it in four pieces of five."""
    rng = np.random.default_rng(seed)
    speech = np.where(rng.random((n, n_groups)) < 0.8, rng.exponential(3.0, (n, n_groups)), 0)
    return (rng.normal(0, 0.1, (n, n_groups)) + speech).astype(np.float32)


def test_speech_is_no_change():
    for seed in range(20):
        levels = speech_like(100, seed=seed)
        assert noise_changes(levels) == []
        assert not any(recent_rise(levels[:k]) for k in range(100))


@pytest.mark.parametrize("step", [2.0, 4.0])
@pytest.mark.parametrize(("begin", "end"), [(30, 100), (0, 60), (35, 70), (16, 84)])
def test_noise_that_starts_and_stops_is_found_where_it_does(begin, end, step):
    levels = speech_like(100)
    level = np.where((np.arange(100) >= begin) & (np.arange(100) < end), step, 0.0)[:, None]
    noisy = np.log(np.exp(levels) + np.exp(level)).astype(np.float32)
    found = noise_changes(noisy)
    expected = [edge for edge in (begin, end) if 0 < edge < 100]
    assert len(found) == len(expected)
    assert np.abs(np.subtract(found, expected)).max() <= 2
    assert noise_changes(noisy[::-1]) == [100 - piece for piece in reversed(found)]


def test_what_three_frequencies_of_four_do_counts():
    levels = np.zeros((40, 60), np.float32)
    levels[20:, :46] = 3.0
    assert noise_changes(levels) == [20]
    levels[20:, 40:] = 0.0
    assert noise_changes(levels) == []


def test_live_a_rise_is_noticed_once_enough_followed_and_a_fall_is_not():
    levels = np.zeros((60, 60), np.float32)
    levels[20:40] = 4.0
    noticed = {k: recent_rise(levels[:k]) for k in range(60)}
    first = next(k for k in noticed if noticed[k])
    assert (first, noticed[first]) == (20 + RISES_LIVE[0][0], RISES_LIVE[0][0])
    assert not any(noticed[k] for k in range(40, 60))
    weak = levels / 3
    first = next(k for k in range(60) if recent_rise(weak[:k]))
    assert first == 20 + RISES_LIVE[1][0]


def test_short_recordings_have_no_changes():
    assert noise_changes(np.zeros((0, 5), np.float32)) == noise_changes(np.ones((3, 5), np.float32)) == []
    assert recent_rise(np.zeros((0, 5), np.float32)) == 0
    assert min(n for n, _ in RISES) > 3


def test_a_short_gap_is_one_change_at_most():
    """It is softer from its start on, and louder from its end on."""
    levels = np.full((60, 60), 3.0, np.float32)
    levels[20:23] = 0.0
    assert noise_changes(levels) == [20]


def test_narrow_bands_have_levels_of_single_frequencies():
    levels = NoiseLevels(4, most=9)
    spectra = random_spectra(8, n_freq=3)
    levels.append(spectra)
    expected = (spectra.abs() ** 2).sum(dim=2)[::4, 1::2].unflatten(1, (2, 2)).amin(dim=2).log().T
    np.testing.assert_allclose(levels.last(9), expected, rtol=1e-4)


def test_levels_take_no_more_memory_than_there_is_sound():
    levels = NoiseLevels(2, most=10**12)
    levels.append(random_spectra(400))
    assert levels.n_pieces == len(levels.last(10**12)) == 200


def learner(causal: bool, **settings) -> tuple[WeightedGCC, NoiseLearner]:
    weighted = WeightedGCC(GCCFeatures(causal=causal, **settings), FrameSettings(), torch.arange(-6.0, 7.0), ARRAY)
    return weighted, NoiseLearner(weighted)


def stepped(seconds: float, at: float, factor: float = 10.0, seed: int = 0) -> torch.Tensor:
    """White noise that is so many times as strong from a time on."""
    noise = torch.randn(4, round(seconds * RATE), generator=torch.Generator().manual_seed(seed))
    noise[:, round(at * RATE) :] *= factor
    return noise


@pytest.mark.parametrize("changes", [False, True])
def test_frames_get_the_noise_of_their_own_part(changes):
    weighted, noise = learner(False, noise_changes=changes, weighting="snr")
    spectra = weighted.spectra(stepped(16, 7))
    noise.hear(spectra)
    assert noise.n_heard == spectra.shape[1]
    middles = list(range(8, noise.n_heard, 12))
    counts, models = zip(*noise.models(middles), strict=True)
    assert sum(counts) == len(middles)
    if not changes:
        assert len(models) == 1
        return
    assert len(models) == 2
    assert counts[0] == pytest.approx(7 * RATE / 3072, abs=2)
    ratio = float((models[1].floor / models[0].floor).median())
    assert ratio == pytest.approx(100, rel=0.2)


def causal_models(noise: NoiseLearner, spectra: torch.Tensor) -> list:
    models = []
    for start in range(0, spectra.shape[1] - 12, 12):
        noise.hear(spectra[:, start : start + 12])
        models.append(noise.now())
    return models


def test_live_noise_is_learned_anew_once_it_grew_and_then_as_at_the_start():
    weighted, noise = learner(True)
    models = causal_models(noise, weighted.spectra(stepped(16, 8)))
    new = [k for k in range(1, len(models)) if models[k] is not models[k - 1]]
    change = next(k for k in new if float(models[k].floor.median()) > 3 * float(models[0].floor.median()))
    # a piece is a frame; known after four of them
    assert change == pytest.approx(8 * RATE / 3072 + 4, abs=1.5)
    assert [k - change for k in new if k >= change] == [0, 4, 12, 28]
    power = [float((models[k].floor / models[-1].floor).median()) for k in (change - 1, change, len(models) - 1)]
    assert power[0] < 0.1
    assert power[1:] == pytest.approx([1, 1], rel=0.3)
    _, unmoved = learner(True, noise_changes=False)
    late = causal_models(unmoved, weighted.spectra(stepped(16, 8)))[change + 4]
    assert float((late.floor / models[-1].floor).median()) < 0.1


def spans(noise: NoiseLearner, spectra: torch.Tensor, size: int) -> list[list[tuple[int, NoiseModel]]]:
    """Return counts of frames and models of spans of so many snapshots; a frame has twelve."""
    found = []
    for start in range(0, spectra.shape[1] - size + 1, size):
        noise.hear(spectra[:, start : start + size])
        found.append(list(noise.models(list(range(start + 6, start + size, 12)))))
    return found


def test_changes_in_later_spans_are_found_where_they_are():
    weighted, noise = learner(False, statistics_s=4.0)
    found = spans(noise, weighted.spectra(stepped(30, 22)), 252)
    # 62.5 snapshots a second: in the sixth span, at 22 * 62.5 - 5 * 252 = 115 snapshots
    assert [len(models) for models in found] == [1, 1, 1, 1, 1, 2, 1]
    (count, before), (rest, after) = found[5]
    assert count == pytest.approx(115 / 12, abs=1.5)
    assert count + rest == 21
    assert float((after.floor / before.floor).median()) > 30


def test_what_lies_in_an_earlier_span_but_for_its_end_is_known_from_then():
    weighted, noise = learner(False, statistics_s=4.0)
    found = spans(noise, weighted.spectra(stepped(16, 8.6)), 252)
    # the change is 33 snapshots after the third span began: too few to learn from
    assert len(found[2]) == 2
    (count, before), _ = found[2]
    assert count == pytest.approx(3, abs=1)
    assert before is found[1][-1][1]


def test_after_a_gap_changes_are_where_they_are():
    extract = GCCExtractor(ARRAY, FrameSettings(), lag_step=0.5, features=GCCFeatures(dereverberation=False))
    stream = extract.stream()
    parts, correlate = [], stream._correlate
    stream._correlate = lambda count, noise: (parts.append((count, noise)), correlate(count, noise))[1]
    noise = stepped(14, 9).numpy()
    stream.push(noise[:, : 4 * RATE])
    stream.gap(5000)
    stream.push(noise[:, 4 * RATE :])
    stream.finish()
    counts, models = zip(*parts, strict=True)
    assert counts[1] == pytest.approx(5 * RATE / 3072, abs=2)
    assert float((models[2].floor / models[1].floor).median()) > 30


@pytest.mark.parametrize("hop", [200, 3072])
def test_live_a_span_so_long_that_nothing_new_is_kept_waits_for_the_next_snapshot(monkeypatch, hop):
    monkeypatch.setattr("doatrack.features.noise_learner._MOST_CAUSAL", 2)
    features = GCCFeatures(causal=True, dereverberation=False, freq_range_hz=(500.0, 1500.0))
    extract = GCCExtractor(ARRAY, FrameSettings(hop_length=hop), lag_step=0.5, features=features)
    assert torch.isfinite(extract.gcc(stepped(5, 3))).all()


@pytest.mark.parametrize("causal", [False, True])
def test_spans_so_long_that_a_part_keeps_nothing_are_learned_from_all_the_same(monkeypatch, causal):
    monkeypatch.setattr("doatrack.features.noise_learner._MOST", 2)
    monkeypatch.setattr("doatrack.features.noise_learner._MOST_CAUSAL", 2)
    weighted, noise = learner(causal)
    spectra = weighted.spectra(stepped(16, 10))
    if causal:
        models = causal_models(noise, spectra)
        assert float((models[-1].floor / models[0].floor).median()) > 30
    else:
        noise.hear(spectra)
        models = [model for _, model in noise.models(list(range(8, noise.n_heard, 12)))]
        assert len(models) == 2
    assert all(torch.isfinite(model.floor).all() for model in models)


def _wave(doa: np.ndarray, sound: np.ndarray) -> np.ndarray:
    delay = -(ARRAY.positions @ doa) / 343.0
    shift = np.exp(-2j * np.pi * np.fft.rfftfreq(len(sound), 1 / RATE) * delay[:, None])
    return np.fft.irfft(np.fft.rfft(sound) * shift, n=len(sound))


@pytest.mark.parametrize(("causal", "begins", "ends"), [(False, 8, 12), (False, 0, 4), (True, 5, 12)])
def test_a_loudspeaker_that_starts_or_stops_does_not_hide_the_talker(causal, begins, ends):
    rng = np.random.default_rng(0)
    n = 12 * RATE
    t = np.arange(n) / RATE
    speaks = np.sin(2 * np.pi * 0.7 * t) > 0.5
    talker = rng.normal(size=n) * speaks
    doa, other = np.array([0.6, 0.8, 0.0]), np.array([0.0, -0.6, 0.8])
    loud = rng.normal(size=n) * ((t >= begins) & (t < ends))
    signal = (_wave(doa, talker) + _wave(other, loud) + 0.02 * rng.normal(size=(4, n))).astype(np.float32)

    def error(**settings) -> float:
        features = GCCFeatures(dereverberation=False, **settings)
        tracker = SRPPHAT(features=features, causal=causal, n_directions=500).fit(signal, ARRAY)
        found = tracker.predict(signal, smoothing="filter")
        time = (np.arange(len(found)) * 3072 + 2048) / RATE
        # two seconds to notice it live
        judged = (time >= begins + (2.5 if causal else 0.5)) & (time < ends - 0.5)
        judged &= np.array([speaks[3072 * k : 3072 * k + 4096].mean() > 0.9 for k in range(len(found))])
        return float(np.degrees(np.arccos(np.clip(found[judged] @ doa, -1, 1))).mean())

    assert error() < 8
    assert error(noise_changes=False) > 30
