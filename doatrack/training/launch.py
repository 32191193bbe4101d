"""Start processes that learn together, and tell which of them died."""

import json
import os
import pathlib
import pickle
import signal
import socket
import tempfile
from collections.abc import Callable
from typing import Any

import torch
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, start_processes

from doatrack import exceptions
from doatrack.exceptions import DoatrackError, InvalidInputError, WorkerError
from doatrack.training.fabric_processes import FabricProcesses
from doatrack.training.processes import Processes

__all__ = ["Work", "join_processes", "launch", "started_outside"]

Work = Callable[[Processes], dict[str, Any]]
"""What each process does; what the first one returns, tensors and plain values, is the result."""

_RESULT = "result.pt"


def started_outside() -> bool:
    """Return whether this process is one of several that `torchrun` or `fabric run` started."""
    return torch.distributed.is_available() and torch.distributed.is_torchelastic_launched()


def join_processes(device: str, devices: int, num_nodes: int, precision: str) -> Processes | None:
    """Return the processes that this one learns with; None if they have to be started.

    Raises
    ------
    InvalidInputError
        If several machines are asked for and nobody started processes on them.
    """
    if devices * num_nodes == 1:
        return Processes(device, precision)
    if torch.device(device).index is not None:
        kind = torch.device(device).type
        raise InvalidInputError(
            f"devices={devices} takes one device for each process, so device must be a kind, got {device!r}. "
            f"Give device={kind!r}; CUDA_VISIBLE_DEVICES chooses which ones."
        )
    if started_outside():
        return FabricProcesses(device, devices, num_nodes, precision)
    if num_nodes > 1:
        raise InvalidInputError(
            f"num_nodes={num_nodes} needs a process for each device on every machine, started together: run the same "
            f"program there by 'torchrun --nnodes {num_nodes} --nproc-per-node {devices} --rdzv-backend c10d "
            "--rdzv-endpoint FIRST_MACHINE:29500 ...' or 'fabric run'."
        )
    return None


def launch(work: Work, device: str, devices: int, precision: str, way_out: str) -> dict[str, Any]:
    """Do work in several new processes of this machine and return the first one's result.

    Processes are spawned, so that it works with CUDA and from notebooks; a script needs the usual
    `if __name__ == "__main__":`.

    Parameters
    ----------
    work : callable
        Picklable; called with the processes in each of them.
    device, devices, precision
        As for `FabricProcesses`.
    way_out : str
        What to do if a process dies.

    Raises
    ------
    WorkerError
        If a process dies; the others are stopped.
    DoatrackError
        What the work raises.
    """
    with tempfile.TemporaryDirectory(prefix="doatrack-processes-") as name:
        folder = pathlib.Path(name)
        (folder / "work").write_bytes(pickle.dumps(work))
        threads = max(1, torch.get_num_threads() // devices)
        context: Any = start_processes(
            _work_in_process,
            (folder, device, devices, precision, threads, _free_port()),
            nprocs=devices,
            join=False,
            start_method="spawn",
        )
        try:
            while not context.join():
                pass
        except (ProcessExitedException, ProcessRaisedException) as error:
            raise _explained(folder, context.processes, error, way_out) from error
        finally:
            for process in context.processes:
                if process.is_alive():
                    process.kill()
        result: dict[str, Any] = torch.load(folder / _RESULT, weights_only=True)
        return result


def _work_in_process(
    rank: int, folder: pathlib.Path, device: str, devices: int, precision: str, threads: int, port: int
) -> None:
    """Be one of the processes."""
    (folder / f"began-{rank}").touch()
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ.update({"LOCAL_RANK": str(rank), "NODE_RANK": "0", **address})
    torch.set_num_threads(threads)
    work: Work = pickle.loads((folder / "work").read_bytes())  # noqa: S301  (our own bytes)
    try:
        processes = FabricProcesses(device, devices, 1, precision, own=True)
        result = work(processes)
        if rank == 0:
            torch.save(result, folder / _RESULT)
        processes.wait()
        torch.distributed.destroy_process_group()
    except DoatrackError as error:
        (folder / f"error-{rank}").write_text(json.dumps([type(error).__name__, str(error)]), encoding="utf-8")
        raise


def _explained(folder: pathlib.Path, processes: list[Any], error: Any, way_out: str) -> DoatrackError:
    """Return what went wrong first: an error of the work, or the death of a process."""
    killed = [k for k, p in enumerate(processes) if (p.exitcode or 0) < 0 and p.exitcode != -signal.SIGTERM]
    if not killed:
        for file in sorted(folder.glob("error-*")):
            name, message = json.loads(file.read_text(encoding="utf-8"))
            if name != WorkerError.__name__:
                raised: DoatrackError = getattr(exceptions, name)(message)
                return raised
    rank = killed[0] if killed else int(error.error_index)
    count = len(processes)
    if not (folder / f"began-{rank}").exists():
        return WorkerError(
            f"Process {rank} of {count} (counted from 0) could not begin: see its message above. In a script, what "
            "starts learning in several processes must be under 'if __name__ == \"__main__\":'."
        )
    how = f"was killed by {signal.Signals(-processes[rank].exitcode).name}" if killed else "failed"
    why = " (often: no memory left)" if killed and processes[rank].exitcode == -signal.SIGKILL else ""
    told = "" if killed else f" {str(error).strip().splitlines()[-1]}."
    return WorkerError(
        f"Process {rank} of {count} (counted from 0) {how}{why} while learning;{told} the others were stopped. "
        f"{way_out}"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
