"""A map over directions, unrolled to azimuth and elevation."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from doatrack._validation import FloatArray, check_array, check_same_length, check_unit_vectors
from doatrack.geometry import DirectionGrid, azimuth_elevation_deg_to_unit, unit_to_azimuth_elevation_deg
from doatrack.plotting._axes import import_pyplot, name_azimuths, name_elevations

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D

__all__ = ["SRPMapDisplay"]


class SRPMapDisplay:
    """A map over any grid of directions, as seen from the array: left is left, up is up.

    Azimuth runs from +180 degrees at the left edge to -180 at the right one, so front is in the middle. Every
    point has the value of the nearest grid direction; what a grid of a sector does not cover stays empty.

    Make it with `from_map`, draw it with `plot`.

    Parameters
    ----------
    srp_map : ndarray of shape (n_directions,)
    grid : DirectionGrid
    doa : ndarray of shape (n_marks, 3), optional
        Estimates to mark.
    truth : ndarray of shape (n_sources, 3), optional
        True directions to mark.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    image_ : AxesImage
    doa_marks_, truth_marks_ : Line2D or None

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> grid = DirectionGrid.quasi_uniform(200)
    >>> display = SRPMapDisplay.from_map(grid.directions[:, 2], grid, truth=[0, 1.0, 0]).plot(Figure().subplots())
    >>> display.image_.get_array().shape, float(display.truth_marks_.get_xdata()[0])
    ((180, 360), 90.0)
    """

    figure_: "Figure | SubFigure"
    ax_: "Axes"
    image_: "AxesImage"
    doa_marks_: "Line2D | None"
    truth_marks_: "Line2D | None"

    def __init__(
        self, srp_map: FloatArray, grid: DirectionGrid, doa: FloatArray | None = None, truth: FloatArray | None = None
    ) -> None:
        self.srp_map = srp_map
        self.grid = grid
        self.doa = doa
        self.truth = truth

    @classmethod
    def from_map(
        cls, srp_map: ArrayLike, grid: DirectionGrid, doa: ArrayLike | None = None, truth: ArrayLike | None = None
    ) -> "SRPMapDisplay":
        """Make a display of a map.

        Parameters
        ----------
        srp_map : array-like of shape (n_directions,) or (n_frames, n_directions)
            Values over `grid.directions`; frames are averaged, so select the active ones first.
        grid : DirectionGrid
        doa, truth : array-like of shape (3,) or (n_sources, 3), optional
            Unit vectors to mark: estimates as crosses, true directions as circles.

        Raises
        ------
        InvalidInputError
            If the map does not fit the grid.
        """
        values = check_array("srp_map", srp_map, ("...", "n_directions"))
        check_same_length("srp_map's last axis", values.shape[-1], "the grid", grid.n_directions)
        marks = [
            None if m is None else check_unit_vectors(k, m).reshape(-1, 3) for k, m in (("doa", doa), ("truth", truth))
        ]
        return cls(values.reshape(-1, grid.n_directions).mean(axis=0), grid, *marks)

    def plot(self, ax: Any = None, *, cmap: str = "viridis", colorbar: bool = True) -> "SRPMapDisplay":
        """Draw the map.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            None makes a figure.
        cmap : str
            matplotlib's name of the colours.
        colorbar : bool
            Whether the scale is drawn beside.

        Returns
        -------
        SRPMapDisplay
            Itself, with what was drawn as attributes.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        if ax is None:
            ax = import_pyplot().subplots(figsize=(8, 4), layout="constrained")[1]
        self.ax_, self.figure_ = ax, ax.figure
        self.image_ = ax.imshow(
            self._picture(), extent=(180, -180, -90, 90), origin="lower", aspect="auto", cmap=cmap, interpolation="none"
        )
        if colorbar:
            self.figure_.colorbar(self.image_, ax=ax, label="Steered response power", pad=0.02)
        self.truth_marks_ = self._mark(self.truth, "o", 13, "truth")
        self.doa_marks_ = self._mark(self.doa, "x", 9, "estimate")
        ax.set(xlabel="Azimuth", ylabel="Elevation", xlim=(180, -180), ylim=(-90, 90))
        name_azimuths(ax.xaxis)
        name_elevations(ax.yaxis)
        if self.doa is not None or self.truth is not None:
            ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0.2)
        return self

    def _picture(self) -> FloatArray:
        """Return values at the centres of squares of one degree, from azimuth 179.5 down and elevation -89.5 up."""
        azimuth, elevation = np.meshgrid(np.arange(179.5, -180, -1), np.arange(-89.5, 90, 1))
        tree = cKDTree(self.grid.directions)
        distance, index = tree.query(azimuth_elevation_deg_to_unit(azimuth, elevation))
        gap = np.max(tree.query(self.grid.directions, k=[2])[0], initial=0.0)  # from a direction to its neighbour
        return np.where(distance <= gap, self.srp_map[index], np.nan)

    def _mark(self, doa: FloatArray | None, marker: str, size: float, label: str) -> "Line2D | None":
        if doa is None:
            return None
        azimuth, elevation = unit_to_azimuth_elevation_deg(doa)
        return self.ax_.plot(azimuth, elevation, marker, ms=size, mec="red", mfc="none", mew=2, label=label)[0]
