"""Sharp maps count for less than they claim, flat ones for all of it, and frames keep their proportions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doatrack import SRPPHAT, MicArray
from doatrack.estimators import _streamed
from doatrack.estimators._frame_estimates import FrameEstimates
from doatrack.estimators._smoothing import join_frames, smoother_weights
from doatrack.geometry import DirectionGrid
from doatrack.tracking import MotionModel, grid_filter, grid_smoother, posterior_directions
from doatrack.tracking.tempering import Tempering

STEP_S = 0.192


def maps(*heights: float) -> np.ndarray:
    """Return maps of one sharp peak each, so high above their mean."""
    found = np.zeros((len(heights), 1000))
    found[:, 7] = np.asarray(heights) * 1000 / 999
    return found


@pytest.mark.parametrize(("claimed", "factor"), [(0.0, 1), (0.5, 1), (3, 1), (12, 0.5), (48, 0.25), (300, 0.1)])
def test_of_what_is_claimed_beyond_three_nats_the_geometric_mean_counts(claimed, factor):
    assert Tempering(STEP_S).push(maps(*[claimed] * 4), np.ones(4)) == pytest.approx(factor)


def test_frames_keep_their_proportions_and_old_ones_are_forgotten():
    factors = Tempering(STEP_S).push(maps(*[12.0, 48.0] * 50, *[12.0] * 200), np.ones(300))
    assert factors[:2] == pytest.approx([0.5, np.sqrt(3 / 24)], rel=0.02)
    assert factors[98] / factors[99] == pytest.approx(1, abs=0.05)
    assert factors[99] == pytest.approx(np.sqrt(3 / 24), rel=0.05)
    assert factors[-1] == pytest.approx(0.5, rel=1e-3)


def test_frames_that_do_not_count_tell_nothing_of_the_others():
    assert Tempering(STEP_S).push(maps(1000.0, 12.0), np.array([0.0, 1.0]))[1] == pytest.approx(0.5)
    assert np.isfinite(Tempering(STEP_S).push(maps(1000.0, 12.0), np.zeros(2))).all()


def test_directions_that_others_stand_for_are_left_out():
    given_maps = maps(12.0)
    half = np.concatenate([given_maps, np.full((1, 1000), -1e6)], axis=1)
    assert Tempering(STEP_S).push(half, np.ones(1)) == pytest.approx(0.5)


@given(heights=st.lists(st.floats(0, 1e4), min_size=1, max_size=12), cut=st.integers(0, 12))
@settings(max_examples=30, deadline=None)
def test_parts_do_not_matter_and_factors_only_take_away(heights, cut):
    weight = np.linspace(0.1, 1, len(heights))
    whole = Tempering(STEP_S).push(maps(*heights), weight)
    parts = Tempering(STEP_S)
    joined = [parts.push(maps(*heights)[some], weight[some]) for some in (slice(cut), slice(cut, None))]
    assert np.array_equal(np.concatenate(joined), whole)
    assert ((whole > 0) & (whole <= 1)).all()


def frames_of(heights, *, with_maps=True):
    grid = DirectionGrid.quasi_uniform(500)
    places = [40, 41, 300, 300, 42, 43]
    likelihood = np.asarray(heights)[:, None] * (grid.directions[places] @ grid.directions.T)
    unknown = np.full(len(places), np.nan)
    frames = FrameEstimates(
        doa=grid.directions[places],
        concentration=np.asarray(heights, float),
        credible_angle=unknown,
        activity=np.array([True, True, True, True, False, True]),
        evidence=unknown,
        log_likelihood=likelihood if with_maps else None,
    )
    return frames, likelihood, MotionModel().transition(grid, STEP_S)


def test_the_smoother_of_trackers_is_tempered_and_the_filter_is_not():
    frames, likelihood, transition = frames_of([20, 30, 80, 60, 10, 50])
    weight = np.where(frames.activity, 1.0, 0.1)
    tempered = weight * Tempering(STEP_S).push(likelihood, weight)
    assert tempered.max() < 0.5
    for smoothing, posterior in (
        ("filter", grid_filter(likelihood, transition, weight)),
        ("smoother", grid_smoother(likelihood, transition, tempered)),
    ):
        doa, concentration = posterior_directions(posterior, transition.grid)
        found = join_frames(frames, transition, smoothing, STEP_S)
        assert np.allclose(found.doa, doa)
        assert np.allclose(found.concentration, concentration)


def test_recordings_are_smoothed_part_by_part_with_one_temper(monkeypatch):
    """Through the tracker itself, in parts of 8 frames."""
    monkeypatch.setattr(_streamed, "_GROUP_FRAMES", 8)
    array = MicArray([[0.05, 0, 0], [-0.05, 0.01, 0], [0, 0.05, 0.03], [0.01, -0.03, 0.05]])
    rng = np.random.default_rng(0)
    signal = (rng.normal(size=(1, 20000)) + 0.05 * rng.normal(size=(4, 20000))).astype(np.float32)
    signal[:, 8000:10000] *= 0.01
    tracker = SRPPHAT(n_directions=300, win_length=512, hop_length=384, map_scale=2000.0).fit(signal, array)
    track, step_s = tracker.track(signal, smoothing="smoother"), 384 / 16000
    maps_of_frames = 2000.0 * tracker.predict_map(signal)
    weight = np.where(track.activity, 1.0, 0.1)
    factors = Tempering(step_s).push(maps_of_frames, weight)
    assert factors.max() < 0.5
    posterior = grid_smoother(maps_of_frames, tracker._transition(own_grid=True), weight * factors)
    assert np.allclose(track.doa, posterior_directions(posterior, tracker.grid_)[0], atol=1e-4)
    untempered = posterior_directions(
        grid_smoother(maps_of_frames, tracker._transition(own_grid=True), weight), tracker.grid_
    )
    assert np.median(untempered[1]) > 1.5 * np.median(track.concentration)


def test_directions_without_maps_count_as_they_are():
    """A concentration is what a tracker claims itself, and may be calibrated."""
    frames, _, _ = frames_of([20, 30, 80, 60, 10, 50], with_maps=False)
    assert np.array_equal(smoother_weights([frames], STEP_S)[0], np.where(frames.activity, 1.0, 0.0))
