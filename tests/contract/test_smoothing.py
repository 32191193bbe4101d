"""What every estimator promises about `smoothing=`: frames joined by the motion model."""

import copy

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from doatrack import MultiTrack, Track
from doatrack.exceptions import InvalidInputError

LIVE = ("SRPPHAT", "MUSIC", "DML", "ESPRIT")
"""Their frames know nothing of later sound; so do those of the map encoder over plain correlations."""


@pytest.fixture(scope="module")
def known():
    """Estimators that were fitted already: smoothing changes nothing that was learned."""
    return {}


@pytest.fixture
def fitted(request, estimator, corpus, known):
    name = request.node.callspec.params["estimator"]
    if name not in known:
        known[name] = estimator.fit(corpus.signals, corpus.array, corpus.labels)
    return copy.deepcopy(known[name])


def noisy(signal):
    """Noise 10 dB below the source: no frame is so sure of itself that its neighbours do not count."""
    return signal + np.float32(0.3) * np.random.default_rng(7).normal(size=signal.shape).astype(np.float32)


def test_every_way_gives_one_unit_vector_per_frame_in_the_container_of_the_signals(fitted, corpus):
    one, other = noisy(corpus.signals[0]), corpus.signals[1]
    answers = {}
    for smoothing in (None, "filter", "smoother"):
        alone = answers[smoothing] = fitted.predict(one, smoothing)
        assert alone.shape == corpus.truth(0).shape
        np.testing.assert_allclose(np.linalg.norm(alone, axis=1), 1, atol=1e-6)
        listed = fitted.predict([one, other], smoothing=smoothing)
        assert isinstance(listed, list)
        assert np.array_equal(listed[0], alone)
        tensor = fitted.predict(torch.from_numpy(one[None]), smoothing=smoothing)
        assert isinstance(tensor, torch.Tensor)
        assert np.array_equal(tensor[0].numpy(), alone)
        track = fitted.track(one, smoothing)
        assert np.array_equal(track.doa, alone)
        assert isinstance(fitted.track([one], smoothing), list)
    assert np.array_equal(fitted.predict(one), answers[None])
    assert not np.allclose(answers["filter"], answers[None], atol=1e-4)
    assert not np.allclose(answers["smoother"], answers["filter"], atol=1e-4)


def test_tracks_are_smoothed_unless_told_otherwise_and_know_how_sure_they_are(fitted, corpus):
    one = corpus.signals[0]
    track, smoothed = fitted.track(one), fitted.track(one, smoothing="smoother")
    assert isinstance(track, (Track, MultiTrack))
    assert np.array_equal(track.doa, smoothed.doa)
    assert np.isfinite(track.concentration).all()
    assert (track.concentration >= 0).all()
    assert np.isfinite(track.credible_angle).all()


def test_the_filter_knows_nothing_of_later_sound_and_the_smoother_does(request, estimator, corpus):
    parameters = estimator.get_params()
    if type(estimator).__name__ not in LIVE and parameters.get("encoder") != "map":
        pytest.skip("its network looks at frames ahead")
    if parameters.get("features", "phat") != "phat":
        fitted = estimator.set_params(features="phat").fit(corpus.signals, corpus.array, corpus.labels)
    else:
        fitted = request.getfixturevalue("fitted")
    one = noisy(corpus.signals[0])
    # the same moments sound, from elsewhere: what counts as sound stays as it was
    later, cut = one.copy(), 15000
    later[:, cut:] = np.roll(one, 1, axis=0)[:, cut:]
    known = 1 + (cut - 1024) // 768
    before, after = fitted.track(one, "filter"), fitted.track(later, "filter")
    assert np.array_equal(before.activity[:known], after.activity[:known])
    np.testing.assert_allclose(before.doa[:known], after.doa[:known], atol=1e-6)
    assert np.abs(before.doa[known:] - after.doa[known:]).max() > 0.01
    smoothed = [fitted.predict(signal, "smoother") for signal in (one, later)]
    assert np.abs(smoothed[0][:known] - smoothed[1][:known]).max() > 1e-6


@pytest.mark.parametrize("smoothing", ["smooth", True, 3])
def test_unknown_smoothing_is_refused(fitted, corpus, smoothing):
    for call in (fitted.predict, fitted.track):
        with pytest.raises(
            InvalidInputError, match=r"smoothing must be one of the known names, got .*filter, smoother"
        ):
            call(corpus.signals[0], smoothing=smoothing)


def test_unfitted_estimators_do_not_smooth(estimator, corpus):
    with pytest.raises(NotFittedError):
        estimator.predict(corpus.signals, smoothing="filter")


def test_the_motion_counts(fitted, corpus):
    from doatrack.tracking import MotionModel

    signal = noisy(corpus.signals[0])
    usual = fitted.track(signal).concentration
    fitted.set_params(motion=MotionModel(diffusion=0.002, jump_rate=5.0))
    assert not np.allclose(fitted.track(signal).concentration, usual, rtol=1e-3)


def test_frames_of_one_recording_do_not_know_of_another(fitted, corpus):
    together = fitted.predict(corpus.signals, "filter")
    for signal, doa in zip(corpus.signals, together, strict=True):
        assert np.array_equal(fitted.predict(signal, "filter"), doa)
