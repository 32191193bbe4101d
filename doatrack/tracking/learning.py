"""Motion and the likelihood's scale, learned from recordings without labels by maximum likelihood."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import expm_frechet
from scipy.optimize import minimize

from doatrack._validation import check_array, check_int, check_real, check_same_length
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import DirectionGrid
from doatrack.tracking._diffusion import laplacian
from doatrack.tracking._evidence_gradient import EvidenceGradient, evidence_gradient
from doatrack.tracking._recursions import check_activity
from doatrack.tracking.motion import MotionModel, SwitchingMotion, switching_rates
from doatrack.tracking.observations import likelihood_and_slope

__all__ = ["MotionFit", "learn_motion"]

_WIDEST = 1e4  # factor between the start and what is learned
_AT_LIMIT = 1  # status of the optimiser that was stopped by the number of iterations
_AT_ONCE = 32  # recordings whose states are in memory together


@dataclasses.dataclass(frozen=True)
class MotionFit:
    """What `learn_motion` found.

    Attributes
    ----------
    motion : MotionModel or SwitchingMotion
        With the learned parameters, of the kind that it started from.
    scale : float
        Nats per unit of the map.
    log_evidence : float
        Mean log evidence per frame in nats; 0 is that of maps which tell nothing.
    history : tuple of float
        The same at the start and after each iteration.
    converged : bool
        Whether it stopped because nothing was to be gained any more, before `max_iterations`.

    Examples
    --------
    >>> MotionFit(MotionModel(), 200.0, 2.5, (2.0, 2.5), True).n_iterations
    1
    """

    motion: MotionModel | SwitchingMotion
    scale: float
    log_evidence: float
    history: tuple[float, ...]
    converged: bool

    @property
    def n_iterations(self) -> int:
        """The number of iterations made."""
        return len(self.history) - 1


def learn_motion(
    srp_maps: Sequence[ArrayLike],
    grid: DirectionGrid,
    step_s: float,
    *,
    activity: Sequence[ArrayLike] | None = None,
    motion: MotionModel | SwitchingMotion | None = None,
    scale: float = 200.0,
    learn_scale: bool = True,
    max_iterations: int = 50,
    tolerance: float = 1e-4,
    callback: Callable[[int, float], None] | None = None,
) -> MotionFit:
    """Learn how sources move, and how sharp maps are to be taken, from unlabelled recordings.

    Maximum likelihood: the probability of each frame's map given those before it, with the likelihood of
    `robust_log_likelihood`, is raised by gradient steps (L-BFGS) on the logarithms of all parameters. A scale that is
    too sharp is punished, because the next frame's map then lies where nothing was expected. It assumes that errors
    of neighbouring frames are independent; where frames overlap or echoes last, it finds a sharper scale and less
    diffusion than track best.

    Parameters
    ----------
    srp_maps : sequence of array-like of shape (n_frames, n_directions)
        One per recording, of any lengths.
    grid : DirectionGrid
        Of the maps. A coarser one learns the same in less time.
    step_s : float
        From one frame to the next in seconds.
    activity : sequence of array-like of shape (n_frames,), optional
        Probability in [0, 1] that a frame's map is the source's, one per recording: `activity_probability`. None
        means 0.95 throughout; 1 would let one bad frame decide.
    motion : MotionModel or SwitchingMotion, optional
        Where to start, and which parameters there are: diffusion and jump rate, with modes also how long each lasts.
        A jump rate of 0 stays 0; turn rates stay as they are. None is `MotionModel()`.
    scale : float
        Where to start, in nats per unit of the map.
    learn_scale : bool
        Whether the scale is learned too.
    max_iterations : int
        At least 1.
    tolerance : float
        Stop when an iteration gains less than this, in nats per frame.
    callback : callable, optional
        `callback(iteration, log_evidence)` after each iteration, the evidence in nats per frame.

    Returns
    -------
    MotionFit

    Raises
    ------
    InvalidInputError
        If there is no recording of two frames, shapes do not fit, a value is out of range, or the maps tell nothing.

    Notes
    -----
    Each evaluation is a pass of the filter there and back over all recordings (40 recordings of 8 s over 2048
    directions: about a second on one core), with 10 to 30 evaluations. The gradient is exact (Fisher's identity).

    References
    ----------
    R. Salakhutdinov, S. Roweis, Z. Ghahramani, "Optimization with EM and expectation-conjugate-gradient", ICML 2003
    (the gradient).

    Examples
    --------
    >>> grid = DirectionGrid.quasi_uniform(300)
    >>> still = [grid.directions[[k] * 12] @ grid.directions.T for k in (3, 100, 250)]
    >>> fit = learn_motion(still, grid, 0.2, scale=20.0, learn_scale=False, max_iterations=10)
    >>> fit.motion.diffusion < 0.005, fit.log_evidence > fit.history[0]
    (True, True)
    """
    start = MotionModel() if motion is None else motion
    if not isinstance(start, MotionModel | SwitchingMotion):
        raise InvalidInputError(f"motion must be a MotionModel or a SwitchingMotion, got {type(start).__name__}.")
    check_real("step_s", step_s, 0.0, exclusive_minimum=True)
    check_real("scale", scale, 0.0, exclusive_minimum=True)
    check_real("tolerance", tolerance, 0.0)
    check_int("max_iterations", max_iterations, 1)
    task = _Task(_recordings(srp_maps, activity, grid), grid, step_s, start, scale, learn_scale)
    return task.climb(max_iterations, tolerance, callback)


@dataclasses.dataclass(frozen=True)
class _Recording:
    srp_map: NDArray[Any]
    activity: NDArray[Any]


def _recordings(
    srp_maps: Sequence[ArrayLike], activity: Sequence[ArrayLike] | None, grid: DirectionGrid
) -> list[_Recording]:
    """Return the recordings, longest first."""
    maps = [check_array(f"srp_maps[{k}]", one, ("n_frames", grid.n_directions)) for k, one in enumerate(srp_maps)]
    if sum(len(one) > 1 for one in maps) == 0:
        raise InvalidInputError(
            f"srp_maps must hold a recording of at least 2 frames, got {len(maps)} recordings. Motion is what changes "
            "from frame to frame."
        )
    if all(np.ptp(one, axis=1).max(initial=0.0) == 0 for one in maps):
        raise InvalidInputError("srp_maps must tell something about directions, got the same value everywhere.")
    given: Sequence[ArrayLike] = [0.95] * len(maps) if activity is None else activity
    check_same_length("activity", len(given), "srp_maps", len(maps))
    pairs = [
        _Recording(one, np.broadcast_to(check_activity(sure, one.shape[:1]), one.shape[:1]))
        for one, sure in zip(maps, given, strict=True)
    ]
    return sorted(pairs, key=lambda pair: -len(pair.srp_map))


class _Task:
    """The log evidence per frame as a function of the logarithms of the parameters."""

    def __init__(
        self,
        recordings: list[_Recording],
        grid: DirectionGrid,
        step_s: float,
        start: MotionModel | SwitchingMotion,
        scale: float,
        learn_scale: bool,
    ) -> None:
        self.grid, self.step_s, self.start, self.scale = grid, step_s, start, scale
        self.learn = {"diffusion": True, "stay_s": True, "jump_rate": start.jump_rate > 0, "scale": learn_scale}
        self.laplacian = laplacian(grid)
        self.n_frames = sum(len(one.srp_map) for one in recordings)
        self.batches = [_side_by_side(recordings[k : k + _AT_ONCE]) for k in range(0, len(recordings), _AT_ONCE)]
        self.history: list[float] = []

    def climb(self, max_iterations: int, tolerance: float, callback: Callable[[int, float], None] | None) -> MotionFit:
        latest: dict[bytes, float] = {}

        def loss(logs: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            value, slope = self.evidence(logs)
            latest[logs.tobytes()] = value
            return -value, -slope

        def after(logs: NDArray[np.float64]) -> None:
            self.history.append(latest[logs.tobytes()])
            if callback is not None:
                callback(len(self.history) - 1, self.history[-1])

        first = self.start_logs()
        self.history.append(self.evidence(first)[0])
        width = np.log(_WIDEST)
        bounds = list(zip(first - width, first + width, strict=True))
        options: Any = {
            "maxiter": max_iterations,
            "ftol": tolerance / max(1.0, abs(self.history[0])),
            "gtol": tolerance,
        }
        climb: Any = minimize  # its stubs know no function with two results
        result = climb(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, callback=after, options=options)
        motion, scale = self.parameters(result.x)
        return MotionFit(motion, scale, float(-result.fun), tuple(self.history), result.status != _AT_LIMIT)

    def start_logs(self) -> NDArray[np.float64]:
        values = [*np.atleast_1d(self.start.diffusion), *self.durations(), self.start.jump_rate, self.scale]
        return np.log(np.array(values, dtype=np.float64)[self.chosen()])

    def durations(self) -> tuple[float, ...]:
        return self.start.stay_s if isinstance(self.start, SwitchingMotion) else ()

    def chosen(self) -> NDArray[np.bool_]:
        """Return which of diffusions, durations, jump rate and scale are learned."""
        n_modes = len(np.atleast_1d(self.start.diffusion))
        return np.array(
            [True] * (n_modes + len(self.durations())) + [self.learn["jump_rate"], self.learn["scale"]], dtype=np.bool_
        )

    def parameters(self, logs: NDArray[np.float64]) -> tuple[MotionModel | SwitchingMotion, float]:
        values = np.array([*np.atleast_1d(self.start.diffusion), *self.durations(), self.start.jump_rate, self.scale])
        values[self.chosen()] = np.exp(logs)
        n_modes = len(np.atleast_1d(self.start.diffusion))
        diffusion, stay_s, jump_rate = values[:n_modes], values[n_modes:-2], float(values[-2])
        if isinstance(self.start, MotionModel):
            return MotionModel(float(diffusion[0]), jump_rate), float(values[-1])
        modes = {"diffusion": tuple(map(float, diffusion)), "stay_s": tuple(map(float, stay_s))}
        return dataclasses.replace(self.start, jump_rate=jump_rate, **modes), float(values[-1])

    def evidence(self, logs: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the log evidence per frame and its derivative."""
        motion, scale = self.parameters(logs)
        transition = motion.transition(self.grid, self.step_s)
        parts = [
            evidence_gradient(*likelihood_and_slope(*batch, scale, self.grid), transition, self.laplacian)
            for batch in self.batches
        ]
        total = sum(parts[1:], parts[0])
        slope = np.concatenate(
            [
                np.atleast_1d(motion.diffusion) * self.step_s * total.variance,
                _by_log_duration(motion, self.step_s, total),
                [total.jump * motion.jump_rate * self.step_s * np.exp(-motion.jump_rate * self.step_s)],
                [total.scale * scale],
            ]
        )
        return total.value / self.n_frames, slope[self.chosen()] / self.n_frames


def _by_log_duration(
    motion: MotionModel | SwitchingMotion, step_s: float, total: EvidenceGradient
) -> NDArray[np.float64]:
    if isinstance(motion, MotionModel):
        return np.zeros(0)
    stay_s = np.asarray(motion.stay_s)
    rates, shares = switching_rates(stay_s) * step_s, stay_s / stay_s.sum()
    slopes = []
    for mode in range(len(stay_s)):
        change = np.zeros_like(rates)
        change[mode] = -rates[mode]  # rates are one over durations
        by_step = expm_frechet(rates, change, compute_expm=False)
        by_start = shares[mode] * (np.eye(len(stay_s))[mode] - shares)
        slopes.append(float((total.switching * by_step).sum() + total.mode_shares @ by_start))
    return np.array(slopes)


def _side_by_side(recordings: list[_Recording]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return maps (n_recordings, n_frames, n_directions) and activities; what is missing at the end tells nothing."""
    shape = len(recordings), len(recordings[0].srp_map)
    maps = np.zeros((*shape, recordings[0].srp_map.shape[1]))
    activity = np.zeros(shape)
    for row, recording in enumerate(recordings):
        maps[row, : len(recording.srp_map)] = recording.srp_map
        activity[row, : len(recording.activity)] = recording.activity
    return maps, activity
