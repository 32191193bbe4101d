"""From a posterior's concentration to cones that cover what they claim, at every level."""

import dataclasses
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from doatrack._validation import FloatArray, check_array, check_probability, check_real
from doatrack.exceptions import InvalidInputError

__all__ = ["ConeCalibration"]

_NO_TAIL = 1e-12
_LEAST, _MOST = 1e-9, 1e9  # concentrations


@dataclasses.dataclass(frozen=True)
class ConeCalibration:
    """Law of angular errors given a concentration: von Mises-Fisher around the truth, with a heavier tail.

    Of a concentration k that a method claims, `scale` * k ** `power` is believed. The error then follows a von
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

    Raises
    ------
    InvalidInputError
        On values out of range.

    Notes
    -----
    With w = 1 - cos(error), K = scale * k ** power and t = tail, P(W > w) = (1 + t K w) ** (-1 / t), or exp(-K w) for
    t = 0, here cut at w = 2 and normalised. Near the mean it is a Student t distribution in two dimensions
    with 2 / t degrees of freedom. Angle and probability are closed forms of each other; `levels` is linear between
    its entries.

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

    def __post_init__(self) -> None:
        check_real("scale", self.scale, 0.0, exclusive_minimum=True)
        check_real("power", self.power, 0.0)
        check_real("tail", self.tail, 0.0)
        levels = check_array("levels", self.levels, ("n_levels",))
        if len(levels) < 2 or levels[0] != 0 or levels[-1] != 1 or (np.diff(levels) <= 0).any():
            raise InvalidInputError(f"levels must increase from 0 to 1, got {levels.tolist()}.")
        object.__setattr__(self, "levels", tuple(levels.tolist()))

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
        return dataclasses.asdict(self) | {"levels": list(self.levels)}

    def believed(self, concentration: ArrayLike) -> FloatArray:
        """Return the calibrated concentration, scale * k ** power, of concentrations (...); NaN stays NaN."""
        claimed = check_array("concentration", concentration, ("...",), finite=False)
        if (claimed < 0).any():
            raise InvalidInputError(f"concentration must be at least 0, got {float(np.nanmin(claimed)):g}.")
        return np.asarray(np.clip(self.scale * claimed**self.power, 0.0, _MOST))

    def credible_angle(self, concentration: ArrayLike, level: float = 0.9) -> FloatArray:
        """Return the half-angle of the cone that holds the source with a given probability.

        Parameters
        ----------
        concentration : array-like of shape (...)
            As the method claims it, at least 0; NaN where unknown.
        level : float
            Strictly between 0 and 1.

        Returns
        -------
        ndarray of shape (...)
            In radians, from 0 to pi; NaN where the concentration is.

        Raises
        ------
        InvalidInputError
            On a negative concentration or a level out of range.
        """
        k, t = np.maximum(self.believed(concentration), _LEAST), max(self.tail, _NO_TAIL)
        corrected = np.interp(check_probability("level", level), self._steps(), self.levels)
        log_beyond = np.log1p(corrected * np.expm1(_log_beyond(2.0, k, t)))
        w = np.clip(np.expm1(-t * log_beyond) / (t * k), 0.0, 2.0)
        return np.asarray(2 * np.arctan2(np.sqrt(w), np.sqrt(2 - w)))

    def probability(self, angle: ArrayLike, concentration: ArrayLike) -> FloatArray:
        """Return the probability of an error of at most an angle: the level whose cone just holds it.

        Over many frames of a calibrated method these numbers are uniform between 0 and 1.

        Parameters
        ----------
        angle : array-like of shape (...)
            In radians, 0 to pi.
        concentration : array-like of shape (...)
            As in `credible_angle`.
        """
        return np.asarray(np.interp(self._of_law(angle, concentration), self.levels, self._steps()))

    def log_density(self, angle: ArrayLike, concentration: ArrayLike) -> FloatArray:
        """Return the log density of errors (per unit of 1 - cos, between 0 and 2): the likelihood of the parameters.

        Parameters
        ----------
        angle, concentration
            As in `probability`.
        """
        w = _one_minus_cosine(angle)
        k, t = np.maximum(self.believed(concentration), _LEAST), max(self.tail, _NO_TAIL)
        within = -np.expm1(_log_beyond(2.0, k, t))
        step = np.searchsorted(self.levels, self._of_law(angle, concentration), side="right").clip(
            1, len(self.levels) - 1
        )
        correction = -np.log((len(self.levels) - 1) * np.diff(self.levels))[step - 1]
        return np.asarray(np.log(k) + _log_beyond(w, k, t) - np.log1p(t * k * w) - np.log(within) + correction)

    def _steps(self) -> FloatArray:
        return np.linspace(0, 1, len(self.levels))

    def _of_law(self, angle: ArrayLike, concentration: ArrayLike) -> FloatArray:
        """Return the probability of the law before `levels` corrects it."""
        k, t = np.maximum(self.believed(concentration), _LEAST), max(self.tail, _NO_TAIL)
        return np.asarray(np.expm1(_log_beyond(_one_minus_cosine(angle), k, t)) / np.expm1(_log_beyond(2.0, k, t)))


def _one_minus_cosine(angle: ArrayLike) -> FloatArray:
    return np.asarray(2 * np.sin(check_array("angle", angle, ("...",), finite=False) / 2) ** 2)


def _log_beyond(w: FloatArray | float, k: FloatArray, t: float) -> FloatArray:
    """Log of P(W > w) before it is cut at 2."""
    return np.asarray(-np.log1p(t * k * w) / t)
