"""Several maxima: the right ones, apart, never the flank of a peak, and honest where there are too few."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from doatrack.exceptions import InvalidInputError
from doatrack.geometry import DirectionGrid, PeakFinder, SeparatedPeaks, separated_peaks

GRID = DirectionGrid.quasi_uniform(1000)
DIRECTIONS = torch.tensor(GRID.directions, dtype=torch.float32)


def unit(*vector):
    return torch.nn.functional.normalize(torch.tensor(vector, dtype=torch.float32), dim=-1)


def bump(source, sharpness=30.0):
    return torch.exp(sharpness * (source @ DIRECTIONS.T - 1))


def angle_deg(a, b):
    return torch.rad2deg(torch.atan2(torch.linalg.cross(a, b).norm(dim=-1), (a * b).sum(dim=-1)))


def test_three_bumps_are_found_by_height_between_the_directions():
    sources = torch.stack([unit(1, 0.2, 0.1), unit(-0.3, 1, 0.4), unit(0.1, -0.5, -1)])
    map_ = 0.7 * bump(sources[0]) + 1.0 * bump(sources[1]) + 0.4 * bump(sources[2])
    peaks = separated_peaks(map_, GRID, 3)
    expected = sources[[1, 0, 2]]
    assert angle_deg(peaks.doa, expected).max() < 0.5
    assert angle_deg(DIRECTIONS[peaks.index], expected).max() > 0.5
    assert peaks.height.tolist() == pytest.approx([1.0, 0.7, 0.4], abs=0.06)
    unrefined = SeparatedPeaks(GRID, 3, refine=False)(map_)
    assert torch.equal(unrefined.doa, DIRECTIONS[peaks.index])


def test_the_first_is_the_maximum():
    maps = torch.rand(6, 1000, generator=torch.Generator().manual_seed(1))
    peaks = separated_peaks(maps, GRID, 2)
    assert torch.equal(peaks.index[:, 0], maps.argmax(dim=-1))
    assert torch.equal(peaks.doa[:, 0], PeakFinder(GRID)(maps))


@given(seed=st.integers(0, 1000), degrees=st.sampled_from([0.0, 10.0, 45.0, 120.0]))
def test_peaks_lie_apart_and_fall_in_height(seed, degrees):
    maps = torch.rand(2, 3, 1000, generator=torch.Generator().manual_seed(seed))
    peaks = SeparatedPeaks(GRID, 3, math.radians(degrees), refine=False)(maps)
    assert peaks.doa.shape == (2, 3, 3, 3)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        apart = angle_deg(peaks.doa[..., a, :], peaks.doa[..., b, :])
        known = peaks.height[..., max(a, b)].isfinite()
        assert (apart[known] >= degrees - 0.01).all()
        assert (peaks.index[..., a] != peaks.index[..., b])[known].all()
        assert (peaks.height[..., a] >= peaks.height[..., b])[known].all()


def test_the_flank_of_a_broad_peak_is_no_source():
    broad, small = bump(unit(1, 0, 0), 2.0), 0.05 * bump(unit(-1, 0.3, 0), 60.0)
    peaks = separated_peaks(broad + small, GRID, 2)
    assert angle_deg(peaks.doa[1], unit(-1, 0.3, 0)) < 3
    # without the small one nothing is left but the flank: no height, and a direction outside of the cone
    alone = separated_peaks(broad, GRID, 2, math.radians(25))
    assert alone.height.isnan().tolist() == [False, True]
    assert angle_deg(alone.doa[1], alone.doa[0]) > 20
    assert alone.doa[1].norm() == pytest.approx(1)


def test_a_search_region_with_few_directions():
    few = DirectionGrid(np.eye(3))
    peaks = separated_peaks(torch.tensor([1.0, 3.0, 2.0]), few, 3, math.radians(100))
    assert peaks.index[0] == 1
    assert peaks.height.isnan().tolist() == [False, True, True]
    assert torch.isfinite(peaks.doa).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_sources": 0}, "n_sources must be at least 1, got 0"),
        ({"n_sources": 1001}, "A grid of 1000 directions cannot hold n_sources=1001"),
        ({"n_sources": 2, "min_separation": 20.0}, "min_separation must be at least 0 and at most 2.094"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(InvalidInputError, match=message):
        separated_peaks(torch.zeros(1000), GRID, **options)
