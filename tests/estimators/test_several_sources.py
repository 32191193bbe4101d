"""Trackers of several sources: shapes, identities over time, activity per source, learning, files, scores."""

import pickle

import numpy as np
import pytest

from doatrack import DML, MUSIC, SRPPHAT, MicArray, MultiTrack, PhysicsVAETracker, Track, load
from doatrack.exceptions import InvalidInputError
from doatrack.metrics import detect_sources

RATE = 16000
SRP = {"n_directions": 600, "win_length": 1024, "hop_length": 768}


@pytest.fixture(scope="module")
def pair(doa):
    """Two directions far from each other."""
    return np.stack([doa[0], -doa[0] @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])])


@pytest.fixture(scope="module")
def duets(array, pair):
    """Two recordings of two noises with pauses of their own, from the two directions."""
    rng = np.random.default_rng(11)
    recordings = []
    for n in (24000, 20000):
        wave = 0.01 * rng.normal(size=(4, n))
        for source, period in zip(pair, (5000, 7400), strict=True):
            shift = np.exp(
                2j * np.pi * np.fft.rfftfreq(n + 256, 1 / RATE) * (array.positions @ source / 343.0)[:, None]
            )
            one = np.fft.irfft(np.fft.rfft(rng.normal(size=n + 256)) * shift, n=n + 256)[:, 128 : n + 128]
            wave += one * (np.arange(n) % period < 0.7 * period)
        recordings.append(wave.astype(np.float32))
    return recordings


@pytest.fixture(scope="module")
def trackers(array, duets):
    small = {"n_directions": 600, "width": 4, "n_epochs": 1, "random_state": 0, "verbose": 0}
    return {
        "srp": SRPPHAT(n_sources=2, **SRP).fit(duets, array),
        "vae": PhysicsVAETracker(n_sources=2, **small, win_length=1024, hop_length=768).fit(duets, array),
    }


@pytest.mark.parametrize("name", ["srp", "vae"])
@pytest.mark.parametrize("smoothing", [None, "filter", "smoother"])
def test_two_sources_are_found_and_keep_their_numbers(trackers, duets, pair, name, smoothing):
    tracker = trackers[name]
    doas, tracks = tracker.predict(duets, smoothing), tracker.track(duets, smoothing)
    for doa, track, signals in zip(doas, tracks, duets, strict=True):
        n_frames = 1 + (signals.shape[1] - 1024) // 768
        assert doa.shape == (n_frames, 2, 3)
        np.testing.assert_allclose(np.linalg.norm(doa, axis=-1), 1, atol=1e-9)
        assert isinstance(track, MultiTrack)
        np.testing.assert_array_equal(track.doa, doa)
        found = detect_sources(np.tile(pair, (n_frames, 1, 1)), doa, active_pred=track.activity, tolerance_deg=12)
        assert found.precision > 0.8
        assert found.recall > 0.5  # both have pauses
        assert found.n_switches <= (0 if smoothing else 2)  # links know one frame only
        assert track.activity.any(axis=0).all()
        assert not track.activity.all()


def test_one_recording_and_a_batch_are_mirrored(trackers, duets):
    assert trackers["srp"].predict(duets[0]).ndim == 3
    batch = np.stack([signals[:, :20000] for signals in duets])
    assert trackers["srp"].predict(batch).shape[::2] == (2, 2)


def test_one_source_is_what_it_was(array, duets):
    one = SRPPHAT(n_sources=1, **SRP).fit(duets, array)
    assert one.predict(duets[0]).ndim == 2
    assert isinstance(one.track(duets[0]), Track)


def test_silence_has_no_source(trackers, array):
    quiet = np.zeros((4, 8000), dtype=np.float32)
    for tracker in trackers.values():
        for smoothing in (None, "filter", "smoother"):
            track = tracker.track(quiet, smoothing)
            assert not track.activity.any()
            assert np.isfinite(track.doa).all()


@pytest.mark.parametrize("name", ["srp", "vae"])
def test_files_keep_it(trackers, duets, tmp_path, name):
    trackers[name].save(tmp_path / "two.safetensors")
    back = load(tmp_path / "two.safetensors")
    assert back.n_sources == 2
    assert back.track(duets[0]) == trackers[name].track(duets[0])


def test_the_sources_of_a_fitted_map_tracker_can_be_set_later(trackers, duets):
    one = trackers["vae"].get_params()
    tracker = PhysicsVAETracker(**one).set_params(n_sources=1).fit(duets, trackers["vae"].array_)
    assert tracker.predict(duets[0]).ndim == 2
    assert tracker.set_params(n_sources=3).predict(duets[0]).shape[1:] == (3, 3)


def test_a_better_tracker_scores_higher(trackers, duets, pair):
    truth = [np.tile(pair, (len(doa), 1, 1)) for doa in trackers["srp"].predict(duets)]
    scores = [trackers["srp"].score(duets, t) for t in (truth, [t[:, ::-1] for t in truth], [-t for t in truth])]
    assert scores[0] == pytest.approx(scores[1])  # whichever is the first
    assert scores[2] < scores[0] < 0
    rows = np.zeros((2, 400, 5))
    rows[:, :, 0], rows[:, :, 1:4], rows[:, :, 4] = 0.02 * np.arange(400), pair[:, None], 1
    assert trackers["srp"].score(duets, [rows, rows]) == pytest.approx(scores[0], abs=2)
    # one of the two alone: the other is invented
    assert trackers["srp"].score(duets[0], rows[0]) < scores[0]
    assert np.isfinite(trackers["srp"].score(duets))


def weights(tracker):
    return np.concatenate([p.detach().numpy().ravel() for p in tracker.encoder_.parameters()])


# the parts of a grid do not overlap: there the bound is the divergence itself but for a constant
@pytest.mark.parametrize(
    ("encoder", "change"),
    [("map", {"source_loss": "masked"}), ("paper", {"source_loss": "masked"}), ("paper", {"mixture_kl": "bound"})],
)
def test_each_parameter_of_learning_has_an_effect(quick, duets, array, encoder, change):
    options = {"encoder": encoder, "teacher": "physics", "prior": "uniform", "n_sources": 2, "width": 8}
    plain, again, other = (quick(**options, **more).fit(duets, array) for more in ({}, {}, change))
    np.testing.assert_array_equal(weights(plain), weights(again))
    assert not np.allclose(weights(plain), weights(other), atol=1e-6)


def test_the_papers_encoder_has_a_head_for_each_source(quick, duets, array, tmp_path):
    tracker = quick(encoder="paper", teacher="physics", prior="uniform", n_sources=2, width=8).fit(duets, array)
    assert tracker.encoder_.direction_head.out_features == 6
    for smoothing in (None, "smoother"):
        assert tracker.track(duets[0], smoothing).doa.shape[1:] == (2, 3)
    tracker.save(tmp_path / "two.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "two.safetensors").predict(duets[0]), tracker.predict(duets[0]))
    with pytest.raises(InvalidInputError, match="do not fit"):
        tracker.set_params(n_sources=3, warm_start=True).fit(duets, array)


def test_learning_explains_better_what_was_heard(quick, duets, array):
    steady = {"gamma_initial": 10.0, "sigma_initial": 0.8, "prior": "uniform", "beta": 0.0, "crop_frames": 40}
    history = quick(n_sources=2, n_epochs=8, learning_rate=0.01, pairs_per_step=6, **steady).fit(duets, array).history_
    physics = [epoch["physics"] for epoch in history]
    # sources that sound most of the time are half taken for noise: there is little to gain, but in every epoch
    assert (np.diff(physics) < 0).all()
    assert physics[-1] < physics[0] - 0.002


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_sources": 0}, "n_sources must be at least 1, got 0"),
        ({"n_sources": 1.5}, "n_sources must be a whole number"),
        ({"source_loss": "mask"}, "source_loss must be one of .*Did you mean 'masked'"),
        ({"mixture_kl": "exact"}, "mixture_kl must be one of .*Choose from: bound, sampled"),
    ],
)
def test_senseless_values_are_refused(quick, duets, array, options, message):
    with pytest.raises(InvalidInputError, match=message):
        quick(**options).fit(duets, array)


@pytest.mark.parametrize("make", [SRPPHAT, MUSIC, DML], ids=["srp", "music", "dml"])
@pytest.mark.parametrize("smoothing", [None, "filter", "smoother"])
def test_the_mirror_image_of_one_source_is_not_taken_for_the_second(make, smoothing):
    board = MicArray.from_preset("respeaker_usb_4")
    rng = np.random.default_rng(0)
    at = np.array([[0.6, 0.4, 0.69], [-0.2, -0.85, 0.48]])
    at /= np.linalg.norm(at, axis=1, keepdims=True)
    shift = np.exp(2j * np.pi * np.fft.rfftfreq(24000, 1 / RATE) * (board.positions @ at.T / 343.0).T[..., None])
    talkers = np.fft.irfft(np.fft.rfft(rng.normal(size=(2, 1, 24000))) * shift, 24000)
    talkers *= np.arange(24000) % np.array([5000, 7400])[:, None, None] < np.array([3500, 5200])[:, None, None]
    waveform = (talkers.sum(axis=0) + 0.02 * rng.normal(size=(4, 24000))).astype(np.float32)
    tracker = make(n_sources=2, n_directions=1000, causal=True, win_length=1024, hop_length=768).fit(waveform, board)
    tracks = tracker.track(waveform, smoothing=smoothing)
    assert [track.ambiguity.kind for track in tracks] == ["mirror", "mirror"]
    assert tracks[1].alternatives.shape == (tracks.n_frames, 1, 3)
    assert (tracks.doa[..., 2] >= -1e-9).all()  # the side that stands for both
    found = detect_sources(
        np.tile(at, (tracks.n_frames, 1, 1)), tracks.doa, active_pred=tracks.activity, tolerance_deg=25
    )
    assert found.precision > 0.45  # so small a board hardly hears elevation
    if smoothing != "smoother":
        stream = tracker.stream(smoothing)
        parts = [stream.push(waveform), stream.finish()]
        np.testing.assert_allclose(np.concatenate([part.doa for part in parts]), tracks.doa, atol=1e-4)
        assert all(part.ambiguity == tracks.ambiguity for part in parts)


def test_tracks_of_different_arrays_are_not_put_together():
    columns = [0.5], [[0, 1.0, 0]], [np.nan], [np.nan], [True]
    flat = MicArray.from_preset("respeaker_usb_4").ambiguity
    one, other = Track(*columns), Track(*columns, ambiguity=flat)
    assert MultiTrack.from_tracks([other, other])[1].ambiguity == flat
    assert pickle.loads(pickle.dumps(MultiTrack.from_tracks([other]))).ambiguity == flat
    with pytest.raises(InvalidInputError, match="their ambiguity the same"):
        MultiTrack.from_tracks([one, other])
