"""Where a source is one time step later: the transition that filter, smoother and path search share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from doatrack._validation import check_array
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import DirectionGrid
from doatrack.tracking._sparse import SparseProduct

__all__ = ["Transition"]


class Transition:
    """Where a source is one time step later: a sparse walk to near directions, and jumps in closed form.

    Made by `MotionModel.transition` or `SwitchingMotion.transition`. The probability of going from i to j is
    (1 - jump) * walk[i, j] + jump * shares[j]. With several modes the state is a mode and a direction: first the mode
    changes by `switching`, then the direction by the walk of the new mode.

    Parameters
    ----------
    walk : sparse array of shape (n_directions, n_directions), or a sequence of them
        Rows sum to 1. A sequence: one per mode.
    shares : ndarray of shape (n_directions,)
        Probability of each direction before anything was heard, and after a jump.
    jump : float
        Probability of a jump within the step.
    grid : DirectionGrid
        The directions.
    switching : ndarray of shape (n_modes, n_modes), optional
        Probability of going from mode (row) to mode (column) within the step. None: one mode.
    mode_shares : ndarray of shape (n_modes,), optional
        Probability of each mode before anything was heard. None: one mode.

    Examples
    --------
    >>> from doatrack.tracking import MotionModel
    >>> grid = DirectionGrid.quasi_uniform(500)
    >>> transition = MotionModel(jump_rate=0.0).transition(grid, step_s=1.0)
    >>> start = np.zeros(500)
    >>> start[100] = 1.0
    >>> round(float(transition.forward(start) @ grid.directions @ grid.directions[100]), 2)  # exp(-diffusion)
    0.96
    """

    def __init__(
        self,
        walk: Any,
        shares: NDArray[np.float64],
        jump: float,
        grid: DirectionGrid,
        switching: NDArray[np.float64] | None = None,
        mode_shares: NDArray[np.float64] | None = None,
    ) -> None:
        self.grid = grid
        self.shares = shares
        self.jump = jump
        self.switching = np.ones((1, 1)) if switching is None else switching
        self.mode_shares = np.ones(1) if mode_shares is None else mode_shares
        self._shares: dict[Any, NDArray[Any]] = {}
        walks = walk if isinstance(walk, Sequence) else [walk]
        self._walks = [SparseProduct(one) for one in walks]
        self._backs = [SparseProduct(one.T) for one in walks]

    @property
    def n_directions(self) -> int:
        """The number of directions."""
        return len(self.shares)

    @property
    def n_modes(self) -> int:
        """The number of modes of motion; 1 where motion does not switch."""
        return len(self._walks)

    @property
    def state_shape(self) -> tuple[int, ...]:
        """The last axes of states: (n_directions,), or (n_modes, n_directions) with several modes."""
        return (self.n_directions,) if self.n_modes == 1 else (self.n_modes, self.n_directions)

    @property
    def n_entries(self) -> int:
        """The number of steps that the walk considers, over all modes and directions."""
        return sum(int(walk.matrix.nnz) for walk in self._walks)

    @property
    def initial(self) -> NDArray[np.float64]:
        """Probability of each state before anything was heard, of the shape `state_shape`."""
        return (self.mode_shares[:, None] * self.shares).reshape(self.state_shape)

    def forward(self, probability: ArrayLike) -> NDArray[Any]:
        """Return probabilities one step later.

        Parameters
        ----------
        probability : array-like of shape (..., n_directions), or (..., n_modes, n_directions) with several modes
            Of each state now. float32 stays float32; all else is float64.
        """
        return self.moved(self._check(probability))

    def moved(self, now: NDArray[Any]) -> NDArray[Any]:
        """Return what `forward` returns, of an array of its shape and of finite float32 or float64; nothing is checked.

        Examples
        --------
        >>> from doatrack.tracking import MotionModel
        >>> transition = MotionModel().transition(DirectionGrid.quasi_uniform(100), step_s=0.2)
        >>> bool(np.array_equal(transition.moved(transition.initial), transition.forward(transition.initial)))
        True
        """
        shares = self._shares_in(now.dtype)
        if self.n_modes == 1:
            return self._jumped(self._backs[0](now), np.add.reduce(now, axis=-1, keepdims=True) * shares)
        switched = self.switching.T.astype(now.dtype) @ now
        moved = np.stack([back(switched[..., k, :]) for k, back in enumerate(self._backs)], axis=-2)
        return self._jumped(moved, switched.sum(axis=-1, keepdims=True) * shares)

    def backward(self, message: ArrayLike) -> NDArray[Any]:
        """Return the expectation of a function of the next state, given the present one.

        Parameters
        ----------
        message : array-like of shape (..., n_directions), or (..., n_modes, n_directions) with several modes
            Values at each state one step later. float32 stays float32; all else is float64.
        """
        later = self._check(message)
        anywhere = (later @ self.shares.astype(later.dtype, copy=False))[..., None]
        if self.n_modes == 1:
            return self._jumped(self._walks[0](later), anywhere)
        return np.asarray(self.switching.astype(later.dtype) @ self._jumped(self.walked(later), anywhere))

    def walked(self, message: NDArray[Any]) -> NDArray[Any]:
        """Return the expectation of a function of the next direction in each mode, jumps and switching left out.

        Parameters
        ----------
        message : ndarray of shape (..., n_modes, n_directions)
            Values at each state one step later; the axis of modes is there with one mode too.
        """
        return np.stack([walk(message[..., k, :]) for k, walk in enumerate(self._walks)], axis=-2)

    def _jumped(self, near: NDArray[Any], anywhere: NDArray[Any]) -> NDArray[Any]:
        near *= 1 - self.jump
        near += self.jump * anywhere
        return near

    def _shares_in(self, kind: Any) -> NDArray[Any]:
        """Return the shares in a precision, kept for the next frame."""
        if kind not in self._shares:
            self._shares[kind] = self.shares.astype(kind, copy=False)
        return self._shares[kind]

    def best_previous(self, log_score: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return the best log score of arriving at each state, and from where: one step of the Viterbi algorithm.

        Parameters
        ----------
        log_score : ndarray of shape `state_shape`
            Log probability of the best path that ends at each state now.

        Returns
        -------
        score : ndarray of shape `state_shape`
        previous : int64 ndarray of shape `state_shape`
            Indices into the flattened states: mode * n_directions + direction.
        """
        scores = log_score.reshape(self.n_modes, self.n_directions)
        with np.errstate(divide="ignore"):
            switched = scores[:, None] + np.log(self.switching)[:, :, None]
        modes = switched.argmax(axis=0)
        arriving = np.take_along_axis(switched, modes[None], axis=0)[0]
        best, previous = zip(*map(self._best_walk, range(self.n_modes), arriving), strict=True)
        origin = np.stack([mode[at] * self.n_directions + at for mode, at in zip(modes, previous, strict=True)])
        return np.stack(best).reshape(self.state_shape).astype(log_score.dtype), origin.reshape(self.state_shape)

    def _best_walk(self, mode: int, score: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        back = self._backs[mode].matrix
        rows = np.repeat(np.arange(self.n_directions), np.diff(back.indptr))
        with np.errstate(divide="ignore"):
            entries = np.log((1 - self.jump) * back.data + self.jump * self.shares[rows])
            jump = np.log(self.jump * self.shares)
        arriving = score[back.indices] + entries
        # no row is empty: every direction has a step to itself
        near = np.maximum.reduceat(arriving, back.indptr[:-1])
        hits = np.flatnonzero(arriving == near[rows])
        first = hits[np.searchsorted(rows[hits], np.arange(self.n_directions))]
        best = int(score.argmax())
        far = score[best] + jump
        previous = np.where(near >= far, back.indices[first], best)
        return np.maximum(near, far), previous.astype(np.int64)

    def dense(self) -> NDArray[np.float64]:
        """Return the transition as a full matrix (n_states, n_states), from row to column, modes outermost.

        Examples
        --------
        >>> from doatrack.tracking import MotionModel
        >>> matrix = MotionModel().transition(DirectionGrid.quasi_uniform(100), step_s=0.2).dense()
        >>> bool(np.allclose(matrix, matrix.T))
        True
        """
        steps = [(1 - self.jump) * walk.matrix.toarray() + self.jump * self.shares for walk in self._walks]
        return np.concatenate([np.kron(self.switching[:, [k]], step) for k, step in enumerate(steps)], axis=1)

    def _check(self, values: ArrayLike) -> NDArray[Any]:
        if isinstance(values, np.ndarray) and values.dtype == np.float32:
            array: NDArray[Any] = values
        else:
            array = check_array("values", values, ("...", "n_directions"))
        if array.shape[-len(self.state_shape) :] != self.state_shape:
            modes = "" if self.n_modes == 1 else f"{self.n_modes} modes and "
            raise InvalidInputError(
                f"values must have {modes}{self.n_directions} directions on the last "
                f"{'axis' if self.n_modes == 1 else 'axes'}, those of the transition's grid, got the shape "
                f"{array.shape}."
            )
        return array
