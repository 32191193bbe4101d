"""A track over time: azimuth and elevation, how sure they are, and the truth."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import FloatArray, check_array, check_same_length, check_times, check_unit_vectors
from doatrack.exceptions import InvalidInputError
from doatrack.geometry.coordinates import unit_to_azimuth_elevation_deg
from doatrack.plotting._axes import broken_at_wraps, name_azimuths, name_elevations, panels
from doatrack.tracking import MultiTrack, Track

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import FillBetweenPolyCollection
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D

__all__ = ["TrackDisplay"]

_SILENCE = "0.92"
_SILENT_ESTIMATE = "0.7"


class TrackDisplay:
    """Azimuth and elevation over time with the credible band, the truth dashed, silence grey.

    Make it with `from_track`, draw it with `plot`.

    Parameters
    ----------
    track : Track
    truth : ndarray of shape (n_rows, 4), optional
        Times in seconds and unit vectors.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : list of two Axes
        Azimuth, elevation.
    lines_ : list of two Line2D
        The estimate while the source is active.
    silent_lines_ : list of two Line2D
        The estimate in silence.
    truth_lines_ : list of Line2D
        Two if there is a truth.
    bands_ : list of two lists of polygon collections
        The credible bands of azimuth and elevation, one or more per stretch of activity. A frame whose cone holds
        the zenith or the nadir covers every azimuth, from half a frame before to half a frame after.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> track = Track([0.1, 0.3], [[1.0, 0, 0], [0, 1.0, 0]], [50.0, 50.0], [0.3, 0.3], [True, True])
    >>> display = TrackDisplay.from_track(track).plot(Figure().subplots(2))
    >>> [float(azimuth) for azimuth in display.lines_[0].get_ydata()]
    [0.0, 90.0]
    """

    figure_: "Figure | SubFigure"
    axes_: list["Axes"]
    lines_: list["Line2D"]
    silent_lines_: list["Line2D"]
    truth_lines_: list["Line2D"]
    bands_: list[list["FillBetweenPolyCollection"]]

    def __init__(self, track: Track, truth: FloatArray | None = None) -> None:
        self.track = track
        self.truth = truth

    @classmethod
    def from_track(cls, track: Track, truth: ArrayLike | None = None) -> "TrackDisplay":
        """Make a display of a track.

        Parameters
        ----------
        track : Track
        truth : array-like of shape (n_rows, 5) or (n_frames, 3), optional
            Rows time_s, x, y, z, active at any rate, or one unit vector per frame; NaN where unknown.

        Raises
        ------
        InvalidInputError
            If the truth has another shape.
        """
        if isinstance(track, MultiTrack):
            raise InvalidInputError(
                "A MultiTrack holds several sources: draw it with MultiTrackDisplay, or draw track[0]."
            )
        if truth is None:
            return cls(track)
        if np.shape(truth)[-1:] == (5,):
            rows = check_array("truth rows (time_s, x, y, z, active)", truth, ("n_rows", 5), finite=False)
            check_times("the time_s of truth rows", rows[:, 0])
            return cls(track, rows[:, :4])
        doa = check_unit_vectors("truth", check_array("truth", truth, ("n_frames", 3), finite=False))
        check_same_length("truth", len(doa), "the track", track.n_frames)
        return cls(track, np.column_stack([track.times, doa]))

    def plot(self, ax: Any = None, *, name: str = "estimate", color: Any = None) -> "TrackDisplay":
        """Draw two panels, azimuth above elevation.

        Parameters
        ----------
        ax : matplotlib Axes or two of them, optional
            Where to draw; one is split, None makes a figure.
        name : str
            How the legend calls the estimate.
        color : matplotlib colour, optional
            Of the estimate and its band; None takes the next one of the axes.

        Returns
        -------
        TrackDisplay
            Itself, with what was drawn as attributes.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        InvalidInputError
            If `ax` is something else.
        """
        self.figure_, self.axes_ = panels(ax, 2, 2.2)
        self.lines_, self.silent_lines_, self.truth_lines_, self.bands_ = [], [], [], []
        angles = unit_to_azimuth_elevation_deg(self.track.doa)
        truths = None if self.truth is None else unit_to_azimuth_elevation_deg(self.truth[:, 1:])
        for panel, axes in enumerate(self.axes_):
            self._plot_silence(axes)
            self._plot_estimate(panel, axes, angles[panel], name, color)
            color = self.lines_[0].get_color()
            if truths is not None and self.truth is not None:
                *curve, _ = self._curve(panel, self.truth[:, 0], truths[panel])
                self.truth_lines_ += axes.plot(*curve, "--", color="black", lw=1.2, zorder=2.5, label="truth")
        self._plot_bands(*angles)
        self._label()
        return self

    @staticmethod
    def _curve(panel: int, times: FloatArray, angle_deg: FloatArray) -> tuple[FloatArray, FloatArray, list[int]]:
        return broken_at_wraps(times, angle_deg) if panel == 0 else (times, angle_deg, list(range(len(times))))

    def _plot_silence(self, axes: "Axes") -> None:
        for k, (start, end) in enumerate(self._stretches(~self.track.activity)):
            times = self._stretch_times(start, end)
            axes.axvspan(times[0], times[-1], color=_SILENCE, lw=0, zorder=0, label="" if k else "silence")

    def _plot_estimate(self, panel: int, axes: "Axes", angle_deg: FloatArray, name: str, color: Any) -> None:
        active = self.track.activity
        silent = np.where(active, np.nan, angle_deg)
        self.silent_lines_ += axes.plot(self.track.times, silent, ".", color=_SILENT_ESTIMATE, ms=3, zorder=1.5)
        *curve, frames = self._curve(panel, self.track.times, np.where(active, angle_deg, np.nan))
        self.lines_ += axes.plot(*curve, ".-", ms=5, markevery=frames, lw=1.2, color=color, zorder=3, label=name)

    def _plot_bands(self, azimuth_deg: FloatArray, elevation_deg: FloatArray) -> None:
        radius = np.degrees(self.track.credible_angle)
        known = self.track.activity & np.isfinite(radius) & np.isfinite(azimuth_deg)
        holds_pole = radius + np.abs(elevation_deg) >= 90
        self.bands_ = [[], []]
        for start, end in self._stretches(known):
            low, high = (elevation_deg[start:end] + sign * radius[start:end] for sign in (-1, 1))
            self._plot_band(1, self._stretch_times(start, end), np.maximum(low, -90), np.minimum(high, 90))
        for start, end in self._stretches(known & ~holds_pole):
            half_width = _azimuth_half_width_deg(elevation_deg[start:end], radius[start:end])
            self._plot_azimuth_band(self._stretch_times(start, end), azimuth_deg[start:end], half_width)
        for start, end in self._stretches(known & holds_pole):
            edge = np.full(end - start, 180.0)
            self._plot_band(0, self._stretch_times(start, end), -edge, edge)

    def _plot_azimuth_band(self, times: FloatArray, azimuth_deg: FloatArray, half_width: FloatArray) -> None:
        middle = np.unwrap(azimuth_deg, period=360)
        low, high = middle - half_width, middle + half_width
        # Azimuth comes round: every turn of the band that reaches into the panel.
        for turn in range(math.ceil((-180 - high.max()) / 360), math.floor((180 - low.min()) / 360) + 1):
            self._plot_band(0, times, low + 360 * turn, high + 360 * turn)

    def _plot_band(self, panel: int, times: FloatArray, low: FloatArray, high: FloatArray) -> None:
        # A frame stands for the time around it: the ends are drawn half a step further.
        low, high = np.pad(low, 1, mode="edge"), np.pad(high, 1, mode="edge")
        label = "" if self.bands_[panel] else "90 % credible"
        color = self.lines_[0].get_color()
        band = self.axes_[panel].fill_between(times, low, high, color=color, alpha=0.2, lw=0, zorder=1, label=label)
        self.bands_[panel].append(band)

    def _stretches(self, chosen: NDArray[np.bool_]) -> list[tuple[int, int]]:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(int), [0]])))
        return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]

    def _stretch_times(self, start: int, end: int) -> FloatArray:
        times = self.track.times
        half = float(np.median(np.diff(times))) / 2 if len(times) > 1 else 0.1
        return np.concatenate([[times[start] - half], times[start:end], [times[end - 1] + half]])

    def _label(self) -> None:
        top, bottom = self.axes_
        top.set(ylabel="Azimuth", ylim=(-180, 180))
        bottom.set(ylabel="Elevation", ylim=(-90, 90), xlabel="Time (s)")
        name_azimuths(top.yaxis)
        name_elevations(bottom.yaxis)
        for axes in self.axes_:
            axes.grid(alpha=0.3, lw=0.5)
            axes.margins(x=0.01)
        top.tick_params(labelbottom=False)
        named = dict(reversed([(line.get_label(), line) for line in top.get_legend_handles_labels()[0]]))
        handles = [named[label] for label in reversed(named)]
        top.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=6, frameon=False, borderaxespad=0.2)


def _azimuth_half_width_deg(elevation_deg: FloatArray, radius_deg: FloatArray) -> FloatArray:
    """Return how far to each side a cone that holds no pole reaches in azimuth."""
    sine = np.sin(np.radians(radius_deg)) / np.cos(np.radians(elevation_deg))
    return np.degrees(np.arcsin(np.minimum(sine, 1.0)))
