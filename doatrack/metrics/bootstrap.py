"""How sure a difference between two methods is: whole scenes drawn again, the same ones for both."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from doatrack._validation import check_array, check_int, check_probability, check_same_length
from doatrack.exceptions import InvalidInputError

__all__ = ["PairedDifference", "paired_bootstrap"]


class PairedDifference(NamedTuple):
    """A difference of means with its interval.

    Attributes
    ----------
    difference : float
        Mean over all frames of the first method's errors minus the second's.
    low, high : float
        Ends of the interval; one that holds 0 cannot tell the methods apart.

    Examples
    --------
    >>> PairedDifference(-1.0, -1.5, -0.5).high < 0
    True
    """

    difference: float
    low: float
    high: float


def paired_bootstrap(
    errors: Sequence[ArrayLike],
    other_errors: Sequence[ArrayLike],
    *,
    level: float = 0.9,
    n_draws: int = 4000,
    random_state: int = 0,
) -> PairedDifference:
    """Return how much the mean error of one method differs from another's on the same scenes, with an interval.

    Frames of a scene share its room, talker and noise, so scenes are drawn again and not frames. Both methods are
    compared within each drawn scene, which removes how hard the scenes are. The interval says nothing about scenes of
    another kind.

    Parameters
    ----------
    errors, other_errors : sequence of array-like of shape (n_frames,)
        One per scene, of the same frames of the same scenes; scenes may differ in length and may be empty.
    level : float
        Share of the draws within the interval, between 0 and 1.
    n_draws : int
    random_state : int
        Seed of the draws, at least 0.

    Returns
    -------
    PairedDifference
        In the unit of the errors.

    Raises
    ------
    InvalidInputError
        If scenes or their frames are not the same in number, a value is not finite, or no frame is there.

    References
    ----------
    B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap, 1993: percentile intervals.

    Examples
    --------
    >>> harder = [[3.0, 5.0], [2.0], [7.0, 9.0, 8.0]]
    >>> easier = [[2.0, 4.0], [1.0], [6.0, 8.0, 7.0]]
    >>> paired_bootstrap(easier, harder)
    PairedDifference(difference=-1.0, low=-1.0, high=-1.0)
    """
    check_probability("level", level)
    check_int("n_draws", n_draws, 1)
    check_int("random_state", random_state, 0)
    check_same_length("errors", len(errors), "other_errors", len(other_errors))
    pairs = [_scene(k, first, second) for k, (first, second) in enumerate(zip(errors, other_errors, strict=True))]
    counts = np.array([count for count, _ in pairs])
    gains = np.array([gain for _, gain in pairs])
    if not counts.sum():
        raise InvalidInputError("errors must hold at least one frame, got none. Score scenes with active frames.")
    drawn = np.random.default_rng(random_state).integers(len(pairs), size=(n_draws, len(pairs)))
    frames = counts[drawn].sum(axis=1)
    means = gains[drawn].sum(axis=1)[frames > 0] / frames[frames > 0]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return PairedDifference(float(gains.sum() / counts.sum()), float(low), float(high))


def _scene(index: int, first: ArrayLike, second: ArrayLike) -> tuple[int, float]:
    """Return the number of frames of a scene and the sum of differences."""
    mine = check_array(f"errors of scene {index}", first, ("n_frames",))
    other = check_array(f"other_errors of scene {index}", second, ("n_frames",))
    check_same_length(f"errors of scene {index}", len(mine), "other_errors", len(other))
    return len(mine), float((mine - other).sum())
