"""How learning went: the recorded quantities over the epochs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from doatrack._validation import check_choice
from doatrack.exceptions import InvalidInputError
from doatrack.plotting._axes import panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D

__all__ = ["HistoryDisplay"]


class HistoryDisplay:
    """One panel per recorded quantity (loss, its parts, schedules) over the epochs of `fit`.

    Make it with `from_estimator`, draw it with `plot`.

    Parameters
    ----------
    history : sequence of mappings
        One per epoch, from names to numbers; `epoch` is the horizontal axis.
    quantities : sequence of str
        What to draw, from top to bottom.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : list of Axes
    lines_ : list of Line2D
        One per quantity.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> history = [{"epoch": 1, "loss": 3.0}, {"epoch": 2, "loss": 2.5}]
    >>> display = HistoryDisplay(history, ["loss"]).plot(Figure().subplots())
    >>> display.lines_[0].get_ydata().tolist()
    [3.0, 2.5]
    """

    figure_: "Figure | SubFigure"
    axes_: list["Axes"]
    lines_: list["Line2D"]

    def __init__(self, history: Sequence[Mapping[str, float]], quantities: Sequence[str]) -> None:
        self.history = history
        self.quantities = quantities

    @classmethod
    def from_estimator(cls, estimator: Any, quantities: Sequence[str] | None = None) -> "HistoryDisplay":
        """Make a display of what an estimator recorded.

        Parameters
        ----------
        estimator : object
            Fitted, with `history_`.
        quantities : sequence of str, optional
            What to draw; None draws everything that was recorded.

        Raises
        ------
        InvalidInputError
            If the estimator recorded nothing, or a quantity is unknown.
        """
        history = getattr(estimator, "history_", None)
        if not history:
            raise InvalidInputError(
                f"{type(estimator).__name__} has no history_: only fitted estimators that learn in epochs record one."
            )
        known = list(dict.fromkeys(key for record in history for key in record if key != "epoch"))
        chosen = known if quantities is None else [check_choice("quantity", key, known) for key in quantities]
        return cls(history, chosen)

    def plot(self, ax: Any = None) -> "HistoryDisplay":
        """Draw the panels below each other.

        Parameters
        ----------
        ax : matplotlib Axes or one per quantity, optional
            One is split; None makes a figure.

        Returns
        -------
        HistoryDisplay
            Itself, with what was drawn as attributes.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.figure_, self.axes_ = panels(ax, len(self.quantities), 1.2)
        # Fits that go on count their epochs anew: the position in the record is the epoch since the first fit.
        epochs = np.arange(1, len(self.history) + 1)
        self.lines_ = []
        for axes, key in zip(self.axes_, self.quantities, strict=True):
            values = np.array([record.get(key, np.nan) for record in self.history], dtype=float)
            self.lines_ += axes.plot(epochs, values, ".-", ms=4, lw=1.2)
            axes.set_ylabel(key.replace("_", "\n"))
            axes.grid(alpha=0.3, lw=0.5)
            axes.tick_params(labelbottom=axes is self.axes_[-1])
        self.figure_.align_ylabels(self.axes_)
        self.axes_[-1].set_xlabel("Epoch")
        self.axes_[-1].locator_params(axis="x", integer=True)
        return self
