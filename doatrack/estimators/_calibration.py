"""What makes credible cones cover what they claim: the law of the errors."""

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from doatrack._validation import FloatArray
from doatrack.distributions import ConeCalibration

__all__ = ["fit_cone_calibration"]

_N_LEVELS = 20
_LOG_RANGE = 18.0
_MOST_POWER, _LEAST_TAIL, _MOST_TAIL = 3.0, 1e-3, 20.0
_AGREEING_FRAMES = 500
"""From how many frames on agreement counts: of fewer, a few recordings' own mistakes would be learned."""
_RANGE = (0.02, 0.98)  # of the agreements, as quantiles
_SHRINK = 1e-3


def fit_cone_calibration(
    errors: NDArray[np.float64], concentration: NDArray[np.float64], agreement: NDArray[np.float64] | None = None
) -> ConeCalibration:
    """Return the law of errors with which the cones of all levels cover what they claim.

    Scale, power, tail and slopes are those of the highest likelihood; `levels` then makes every twentieth of the errors
    a twentieth.

    Parameters
    ----------
    errors : ndarray of shape (n,)
        Angles in radians between truth and mean direction.
    concentration : ndarray of shape (n,)
        As the method claims it, at least 0.
    agreement : ndarray of shape (n, n_slopes), optional
        How well what was heard agrees with the answer, where the method tells it; it counts from 500 frames on.

    Notes
    -----
    Frames of one recording err together: some tens of recordings of every kind that will be met are needed, not
    many frames. With fewer than 20 frames `levels` is left as it is.
    """
    # what is believed of a typical concentration hardly depends on the power
    typical = float(np.exp(np.mean(np.log(np.maximum(concentration, 1e-3)))))

    def cost(x: NDArray[np.float64]) -> float:
        return -float(_law(x, typical).log_density(errors, concentration).mean())

    # without and with a tail: the likelihood has a ridge between narrow with many outliers and broad
    usual = float(np.log(np.log(2) / max(1 - np.cos(np.median(errors)), 1e-6)))
    starts = ([usual, 1.0, np.log(0.01)], [usual, 1.0, np.log(2.0)])
    tried = [minimize(cost, start, method="Nelder-Mead", options={"maxiter": 600}) for start in starts]
    best = min(tried, key=lambda result: result.fun).x
    law = _law(best, typical)
    if agreement is not None and agreement.shape[1] and len(errors) >= _AGREEING_FRAMES:
        law = _with_slopes(best, typical, errors, concentration, agreement)
    return dataclasses.replace(law, levels=_levels(law.probability(errors, concentration, agreement)))


def _with_slopes(
    start: NDArray[np.float64],
    typical: float,
    errors: NDArray[np.float64],
    concentration: NDArray[np.float64],
    agreement: NDArray[np.float64],
) -> ConeCalibration:
    """Return the law that also asks for agreement, from one that does not."""
    ranges = np.quantile(agreement, _RANGE, axis=0).T
    n = len(ranges)
    # slopes per width of the range: numbers of about one, whatever the unit
    width = np.maximum(np.diff(ranges, axis=1)[:, 0], 1e-9)

    def law_of(x: NDArray[np.float64]) -> ConeCalibration:
        return dataclasses.replace(
            _law(x[:3], typical),
            slopes=tuple((x[3 : 3 + n] / width).tolist()),
            log_slopes=tuple(x[3 + n :].tolist()),
            ranges=tuple(map(tuple, ranges.tolist())),
        )

    def cost(x: NDArray[np.float64]) -> float:
        misfit = -float(law_of(x).log_density(errors, concentration, agreement).mean())
        return misfit + _SHRINK * float((x[3:] ** 2).sum())

    return law_of(minimize(cost, np.append(start, np.zeros(2 * n)), method="L-BFGS-B").x)


def _levels(probabilities: FloatArray) -> tuple[float, ...]:
    if len(probabilities) < _N_LEVELS:
        return 0.0, 1.0
    found = np.quantile(probabilities, np.linspace(0, 1, _N_LEVELS + 1))
    found[[0, -1]] = 0.0, 1.0
    # equal errors must not make a level of no width
    return tuple(((1 - 1e-9) * found + 1e-9 * np.linspace(0, 1, _N_LEVELS + 1)).tolist())


def _law(x: NDArray[np.float64], typical: float) -> ConeCalibration:
    """Return the calibration of (log of what is believed of the typical concentration, power, log tail)."""
    power = float(np.clip(x[1], 0.0, _MOST_POWER))
    scale = np.exp(np.clip(x[0], -_LOG_RANGE, _LOG_RANGE) - power * np.log(typical))
    tail = float(np.exp(np.clip(x[2], np.log(_LEAST_TAIL), np.log(_MOST_TAIL))))
    return ConeCalibration(float(scale), power, 0.0 if tail <= _LEAST_TAIL else tail)
