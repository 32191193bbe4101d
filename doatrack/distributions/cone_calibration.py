"""From a posterior's concentration to cones that cover what they claim, at every level."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from doatrack._validation import FloatArray, check_array, check_probability, check_real
from doatrack.exceptions import InvalidInputError

__all__ = ["ConeCalibration"]

_NO_TAIL = 1e-12
_LEAST, _MOST = 1e-9, 1e9  # concentrations
_LOG_MOST = 40.0  # of what agreement multiplies them by: finite, whatever a search tries
_LEAST_AGREEMENT = 0.1  # nats: smaller ones differ by chance only, their logs would differ without bounds


@dataclasses.dataclass(frozen=True)
class ConeCalibration:
    """Law of angular errors given a concentration: von Mises-Fisher around the truth, with a heavier tail.

    Of a concentration k that a method claims, `scale` * k ** `power` is believed, and more or less of it as what was
    heard agrees with the answer (`slopes` and `log_slopes`, for methods that tell this). The error then follows a von
    Mises-Fisher distribution whose concentration is itself uncertain (a Gamma distribution with the relative variance
    `tail`): rare large errors no longer decide how wide all cones are. What is left, `levels` corrects. The numbers
    come from recordings with known directions. Over all such frames the cones then cover what they claim; for each
    kind of frames only as far as the concentration tells good from bad ones.

    Parameters
    ----------
    scale : float
        Above 0.
    power : float
        At least 0; below 1, high concentrations are believed less.
    tail : float
        At least 0; 0 is a von Mises-Fisher distribution, 1 a law whose largest errors fall off as angle ** -4.
    levels : tuple of float
        The law's probabilities that stand for the levels 0, 1 / n, ..., 1, increasing from 0 to 1; (0, 1) corrects
        nothing.
    slopes : tuple of float
        What one more unit of each number of agreement adds to the log of the believed concentration; empty: agreement
        is not asked for.
    log_slopes : tuple of float
        What one more unit of the log of each number adds; numbers below 0.1 are taken as 0.1 here. Empty: nothing.
    ranges : tuple of (float, float)
        For each slope, the lowest and highest agreement that was met while calibrating: values beyond are taken as
        these. The middle adds nothing.

    Raises
    ------
    InvalidInputError
        On values out of range.

    Notes
    -----
    With w = 1 - cos(error), K = scale * k ** power * exp(sum of slope * agreement) and t = tail,
    P(W > w) = (1 + t K w) ** (-1 / t), or exp(-K w) for t = 0, here cut at w = 2 and normalised. Near the mean it is a
    Student t distribution in two dimensions with 2 / t degrees of freedom. Angle and probability are closed forms of
    each other; `levels` is linear between its entries.

    References
    ----------
    K. L. Lange, R. J. A. Little, J. M. G. Taylor, "Robust statistical modeling using the t distribution", JASA 1989
    (the same idea for Gaussian errors).

    Examples
    --------
    >>> claimed = np.array([0.0, 100.0])
    >>> np.degrees(ConeCalibration().credible_angle(claimed, 0.9)).round(4).tolist()
    [143.1301, 12.3192]
    >>> np.degrees(ConeCalibration(scale=0.5, tail=0.5).credible_angle(claimed, 0.9)).round(1).tolist()
    [143.1, 24.0]
    """

    scale: float = 1.0
    power: float = 1.0
    tail: float = 0.0
    levels: tuple[float, ...] = (0.0, 1.0)
    slopes: tuple[float, ...] = ()
    log_slopes: tuple[float, ...] = ()
    ranges: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        check_real("scale", self.scale, 0.0, exclusive_minimum=True)
        check_real("power", self.power, 0.0)
        check_real("tail", self.tail, 0.0)
        levels = check_array("levels", self.levels, ("n_levels",))
        if len(levels) < 2 or levels[0] != 0 or levels[-1] != 1 or (np.diff(levels) <= 0).any():
            raise InvalidInputError(f"levels must increase from 0 to 1, got {levels.tolist()}.")
        slopes = check_array("slopes", self.slopes, ("n_slopes",)) if len(self.slopes) else np.zeros(0)
        bends = self.log_slopes if len(self.log_slopes) else np.zeros(len(slopes))
        log_slopes = check_array("log_slopes", bends, (len(slopes),))
        ranges = check_array("ranges", self.ranges, (len(slopes), 2)) if len(slopes) else np.zeros((0, 2))
        if len(self.ranges) != len(slopes) or (ranges[:, 0] > ranges[:, 1]).any():
            raise InvalidInputError(
                f"ranges must hold (lowest, highest) for each of {len(slopes)} slopes, got {list(self.ranges)}."
            )
        # a file gives lists, and equal calibrations must be equal
        object.__setattr__(self, "levels", tuple(levels.tolist()))
        object.__setattr__(self, "slopes", tuple(slopes.tolist()))
        object.__setattr__(self, "log_slopes", tuple(log_slopes.tolist()))
        object.__setattr__(self, "ranges", tuple((float(low), float(high)) for low, high in ranges))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the calibration of what `to_dict` returned.

        Raises
        ------
        InvalidInputError
            If a name is missing or unknown.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if set(values) != names:
            raise InvalidInputError(f"A calibration has {', '.join(sorted(names))}, got {', '.join(sorted(values))}.")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as plain numbers and a list, for JSON."""
        lists = {name: list(getattr(self, name)) for name in ("levels", "slopes", "log_slopes")}
        return dataclasses.asdict(self) | lists | {"ranges": [list(r) for r in self.ranges]}

    def of_believed(self) -> Self:
        """Return the law of concentrations that `believed` gave already, such as those of a calibrated track."""
        return dataclasses.replace(self, scale=1.0, power=1.0, slopes=(), log_slopes=(), ranges=())

    def believed(self, concentration: ArrayLike, agreement: ArrayLike | None = None) -> FloatArray:
        """Return the calibrated concentration of what a method claims.

        Parameters
        ----------
        concentration : array-like of shape (...)
            At least 0; NaN stays NaN.
        agreement : array-like of shape (..., n_slopes), optional
            How well what was heard agrees with the answer, as in the calibration; without slopes it does not matter.

        Raises
        ------
        InvalidInputError
            On a negative concentration, or an agreement that is missing or of another shape.
        """
        claimed = check_array("concentration", concentration, ("...",), finite=False)
        if (claimed < 0).any():
            raise InvalidInputError(f"concentration must be at least 0, got {float(np.nanmin(claimed)):g}.")
        return np.asarray(np.minimum(self.scale * claimed**self.power * self._trust(agreement), _MOST))

    def _trust(self, agreement: ArrayLike | None) -> FloatArray | float:
        """Return the factor (...) that agreement makes."""
        if not self.slopes:
            return 1.0
        if agreement is None:
            raise InvalidInputError(
                f"This calibration has {len(self.slopes)} slopes and needs the agreement (..., {len(self.slopes)}) of "
                "each frame, got None. For concentrations of a calibrated track take of_believed()."
            )
        low, high, middle, slopes = self._lines
        rows = check_array("agreement", agreement, ("...", len(low)), finite=False)
        logs = (_with_logs(np.minimum(np.maximum(rows, low), high)) - middle) @ slopes
        return np.asarray(np.exp(np.minimum(np.maximum(logs, -_LOG_MOST), _LOG_MOST)))

    @functools.cached_property
    def _lines(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """The lowest and highest agreements; middles, and slopes of them and their logs."""
        low, high = np.asarray(self.ranges).T
        return low, high, _with_logs((low + high) / 2), np.append(self.slopes, self.log_slopes)

    def credible_angle(
        self, concentration: ArrayLike, level: float = 0.9, agreement: ArrayLike | None = None
    ) -> FloatArray:
        """Return the half-angle of the cone that holds the source with a given probability.

        Parameters
        ----------
        concentration : array-like of shape (...)
            As the method claims it, at least 0; NaN where unknown.
        level : float
            Strictly between 0 and 1.
        agreement : array-like of shape (..., n_slopes), optional
            As in `believed`.

        Returns
        -------
        ndarray of shape (...)
            In radians, from 0 to pi; NaN where the concentration is.

        Raises
        ------
        InvalidInputError
            On a negative concentration or a level out of range.
        """
        return self.angle_of_believed(self.believed(concentration, agreement), check_probability("level", level))

    def angle_of_believed(self, concentration: FloatArray, level: float = 0.9) -> FloatArray:
        """Return `credible_angle` of concentrations that `believed` returned; nothing is checked.

        Parameters
        ----------
        concentration : ndarray of shape (...)
            At least 0; NaN where unknown.
        level : float
            Strictly between 0 and 1.

        Examples
        --------
        >>> law = ConeCalibration(scale=0.5, tail=0.5)
        >>> law.angle_of_believed(law.believed([100.0])) == law.credible_angle([100.0])
        array([ True])
        """
        k, t = np.maximum(concentration, _LEAST), max(self.tail, _NO_TAIL)
        corrected = np.interp(level, self._steps, self.levels)
        log_beyond = np.log1p(corrected * np.expm1(_log_beyond(2.0, k, t)))
        w = np.minimum(np.maximum(np.expm1(-t * log_beyond) / (t * k), 0.0), 2.0)
        return np.asarray(2 * np.arctan2(np.sqrt(w), np.sqrt(2 - w)))

    def cone_of_frame(self, concentration: float, agreement: Sequence[float], level: float) -> tuple[float, float]:
        """Return `believed` and `angle_of_believed` of one frame, in plain numbers; nothing is checked.

        In a stream a few dozen calls for arrays of one number would take 50 times as long.

        Parameters
        ----------
        concentration : float
        agreement : sequence of n_slopes float
            Without slopes, anything.
        level : float
            Strictly between 0 and 1.

        Examples
        --------
        >>> law = ConeCalibration(scale=0.5, tail=0.5)
        >>> believed, angle = law.cone_of_frame(100.0, (), 0.9)
        >>> believed, round(math.degrees(angle), 1)
        (50.0, 24.0)
        """
        log_trust = 0.0
        for number, (low, high), slope, log_slope in zip(
            agreement if self.slopes else (), self.ranges, self.slopes, self.log_slopes, strict=True
        ):
            within, middle = min(max(number, low), high), (low + high) / 2
            ratio = max(within, _LEAST_AGREEMENT) / max(middle, _LEAST_AGREEMENT)
            log_trust += slope * (within - middle) + log_slope * math.log(ratio)
        trust = math.exp(min(max(log_trust, -_LOG_MOST), _LOG_MOST))
        believed = min(self.scale * concentration**self.power * trust, _MOST)
        k, t = max(believed, _LEAST), max(self.tail, _NO_TAIL)
        position = level * (len(self.levels) - 1)
        below = int(position)
        corrected = self.levels[below] + (position - below) * (self.levels[below + 1] - self.levels[below])
        log_beyond = math.log1p(corrected * math.expm1(-math.log1p(2 * t * k) / t))
        w = min(max(math.expm1(-t * log_beyond) / (t * k), 0.0), 2.0)
        return believed, 2 * math.atan2(math.sqrt(w), math.sqrt(2 - w))

    def probability(self, angle: ArrayLike, concentration: ArrayLike, agreement: ArrayLike | None = None) -> FloatArray:
        """Return the probability of an error of at most an angle: the level whose cone just holds it.

        Over many frames of a calibrated method these numbers are uniform between 0 and 1.

        Parameters
        ----------
        angle : array-like of shape (...)
            In radians, 0 to pi.
        concentration, agreement
            As in `credible_angle`.
        """
        return np.asarray(np.interp(self._of_law(angle, concentration, agreement), self.levels, self._steps))

    def log_density(self, angle: ArrayLike, concentration: ArrayLike, agreement: ArrayLike | None = None) -> FloatArray:
        """Return the log density of errors (per unit of 1 - cos, between 0 and 2): the likelihood of the parameters.

        Parameters
        ----------
        angle, concentration, agreement
            As in `probability`.
        """
        w = _one_minus_cosine(angle)
        k, t = np.maximum(self.believed(concentration, agreement), _LEAST), max(self.tail, _NO_TAIL)
        within = -np.expm1(_log_beyond(2.0, k, t))
        inside = self._of_law(angle, concentration, agreement)
        step = np.searchsorted(self.levels, inside, side="right").clip(1, len(self.levels) - 1)
        correction = -np.log((len(self.levels) - 1) * np.diff(self.levels))[step - 1]
        return np.asarray(np.log(k) + _log_beyond(w, k, t) - np.log1p(t * k * w) - np.log(within) + correction)

    @functools.cached_property
    def _steps(self) -> FloatArray:
        return np.linspace(0, 1, len(self.levels))

    def _of_law(self, angle: ArrayLike, concentration: ArrayLike, agreement: ArrayLike | None) -> FloatArray:
        """Return the probability of the law before `levels` corrects it."""
        k, t = np.maximum(self.believed(concentration, agreement), _LEAST), max(self.tail, _NO_TAIL)
        return np.asarray(np.expm1(_log_beyond(_one_minus_cosine(angle), k, t)) / np.expm1(_log_beyond(2.0, k, t)))


def _with_logs(agreement: FloatArray) -> FloatArray:
    """Return numbers (..., n) and their logs, (..., 2 n)."""
    return np.concatenate([agreement, np.log(np.maximum(agreement, _LEAST_AGREEMENT))], axis=-1)


def _one_minus_cosine(angle: ArrayLike) -> FloatArray:
    return np.asarray(2 * np.sin(check_array("angle", angle, ("...",), finite=False) / 2) ** 2)


def _log_beyond(w: FloatArray | float, k: FloatArray, t: float) -> FloatArray:
    """Log of P(W > w) before it is cut at 2."""
    return np.asarray(-np.log1p(t * k * w) / t)
