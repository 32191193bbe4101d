"""The tracker that `doatrack fit` starts with, as its options ask for it."""

import pathlib
from typing import Any

from doatrack.exceptions import InvalidInputError

__all__ = ["new_tracker", "set_hardware", "set_region", "started"]

Region = tuple[float, float] | None


def new_tracker(encoder: str, epochs: int | None, seed: int, device: str) -> Any:
    """Return a tracker that has learned nothing yet."""
    from doatrack._validation import check_choice
    from doatrack.estimators import PhysicsVAETracker

    check_choice("--encoder", encoder, ("map", "paper"))
    tracker = PhysicsVAETracker() if encoder == "map" else PhysicsVAETracker.paper()
    tracker.set_params(random_state=seed, device=device, verbose=2)
    return tracker if epochs is None else tracker.set_params(n_epochs=epochs)


def started(start: str, encoder: str | None, resume: bool, device: str) -> Any:
    """Return the fitted tracker that a name or a model file stands for."""
    from doatrack.cli._trackers import named_tracker
    from doatrack.estimators import PhysicsVAETracker
    from doatrack.persistence import PRETRAINED

    if encoder is not None:
        raise InvalidInputError("--start goes on with the encoder of its model: leave --encoder out.")
    if resume:
        raise InvalidInputError("--start keeps no run to go on with: leave --resume out, or leave --start out.")
    if start not in PRETRAINED and not pathlib.Path(start).exists():
        raise InvalidInputError(
            f"--start {start} is neither a file nor a tracker that comes with doatrack ({', '.join(PRETRAINED)})."
        )
    tracker = named_tracker(start)
    if not isinstance(tracker, PhysicsVAETracker):
        raise InvalidInputError(f"--start {start} holds a {type(tracker).__name__}, which learns nothing.")
    return tracker.set_params(device=device, verbose=2, checkpoint=None)


def set_hardware(tracker: Any, devices: int, nodes: int, precision: str) -> None:
    """Set where it learns, or raise where that cannot be."""
    from doatrack.estimators._fitting import check_device

    check_device(tracker.device, "--device")
    tracker.set_params(devices=devices, num_nodes=nodes, precision=precision)
    tracker._hardware().check()


def set_region(tracker: Any, azimuth: Region, elevation: Region) -> None:
    """Set the search region, or raise where there is none to look in."""
    from doatrack.estimators._search import search_grid

    if (azimuth, elevation) == (None, None):
        return
    if tracker.encoder == "paper":
        raise InvalidInputError("--azimuth and --elevation need --encoder map: the paper's encoder points anywhere.")
    search_grid("quasi_uniform", tracker.n_directions, azimuth, elevation)
    tracker.set_params(azimuth_range_deg=azimuth, elevation_range_deg=elevation)
