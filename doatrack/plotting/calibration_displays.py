"""Whether cones cover what they claim, and what leaving out unsure frames gains."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from doatrack._validation import FloatArray, check_same_length
from doatrack.distributions import ConeCalibration
from doatrack.metrics import reliability_curve, risk_coverage_curve
from doatrack.plotting._axes import panels
from doatrack.tracking import Track

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D

__all__ = ["ReliabilityDisplay", "RiskCoverageDisplay"]

_TOLERANCE = 0.03


class ReliabilityDisplay:
    """Reliability diagram: the share of frames that cones of each level hold, over the level.

    On the diagonal cones cover what they claim; below it they are too narrow. The band is 3 points wide to either side.
    Make it with `from_predictions` or `from_tracks`, draw it with `plot`.

    Parameters
    ----------
    levels, coverage : array-like of shape (n_levels,)
        As `doatrack.metrics.reliability_curve` returns them.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : Axes
    line_ : Line2D
    diagonal_ : Line2D or None
        None where the axes have one already.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> display = ReliabilityDisplay([0.5, 0.9], [0.4, 0.95]).plot(Figure().subplots())
    >>> display.line_.get_ydata().tolist()
    [40.0, 95.0]
    """

    figure_: "Figure | SubFigure"
    ax_: "Axes"
    line_: "Line2D"
    diagonal_: "Line2D | None"

    def __init__(self, levels: FloatArray | Sequence[float], coverage: FloatArray | Sequence[float]) -> None:
        self.levels = np.asarray(levels, dtype=np.float64)
        self.coverage = np.asarray(coverage, dtype=np.float64)
        check_same_length("coverage", len(self.coverage), "levels", len(self.levels))

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        concentration: Any,
        sample_weight: Any = None,
        *,
        calibration: ConeCalibration | None = None,
        frame_times: Any = None,
    ) -> "ReliabilityDisplay":
        """Make a display of directions and their concentrations; arguments as in `reliability_curve`."""
        return cls(
            *reliability_curve(
                y_true, y_pred, concentration, sample_weight, calibration=calibration, frame_times=frame_times
            )
        )

    @classmethod
    def from_tracks(
        cls, tracks: Track | Sequence[Track], truth: Any, *, calibration: ConeCalibration | None = None
    ) -> "ReliabilityDisplay":
        """Make a display of one track or several.

        Parameters
        ----------
        tracks : Track or sequence of Track
            With concentrations.
        truth : array-like of shape (n_rows, 5) or (n_frames, 3), or sequence of such
            Truth rows, whose activity decides which frames count; or unit vectors per frame, of which those that the
            track holds active count.
        calibration : ConeCalibration, optional
            What the tracks' concentrations mean; None takes them as von Mises-Fisher distributions.

        Raises
        ------
        InvalidInputError
            If truth and tracks do not belong together, or a counted frame has no concentration.
        """
        truths, doa, concentration, weight, times = _pooled(tracks, truth)
        return cls.from_predictions(truths, doa, concentration, weight, calibration=calibration, frame_times=times)

    def plot(self, ax: Any = None, *, name: str | None = None, color: str | None = None) -> "ReliabilityDisplay":
        """Draw the diagram.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            None makes a figure. Several diagrams may be drawn on the same axes.
        name : str, optional
            For the legend.
        color : str, optional
            Of the curve, in matplotlib's words.

        Returns
        -------
        ReliabilityDisplay
            Itself, with what was drawn as attributes.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.figure_, (self.ax_,) = panels(ax, 1, 4.0)
        self.diagonal_ = None
        if not any(line.get_gid() == "diagonal" for line in self.ax_.lines):
            (self.diagonal_,) = self.ax_.plot([0, 100], [0, 100], "--", color="0.4", lw=1, gid="diagonal")
            edges = np.array([0.0, 100.0])
            self.ax_.fill_between(edges, edges - 100 * _TOLERANCE, edges + 100 * _TOLERANCE, color="0.9", lw=0)
        (self.line_,) = self.ax_.plot(
            100 * self.levels, 100 * self.coverage, marker=".", lw=1.5, label=name, color=color
        )
        self.ax_.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
        _label(self.ax_, "Level of the cone (%)", "Frames in the cone (%)", named=name is not None)
        return self


class RiskCoverageDisplay:
    """Mean error of the frames kept, over the share kept, where the least sure frames are left out.

    It falls to the left where the concentration tells good from bad frames. Make it with `from_predictions` or
    `from_tracks`, draw it with `plot`.

    Parameters
    ----------
    coverage, risk_deg : array-like of shape (n,)
        As `doatrack.metrics.risk_coverage_curve` returns them.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : Axes
    line_ : Line2D

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> display = RiskCoverageDisplay([0.5, 1.0], [2.0, 5.0]).plot(Figure().subplots())
    >>> display.line_.get_xdata().tolist()
    [50.0, 100.0]
    """

    figure_: "Figure | SubFigure"
    ax_: "Axes"
    line_: "Line2D"

    def __init__(self, coverage: FloatArray | Sequence[float], risk_deg: FloatArray | Sequence[float]) -> None:
        self.coverage = np.asarray(coverage, dtype=np.float64)
        self.risk_deg = np.asarray(risk_deg, dtype=np.float64)
        check_same_length("risk_deg", len(self.risk_deg), "coverage", len(self.coverage))

    @classmethod
    def from_predictions(
        cls, y_true: Any, y_pred: Any, concentration: Any, sample_weight: Any = None, *, frame_times: Any = None
    ) -> "RiskCoverageDisplay":
        """Make a display of directions and their concentrations; arguments as in `risk_coverage_curve`."""
        return cls(*risk_coverage_curve(y_true, y_pred, concentration, sample_weight, frame_times=frame_times))

    @classmethod
    def from_tracks(cls, tracks: Track | Sequence[Track], truth: Any) -> "RiskCoverageDisplay":
        """Make a display of one track or several.

        Parameters
        ----------
        tracks, truth
            As in `ReliabilityDisplay.from_tracks`.
        """
        truths, doa, concentration, weight, times = _pooled(tracks, truth)
        return cls.from_predictions(truths, doa, concentration, weight, frame_times=times)

    def plot(self, ax: Any = None, *, name: str | None = None, color: str | None = None) -> "RiskCoverageDisplay":
        """Draw the curve.

        Parameters
        ----------
        ax, name, color
            As in `ReliabilityDisplay.plot`.

        Returns
        -------
        RiskCoverageDisplay
            Itself, with what was drawn as attributes.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.figure_, (self.ax_,) = panels(ax, 1, 4.0)
        (self.line_,) = self.ax_.plot(100 * self.coverage, self.risk_deg, lw=1.5, label=name, color=color)
        self.ax_.set(xlim=(0, 100))
        self.ax_.set_ylim(bottom=0)
        _label(self.ax_, "Frames kept (%)", "Mean error of these (degrees)", named=name is not None)
        return self


def _label(ax: "Axes", horizontal: str, vertical: str, *, named: bool) -> None:
    ax.set_xlabel(horizontal)
    ax.set_ylabel(vertical)
    ax.grid(alpha=0.3, lw=0.5)
    if named:
        ax.legend()


def _pooled(tracks: Track | Sequence[Track], truth: Any) -> tuple[list[Any], ...]:
    """Return lists of truths, directions, concentrations, weights and times, one entry per track."""
    chosen = [tracks] if isinstance(tracks, Track) else list(tracks)
    truths = [truth] if isinstance(tracks, Track) else list(truth)
    check_same_length("truth", len(truths), "tracks", len(chosen))
    by_track = [
        np.ones(track.n_frames) if np.ndim(rows) == 2 and np.shape(rows)[1] == 5 else track.activity.astype(np.float64)
        for track, rows in zip(chosen, truths, strict=True)
    ]
    columns = zip(*((track.doa, track.concentration, track.times) for track in chosen), strict=True)
    doa, concentration, times = (list(column) for column in columns)
    return truths, doa, concentration, by_track, times
