"""Where learning runs: the device, the processes."""

import dataclasses
from typing import Any

import torch
from torch import nn

from doatrack._validation import check_choice, check_int
from doatrack.estimators._course import Course
from doatrack.exceptions import InvalidInputError
from doatrack.training import PRECISIONS, Processes
from doatrack.training.launch import join_processes, launch

__all__ = ["Hardware", "check_device", "run"]


@dataclasses.dataclass(frozen=True)
class Hardware:
    """The parameters of trackers that say where they learn, named as in lightning-fabric."""

    device: str
    devices: int
    num_nodes: int
    precision: str

    def check(self) -> None:
        """Raise if they cannot be, here."""
        check_int("devices", self.devices, 1)
        check_int("num_nodes", self.num_nodes, 1)
        check_choice("precision", self.precision, PRECISIONS)
        check_device(self.device)

    def join(self) -> Processes | None:
        """Return the processes that this one learns with; None if they have to be started."""
        return join_processes(self.device, self.devices, self.num_nodes, self.precision)


def check_device(device: object, name: str = "device") -> None:
    """Raise unless tensors can be made on a device and read back; messages call it `name`."""
    rule = f"{name} must name a torch device of this machine, such as 'cpu' or 'cuda', got {device!r}"
    if not isinstance(device, str):
        raise InvalidInputError(f"{rule} of type {type(device).__name__}.")
    try:
        torch.zeros((), device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        # of torch's own words the first sentence; the rest is about its insides
        raise InvalidInputError(f"{rule}: {str(error).splitlines()[0].split('. ')[0]}") from error


def run(course: Course, module: nn.Module, hardware: Hardware) -> list[dict[str, float]]:
    """Run a course to its end and return its history; the module is back on the CPU then, ready to use."""
    processes = hardware.join()
    if processes is None:
        result = launch(course, hardware.device, hardware.devices, hardware.precision, course.way_out())
        module.load_state_dict(result["weights"])
        module.eval()
    else:
        try:
            result = course(processes)
        finally:
            module.cpu().eval()
    history: list[dict[str, Any]] = result["history"]
    return history
