import sys

import numpy as np
import pytest

from doatrack.exceptions import InvalidInputError
from doatrack.geometry import azimuth_elevation_deg_to_unit
from doatrack.plotting import TrackDisplay
from doatrack.tracking import Track


def make_track(azimuth_deg, elevation_deg, radius_deg=10.0, active=None, step=0.2):
    doa = azimuth_elevation_deg_to_unit(azimuth_deg, elevation_deg)
    n = len(doa)
    activity = np.ones(n, dtype=bool) if active is None else active
    return Track(step * np.arange(n), doa, np.full(n, 50.0), np.radians(np.broadcast_to(radius_deg, n)), activity)


def band_at(bands, time):
    """The intervals that bands cover at a time."""
    intervals = []
    for band in bands:
        vertices = band.get_paths()[0].vertices
        values = vertices[np.isclose(vertices[:, 0], time), 1]
        if len(values):
            intervals.append((values.min(), values.max()))
    return intervals


def test_lines_hold_azimuth_and_elevation_in_degrees(figure):
    azimuth, elevation = np.array([10.0, 20, 35, 50]), np.array([0.0, -20, -40, 60])
    display = TrackDisplay.from_track(make_track(azimuth, elevation)).plot(figure.subplots(2))
    np.testing.assert_allclose(display.lines_[0].get_xdata(), [0, 0.2, 0.4, 0.6])
    np.testing.assert_allclose(display.lines_[0].get_ydata(), azimuth)
    np.testing.assert_allclose(display.lines_[1].get_ydata(), elevation)
    assert [axes.get_ylabel() for axes in display.axes_] == ["Azimuth", "Elevation"]
    assert display.axes_[1].get_xlabel() == "Time (s)"
    names = [label.get_text() for label in display.axes_[0].get_yticklabels()]
    assert names == ["−180° back", "−90° right", "0° front", "90° left", "180° back"]  # noqa: RUF001
    assert display.axes_[0].get_ylim() == (-180, 180)
    assert display.axes_[1].get_ylim() == (-90, 90)


@pytest.mark.parametrize("sign", [1, -1])
def test_no_line_crosses_the_front_where_azimuth_wraps(figure, sign):
    track = make_track(sign * np.array([170.0, -175, -170]), np.zeros(3))
    display = TrackDisplay.from_track(track, truth=track.doa).plot(figure.subplots(2))
    expected_times = [0, 0.2 * 10 / 15, 0.2 * 10 / 15, 0.2 * 10 / 15, 0.2, 0.4]
    expected = sign * np.array([170, 180, np.nan, -180, -175, -170])
    for line in (display.lines_[0], display.truth_lines_[0]):
        np.testing.assert_allclose(line.get_xdata(), expected_times)
        np.testing.assert_allclose(line.get_ydata(), expected)
        assert np.nanmax(np.abs(np.diff(line.get_ydata()))) <= 180
    assert len(display.lines_[1].get_xdata()) == 3


def test_the_shorter_way_round_decides_what_a_wrap_is(figure):
    display = TrackDisplay.from_track(make_track([100.0, -100, 60], np.zeros(3))).plot(figure.subplots(2))
    np.testing.assert_allclose(display.lines_[0].get_ydata(), [100, 180, np.nan, -180, -100, 60])
    np.testing.assert_allclose(display.lines_[0].get_xdata(), [0, 0.1, 0.1, 0.1, 0.2, 0.4])


def test_a_source_exactly_at_the_back_does_not_break_the_curve(figure):
    display = TrackDisplay.from_track(make_track([180.0, -179.0, 180.0, 180.0], np.zeros(4))).plot(figure.subplots(2))
    values = display.lines_[0].get_ydata()
    assert np.nanmax(np.abs(np.diff(values))) <= 180
    assert (np.diff(display.lines_[0].get_xdata()) >= 0).all()
    assert np.isnan(values).sum() == 2


@pytest.mark.parametrize("azimuth", [[170.0, -175, -170, 175, 160], [180.0, -179, 180, 180], [10.0, 20], []])
def test_markers_are_at_frames_only(figure, azimuth):
    track = make_track(np.array(azimuth), np.zeros(len(azimuth)))
    display = TrackDisplay.from_track(track).plot(figure.subplots(2))
    for line, expected in zip(display.lines_, (track.azimuth, track.elevation), strict=True):
        marked = line.get_xydata()[np.array(line.get_markevery(), dtype=int)]
        np.testing.assert_allclose(marked[:, 0], track.times)
        np.testing.assert_allclose(marked[:, 1], np.degrees(expected), atol=1e-9)
    figure.canvas.draw()


def test_silence_is_grey_and_not_part_of_the_estimate(figure):
    active = np.array([True, True, False, False, True])
    track = make_track(np.arange(5) * 10.0, np.zeros(5), active=active)
    display = TrackDisplay.from_track(track).plot(figure.subplots(2))
    assert np.isnan(display.lines_[0].get_ydata()).tolist() == (~active).tolist()
    assert np.isnan(display.silent_lines_[1].get_ydata()).tolist() == active.tolist()
    (span,) = [patch for patch in display.axes_[0].patches if patch.get_label() == "silence"]
    assert (span.get_x(), span.get_x() + span.get_width()) == pytest.approx((0.3, 0.7))
    red, green, blue, _ = span.get_facecolor()
    assert red == green == blue


def test_band_is_the_cone(figure):
    track = make_track([0.0, 40, 80, 20], [0.0, 60, 85, -20], radius_deg=[10, 10, 10, 20])
    display = TrackDisplay.from_track(track).plot(figure.subplots(2))
    at_60 = np.degrees(np.arcsin(np.sin(np.radians(10)) / np.cos(np.radians(60))))
    assert sorted(band_at(display.bands_[0], 0.0))[-1] == pytest.approx((-10, 10))
    assert sorted(band_at(display.bands_[0], 0.2))[-1] == pytest.approx((40 - at_60, 40 + at_60))
    low, high = np.array(band_at(display.bands_[0], 0.4)).T  # the cone holds the zenith: every azimuth
    assert low.min() <= -180
    assert high.max() >= 180
    np.testing.assert_allclose(band_at(display.bands_[1], 0.4), [(75, 90)])
    np.testing.assert_allclose(band_at(display.bands_[1], 0.6), [(-40, 0)])


def test_a_cone_with_the_zenith_is_a_full_height_step(figure):
    track = make_track([0.0, 0, 150, -90, -90], [30.0, 30, 85, 85, 30], radius_deg=10)
    display = TrackDisplay.from_track(track).plot(figure.subplots(2))
    outlines = [band.get_paths()[0].vertices for band in display.bands_[0]]
    full = [outline for outline in outlines if np.ptp(outline[:, 1]) == 360]
    (step,) = full
    assert (step[:, 0].min(), step[:, 0].max()) == pytest.approx((0.3, 0.7))
    assert set(step[:, 1]) == {-180, 180}  # no slope, no pinch
    others = sorted((outline[:, 0].min(), outline[:, 0].max()) for outline in outlines if np.ptp(outline[:, 1]) < 360)
    assert others == [pytest.approx((-0.1, 0.3)), pytest.approx((0.7, 0.9))]


def test_band_comes_back_at_the_other_edge(figure):
    display = TrackDisplay.from_track(make_track([175.0, -175, -175], np.zeros(3))).plot(figure.subplots(2))
    for time, centre in ((0.0, 175), (0.2, 185)):
        bands = sorted(band_at(display.bands_[0], time))
        np.testing.assert_allclose(bands, [(centre - 370, centre - 350), (centre - 10, centre + 10)])


def test_band_is_drawn_per_stretch_and_never_without_uncertainty(figure):
    active = np.array([True, True, False, True, True, True])
    radius = np.array([5.0, 5, 5, 5, np.nan, 5])
    track = make_track(np.zeros(6), np.zeros(6), radius_deg=radius, active=active)
    display = TrackDisplay.from_track(track).plot(figure.subplots(2))
    assert len(display.bands_[1]) == 3
    nothing = make_track(np.zeros(6), np.zeros(6), radius_deg=np.nan)
    assert TrackDisplay.from_track(nothing).plot(figure.subplots(2)).bands_ == [[], []]


def test_truth_rows_are_dashed_at_their_own_times(figure):
    rows = np.column_stack([np.linspace(0, 1, 11), azimuth_elevation_deg_to_unit(np.arange(11) * 3, 5), np.ones(11)])
    display = TrackDisplay.from_track(make_track(np.zeros(4), np.zeros(4)), truth=rows).plot(figure.subplots(2))
    line = display.truth_lines_[0]
    assert line.get_linestyle() == "--"
    np.testing.assert_allclose(line.get_xdata(), rows[:, 0])
    np.testing.assert_allclose(line.get_ydata(), np.arange(11) * 3)
    np.testing.assert_allclose(display.truth_lines_[1].get_ydata(), 5)


def test_legend_names_each_thing_once_even_for_two_tracks(figure):
    active = np.array([True, False, True, False, True])
    first = make_track(np.zeros(5), np.zeros(5), active=active)
    second = make_track(np.ones(5), np.zeros(5), active=active)
    axes = figure.subplots(2)
    TrackDisplay.from_track(first, truth=first.doa).plot(axes, name="one")
    display = TrackDisplay.from_track(second, truth=first.doa).plot(axes, name="two", color="tab:red")
    texts = [text.get_text() for text in display.axes_[0].get_legend().get_texts()]
    assert sorted(texts) == ["90 % credible", "one", "silence", "truth", "two"]
    assert display.lines_[1].get_color() == "tab:red"


def test_axes_are_made_split_or_refused(figure, pyplot):
    track = make_track(np.zeros(4), np.zeros(4))
    made = TrackDisplay.from_track(track).plot()
    assert len(made.figure_.axes) == 2
    split = TrackDisplay.from_track(track).plot(figure.subplots())
    assert split.figure_ is figure
    assert len(split.axes_) == 2
    with pytest.raises(
        InvalidInputError, match="ax must be None, one subplot to be split, or 2 matplotlib Axes, got 3"
    ):
        TrackDisplay.from_track(track).plot(figure.subplots(3))
    with pytest.raises(InvalidInputError, match="got 1 of type str"):
        TrackDisplay.from_track(track).plot("axes")


@pytest.mark.parametrize("n_frames", [0, 1])
def test_the_shortest_tracks_can_be_drawn(figure, n_frames):
    display = TrackDisplay.from_track(make_track(np.zeros(n_frames), np.zeros(n_frames))).plot(figure.subplots(2))
    assert len(display.lines_[0].get_xdata()) == n_frames
    figure.canvas.draw()


def test_wrong_truth_is_named():
    track = make_track(np.zeros(4), np.zeros(4))
    with pytest.raises(InvalidInputError, match="truth must have as many rows as the track, got 3 and 4"):
        TrackDisplay.from_track(track, truth=track.doa[1:])
    with pytest.raises(InvalidInputError, match=r"truth must have the shape \(n_frames, 3\), got \(4, 2\)"):
        TrackDisplay.from_track(track, truth=track.doa[:, :2])


def test_missing_matplotlib_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"Plotting needs matplotlib: pip install doatrack\[plot\]"):
        TrackDisplay.from_track(make_track(np.zeros(4), np.zeros(4))).plot()
