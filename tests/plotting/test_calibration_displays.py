import numpy as np
import pytest

from doatrack.distributions import ConeCalibration
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import azimuth_elevation_deg_to_unit
from doatrack.metrics import reliability_curve, risk_coverage_curve
from doatrack.plotting import ReliabilityDisplay, RiskCoverageDisplay
from doatrack.tracking import Track


def make_track(seed, n_frames=40):
    rng = np.random.default_rng(seed)
    doa = azimuth_elevation_deg_to_unit(rng.normal(0, 10, n_frames), rng.normal(0, 10, n_frames))
    concentration = rng.uniform(5, 100, n_frames)
    return Track(0.2 * np.arange(n_frames), doa, concentration, np.full(n_frames, 0.3), rng.random(n_frames) < 0.7)


FRONT = np.array([1.0, 0, 0])


def test_reliability_is_drawn_in_percent_with_one_diagonal(figure):
    axes = figure.subplots()
    first = ReliabilityDisplay([0.5, 0.9], [0.4, 0.95]).plot(axes, name="one", color="tab:red")
    second = ReliabilityDisplay([0.5, 0.9], [0.5, 0.9]).plot(axes, name="two")
    assert first.line_.get_xydata().tolist() == [[50, 40], [90, 95]]
    assert first.line_.get_color() == "tab:red"
    assert first.diagonal_.get_xydata().tolist() == [[0, 0], [100, 100]]
    assert second.diagonal_ is None
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one", "two"]
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 100), (0, 100))
    figure.canvas.draw()


def test_risk_is_drawn_over_the_share_kept(figure):
    display = RiskCoverageDisplay([0.5, 1.0], [2.0, 5.0]).plot(figure.subplots())
    assert display.line_.get_xydata().tolist() == [[50, 2], [100, 5]]
    assert display.ax_.get_ylim()[0] == 0
    assert display.ax_.get_legend() is None
    figure.canvas.draw()


def test_tracks_with_truth_per_frame_count_where_they_are_active():
    tracks = [make_track(0), make_track(1, 30)]
    truths = [np.tile(FRONT, (track.n_frames, 1)) for track in tracks]
    law = ConeCalibration(scale=0.5, tail=0.2)
    doa, active = np.concatenate([t.doa for t in tracks]), np.concatenate([t.activity for t in tracks])
    concentration = np.concatenate([t.concentration for t in tracks])
    expected = reliability_curve(np.tile(FRONT, (active.sum(), 1)), doa[active], concentration[active], calibration=law)
    display = ReliabilityDisplay.from_tracks(tracks, truths, calibration=law)
    np.testing.assert_allclose((display.levels, display.coverage), expected)
    risk = RiskCoverageDisplay.from_tracks(tracks, truths)
    expected = risk_coverage_curve(np.tile(FRONT, (active.sum(), 1)), doa[active], concentration[active])
    np.testing.assert_allclose((risk.coverage, risk.risk_deg), expected)


def test_truth_rows_bring_their_own_activity():
    track = make_track(2)
    spoken = track.times > 4
    rows = np.column_stack([track.times, np.tile(FRONT, (track.n_frames, 1)), spoken])
    expected = reliability_curve(rows[spoken, 1:4], track.doa[spoken], track.concentration[spoken])
    display = ReliabilityDisplay.from_tracks(track, rows)
    np.testing.assert_allclose((display.levels, display.coverage), expected)


def test_what_does_not_fit_is_named(pyplot):
    track = make_track(3)
    with pytest.raises(InvalidInputError, match="truth must have as many rows as tracks, got 1 and 2"):
        ReliabilityDisplay.from_tracks([track, track], [np.tile(FRONT, (40, 1))])
    with pytest.raises(InvalidInputError, match="risk_deg must have as many rows as coverage, got 1 and 2"):
        RiskCoverageDisplay([0.5, 1.0], [2.0])
    assert ReliabilityDisplay([0.5], [0.5]).plot().figure_ is pyplot.gcf()
