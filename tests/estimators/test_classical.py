"""MUSIC, DML and ESPRIT: plane waves from known directions on any array."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from doatrack import DML, ESPRIT, MUSIC, MicArray
from doatrack.exceptions import InvalidInputError
from doatrack.metrics import angular_error

RATE = 16000
SMALL = {
    "win_length": 2048,
    "hop_length": 2048,
    "snapshot_length": 256,
    "snapshot_hop": 128,
    "freq_range_hz": (400.0, 3500.0),
}
WITH_SHIFTS = ("frl_octahedral_7", "minidsp_uma_8", "minidsp_uma_16", "respeaker_core_6", "respeaker_usb_4")
LINE = MicArray([[0, 0.04 * k, 0] for k in range(4)], name="line")
MAPS = {
    "music": MUSIC(n_directions=1000, normalised=False, **SMALL),
    "norm-music": MUSIC(n_directions=1000, **SMALL),
    "dml": DML(n_directions=1000, **SMALL),
    "dml-common": DML(n_directions=1000, noise="common", **SMALL),
}


def plane_waves(array, doa, seed=0, noise=0.01, n_samples=4096):
    """Independent noises from far directions (n_sources, 3), delayed without rounding, with sensor noise."""
    rng = np.random.default_rng(seed)
    n_fft = n_samples + 256
    early = np.atleast_2d(doa) @ array.positions.T / 343.0
    shift = np.exp(2j * np.pi * np.fft.rfftfreq(n_fft, 1 / RATE) * early[..., None])
    spectra = np.fft.rfft(rng.normal(size=(len(early), 1, n_fft)))
    waves = np.fft.irfft(spectra * shift, n=n_fft)[..., 128 : 128 + n_samples].sum(axis=0)
    return (waves + noise * rng.normal(size=waves.shape)).astype(np.float32)


def unit(seed, n=1):
    vectors = np.random.default_rng(seed).normal(size=(n, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def degrees(a, b):
    return np.degrees(angular_error(np.broadcast_to(a, np.shape(b)), b))


def random_array(seed):
    """Five microphones that are no plane and no line, some centimetres apart."""
    rng = np.random.default_rng(seed)
    while True:
        array = MicArray(rng.uniform(-0.06, 0.06, size=(5, 3)))
        extent = np.linalg.svd(array.positions - array.positions.mean(axis=0), compute_uv=False)
        if extent[2] > 0.4 * extent[0]:
            return array


@settings(max_examples=6)
@given(seed=st.integers(0, 1000))
@pytest.mark.parametrize("method", MAPS)
def test_a_plane_wave_is_found_within_the_grids_spacing_on_any_array(method, seed):
    array, [doa] = random_array(seed), unit(seed + 1)
    signals = plane_waves(array, doa, seed)
    fitted = MAPS[method].fit(signals, array)
    assert degrees(doa, fitted.predict(signals)).max() < fitted.grid_.spacing_deg
    best = fitted.grid_.directions[fitted.predict_map(signals).argmax(axis=1)]
    assert degrees(doa, best).max() < 1.2 * fitted.grid_.spacing_deg


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), name=st.sampled_from(WITH_SHIFTS))
def test_esprit_finds_it_on_arrays_with_shifts(seed, name):
    array, [doa] = MicArray.from_preset(name), unit(seed)
    if array.normal is not None:
        doa = doa * np.sign(doa @ array.normal)
        doa += (0.3 - min(0.3, doa @ array.normal)) * array.normal  # the plane itself is seen badly
        doa /= np.linalg.norm(doa)
    signals = plane_waves(array, doa, seed)
    assert degrees(doa, ESPRIT(**SMALL).fit(signals, array).predict(signals)).max() < 1.5


@pytest.mark.parametrize("seed", [1, 2])
def test_on_a_line_esprit_gives_the_angle_to_it_and_looks_to_the_front(seed):
    [doa] = unit(seed)
    signals = plane_waves(LINE, doa)
    found = ESPRIT(**SMALL).fit(signals, LINE).predict(signals)
    assert np.degrees(np.arccos(found[:, 1])) == pytest.approx(np.degrees(np.arccos(doa[1])), abs=1)
    assert (found[:, 0] >= 0).all()
    assert np.abs(found[:, 2]).max() < 1e-9


def test_of_two_mirror_images_esprit_takes_the_upper_one_or_the_one_in_the_search_region():
    array = MicArray.from_preset("minidsp_uma_8")
    below = np.array([0.6, 0.0, -0.8])
    signals = plane_waves(array, below)
    tracker = ESPRIT(**SMALL).fit(signals, array)
    assert degrees(below * [1, 1, -1], tracker.predict(signals)).max() < 1
    assert degrees(below, tracker.with_search_region(elevation_range_deg=(-90, 0)).predict(signals)).max() < 1


def test_esprit_moves_an_answer_outside_to_the_edge_of_the_search_region():
    array = MicArray.from_preset("frl_octahedral_7")
    signals = plane_waves(array, [0.0, 0.0, 1.0])
    tracker = ESPRIT(elevation_range_deg=(-90, 45), **SMALL).fit(signals, array)
    elevation = np.degrees(np.arcsin(tracker.predict(signals)[:, 2]))
    assert elevation == pytest.approx(45, abs=2 * tracker.grid_.spacing_deg)
    assert (elevation < 45 + 1e-9).all()


def test_on_a_standing_board_esprit_looks_to_the_front():
    array = MicArray.from_preset("minidsp_uma_16")
    doa = np.array([0.8, -0.36, -0.48])
    signals = plane_waves(array, doa)
    assert degrees(doa, ESPRIT(**SMALL).fit(signals, array).predict(signals)).max() < 1


@pytest.mark.parametrize("name", ["nao_head_12", "tetrahedron_4"])
def test_esprit_tells_what_an_array_without_shifts_lacks_and_what_to_use(name):
    array = MicArray.from_preset(name)
    message = r"ESPRIT needs two microphones or more whose copies.*equal steps.*Use MUSIC, DML or SRPPHAT"
    with pytest.raises(InvalidInputError, match=message):
        ESPRIT().fit(np.zeros((array.n_mics, 4096)), array)
    fitted = ESPRIT().fit(np.zeros((4, 4096)), MicArray.from_preset("respeaker_usb_4"))
    with pytest.raises(InvalidInputError, match=message):
        fitted.for_array(array)


def test_esprit_tells_when_every_shift_is_longer_than_half_a_wavelength():
    array = MicArray([[x, y, 0] for x in (0, 1.0) for y in (0, 1.0)])
    with pytest.raises(
        InvalidInputError, match=r"shorter than half a wavelength, got 1 m .* below 172 Hz, or use MUSIC"
    ):
        ESPRIT().fit(np.zeros((4, 4096)), array)


@pytest.mark.parametrize("method", [*MAPS, "esprit"])
def test_a_turned_array_gives_the_turned_answer(method):
    array, [doa] = MicArray.from_preset("frl_octahedral_7"), unit(3)
    tracker = ESPRIT(**SMALL) if method == "esprit" else MAPS[method]
    rotation = Rotation.from_euler("zyx", [70, 25, -40], degrees=True).as_matrix()
    signals = plane_waves(array, doa)
    straight = tracker.fit(signals, array)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        turned = straight.for_array(array.rotate(rotation))
    limit = 1e-3 if method == "esprit" else 0.5 * straight.grid_.spacing_deg
    assert degrees(straight.predict(signals) @ rotation.T, turned.predict(signals)).max() < limit


@pytest.mark.parametrize("method", [*MAPS, "esprit"])
def test_the_order_of_channels_changes_no_bit(method):
    array, [doa] = MicArray.from_preset("frl_octahedral_7"), unit(4)
    tracker = ESPRIT(**SMALL) if method == "esprit" else MAPS[method]
    signals, order = plane_waves(array, doa), [3, 6, 0, 2, 5, 1, 4]
    one = tracker.fit(signals, array).predict(signals)
    assert np.array_equal(tracker.fit(signals[order], array.select(order)).predict(signals[order]), one)


@pytest.mark.parametrize("cls", [MUSIC, DML])
@pytest.mark.parametrize("refine", [True, False])
def test_two_sources_are_found_in_any_order(cls, refine):
    array = MicArray.from_preset("nao_head_12")
    doa = np.array([[1.0, 0, 0], [0, 0.8, 0.6]])
    signals = plane_waves(array, doa, noise=0.05)
    fitted = cls(n_sources=2, n_directions=1000, refine=refine, **SMALL).fit(signals, array)
    found = fitted.predict(signals)
    assert found.shape == (2, 2, 3)
    near = np.degrees(np.arccos(np.clip(found @ doa.T, -1, 1)))
    assert near.min(axis=1).max() < 1.2 * fitted.grid_.spacing_deg
    assert sorted(near[0].argmin(axis=1)) == [0, 1]


def test_dml_tells_apart_what_one_source_at_a_time_cannot():
    """Two sources 25 degrees apart with a small array: the map of one source has a single maximum between them."""
    array = MicArray.from_preset("tetrahedron_4")
    angles = np.radians([0.0, 25.0])
    doa = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    signals = plane_waves(array, doa, noise=0.01, n_samples=16384)
    options = SMALL | {"win_length": 16384, "hop_length": 16384, "freq_range_hz": (300.0, 1500.0)}
    two = DML(n_sources=2, n_directions=2000, **options).fit(signals, array)
    one = DML(n_directions=2000, **options).fit(signals, array)
    between = doa.mean(axis=0) / np.linalg.norm(doa.mean(axis=0))
    assert degrees(between, one.predict(signals)).max() < 5
    near = np.degrees(np.arccos(np.clip(two.predict(signals)[0] @ doa.T, -1, 1)))
    assert near.min(axis=0).max() < 5


def test_the_map_of_dml_is_the_gain_over_noise_alone_and_that_of_music_at_least_1():
    array, [doa] = MicArray.from_preset("nao_head_12"), unit(5)
    signals = plane_waves(array, doa, noise=1.0)
    maps = {name: tracker.fit(signals, array).predict_map(signals) for name, tracker in MAPS.items()}
    assert maps["music"].min() >= 1
    assert 0 < maps["norm-music"].min() < maps["norm-music"].max() <= 1
    assert maps["dml"].min() >= 0
    assert maps["dml-common"].min() >= 0


@pytest.mark.parametrize("cls", [MUSIC, DML])
def test_several_sources_are_tracked_and_scored(cls):
    array = MicArray.from_preset("nao_head_12")
    doa = np.array([[1.0, 0, 0], [0, 0.8, 0.6]])
    signals = plane_waves(array, doa, n_samples=24576)
    signals[:, :8192] *= 0.003  # sound is what stands out from before
    fitted = cls(n_sources=2, n_directions=600, **SMALL).fit(signals, array)
    for smoothing in (None, "smoother"):
        track = fitted.track(signals, smoothing=smoothing)
        assert track.doa.shape == (12, 2, 3)
        heard = track.doa[5:]
        error = np.degrees(angular_error(np.broadcast_to(doa, heard.shape), heard))
        swapped = np.degrees(angular_error(np.broadcast_to(doa[::-1], heard.shape), heard))
        assert min(error.max(), swapped.max()) < 8  # each source keeps its number
        assert track.activity[5:].all()
    truth = np.broadcast_to(doa, (12, 2, 3)).copy()
    truth[:4] = np.nan
    assert fitted.score(signals, truth) > -10


@pytest.mark.parametrize("tracker", [MUSIC(n_sources=2, n_directions=200, **SMALL), DML(n_directions=200, **SMALL)])
def test_many_frames_at_once_are_the_frames_one_by_one(tracker, monkeypatch):
    """Frequencies are taken in blocks of bounded memory: one at a time must give the same."""
    array = MicArray.from_preset("tetrahedron_4")
    signals = plane_waves(array, unit(6), n_samples=12000)
    whole = tracker.fit(signals, array).predict_map(signals)
    monkeypatch.setattr("doatrack.estimators._covariance_map._BLOCK", 1)
    assert np.allclose(tracker.predict_map(signals), whole, rtol=1e-4)
    single = [tracker.predict_map(signals[:, 2048 * k : 2048 * (k + 1)])[0] for k in range(len(whole))]
    assert np.allclose(single, whole, rtol=1e-4)
