import subprocess
import sys

import numpy as np
import pytest

from doatrack.exceptions import InvalidInputError
from doatrack.geometry import DirectionGrid, MicArray, azimuth_elevation_deg_to_unit
from doatrack.plotting import HistoryDisplay, MicArrayDisplay, SRPMapDisplay


def pixel(display, azimuth_deg, elevation_deg):
    picture = np.ma.filled(display.image_.get_array().astype(float), np.nan)
    return picture[int(np.floor(elevation_deg + 90)), int(np.floor(180 - azimuth_deg))]


@pytest.mark.parametrize("grid", [DirectionGrid.quasi_uniform(2048), DirectionGrid.rectangular(64, 32)])
def test_map_shows_each_direction_where_it_is(figure, grid):
    # Three linear maps tell front, left and up apart; a pixel is wrong by at most a grid cell.
    for axis in range(3):
        display = SRPMapDisplay.from_map(grid.directions[:, axis], grid).plot(figure.subplots(), colorbar=False)
        assert display.image_.get_extent() == [180, -180, -90, 90]
        for azimuth, elevation in [(0.5, 0.5), (90.5, -30.5), (-120.5, 60.5), (179.5, 10.5), (-179.5, 89.5)]:
            expected = azimuth_elevation_deg_to_unit(azimuth, elevation)[axis]
            assert pixel(display, azimuth, elevation) == pytest.approx(expected, abs=0.07)


def test_map_of_a_sector_is_empty_elsewhere(figure):
    grid = DirectionGrid.quasi_uniform(2048).restrict(azimuth_range_deg=(30, 150), elevation_range_deg=(-30, 60))
    display = SRPMapDisplay.from_map(np.ones(grid.n_directions), grid).plot(figure.subplots())
    inside = [pixel(display, azimuth, elevation) for azimuth in (40, 90, 140) for elevation in (-20, 0, 50)]
    outside = [pixel(display, azimuth, elevation) for azimuth, elevation in [(-90, 0), (10, 0), (90, 80), (90, -50)]]
    assert inside == [1] * 9
    assert np.isnan(outside).all()


def test_map_averages_frames_and_marks_directions(figure):
    grid = DirectionGrid.quasi_uniform(100)
    frames = np.stack([np.zeros(100), np.full(100, 4.0)])
    up_left = azimuth_elevation_deg_to_unit(90, 30)
    display = SRPMapDisplay.from_map(frames, grid, doa=[1.0, 0, 0], truth=[up_left]).plot(figure.subplots())
    assert (display.image_.get_array() == 2).all()
    assert display.doa_marks_.get_xydata().tolist() == [[0, 0]]
    np.testing.assert_allclose(display.truth_marks_.get_xydata(), [[90, 30]])
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["truth", "estimate"]
    assert display.ax_.get_xlim() == (180, -180)
    assert [label.get_text() for label in display.ax_.get_xticklabels()][3] == "90° left"


def test_map_that_does_not_fit_the_grid_is_named():
    with pytest.raises(
        InvalidInputError, match="srp_map's last axis must have as many rows as the grid, got 99 and 100"
    ):
        SRPMapDisplay.from_map(np.ones(99), DirectionGrid.quasi_uniform(100))


class Fitted:
    history_ = (
        {"epoch": 1, "loss": 3.0, "kl": 0.5},
        {"epoch": 2, "loss": 2.0, "kl": 0.75},
        {"epoch": 1, "loss": 1.0, "kl": 1.0, "extra": 7.0},
    )


def test_history_has_a_panel_per_quantity(figure, pyplot):
    display = HistoryDisplay.from_estimator(Fitted()).plot()
    assert [axes.get_ylabel() for axes in display.axes_] == ["loss", "kl", "extra"]
    assert display.lines_[0].get_xydata().tolist() == [[1, 3], [2, 2], [3, 1]]
    assert np.isnan(display.lines_[2].get_ydata()).tolist() == [True, True, False]
    assert display.axes_[-1].get_xlabel() == "Epoch"
    one = HistoryDisplay.from_estimator(Fitted(), ["kl"]).plot(figure.subplots())
    assert one.lines_[0].get_ydata().tolist() == [0.5, 0.75, 1.0]


def test_history_that_is_not_there_is_said():
    with pytest.raises(InvalidInputError, match="object has no history_: only fitted estimators"):
        HistoryDisplay.from_estimator(object())
    with pytest.raises(
        InvalidInputError, match=r"quantity must be one of the known names, got 'los'\. Did you mean 'loss'"
    ):
        HistoryDisplay.from_estimator(Fitted(), ["los"])


@pytest.mark.parametrize("flat", [False, True])
def test_array_shows_microphones_where_they_are(figure, flat):
    positions = np.array([[0.05, 0, 0.01], [-0.05, 0, 0], [0, 0.05, 0], [0, -0.02, 0.05]])
    positions[:, 2] *= not flat
    array = MicArray(positions, name="four")
    display = MicArrayDisplay.from_array(array).plot(figure.add_subplot(projection="3d"))
    np.testing.assert_allclose(np.stack(display.points_._offsets3d, axis=1), positions)
    assert [label.get_text() for label in display.labels_] == ["0", "1", "2", "3"]
    assert display.ax_.get_title() == "four"
    assert [text.get_text() for text in display.ax_.texts][:3] == ["front", "left", "up"]
    limits = [display.ax_.get_xlim(), display.ax_.get_ylim(), display.ax_.get_zlim()]
    extents = [high - low for low, high in limits]
    assert max(extents) == pytest.approx(min(extents))  # equal scales
    shown = np.vstack([positions, np.zeros(3)])
    assert all(
        low <= column.min() and column.max() <= high for (low, high), column in zip(limits, shown.T, strict=True)
    )
    figure.canvas.draw()


def test_array_makes_a_figure_or_refuses_flat_axes(figure, pyplot):
    array = MicArray([[0.05, 0, 0], [-0.05, 0, 0]])
    assert MicArrayDisplay.from_array(array).plot().figure_ is pyplot.gcf()
    with pytest.raises(InvalidInputError, match="ax must be an axes in three dimensions, got Axes"):
        MicArrayDisplay.from_array(array).plot(figure.subplots())


def test_importing_the_displays_does_not_import_matplotlib():
    code = "import doatrack.plotting, sys; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
