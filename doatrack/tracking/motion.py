"""How sources move over the sphere: a random walk with jumps, in physical units."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import check_array, check_real
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import DirectionGrid
from doatrack.tracking._diffusion import heat_kernel, stationary_shares

__all__ = ["MotionModel", "Transition"]


@dataclasses.dataclass(frozen=True)
class MotionModel:
    """A first-order motion prior: diffusion on the sphere, and jumps to anywhere.

    Sources walk at random in every direction alike, and once in a while something else talks from elsewhere. Both are
    given per second, so that a track does not depend on the hop. It knows no velocity: a source that turns
    steadily and fast is followed by its likelihood, or through jumps.

    Parameters
    ----------
    diffusion : float
        Variance of the displacement along each axis per second, in rad^2/s, above 0. The default stands for 8 degrees
        after one second.
    jump_rate : float
        Jumps per second, at least 0; a jump may end anywhere on the grid, by area.

    Raises
    ------
    InvalidInputError
        If a value is out of its range.

    Examples
    --------
    >>> motion = MotionModel(diffusion=0.02, jump_rate=0.1)
    >>> transition = motion.transition(DirectionGrid.quasi_uniform(500), step_s=0.192)
    >>> transition.n_directions, bool(np.allclose(transition.dense().sum(axis=1), 1))
    (500, True)
    """

    diffusion: float = 0.02
    jump_rate: float = 0.1

    def __post_init__(self) -> None:
        check_real("diffusion", self.diffusion, 0.0, exclusive_minimum=True)
        check_real("jump_rate", self.jump_rate, 0.0)

    def transition(self, grid: DirectionGrid, step_s: float) -> "Transition":
        """Return what happens in a time step.

        Parameters
        ----------
        grid : DirectionGrid
            Any grid or search region of at least 3 directions that span an area.
        step_s : float
            From one frame to the next in seconds: hop_length / sample_rate.

        Returns
        -------
        Transition

        Notes
        -----
        Building it takes some tenths of a second for 2048 directions (a sparse matrix exponential); build it once and
        use it for all recordings with the same hop.

        Examples
        --------
        >>> MotionModel().transition(DirectionGrid.quasi_uniform(500), step_s=0.192).n_directions
        500
        """
        step = check_real("step_s", step_s, 0.0, exclusive_minimum=True)
        jump = -np.expm1(-self.jump_rate * step)
        return Transition(heat_kernel(grid, self.diffusion * step), stationary_shares(grid), float(jump), grid)


class Transition:
    """Where a source is one time step later: a sparse walk to near directions, and jumps in closed form.

    The probability of going from i to j is (1 - jump) * walk[i, j] + jump * shares[j]. Made by
    `MotionModel.transition`.

    Parameters
    ----------
    walk : sparse array of shape (n_directions, n_directions)
        Rows sum to 1.
    shares : ndarray of shape (n_directions,)
        Probability of each direction before anything was heard, and after a jump.
    jump : float
        Probability of a jump within the step.
    grid : DirectionGrid
        The directions.

    Examples
    --------
    >>> grid = DirectionGrid.quasi_uniform(500)
    >>> transition = MotionModel(jump_rate=0.0).transition(grid, step_s=1.0)
    >>> start = np.zeros(500)
    >>> start[100] = 1.0
    >>> round(float(transition.forward(start) @ grid.directions @ grid.directions[100]), 2)  # exp(-diffusion)
    0.98
    """

    def __init__(self, walk: Any, shares: NDArray[np.float64], jump: float, grid: DirectionGrid) -> None:
        self.grid = grid
        self.shares = shares
        self.jump = jump
        self._walk = walk.tocsr()
        self._back = walk.T.tocsr()
        self._single: tuple[Any, Any] = (self._walk.astype(np.float32), self._back.astype(np.float32))

    @property
    def n_directions(self) -> int:
        """The number of directions."""
        return len(self.shares)

    @property
    def n_entries(self) -> int:
        """The number of steps that the walk considers, over all directions."""
        return int(self._walk.nnz)

    def forward(self, probability: ArrayLike) -> NDArray[Any]:
        """Return probabilities (..., n_directions) one step later.

        Parameters
        ----------
        probability : array-like of shape (..., n_directions)
            Of each direction now. float32 stays float32; all else is float64.
        """
        now = self._check(probability)
        back = self._single[1] if now.dtype == np.float32 else self._back
        moved = _apply(back, now)
        jumped = now.sum(axis=-1, keepdims=True) * self.shares.astype(now.dtype)
        return np.asarray((1 - self.jump) * moved + self.jump * jumped)

    def backward(self, message: ArrayLike) -> NDArray[Any]:
        """Return the expectation of a function of the next direction, given the present one, (..., n_directions).

        Parameters
        ----------
        message : array-like of shape (..., n_directions)
            Values at each direction one step later. float32 stays float32; all else is float64.
        """
        later = self._check(message)
        walk = self._single[0] if later.dtype == np.float32 else self._walk
        anywhere = (later @ self.shares.astype(later.dtype))[..., None]
        return np.asarray((1 - self.jump) * _apply(walk, later) + self.jump * anywhere)

    def best_previous(self, log_score: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return the best log score of arriving at each direction, and from where: one step of the Viterbi algorithm.

        Parameters
        ----------
        log_score : ndarray of shape (n_directions,)
            Log probability of the best path that ends at each direction now.

        Returns
        -------
        score : ndarray of shape (n_directions,)
        previous : int64 ndarray of shape (n_directions,)
        """
        back = self._back
        rows = np.repeat(np.arange(self.n_directions), np.diff(back.indptr))
        with np.errstate(divide="ignore"):
            entries = np.log((1 - self.jump) * back.data + self.jump * self.shares[rows])
            jump = np.log(self.jump * self.shares)
        arriving = log_score[back.indices] + entries
        # no row is empty: every direction has a step to itself
        near = np.maximum.reduceat(arriving, back.indptr[:-1])
        hits = np.flatnonzero(arriving == near[rows])
        first = hits[np.searchsorted(rows[hits], np.arange(self.n_directions))]
        best = int(log_score.argmax())
        far = log_score[best] + jump
        previous = np.where(near >= far, back.indices[first], best)
        return np.maximum(near, far).astype(log_score.dtype), previous.astype(np.int64)

    def dense(self) -> NDArray[np.float64]:
        """Return the transition as a full matrix (n_directions, n_directions): from row to column.

        Examples
        --------
        >>> matrix = MotionModel().transition(DirectionGrid.quasi_uniform(100), step_s=0.2).dense()
        >>> bool(np.allclose(matrix, matrix.T))
        True
        """
        return np.asarray((1 - self.jump) * self._walk.toarray() + self.jump * self.shares)

    def _check(self, values: ArrayLike) -> NDArray[Any]:
        if isinstance(values, np.ndarray) and values.dtype == np.float32:
            array: NDArray[Any] = values
        else:
            array = check_array("values", values, ("...", "n_directions"))
        if array.ndim < 1 or array.shape[-1] != self.n_directions:
            raise InvalidInputError(
                f"values must have {self.n_directions} directions on the last axis, those of the transition's grid, "
                f"got the shape {array.shape}."
            )
        return array


def _apply(matrix: Any, values: NDArray[Any]) -> NDArray[Any]:
    if values.ndim == 1:
        return np.asarray(matrix @ values)
    flat = values.reshape(-1, values.shape[-1])
    return np.ascontiguousarray((matrix @ flat.T).T).reshape(values.shape)
