"""The candidate directions that an estimator's parameters ask for."""

from doatrack._validation import check_choice, check_int
from doatrack.geometry import DirectionGrid

__all__ = ["search_grid"]


def search_grid(
    kind: str,
    n_directions: int,
    azimuth_range_deg: tuple[float, float] | None,
    elevation_range_deg: tuple[float, float] | None,
) -> DirectionGrid:
    """Return the grid of an estimator's parameters, restricted to its search region."""
    check_choice("grid", kind, ("quasi_uniform", "rectangular"))
    check_int("n_directions", n_directions, 16)
    if kind == "rectangular":
        n_elevations = max(2, round((n_directions / 2) ** 0.5))
        grid = DirectionGrid.rectangular(2 * n_elevations, n_elevations)
    else:
        grid = DirectionGrid.quasi_uniform(n_directions)
    if azimuth_range_deg is None and elevation_range_deg is None:
        return grid
    return grid.restrict(azimuth_range_deg, elevation_range_deg)
