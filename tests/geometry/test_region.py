"""Sectors of azimuth and elevation."""

import numpy as np
import pytest

from doatrack import DirectionGrid
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import azimuth_elevation_deg_to_unit, in_region


@pytest.mark.parametrize(
    ("region", "inside"), [((150, -150), 180), ((-20, 20), 0), ((170, 190), -175), ((0, 360), -90)]
)
def test_sectors_may_cross_the_back(region, inside):
    assert in_region(azimuth_elevation_deg_to_unit(inside, 10), region)
    assert in_region(azimuth_elevation_deg_to_unit(inside + 90, 10), region) == (region == (0, 360))


def test_the_border_belongs_to_the_sector():
    corners = azimuth_elevation_deg_to_unit(np.array([30.0, 60.0, 30.0]), np.array([0.0, 45.0, 45.0]))
    assert in_region(corners, (30, 60), (0, 45)).all()


def test_a_restricted_grid_is_what_lies_in_the_region():
    grid = DirectionGrid.quasi_uniform(500)
    mask = in_region(grid.directions, (-50, 10), (-30, 70))
    assert np.array_equal(grid.restrict((-50, 10), (-30, 70)).directions, grid.directions[mask])
    assert in_region(grid.directions).all()


def test_a_region_of_one_number_is_refused():
    with pytest.raises(InvalidInputError, match="azimuth_range_deg must have the shape"):
        in_region([1.0, 0, 0], (30,))
