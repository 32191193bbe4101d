"""How sources move over the sphere: a random walk with jumps, in physical units, in one mode or several."""

import dataclasses
import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from doatrack._validation import check_array, check_real, check_same_length
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import DirectionGrid
from doatrack.tracking._diffusion import heat_kernel, stationary_shares
from doatrack.tracking._rotation import turning_kernel
from doatrack.tracking.transition import Transition

__all__ = ["Motion", "MotionModel", "SwitchingMotion", "switching_rates"]


class Motion(Protocol):
    """Anything that says how sources move: `MotionModel`, `SwitchingMotion`, or a class of one's own.

    Examples
    --------
    >>> def steps_of(motion: Motion) -> int:
    ...     return motion.transition(DirectionGrid.quasi_uniform(100), step_s=0.192).n_modes
    >>> steps_of(MotionModel()), steps_of(SwitchingMotion())
    (1, 2)
    """

    def transition(self, grid: DirectionGrid, step_s: float) -> Transition:
        """Return what happens in a time step."""


@dataclasses.dataclass(frozen=True)
class MotionModel:
    """A first-order motion prior: diffusion on the sphere, and jumps to anywhere.

    Sources walk at random in every direction alike, and once in a while something else talks from elsewhere. Both are
    given per second, so that a track does not depend on the hop. It knows no velocity: a source that turns
    steadily and fast is followed by its likelihood, or through jumps.

    Parameters
    ----------
    diffusion : float
        Variance of the displacement along each axis per second, in rad^2/s, above 0. The default stands for 11 degrees
        after one second.
    jump_rate : float
        Jumps per second, at least 0; a jump may end anywhere on the grid, by area.

    Raises
    ------
    InvalidInputError
        If a value is out of its range.

    Examples
    --------
    >>> motion = MotionModel(diffusion=0.04, jump_rate=0.1)
    >>> transition = motion.transition(DirectionGrid.quasi_uniform(500), step_s=0.192)
    >>> transition.n_directions, bool(np.allclose(transition.dense().sum(axis=1), 1))
    (500, True)
    """

    diffusion: float = 0.04
    jump_rate: float = 0.1

    def __post_init__(self) -> None:
        check_real("diffusion", self.diffusion, 0.0, exclusive_minimum=True)
        check_real("jump_rate", self.jump_rate, 0.0)

    def transition(self, grid: DirectionGrid, step_s: float) -> Transition:
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
        walk = heat_kernel(grid, self.diffusion * step)
        return Transition(walk, stationary_shares(grid), _event_probability(self.jump_rate, step), grid)


@dataclasses.dataclass(frozen=True)
class SwitchingMotion:
    """A motion prior in modes: a source stands still for a while, walks for a while; the array itself may turn.

    A talker who sits is known more exactly the longer he talks, one who walks is not; no single diffusion is right for
    both. When a robot turns its head, all directions turn about the vertical at a known speed: a mode with a
    `turn_rate` follows that. Which mode it is follows from the sound (`mode_posterior`). The state is a mode and a
    direction, so cost and memory are those of `MotionModel` times the number of modes.

    Parameters
    ----------
    diffusion : sequence of float
        Of each mode, in rad^2/s, above 0, as in `MotionModel`.
    stay_s : sequence of float
        How long each mode lasts on average, in seconds, above 0; then one of the others comes, each with the same
        probability.
    jump_rate : float
        Jumps to anywhere per second, in every mode, at least 0.
    turn_rate : sequence of float, optional
        By which azimuths grow in each mode, in rad/s: positive is counter-clockwise, as seen by an array that turns
        clockwise. None: no mode turns.

    Raises
    ------
    InvalidInputError
        If a value is out of its range, there are fewer than two modes, or not as many values as modes.

    References
    ----------
    H. A. P. Blom, Y. Bar-Shalom, "The interacting multiple model algorithm for systems with Markovian switching
    coefficients", IEEE TAC 1988. On a grid its mixing is exact.

    Examples
    --------
    >>> motion = SwitchingMotion(diffusion=(0.001, 0.05), stay_s=(5.0, 2.0))
    >>> transition = motion.transition(DirectionGrid.quasi_uniform(500), step_s=0.192)
    >>> transition.n_modes, transition.mode_shares.round(2).tolist()
    (2, [0.71, 0.29])
    """

    diffusion: tuple[float, ...] = (0.002, 0.04)
    stay_s: tuple[float, ...] = (10.0, 8.0)
    jump_rate: float = 0.1
    turn_rate: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("diffusion", "stay_s", "turn_rate"):
            given = getattr(self, name)
            if name == "turn_rate" and given is None:
                continue
            values = check_array(name, given, ("n_modes",))
            if name != "turn_rate":
                check_real(name, float(values.min(initial=np.inf)), 0.0, exclusive_minimum=True)
            check_same_length(name, len(values), "diffusion", len(self.diffusion))
            object.__setattr__(self, name, tuple(float(value) for value in values))
        if len(self.diffusion) < 2:
            raise InvalidInputError(
                f"diffusion must name at least 2 modes, got {len(self.diffusion)}. For one take MotionModel."
            )
        check_real("jump_rate", self.jump_rate, 0.0)

    @classmethod
    def turning_head(cls, turn_rate: float = math.radians(150), diffusion: float = 0.02) -> "SwitchingMotion":
        """Return the motion seen from a robot's head: talkers that walk, and turns of the head to either side.

        Parameters
        ----------
        turn_rate : float
            Of the head, in rad/s, above 0.
        diffusion : float
            Of the talker, in rad^2/s.

        Returns
        -------
        SwitchingMotion
            Three modes: no turn (10 s on average), and half a second of turns to the left and to the right.

        Notes
        -----
        A filter without these modes loses a source that turns by 29 degrees between two frames, and finds it again by a
        jump, after frames in which it knew better than the map did; see docs/motion.md for figures.

        Examples
        --------
        >>> SwitchingMotion.turning_head(turn_rate=2.6).turn_rate
        (0.0, 2.6, -2.6)
        """
        rate = check_real("turn_rate", turn_rate, 0.0, exclusive_minimum=True)
        return cls((diffusion,) * 3, (10.0, 0.5, 0.5), turn_rate=(0.0, rate, -rate))

    def transition(self, grid: DirectionGrid, step_s: float) -> Transition:
        """Return what happens in a time step.

        Parameters
        ----------
        grid, step_s
            As in `MotionModel.transition`.

        Returns
        -------
        Transition
            With one mode per diffusion, in their order.

        Examples
        --------
        >>> SwitchingMotion().transition(DirectionGrid.quasi_uniform(500), step_s=0.192).state_shape
        (2, 500)
        """
        step = check_real("step_s", step_s, 0.0, exclusive_minimum=True)
        turns = (0.0,) * len(self.diffusion) if self.turn_rate is None else self.turn_rate
        walks = [
            turning_kernel(grid, diffusion * step, turn * step)
            for diffusion, turn in zip(self.diffusion, turns, strict=True)
        ]
        durations = np.asarray(self.stay_s)
        switching = expm(switching_rates(durations) * step)
        jump = _event_probability(self.jump_rate, step)
        # every mode is left as often as it is entered, so that its share is that of its duration
        return Transition(
            walks,
            stationary_shares(grid),
            jump,
            grid,
            switching,
            durations / durations.sum(),
        )


def _event_probability(rate: float, step_s: float) -> float:
    """Return the probability of at least one event of a Poisson process within a step."""
    return float(-np.expm1(-rate * step_s))


def switching_rates(stay_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rates per second of going from mode (row) to mode (column); rows sum to 0.

    Examples
    --------
    >>> switching_rates(np.array([5.0, 2.0])).tolist()
    [[-0.2, 0.2], [0.5, -0.5]]
    """
    n_modes = len(stay_s)
    rates = np.ones((n_modes, n_modes)) / (n_modes - 1)
    np.fill_diagonal(rates, -1.0)
    return np.asarray(rates / stay_s[:, None])
