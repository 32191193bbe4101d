"""Tracks of several sources over time, in one pair of panels."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from doatrack._validation import check_same_length
from doatrack.exceptions import InvalidInputError
from doatrack.plotting._axes import panels
from doatrack.plotting.track_display import TrackDisplay
from doatrack.tracking import MultiTrack

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["MultiTrackDisplay"]


class MultiTrackDisplay:
    """Azimuth and elevation of several sources over time, one colour each, the truths dashed.

    Where a source is silent its expected place is dotted in grey. Make it with `from_track`, draw it with `plot`.

    Parameters
    ----------
    displays : list of TrackDisplay
        One per source.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : list of two Axes
        Azimuth, elevation.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> tracks = MultiTrack([0.1, 0.3], [np.eye(3)[:2]] * 2, [[50, 50]] * 2, [[0.3, 0.3]] * 2, [[1, 1]] * 2)
    >>> display = MultiTrackDisplay.from_track(tracks).plot(Figure().subplots(2))
    >>> [[round(float(azimuth)) for azimuth in one.lines_[0].get_ydata()] for one in display.displays]
    [[0, 0], [90, 90]]
    """

    figure_: "Figure | SubFigure"
    axes_: list["Axes"]

    def __init__(self, displays: list[TrackDisplay]) -> None:
        self.displays = displays

    @classmethod
    def from_track(cls, tracks: MultiTrack, truth: ArrayLike | None = None) -> "MultiTrackDisplay":
        """Make a display of the tracks of one recording.

        Parameters
        ----------
        tracks : MultiTrack
        truth : array-like of shape (n_sources, n_rows, 5) or (n_frames, n_sources, 3), optional
            Rows time_s, x, y, z, active at any rate for each source, or one unit vector per frame and source; as many
            sources as the tracks have. Which truth stands first does not matter.

        Raises
        ------
        InvalidInputError
            If the truth has another shape.
        """
        if truth is None:
            return cls([_OneOfSeveral(track) for track in tracks])
        table = np.asarray(truth)
        if table.ndim != 3:
            raise InvalidInputError(
                f"truth must have the shape (n_sources, n_rows, 5), or (n_frames, n_sources, 3), got {table.shape}."
            )
        truths = table if table.shape[-1] == 5 else table.swapaxes(0, 1)
        check_same_length("truth", len(truths), "sources of the tracks", tracks.n_sources)
        return cls([_OneOfSeveral.of(track, one) for track, one in zip(tracks, truths, strict=True)])

    def plot(self, ax: Any = None, *, names: list[str] | None = None) -> "MultiTrackDisplay":
        """Draw two panels, azimuth above elevation.

        Parameters
        ----------
        ax : matplotlib Axes or two of them, optional
            Where to draw; one is split, None makes a figure.
        names : list of str, optional
            How the legend calls the sources; None is "source 0", "source 1", ...

        Returns
        -------
        MultiTrackDisplay
            Itself, with what was drawn as attributes.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        InvalidInputError
            If `ax` is something else, or there are not as many names as sources.
        """
        called = [f"source {k}" for k in range(len(self.displays))] if names is None else names
        check_same_length("names", len(called), "the sources", len(self.displays))
        self.figure_, self.axes_ = panels(ax, 2, 2.2)
        for source, (display, name) in enumerate(zip(self.displays, called, strict=True)):
            display.plot(self.axes_, name=name, color=f"C{source}")
        return self


class _OneOfSeveral(TrackDisplay):
    """A display that leaves the shading of silence to the others: a source may be silent while another talks."""

    @classmethod
    def of(cls, track: Any, truth: ArrayLike) -> "_OneOfSeveral":
        made = TrackDisplay.from_track(track, truth)
        return cls(made.track, made.truth)

    def _plot_silence(self, axes: "Axes") -> None:
        pass
