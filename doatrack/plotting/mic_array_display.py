"""Where the microphones are, in space."""

from typing import TYPE_CHECKING, Any

import numpy as np

from doatrack._validation import FloatArray
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import MicArray
from doatrack.plotting._axes import import_pyplot

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

__all__ = ["MicArrayDisplay"]


class MicArrayDisplay:
    """Microphones in three dimensions with their channel numbers, the origin and the axes' directions.

    Channels are counted from 0, as in `MicArray.positions`. Make it with `from_array`, draw it with `plot`.

    Parameters
    ----------
    positions : ndarray of shape (n_mics, 3)
        In metres.
    name : str
        The title.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes3D
    points_ : Path3DCollection
        The microphones.
    labels_ : list of Text
        Their channel numbers.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> array = MicArray([[0.05, 0, 0], [-0.05, 0, 0], [0, 0.05, 0], [0, 0, 0.05]])
    >>> display = MicArrayDisplay.from_array(array).plot(Figure().add_subplot(projection="3d"))
    >>> [label.get_text() for label in display.labels_]
    ['0', '1', '2', '3']
    """

    figure_: "Figure | SubFigure"
    ax_: Any
    points_: Any
    labels_: list[Any]

    def __init__(self, positions: FloatArray, name: str = "") -> None:
        self.positions = positions
        self.name = name

    @classmethod
    def from_array(cls, array: MicArray) -> "MicArrayDisplay":
        """Make a display of an array.

        Parameters
        ----------
        array : MicArray
        """
        return cls(array.positions, array.name)

    def plot(self, ax: Any = None) -> "MicArrayDisplay":
        """Draw the array.

        Parameters
        ----------
        ax : matplotlib Axes3D, optional
            Made with projection="3d"; None makes a figure.

        Returns
        -------
        MicArrayDisplay
            Itself, with what was drawn as attributes.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        InvalidInputError
            If `ax` is flat.
        """
        if ax is None:
            ax = import_pyplot().figure(figsize=(6, 5.5), layout="constrained").add_subplot(projection="3d")
        if not hasattr(ax, "set_zlabel"):
            raise InvalidInputError(
                f"ax must be an axes in three dimensions, got {type(ax).__name__}: make it with "
                "figure.add_subplot(projection='3d')."
            )
        self.ax_, self.figure_ = ax, ax.figure
        points = np.asarray(self.positions)
        reach = self._frame(points)
        self.points_ = ax.scatter(*points.T, s=45, depthshade=False, zorder=3)
        self.labels_ = [ax.text(x, y, z + 0.08 * reach, str(k), ha="center") for k, (x, y, z) in enumerate(points)]
        floor = ax.get_zlim()[0]
        for x, y, z in points if np.ptp(points[:, 2]) > 0.02 * reach else ():
            ax.plot([x, x], [y, y], [floor, z], color="0.8", lw=0.8, zorder=1)
        ax.set_title(self.name)
        return self

    def _frame(self, points: FloatArray) -> float:
        """Draw origin and axes, fit equal scales around them and the microphones, and return half their extent."""
        shown = np.vstack([points, np.zeros(3)])
        centre = (shown.max(axis=0) + shown.min(axis=0)) / 2
        reach = float(np.ptp(shown, axis=0).max()) * 0.6
        for direction, name in zip(np.eye(3), ("front", "left", "up"), strict=True):
            self.ax_.quiver(0, 0, 0, *(0.6 * reach * direction), color="tab:red", lw=1, arrow_length_ratio=0.15)
            self.ax_.text(*(0.72 * reach * direction), name, color="tab:red", ha="center", va="center", size="small")
        low, high = (centre + sign * reach for sign in (-1, 1))
        limits = zip(("x", "y", "z"), low, high, strict=True)
        self.ax_.set(**{f"{axis}lim": (a, b) for axis, a, b in limits}, box_aspect=(1, 1, 1))
        self.ax_.set(**{f"{axis}label": f"{axis} (m)" for axis in "xyz"})
        for axis in "xyz":
            self.ax_.locator_params(axis=axis, nbins=5)
        return reach
