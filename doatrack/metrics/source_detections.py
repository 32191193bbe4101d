"""Which true sources were found, missed, invented and confused, frame by frame (CLEAR MOT).

Truth comes first. A recording is an array of unit vectors `(n_frames, n_true, 3)` and one `(n_frames, n_sources, 3)`;
several recordings are lists of such. The numbers of true and estimated sources need not be equal. A source is there
in a frame where `active_true` or `active_pred`, `(n_frames, n)`, is 1; without these, where its direction is not NaN.
The truth may also be rows `time_s, x, y, z, active`, `(n_true, n_rows, 5)`, if `frame_times` says when the frames are.
`sample_weight` is one number per frame; 0 leaves a frame out. All frames of all recordings are pooled.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from doatrack._validation import FloatArray, check_real
from doatrack.metrics._source_frames import SourceFrames, source_recordings

__all__ = ["SourceDetections", "detect_sources"]


@dataclasses.dataclass(frozen=True)
class SourceDetections:
    """How many sources were found, missed, invented and confused; frames count with their weight.

    Parameters
    ----------
    n_matched : float
        True sources with an estimate within the tolerance, summed over frames.
    n_missed : float
        True sources without one.
    n_false : float
        Estimates that no true source explains.
    n_switches : float
        Times at which a true source is found under another number than the last time it was found.
    sum_error_deg : float
        Sum of the errors of matched sources in degrees.

    Examples
    --------
    >>> found = SourceDetections(n_matched=6, n_missed=2, n_false=0, n_switches=1, sum_error_deg=12.0)
    >>> found.recall, found.precision, round(found.f_score, 3), found.mean_error_deg, found.accuracy
    (0.75, 1.0, 0.857, 2.0, 0.625)
    """

    n_matched: float
    n_missed: float
    n_false: float
    n_switches: float
    sum_error_deg: float

    @property
    def recall(self) -> float:
        """Share of the true sources that were found; NaN where there were none."""
        return _ratio(self.n_matched, self.n_matched + self.n_missed)

    @property
    def precision(self) -> float:
        """Share of the estimates that are right; NaN where there were none."""
        return _ratio(self.n_matched, self.n_matched + self.n_false)

    @property
    def f_score(self) -> float:
        """Harmonic mean of recall and precision; NaN where there was neither truth nor estimate."""
        return _ratio(2 * self.n_matched, 2 * self.n_matched + self.n_missed + self.n_false)

    @property
    def mean_error_deg(self) -> float:
        """Mean error of the sources found (multiple object tracking precision), in degrees."""
        return _ratio(self.sum_error_deg, self.n_matched)

    @property
    def accuracy(self) -> float:
        """1 - (missed + false + switches) / true sources (multiple object tracking accuracy); may be below 0."""
        n_true = self.n_matched + self.n_missed
        return 1 - _ratio(self.n_missed + self.n_false + self.n_switches, n_true)


def detect_sources(
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    *,
    tolerance_deg: float = 15.0,
    active_true: Any = None,
    active_pred: Any = None,
    frame_times: Any = None,
) -> SourceDetections:
    """Match estimates to true sources frame by frame and count what is found, missed, invented and confused.

    The CLEAR MOT procedure: a source that was found keeps its estimate for as long as that stays within the
    tolerance; the others are matched anew, as many as possible, then with the smallest summed angle (Hungarian
    algorithm). The estimates' order in an array is their identity; it does not matter for anything but switches.

    Parameters
    ----------
    y_true : array-like of shape (n_frames, n_true, 3) or (n_true, n_rows, 5), or list of such
    y_pred : array-like of shape (n_frames, n_sources, 3), or list of such
        Unit vectors.
    sample_weight : array-like of shape (n_frames,), or list of such, optional
    tolerance_deg : float
        Largest angle between a source and an estimate that found it, 0 to 180 degrees.
    active_true, active_pred : array-like of bool, shape (n_frames, n_true) and (n_frames, n_sources), optional
        None: a source is there where its direction is not NaN.
    frame_times : array-like of shape (n_frames,), or list of such, optional
        Seconds; needed where `y_true` holds truth rows.

    Returns
    -------
    SourceDetections

    Raises
    ------
    InvalidInputError
        On other shapes or lengths, or if no frame counts.

    References
    ----------
    K. Bernardin and R. Stiefelhagen, "Evaluating multiple object tracking performance: the CLEAR MOT metrics",
    EURASIP Journal on Image and Video Processing 2008.

    Examples
    --------
    >>> truth = [[[1.0, 0, 0], [0, 1.0, 0]]] * 3                            # three frames, front and left
    >>> estimate = [[[0, 1.0, 0], [1.0, 0, 0]]] * 2 + [[[1.0, 0, 0], [0, 0, 1.0]]]
    >>> found = detect_sources(truth, estimate)
    >>> found.n_matched, found.n_missed, found.n_false, found.n_switches
    (5.0, 1.0, 1.0, 1.0)
    """
    tolerance = np.radians(check_real("tolerance_deg", tolerance_deg, 0.0, 180.0))
    recordings = source_recordings(y_true, y_pred, active_true, active_pred, sample_weight, frame_times)
    counts = np.sum([_counts(recording, tolerance) for recording in recordings], axis=0)
    return SourceDetections(*(float(value) for value in counts))


def _counts(frames: SourceFrames, tolerance: float) -> FloatArray:
    """Return matched, missed, false, switches and summed error in degrees of one recording."""
    counts = np.zeros(5)
    last = np.full(frames.active_true.shape[1], -1)
    for k in np.flatnonzero(frames.weight > 0):
        match = _match_within(frames.angles[k], tolerance, last)
        found = match >= 0
        n_true, n_pred, n_found = frames.active_true[k].sum(), frames.active_pred[k].sum(), found.sum()
        switched = (found & (last >= 0) & (match != last)).sum()
        error = np.degrees(frames.angles[k][found, match[found]].sum())
        counts += frames.weight[k] * np.array([n_found, n_true - n_found, n_pred - n_found, switched, error])
        last = np.where(found, match, last)
    return counts


def _match_within(angles: FloatArray, tolerance: float, last: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the estimate of each true source (n_true,), -1 where none is within the tolerance."""
    match = np.full(len(angles), -1)
    for source in np.flatnonzero(last >= 0):
        if angles[source, last[source]] <= tolerance:
            match[source] = last[source]
    allowed = angles <= tolerance
    allowed[match >= 0] = False
    allowed[:, match[match >= 0]] = False
    # one more match is worth more than any sum of angles
    cost = np.where(allowed, angles, 2 * np.pi * (len(angles) + 1))
    rows, columns = linear_sum_assignment(cost)
    kept = allowed[rows, columns]
    match[rows[kept]] = columns[kept]
    return match


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
