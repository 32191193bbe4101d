import dataclasses

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from doatrack import SRPPHAT, load
from doatrack.exceptions import InvalidInputError
from doatrack.features import FrameSettings, GCCExtractor, GCCFeatures, steered_map, stft
from doatrack.features.stft import band_bins
from doatrack.geometry import MicArray
from doatrack.tracking import MotionModel

ARRAY = MicArray([[0.05, 0, 0], [-0.05, 0.01, 0], [0, 0.05, 0], [0, 0, 0.09]])
FRAMES = FrameSettings(win_length=1024, hop_length=768)


def bursts(seconds: float = 1.5, seed: int = 0) -> torch.Tensor:
    """Noise from everywhere with loud moments, some of them shared by all microphones."""
    rng = np.random.default_rng(seed)
    n = round(seconds * 16000)
    gate = 0.05 + (np.arange(n) % 5000 < 2000)
    shared = rng.normal(size=n)
    return torch.from_numpy((gate * (shared + 0.5 * rng.normal(size=(4, n)))).astype(np.float32))


def gcc(features: GCCFeatures, signal: torch.Tensor | None = None, frames: FrameSettings = FRAMES) -> torch.Tensor:
    extract = GCCExtractor(ARRAY, frames, lag_step=0.5, features=features)
    return extract.gcc(bursts() if signal is None else signal)


OTHER = {
    "weighting": "snr",
    "freq_range_hz": (500.0, 4000.0),
    "average_frames": 3,
    "pair_weighting": "baseline",
    "snapshot_length": 128,
    "noise_quantile": 0.3,
    "diffuse_factor": 1.0,
    "loading": 1.0,
    "n_bands": 2,
    "floor_factor": 3.0,
    "floor_quantile": 0.8,
    "reverberation_factor": 0.3,
    "reverberation_delay_s": 0.1,
    "reverberation_decay_s": 0.2,
    "dereverberation": False,
    "statistics_s": 0.5,
    "noise_changes": False,
    "causal": True,
}


def test_the_test_of_sensitivity_knows_every_setting():
    assert list(OTHER) == [field.name for field in dataclasses.fields(GCCFeatures)]


@pytest.mark.parametrize("name", OTHER)
def test_every_setting_changes_the_features(name):
    usual, other = GCCFeatures(), GCCFeatures(**{name: OTHER[name]})
    assert getattr(usual, name) != OTHER[name]
    steering = torch.rand(6 * 23, 40, generator=torch.Generator().manual_seed(0))
    signal = bursts()
    if name == "noise_changes":
        # of which there must be one
        signal = torch.cat([signal.repeat(1, 6), 10 * signal.flip(1).repeat(1, 6)], dim=1)
    one, two = (steered_map(gcc(features, signal), steering) for features in (usual, other))
    assert one.shape == two.shape
    assert (one - two).abs().max() > 1e-3 * one.abs().max()


@pytest.mark.parametrize("name", ["freq_range_hz", "average_frames", "pair_weighting"])
def test_plain_correlations_take_what_makes_sense_for_them(name):
    one, two = (gcc(GCCFeatures(weighting="phat", **values)) for values in ({}, {name: OTHER[name]}))
    assert (one - two).abs().max() > 1e-3


def test_few_microphones_choose_more_bands_and_trust_later_sound_less():
    chosen = [GCCFeatures().for_microphones(n) for n in (2, 4, 5, 6, 7, 12)]
    assert [c.n_bands for c in chosen] == [8, 8, 8, 8, 4, 4]
    assert [c.reverberation_factor for c in chosen] == pytest.approx([2, 2, 5 / 3, 4 / 3, 1, 1])
    with pytest.raises(InvalidInputError, match="n_mics must be at least 1, got 0"):
        GCCFeatures().for_microphones(0)
    told = GCCFeatures(n_bands=3, reverberation_factor=0.5, dereverberation=True)
    assert told.for_microphones(4) == told
    few = GCCExtractor(ARRAY, FRAMES, lag_step=0.5, features=GCCFeatures())
    assert few.features == GCCFeatures(dereverberation=True).for_microphones(ARRAY.n_mics)
    assert few.n_columns == 16 * len(few.lags)


def test_what_a_factor_above_one_leaves_counts_by_its_square():
    """Where nothing is expected to reverberate, as in a first burst, nothing else is changed."""
    start = bursts()
    options = {"floor_factor": 0.0, "reverberation_delay_s": 10.0}
    one, two = (gcc(GCCFeatures(reverberation_factor=f, **options), start) for f in (1.0, 2.0))
    half = one.shape[-1] // 2
    torch.testing.assert_close(two[..., :half], 4 * one[..., :half])
    torch.testing.assert_close(two[..., half:], one[..., half:])


def test_the_default_of_the_extractor_is_the_paper():
    plain = GCCExtractor(ARRAY, FRAMES, lag_step=0.5).gcc(bursts())
    assert torch.equal(plain, gcc(GCCFeatures.of("phat")))
    assert plain.shape[-1] * 2 == gcc(GCCFeatures(n_bands=1)).shape[-1]
    assert plain.shape[-1] * 6 == gcc(GCCFeatures(n_bands=3)).shape[-1]


def test_averaging_is_the_mean_of_the_last_frames_whatever_the_blocks():
    signal = bursts()
    for weighting in ("phat", "whitened"):
        single = gcc(GCCFeatures(weighting=weighting), signal)
        expected = torch.stack([single[max(0, k - 2) : k + 1].mean(dim=0) for k in range(len(single))])
        extract = GCCExtractor(ARRAY, FRAMES, lag_step=0.5, features=GCCFeatures(weighting=weighting, average_frames=3))
        stream = extract.stream([block.numpy() for block in signal.split(1700, dim=1)])
        assert torch.allclose(torch.cat(list(stream)), expected, atol=1e-5)
        assert stream.n_frames == len(single) == len(stream.activity())


def test_pairs_count_in_proportion_to_their_length():
    extract = GCCExtractor(ARRAY, FRAMES, lag_step=0.5)
    first, second = extract.mic_pairs.T
    length = np.linalg.norm(extract.array.positions[first] - extract.array.positions[second], axis=1)
    weighted = gcc(GCCFeatures(weighting="phat", pair_weighting="baseline"))
    expected = gcc(GCCFeatures(weighting="phat")) * torch.tensor(length / length.mean(), dtype=torch.float32)[:, None]
    assert torch.allclose(weighted, expected, atol=1e-6)


@pytest.mark.parametrize("weighting", ["phat", "snr", "whitened"])
def test_sound_outside_the_band_does_not_count(weighting):
    """A tone outside the band, as loud as all else together, leaves the correlations alone; inside it does not."""
    signal = bursts()
    time = torch.arange(signal.shape[1]) / 16000
    # a slow onset keeps the tone within its band
    tone = (
        torch.sin(2 * torch.pi * 6000 * time)
        * torch.sin(torch.pi * time / time[-1])
        * torch.tensor([[1], [-1], [1], [-1]])
    )
    for band, changes in (((500.0, 4000.0), False), ((500.0, 7500.0), True)):
        # predictions are made in windows of 4 ms, into which loud tones reach from afar
        features = GCCFeatures(weighting=weighting, freq_range_hz=band, dereverberation=False)
        frames = FrameSettings(win_length=1024, hop_length=768, window="hann")
        one, two = gcc(features, signal, frames), gcc(features, signal + tone, frames)
        assert ((one - two).abs().max() > 0.01 * one.abs().max()) == changes, band


def test_a_pure_delay_within_a_band_peaks_at_one():
    n = np.random.default_rng(0).normal(size=8192).astype(np.float32)
    peak = gcc(GCCFeatures(weighting="phat", freq_range_hz=(300.0, 5000.0)), torch.from_numpy(np.stack([n] * 4)))
    assert peak[..., peak.shape[-1] // 2].mean() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("weighting", ["phat", "snr", "whitened"])
def test_a_band_without_frequencies_is_refused(weighting):
    for band in ((9000.0, 12000.0), (1001.0, 1002.0)):
        with pytest.raises(InvalidInputError, match=r"freq_range_hz must hold at least one .* below 8000 Hz, got "):
            gcc(GCCFeatures(weighting=weighting, freq_range_hz=band))


def test_bins_of_a_band_leave_out_what_has_no_phase():
    frequency = np.arange(257) * 31.25
    for n_fft in (512, 511):
        bins = band_bins((0.0, 8000.0), n_fft, 16000)
        spectra = stft(torch.zeros(1, n_fft), torch.ones(n_fft), n_fft)
        assert bins.start == 1
        assert bins.stop == (256 if n_fft == 512 else spectra.shape[-1])
    inside = frequency[band_bins((300.0, 6000.0), 512, 16000)]
    assert inside.min() == 312.5
    assert inside.max() == 6000.0


BAD = {
    "weighting": ("white", r"weighting must be one of the known names, got 'white'. Did you mean 'whitened'"),
    "pair_weighting": ("length", r"pair_weighting must be one of the known names"),
    "freq_range_hz": ((4000, 300), r"freq_range_hz must go from low to high, .* got \(4000, 300\)\. Swap the two"),
    "average_frames": (0, r"average_frames must be at least 1, got 0"),
    "snapshot_length": (8, r"snapshot_length must be at least 16, got 8"),
    "noise_quantile": (0.0, r"noise_quantile must be above 0 and at most 1, got 0"),
    "floor_quantile": (1.5, r"floor_quantile must be above 0 and at most 1, got 1.5"),
    "loading": (0.0, r"loading must be above 0, got 0"),
    "diffuse_factor": (-0.1, r"diffuse_factor must be at least 0, got -0.1"),
    "n_bands": (0, r"n_bands must be at least 1, got 0"),
    "floor_factor": (-1.0, r"floor_factor must be at least 0, got -1"),
    "reverberation_factor": (-0.5, r"reverberation_factor must be at least 0, got -0.5"),
    "reverberation_delay_s": (0.0, r"reverberation_delay_s must be above 0, got 0"),
    "reverberation_decay_s": (float("nan"), r"reverberation_decay_s must be finite, got nan"),
    "statistics_s": (-1, r"statistics_s must be above 0, got -1"),
    "noise_changes": (None, r"noise_changes must be True or False, got None"),
    "causal": (1, r"causal must be True or False, got 1"),
    "dereverberation": ("yes", r"dereverberation must be True or False, got 'yes'"),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_settings_are_refused(name):
    value, message = BAD[name]
    with pytest.raises(InvalidInputError, match=message):
        GCCFeatures(**{name: value})


def test_each_setting_has_a_wrong_value_that_is_tried():
    assert set(BAD) == set(OTHER)


@pytest.mark.parametrize("band", [(-1.0, 300.0), (300.0, 300.0), (100.0,), (0.0, float("inf"))])
def test_wrong_bands_are_refused(band):
    with pytest.raises(InvalidInputError, match="freq_range_hz must"):
        GCCFeatures(freq_range_hz=band)


def test_settings_from_a_parameter():
    settings = GCCFeatures(loading=0.2)
    assert GCCFeatures.of(settings) is settings
    assert [GCCFeatures.of(name).weighting for name in ("phat", "snr", "whitened")] == ["phat", "snr", "whitened"]
    with pytest.raises(
        InvalidInputError, match=r"features must be one of the known names, got 'pat'. Did you mean 'ph"
    ):
        GCCFeatures.of("pat")
    with pytest.raises(
        InvalidInputError, match=r"features must be 'phat', 'snr', 'whitened' or a .*GCCFeatures, got 3"
    ):
        GCCFeatures.of(3)


def test_a_list_from_a_file_is_the_same_band():
    assert GCCFeatures(freq_range_hz=[300, 4000]) == GCCFeatures(freq_range_hz=(300.0, 4000.0))
    assert hash(GCCFeatures(freq_range_hz=[300, 4000])) == hash(GCCFeatures(freq_range_hz=(300.0, 4000.0)))


def srp(**options) -> SRPPHAT:
    return SRPPHAT(ARRAY, n_directions=300, win_length=1024, hop_length=768, **options)


def test_a_saved_estimator_keeps_features_and_motion(tmp_path):
    features = GCCFeatures(freq_range_hz=(300.0, 5000.0), causal=True, loading=0.3)
    signal = bursts().numpy()
    fitted = srp(features=features, motion=MotionModel(0.05, 0.3)).fit(signal)
    fitted.save(tmp_path / "srp.safetensors")
    other = load(tmp_path / "srp.safetensors")
    assert other.features == features
    assert other.motion == fitted.motion
    assert np.array_equal(other.predict(signal, "filter"), fitted.predict(signal, "filter"))


def test_model_selection_over_features():
    options = ["phat", GCCFeatures(weighting="snr"), GCCFeatures(causal=True)]
    signals = [bursts(seed=seed).numpy() for seed in range(2)]
    search = GridSearchCV(srp(), {"features": options}, cv=2, error_score="raise").fit(signals)
    assert len(set(search.cv_results_["mean_test_score"])) == 3
    assert clone(srp(features=options[2])).features == options[2]
