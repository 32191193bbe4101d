"""Checkpoints: a killed run goes on as if nothing had happened."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from doatrack._files import atomic_write_bytes
from doatrack.exceptions import ModelFileError
from doatrack.training.differences import differences
from doatrack.training.loop import Callback, TrainingLoop

__all__ = ["Checkpoint"]

_FILE = "checkpoint.safetensors"


class Checkpoint(Callback):
    """Keep the state of a loop in a folder after every epoch.

    Weights, optimiser, random generator and history are kept, so that a run which is killed at any moment and
    started again with the same folder, data and parameters ends with the weights it would have had (bit for bit
    on a CPU with the same number of threads). The file is written beside and moved.

    Parameters
    ----------
    folder : path-like
        Made if missing.
    fingerprint : dict
        What the run depends on (parameters, data); another one is refused at `resume`, and told what differs.
    derived : sequence of str
        Entries of the fingerprint that follow from others, and are named only where nothing else differs.
    per_process : sequence of str
        Entries that are a number for each process: another one is no other run where the total is the same.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Checkpoint(folder, {"seed": 0}).exists()
    False
    """

    def __init__(
        self,
        folder: str | pathlib.Path,
        fingerprint: dict[str, Any],
        *,
        derived: Sequence[str] = (),
        per_process: Sequence[str] = (),
    ) -> None:
        self._path = pathlib.Path(folder) / _FILE
        self._fingerprint = json.loads(json.dumps(fingerprint, default=_plain))
        self._derived, self._per_process = derived, per_process

    def exists(self) -> bool:
        """Whether there is something to resume."""
        return self._path.exists()

    def stored(self, name: str) -> Any:
        """Return an entry of the fingerprint in the file; None if there is no file.

        Raises
        ------
        ModelFileError
            If the file is damaged.
        """
        return self._read()[0]["fingerprint"].get(name) if self.exists() else None

    def on_epoch_end(self, loop: TrainingLoop, record: dict[str, float]) -> None:
        """Write the state."""
        from safetensors.numpy import save

        self._path.parent.mkdir(parents=True, exist_ok=True)
        header = {
            "epoch": loop.epoch,
            "history": loop.history,
            "fingerprint": self._fingerprint,
            "n_processes": loop.processes.n_processes,
        }
        atomic_write_bytes(self._path, save(_pack(loop), metadata={"doatrack-checkpoint": json.dumps(header)}))

    def resume(self, loop: TrainingLoop) -> None:
        """Set a loop to the state of the file, if there is one; only the first of several processes reads it.

        Raises
        ------
        ModelFileError
            If the file is damaged or belongs to a run with other parameters or data.
        """
        n_processes = loop.processes.n_processes
        found = loop.processes.from_first(self._found(n_processes) if loop.processes.rank == 0 else None)
        if found is not None:
            header, tensors = found
            try:
                _unpack(loop, tensors)
            except (KeyError, RuntimeError, TypeError, ValueError) as error:
                raise self._damaged(error) from error
            loop.epoch, loop.history = int(header["epoch"]), list(header["history"])

    def _found(self, n_processes: int) -> tuple[dict[str, Any], dict[str, NDArray[Any]]] | None:
        """Return the state in the file if it belongs to this run."""
        if not self.exists():
            return None
        header, tensors = self._read()
        kept = dict(header["fingerprint"])
        for name in self._per_process:
            own = self._fingerprint[name]
            if kept.get(name, 0) * header.get("n_processes", 1) == own * n_processes:
                kept[name] = own
        changed = differences(kept, self._fingerprint, self._derived)
        if changed:
            raise ModelFileError(
                f"The checkpoint {self._path} belongs to another run: {'; '.join(changed)}. "
                "Use the same parameters and recordings to resume, or another folder to start anew."
            )
        return header, tensors

    def _read(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._path, framework="np") as file:
                header = _checked(json.loads(file.metadata()["doatrack-checkpoint"]))
                return header, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> ModelFileError:
        reason = " ".join(str(error).split())
        return ModelFileError(f"The checkpoint {self._path} is damaged ({reason}). Delete it to start anew.")


def _checked(header: Any) -> dict[str, Any]:
    """Return the header of a checkpoint if it is one."""
    kinds = {"epoch": int, "history": list, "fingerprint": dict}
    if not isinstance(header, dict) or any(not isinstance(header.get(key), kind) for key, kind in kinds.items()):
        raise ValueError(f"its header lacks {', '.join(kinds)}")
    return header


def _plain(value: Any) -> Any:
    """Return what JSON can hold of a value: numbers of NumPy are the same run as Python's."""
    return value.item() if isinstance(value, np.generic) else str(value)


def _pack(loop: TrainingLoop) -> dict[str, NDArray[Any]]:
    tensors = {f"module/{k}": v for k, v in loop.module.state_dict().items()}
    for index, state in loop.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{k}": torch.as_tensor(v) for k, v in state.items()}
    tensors["generator"] = loop.generator.get_state()
    # not ascontiguousarray, which turns the state of scalar parameters into vectors
    return {k: np.asarray(v.detach().cpu().numpy(), order="C") for k, v in tensors.items()}


def _unpack(loop: TrainingLoop, tensors: dict[str, NDArray[Any]]) -> None:
    module = {k.removeprefix("module/"): torch.from_numpy(v) for k, v in tensors.items() if k.startswith("module/")}
    loop.module.load_state_dict(module)
    optimizer = loop.optimizer.state_dict()
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, index, name = key.split("/")
            state.setdefault(int(index), {})[name] = torch.from_numpy(value)
    loop.optimizer.load_state_dict({"state": state, "param_groups": optimizer["param_groups"]})
    loop.generator.set_state(torch.from_numpy(tensors["generator"]))
