"""The methods that the experiments compare."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from doatrack.estimators import SRPPHAT, PhysicsVAETracker

__all__ = ["METHODS", "Method", "srp_reference"]

_FRAME_BY_FRAME: tuple[Any, ...] = (None,)


@dataclass(frozen=True)
class Method:
    """A row of the tables.

    Parameters
    ----------
    name : str
        As on the command line and in folders.
    label : str
        As in tables.
    published : str
        The row of the paper that it stands beside.
    make : callable
        `make(seed)` returns the unfitted tracker.
    learns, supervised : bool
        Whether it is trained, and with labels.
    smoothings : tuple
        How its frames are joined, a row each: None, "filter", "smoother".
    quiet_first : bool
        Whether it is trained on the scenes with little noise first.
    geometry_aware : bool
        Whether it is told the positions of microphones, and so has a row in Table 5.

    Examples
    --------
    >>> METHODS["physics-vae-paper"].make(0).n_epochs
    300
    """

    name: str
    label: str
    published: str
    make: Callable[[int], Any]
    learns: bool = True
    supervised: bool = False
    smoothings: tuple[Any, ...] = _FRAME_BY_FRAME
    quiet_first: bool = False
    geometry_aware: bool = True


def _neural_srp(seed: int) -> Any:
    from doatrack.estimators import NeuralSRPTracker

    return NeuralSRPTracker.paper(random_state=seed)


def _cross3d(seed: int) -> Any:
    from doatrack.estimators import Cross3DTracker

    return Cross3DTracker.paper(random_state=seed)


METHODS = {
    method.name: method
    for method in (
        Method(
            "srp-phat-paper",
            "SRP-PHAT, Hann, 64 x 32 grid",
            "SRP-PHAT",
            lambda seed: SRPPHAT(grid="rectangular", n_directions=2048, refine=False, window="hann"),
            learns=False,
            geometry_aware=False,  # one row of SRP-PHAT is enough there
        ),
        Method(
            "srp-phat",
            "SRP-PHAT, our defaults",
            "SRP-PHAT",
            lambda seed: SRPPHAT(),
            learns=False,
            smoothings=(None, "filter", "smoother"),
        ),
        Method(
            "physics-vae-paper",
            "PhysicsVAETracker.paper()",
            "Proposed",
            lambda seed: PhysicsVAETracker.paper(random_state=seed),
        ),
        Method(
            "physics-vae",
            "PhysicsVAETracker, our defaults",
            "Proposed",
            lambda seed: PhysicsVAETracker(random_state=seed),
            smoothings=(None, "filter", "smoother"),
        ),
        Method(
            "cross3d", "Cross3DTracker", "Cross3D", _cross3d, supervised=True, quiet_first=True, geometry_aware=False
        ),
        Method("neural-srp", "NeuralSRPTracker", "Neural-SRP", _neural_srp, supervised=True),
    )
}
"""By name, in the order of the tables."""


def srp_reference(tracker: Any, smoothing: str | None) -> str:
    """Return the SRP-PHAT that a row is compared with: with the same window, joined in the same way where there is one.

    Examples
    --------
    >>> srp_reference(PhysicsVAETracker.paper(), None), srp_reference(PhysicsVAETracker(), "smoother")
    ('srp-phat-paper', 'srp-phat+smoother')
    """
    if smoothing is not None:
        return f"srp-phat+{smoothing}"
    ours: str = SRPPHAT().window
    return "srp-phat" if getattr(tracker, "window", ours) == ours else "srp-phat-paper"
