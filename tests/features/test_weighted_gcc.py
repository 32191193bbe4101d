import itertools

import numpy as np
import pytest
import torch

from doatrack import SRPPHAT
from doatrack.features import FrameSettings, GCCExtractor, GCCFeatures, steered_map, steering_matrix
from doatrack.features.noise_model import NoiseModel
from doatrack.features.weighted_gcc import WeightedGCC
from doatrack.geometry import DirectionGrid, MicArray

RATE = 16000
ARRAY = MicArray([[0.06, 0, 0], [-0.05, 0.01, 0], [0, 0.06, 0.01], [0.01, -0.02, 0.06], [0.02, 0.03, -0.05]])
FRAMES = FrameSettings(win_length=2048, hop_length=1536)
GRID = DirectionGrid.quasi_uniform(1000)
LAGS = torch.arange(-60.0, 61.0) * 0.1
PAIRS = ARRAY.mic_pairs


def plane_wave(doa: np.ndarray, source: np.ndarray) -> np.ndarray:
    """The source as the array hears it from far away, periodic in the length."""
    delay = -(ARRAY.positions @ doa) / 343.0
    shift = np.exp(-2j * np.pi * np.fft.rfftfreq(len(source), 1 / RATE) * delay[:, None])
    return np.fft.irfft(np.fft.rfft(source) * shift, n=len(source))


def steering() -> torch.Tensor:
    tdoa = (ARRAY.positions[PAIRS[:, 1]] - ARRAY.positions[PAIRS[:, 0]]) @ GRID.directions.T / 343.0
    return steering_matrix(torch.tensor(tdoa * RATE), LAGS)


def random_whitening(n_freq: int, seed: int) -> torch.Tensor:
    """Hermitian and positive, different in each frequency."""
    root = torch.randn(n_freq, 5, 5, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))
    return root @ root.mH / 5 + 0.1 * torch.eye(5)


def frame_ranges(weighted, n_frames) -> list[tuple[int, int]]:
    return [weighted.frame_range(k * weighted.frames.hop_length) for k in range(n_frames)]


def weighted_map(weighted, spectra, noise, n_frames=2) -> torch.Tensor:
    return steered_map(weighted(spectra, noise, frame_ranges(weighted, n_frames))[0], steering())


@pytest.fixture(scope="module")
def weighted():
    # nothing is taken off the weights: what is left is the steered share itself
    settings = GCCFeatures(floor_factor=0.0, reverberation_factor=0.0)
    return WeightedGCC(settings, FRAMES, LAGS, ARRAY)


def test_one_model_for_two_frequencies_is_that_of_both(weighted):
    spectra = weighted.spectra(torch.randn(5, 3584, generator=torch.Generator().manual_seed(0)))
    half = len(spectra) // 2
    noise = NoiseModel.of(random_whitening(half, 1), torch.rand(half))
    both = NoiseModel.of(noise.whitening.repeat_interleave(2, dim=0), noise.floor.repeat_interleave(2))
    found, expected = (weighted(spectra, model, frame_ranges(weighted, 2))[0] for model in (noise, both))
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize(
    ("weighting", "causal", "alike"), [("whitened", True, 2), ("whitened", False, 1), ("snr", True, 1)]
)
def test_two_frequencies_have_one_causal_model(weighting, causal, alike):
    lags = torch.arange(-6.0, 7.0) / 2
    weighted = WeightedGCC(GCCFeatures(weighting, causal=causal), FRAMES, lags, ARRAY)
    spectra = weighted.spectra(torch.randn(5, 6000, generator=torch.Generator().manual_seed(0)))
    noise = weighted.learn(spectra)
    assert len(noise.whitening) == len(noise.floor) == len(spectra) // alike


def test_the_correlations_are_the_steered_share_written_out(weighted):
    """The sums over snapshots and frequencies of |a^H Q x|^2 / x^H Q x over those of a^H Q a."""
    rng = np.random.default_rng(0)
    spectra = weighted.spectra(torch.from_numpy(rng.normal(size=(5, 2048)).astype(np.float32)))
    n_freq = len(spectra)
    whitening = random_whitening(n_freq, 1)
    found = weighted_map(weighted, spectra, NoiseModel.of(whitening, torch.zeros(n_freq)), 1)[0]
    frequency = np.arange(512 // 2 + 1)[weighted._bins] * RATE / 512
    x, Q = spectra.numpy(), whitening.numpy()
    for d in range(0, 1000, 97):
        # a wave from u reaches microphone m earlier by r_m.u / c
        a = np.exp(2j * np.pi * frequency[:, None] * (ARRAY.positions @ GRID.directions[d]) / 343.0)
        steered = np.abs(np.einsum("fm,fmn,ftn->ft", a.conj(), Q, x)) ** 2
        power = np.einsum("ftm,fmn,ftn->ft", x.conj(), Q, x).real
        expected = (steered / power).mean() / np.einsum("fm,fmn,fn->f", a.conj(), Q, a).real.mean()
        assert found[d].item() == pytest.approx(expected, abs=5e-3)


def test_without_noise_to_whiten_it_is_srp_normalised_over_all_microphones(weighted):
    rng = np.random.default_rng(0)
    spectra = weighted.spectra(torch.from_numpy(rng.normal(size=(5, 4000)).astype(np.float32)))
    unit = torch.eye(5, dtype=torch.complex64).expand(len(spectra), -1, -1)
    found = weighted_map(weighted, spectra, NoiseModel.of(unit, torch.zeros(len(spectra))), 1)[0]
    in_frame = spectra[:, : 1 + (2048 - 512) // 128]
    level = in_frame.abs().square().sum(dim=-1, keepdim=True)
    cross = (in_frame[..., PAIRS[:, 0]] * in_frame[..., PAIRS[:, 1]].conj() / level).mean(dim=1)
    frequency = torch.arange(257)[weighted._bins, None] / 512
    delays = torch.tensor(
        (ARRAY.positions[PAIRS[:, 1]] - ARRAY.positions[PAIRS[:, 0]]) @ GRID.directions.T * RATE / 343
    )
    sums = torch.zeros(1000, dtype=torch.float64)
    for pair in range(len(PAIRS)):
        phase = 2 * torch.pi * frequency * delays[pair]
        sums += (cross[:, pair, None] * torch.exp(1j * phase)).real.mean(dim=0)
    # |sum_m x_m|^2 is the power of the microphones and twice each pair; both are divided by the number of microphones
    assert torch.allclose(found.double(), (1 + 2 * sums) / 5, atol=5e-3)


@pytest.mark.parametrize("seed", range(4))
def test_a_plane_wave_alone_peaks_at_its_direction_with_its_weight_for_any_whitening(weighted, seed):
    """By Cauchy-Schwarz no direction explains more of it than its own, whatever Q."""
    rng = np.random.default_rng(seed)
    index = int(rng.integers(1000))
    wave = plane_wave(GRID.directions[index], rng.normal(size=6000))
    spectra = weighted.spectra(torch.from_numpy(wave.astype(np.float32)))
    noise = NoiseModel.of(random_whitening(len(spectra), seed), torch.zeros(len(spectra)))
    for frame in weighted_map(weighted, spectra, noise):
        assert int(frame.argmax()) == index
        assert 0.97 < frame.max() <= 1.005
        assert frame.min() > -0.01


def test_the_peak_of_a_plane_wave_is_its_mean_weight():
    """The floor takes its share off the weight, and off the map."""
    wave = plane_wave(GRID.directions[3], np.random.default_rng(0).normal(size=6000))
    plain = WeightedGCC(GCCFeatures(floor_factor=0.0, reverberation_factor=0.0), FRAMES, LAGS, ARRAY)
    floored = WeightedGCC(GCCFeatures(floor_factor=1.0, reverberation_factor=0.0), FRAMES, LAGS, ARRAY)
    spectra = plain.spectra(torch.from_numpy(wave.astype(np.float32)))
    unit = torch.eye(5, dtype=torch.complex64).expand(len(spectra), -1, -1)
    power = spectra.abs().square().sum(dim=-1)
    noise = NoiseModel.of(unit, power.median(dim=1).values)
    in_frame = power[:, :13]
    expected = (1 - noise.floor[:, None] / in_frame).clamp_min(0).mean()
    assert weighted_map(plain, spectra, noise, 1).max() == pytest.approx(1.0, abs=0.01)
    assert weighted_map(floored, spectra, noise, 1).max() == pytest.approx(expected.item(), abs=0.01)
    assert 0.2 < expected < 0.6


@pytest.fixture(scope="module")
def scene():
    """Noise from one side all the time, and a talker 4 dB below it in bursts of 0.25 s every 0.5 s from another."""
    rng = np.random.default_rng(3)
    n = 3 * RATE
    talker, interferer = np.array([0.8, 0.6, 0.0]), np.array([-0.6, 0.64, 0.48])
    gate = (np.arange(n) / RATE % 0.5) < 0.25
    signal = plane_wave(interferer, rng.normal(size=n)) + 0.6 * plane_wave(talker, rng.normal(size=n)) * gate
    signal += 0.01 * rng.normal(size=signal.shape)
    times = FRAMES.times(FRAMES.count(n))
    half = FRAMES.win_length / 2 / RATE
    active = ((times - half) % 0.5 < 0.25) & ((times + half) % 0.5 < 0.25) & ((times % 0.5) < 0.25)
    assert active.sum() >= 4
    return signal.astype(np.float32), talker, interferer, active


def angles_deg(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip(one @ other, -1, 1)))


def tracker(features, array=ARRAY, **options) -> SRPPHAT:
    values = {"n_directions": 1000, "win_length": 2048, "hop_length": 1536} | options
    return SRPPHAT(features=features, **values).fit(np.zeros((array.n_mics, 2048), np.float32), array)


@pytest.mark.parametrize("causal", [False, True])
def test_a_talker_below_an_interferer_is_found_where_phat_points_at_the_interferer(scene, causal):
    signal, talker, interferer, active = scene
    if causal:
        active = active & (np.arange(len(active)) > 15)  # it must have heard the noise alone
    plain = tracker("phat").predict(signal)[active]
    assert np.median(angles_deg(plain, interferer)) < 3.0
    found = tracker(GCCFeatures(causal=causal), refine=False).predict(signal)[active]
    assert angles_deg(found, talker).max() < np.degrees(GRID.spacing)


def test_whitening_is_what_removes_the_interferer(scene):
    signal, talker, _, active = scene
    weighted_only = tracker(GCCFeatures(weighting="snr", floor_factor=0.0)).predict(signal)[active]
    assert np.median(angles_deg(weighted_only, talker)) > 10


@pytest.mark.parametrize("scale", [1e-4, 100.0])
@pytest.mark.parametrize("weighting", ["snr", "whitened"])
def test_the_level_of_the_recording_changes_nothing(scene, weighting, scale):
    maps = [tracker(weighting).predict_map(scene[0] * np.float32(factor)) for factor in (1.0, scale)]
    np.testing.assert_allclose(maps[1], maps[0], atol=1e-4)


@pytest.mark.parametrize("weighting", ["snr", "whitened"])
def test_permuting_channels_with_their_positions_changes_nothing(scene, weighting):
    order = [3, 1, 4, 0, 2]
    one = tracker(weighting).predict_map(scene[0])
    other = tracker(weighting, ARRAY.select(order)).predict_map(scene[0][order])
    assert np.array_equal(one, other)


@pytest.mark.parametrize("features", [GCCFeatures(weighting="snr"), GCCFeatures(), GCCFeatures(causal=True)])
def test_silence_and_a_dead_channel_give_finite_maps(scene, features):
    silent = tracker(features).predict_map(np.zeros((5, 9000), np.float32))
    assert np.isfinite(silent).all()
    dead = scene[0][:, :9000].copy()
    dead[2] = 0
    assert np.isfinite(tracker(features).predict_map(dead)).all()
    late = scene[0][:, :9000].copy()
    late[:, :5000] = 0
    assert np.isfinite(tracker(features).predict_map(late)).all()


def test_a_dead_channel_does_not_hide_the_source():
    rng = np.random.default_rng(0)
    gate = (np.arange(16000) % 8000) < 4000
    wave = plane_wave(GRID.directions[70], rng.normal(size=16000)) * gate + 0.01 * rng.normal(size=(5, 16000))
    wave[2] = 0
    found = tracker("whitened", refine=False).predict(wave.astype(np.float32))
    assert angles_deg(found[0], GRID.directions[70]) < 3 * np.degrees(GRID.spacing)


def test_gaps_of_digital_silence_do_not_hide_the_noise(scene):
    """More than the share that is taken as noise: what is between them must be looked at."""
    signal, talker, _, active = scene
    cut = np.concatenate([signal, np.zeros_like(signal)], axis=1)
    found = tracker("whitened", refine=False).predict(cut)[: len(active)][active]
    assert angles_deg(found, talker).max() < np.degrees(GRID.spacing)


@pytest.mark.parametrize("features", [GCCFeatures(weighting="snr"), GCCFeatures(), GCCFeatures(causal=True)])
def test_a_recording_of_one_frame(features):
    wave = plane_wave(GRID.directions[70], np.random.default_rng(0).normal(size=2048))
    srp_map = tracker(features).predict_map(wave.astype(np.float32))
    assert srp_map.shape == (1, 1000)
    assert np.isfinite(srp_map).all()


@pytest.mark.parametrize(("win", "hop"), [(512, 300), (1024, 701), (1023, 512), (4096, 3072)])
@pytest.mark.parametrize("causal", [False, True])
def test_frames_that_do_not_lie_on_the_grid_of_snapshots(scene, win, hop, causal):
    """One finite row per frame."""
    signal = scene[0][:, :9000]
    frames = FrameSettings(win_length=win, hop_length=hop)
    extract = GCCExtractor(ARRAY, frames, lag_step=0.5, features=GCCFeatures(causal=causal))
    gcc = extract.gcc(torch.from_numpy(signal))
    assert len(gcc) == 1 + (9000 - win) // hop
    assert torch.isfinite(gcc).all()


def test_snapshots_lie_within_their_frame():
    for win, hop, length in ((512, 300, None), (1024, 701, 200), (2048, 1536, 2048)):
        frames = FrameSettings(win_length=win, hop_length=hop)
        weighted = WeightedGCC(GCCFeatures(snapshot_length=length), frames, LAGS, ARRAY)
        n_samples = 10 * hop + win
        first, last = torch.tensor(frame_ranges(weighted, 11)).T
        assert last[-1] <= weighted.n_snapshots(n_samples)
        start = torch.arange(11) * hop
        slack = weighted.hop if length == win else 0  # a snapshot as long as the frame begins at most a step late
        assert (first * weighted.hop >= start).all()
        assert ((last - 1) * weighted.hop + weighted.length <= start + win + slack).all()
        assert (last > first).all()


@pytest.mark.parametrize("weighting", ["snr", "whitened"])
def test_the_real_products_are_the_complex_formulae_in_double_precision(weighting):
    """Noise model and correlations written out: covariance of the quiet, its inverse, weights, sums over frames."""
    settings = GCCFeatures(weighting=weighting, reverberation_factor=0.0)
    weighted = WeightedGCC(settings, FRAMES, LAGS, ARRAY)
    rng = np.random.default_rng(2)
    gate = 0.2 + (np.arange(9000) % 3000 < 1500)
    spectra = weighted.spectra(torch.from_numpy((gate * rng.normal(size=(5, 9000))).astype(np.float32)))
    noise = weighted.learn(spectra)
    x = spectra.to(torch.complex128).numpy()
    n_freq, _, n_mics = x.shape
    Q = np.repeat(np.eye(n_mics)[None], n_freq, axis=0).astype(complex)
    frequency = np.arange(257)[weighted._bins]
    power = (np.abs(x) ** 2).sum(axis=-1)
    if weighting == "whitened":
        quiet = power <= np.quantile(power, settings.noise_quantile, axis=1, keepdims=True)
        N = np.einsum("ft,ftm,ftn->fmn", quiet, x, x.conj()) / quiet.sum(axis=1)[:, None, None]
        N *= n_mics / np.einsum("fmm->f", N)[:, None, None]
        share = (quiet.sum(axis=1) / (quiet.sum(axis=1) + 8))[:, None, None]
        N = share * N + (1 - share) * np.eye(n_mics)
        least = (quiet * power).sum(axis=1) / quiet.sum(axis=1)
        level = settings.diffuse_factor * (power.mean(axis=1) / least - 1)[:, None, None]
        apart = np.linalg.norm(ARRAY.positions[:, None] - ARRAY.positions, axis=-1)
        N = (N + level * np.sinc(2 * (frequency * RATE / 512)[:, None, None] * apart / 343)) / (1 + level)
        Q = np.linalg.inv(N + settings.loading * np.eye(n_mics))
        Q *= n_mics / np.einsum("fmm->f", Q)[:, None, None]
        power = np.einsum("ftm,fmn,ftn->ft", x.conj(), Q, x).real
    floor = np.quantile(power, settings.floor_quantile, axis=1)
    assert np.allclose(noise.whitening.numpy(), Q, atol=1e-4)
    assert np.allclose(noise.floor.numpy(), floor, rtol=1e-4)

    second = slice(12, 12 + 13)  # of the frames
    weight = np.maximum(1 - settings.floor_factor * floor[:, None] / power, 0)[:, second]
    y = np.einsum("fmn,ftn->ftm", Q, x)[:, second]
    C = np.einsum("ft,ftm,ftn->fmn", weight / power[:, second], y, y.conj()) / 13
    # neighbours are turned as their middle
    together = weighted._together
    frequency = np.repeat(frequency.reshape(-1, together).mean(axis=1), together)
    turn = np.exp(2j * np.pi / 512 * frequency[:, None] * LAGS.double().numpy())
    found = np.split(weighted(spectra, noise, frame_ranges(weighted, 2))[0][1].numpy(), 2, axis=-1)
    n_bands = len(weighted._bands)
    assert n_bands == (settings.for_microphones(n_mics).n_bands if weighting == "whitened" else 1)
    for half, matrices, per_band in zip(found, (C, Q), (False, True), strict=True):
        for band, columns in zip(weighted._bands, np.split(half, n_bands, axis=-1), strict=True):
            some = slice(band.start * together, band.stop * together)
            count = (some.stop - some.start) if per_band else n_freq
            own = np.einsum("fmm->", matrices[some]).real / count
            pairs = matrices[some, PAIRS[:, 0], PAIRS[:, 1], None]
            cross = (pairs * turn[some, None]).real.sum(axis=0) / count
            expected = (own + 2 * len(PAIRS) * cross) / n_mics
            assert np.abs(columns - expected).max() < 1e-5 * np.abs(expected).max()


def test_bands_cover_all_frequencies_and_a_wave_keeps_its_weight():
    """Of a plane wave each band explains its own part."""
    wave = plane_wave(GRID.directions[3], np.random.default_rng(0).normal(size=4000))
    for n_bands in (1, 3, 1000):
        settings = GCCFeatures(floor_factor=0.0, reverberation_factor=0.0, n_bands=n_bands)
        weighted = WeightedGCC(settings, FRAMES, LAGS, ARRAY)
        assert weighted._bands[0].start == 0
        assert all(one.stop == other.start < other.stop for one, other in itertools.pairwise(weighted._bands))
        assert weighted._bands[-1].stop * weighted._together == weighted._bins.stop - weighted._bins.start
        spectra = weighted.spectra(torch.from_numpy(wave.astype(np.float32)))
        noise = NoiseModel.of(random_whitening(len(spectra), 5), torch.zeros(len(spectra)))
        found = weighted_map(weighted, spectra, noise, 1)[0]
        assert int(found.argmax()) == 3
        assert found.max() == pytest.approx(1.0, abs=0.03)


def test_reverberation_is_taken_for_noise_from_everywhere():
    """Noise of sensors alone leaves neighbours at low frequencies as they are; beside speech they are told apart."""
    rng = np.random.default_rng(4)
    gate = np.arange(32000) % 8000 < 3000
    talker = plane_wave(GRID.directions[7], rng.normal(size=32000)) * gate
    signal = torch.from_numpy((talker + 0.05 * rng.normal(size=talker.shape)).astype(np.float32))
    low = {}
    for factor in (0.0, 0.1):
        weighted = WeightedGCC(GCCFeatures(diffuse_factor=factor), FRAMES, LAGS, ARRAY)
        whitening = weighted.learn(weighted.spectra(signal)).whitening[10]
        off = whitening - torch.diag(whitening.diagonal())
        low[factor] = float(off.abs().max())
    assert low[0.1] > 2 * low[0.0]


def test_frames_one_by_one_are_those_of_one_call():
    """What is left of earlier sound goes on as it was, whatever it counted."""
    weighted = WeightedGCC(GCCFeatures(reverberation_factor=2.0), FRAMES, LAGS, ARRAY)
    rng = np.random.default_rng(0)
    spectra = weighted.spectra(torch.from_numpy(rng.normal(size=(5, 2048 + 3072)).astype(np.float32)))
    noise, ranges = weighted.learn(spectra), frame_ranges(weighted, 2)
    (_, end), (start, last) = ranges
    whole, _ = weighted(spectra, noise, ranges)
    first, echo = weighted(spectra[:, :end], noise, ranges[:1], keep=start)
    second, _ = weighted(spectra[:, start:], noise, [(0, last - start)], echo)
    scale = whole.abs().max()
    assert torch.allclose(first[0], whole[0], atol=1e-6 * scale)
    assert torch.allclose(second[0], whole[1], atol=1e-6 * scale)
