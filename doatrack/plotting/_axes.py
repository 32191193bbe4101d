"""What the displays share: matplotlib when it is there, panels, and the words on angle axes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from doatrack._validation import FloatArray
from doatrack.exceptions import InvalidInputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["broken_at_wraps", "import_pyplot", "name_azimuths", "name_elevations", "panels"]

_AZIMUTH_NAMES = {-180: "back", -90: "right", 0: "front", 90: "left", 180: "back"}
_ELEVATION_NAMES = {-90: "down", -45: "", 0: "level", 45: "", 90: "up"}


def import_pyplot() -> Any:
    """Return matplotlib.pyplot, or say how to install it."""
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError("Plotting needs matplotlib: pip install doatrack[plot]") from error
    return matplotlib.pyplot


def panels(ax: Any, n_panels: int, height: float) -> tuple["Figure | SubFigure", list["Axes"]]:
    """Return a figure and axes below each other that share time: new ones, those given, or those that split one."""
    if ax is None:
        figure, axes = import_pyplot().subplots(
            n_panels, 1, sharex=True, squeeze=False, figsize=(8, 0.8 + height * n_panels), layout="constrained"
        )
        return figure, list(axes[:, 0])
    chosen = list(np.ravel(np.asarray(ax, dtype=object)))
    if len(chosen) == 1 and n_panels > 1 and getattr(chosen[0], "get_subplotspec", lambda: None)() is not None:
        chosen[0].set_axis_off()
        grid = chosen[0].get_subplotspec().subgridspec(n_panels, 1)
        top = chosen[0].figure.add_subplot(grid[0])
        chosen = [top, *(chosen[0].figure.add_subplot(cell, sharex=top) for cell in list(grid)[1:])]
    if len(chosen) != n_panels or not all(hasattr(item, "plot") for item in chosen):
        raise InvalidInputError(
            f"ax must be None, one subplot to be split, or {n_panels} matplotlib Axes, got {len(chosen)} of type "
            f"{type(chosen[0]).__name__ if chosen else 'nothing'}."
        )
    return chosen[0].figure, chosen


def broken_at_wraps(times: FloatArray, azimuth_deg: FloatArray) -> tuple[FloatArray, FloatArray, list[int]]:
    """Return a curve that leaves at one edge and comes back at the other where azimuth passes +-180 degrees.

    The shorter way round is taken; NaN separates the parts, so that no line is drawn across the front. Last come
    the places of the given points among those of the curve.
    """
    step = np.diff(azimuth_deg)
    wraps = np.flatnonzero(np.abs(step) > 180)
    edge = np.copysign(180.0, azimuth_deg[wraps])
    to_edge = edge - azimuth_deg[wraps]
    share = to_edge / np.where(to_edge == 0, 1, step[wraps] + 2 * edge)
    crossing = times[wraps] + share * np.diff(times)[wraps]
    where = np.repeat(wraps + 1, 3)
    extra_times = np.stack([crossing, crossing, crossing], axis=1).ravel()
    extra_azimuth = np.stack([edge, np.full(len(edge), np.nan), -edge], axis=1).ravel()
    given = np.arange(len(times)) + np.searchsorted(where, np.arange(len(times)), side="right")
    return np.insert(times, where, extra_times), np.insert(azimuth_deg, where, extra_azimuth), given.tolist()


def _named(names: dict[int, str]) -> tuple[NDArray[np.int64], Sequence[str]]:
    return np.array(list(names)), [f"{angle}° {name}".replace("-", "\N{MINUS SIGN}") for angle, name in names.items()]


def name_azimuths(axis: Any) -> None:
    """Put ticks with names on an axis of azimuths in degrees."""
    axis.set_ticks(*_named(_AZIMUTH_NAMES))


def name_elevations(axis: Any) -> None:
    """Put ticks with names on an axis of elevations in degrees."""
    axis.set_ticks(*_named(_ELEVATION_NAMES))
