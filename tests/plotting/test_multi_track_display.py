import numpy as np
import pytest

from doatrack.exceptions import InvalidInputError
from doatrack.geometry import azimuth_elevation_deg_to_unit
from doatrack.plotting import MultiTrackDisplay, TrackDisplay
from doatrack.tracking import MultiTrack

AZIMUTH = np.array([[10.0, -100], [20, -110], [30, -120]])


@pytest.fixture
def tracks():
    doa = azimuth_elevation_deg_to_unit(AZIMUTH, np.zeros((3, 2)))
    active = [[True, False], [True, True], [False, True]]
    return MultiTrack([0.0, 0.2, 0.4], doa, np.full((3, 2), 50.0), np.full((3, 2), 0.2), active)


def test_each_source_has_its_line_and_colour(tracks, figure):
    display = MultiTrackDisplay.from_track(tracks).plot(figure.subplots(2), names=["Anna", "Ben"])
    for source, one in enumerate(display.displays):
        line, active = one.lines_[0], tracks.activity[:, source]
        np.testing.assert_allclose(line.get_ydata()[active], AZIMUTH[active, source])
        assert np.isnan(line.get_ydata()[~active]).all()
        assert line.get_color() == f"C{source}"
        assert len(one.bands_[0]) == 1
    labels = [text.get_text() for text in display.axes_[0].get_legend().get_texts()]
    assert {"Anna", "Ben"} <= set(labels)
    assert "silence" not in labels


@pytest.mark.parametrize("form", ["rows", "frames"])
def test_truths_are_drawn(tracks, figure, form):
    rows = np.concatenate([np.tile(tracks.times[:, None], (2, 1, 1)), tracks.doa.swapaxes(0, 1), np.ones((2, 3, 1))], 2)
    display = MultiTrackDisplay.from_track(tracks, rows if form == "rows" else tracks.doa).plot(figure.subplots(2))
    for source, one in enumerate(display.displays):
        np.testing.assert_allclose(one.truth_lines_[0].get_ydata(), AZIMUTH[:, source])


def test_what_does_not_fit_is_refused(tracks, figure):
    with pytest.raises(InvalidInputError, match=r"truth must have the shape \(n_sources, n_rows, 5\)"):
        MultiTrackDisplay.from_track(tracks, tracks.doa[:, 0])
    with pytest.raises(InvalidInputError, match="truth must have as many rows as sources of the tracks, got 1 and 2"):
        MultiTrackDisplay.from_track(tracks, tracks.doa[:, :1])
    with pytest.raises(InvalidInputError, match="names must have as many rows as the sources, got 1 and 2"):
        MultiTrackDisplay.from_track(tracks).plot(figure.subplots(2), names=["Anna"])
    with pytest.raises(InvalidInputError, match="draw it with MultiTrackDisplay"):
        TrackDisplay.from_track(tracks)
