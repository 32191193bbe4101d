"""Independent jobs through joblib: processes here, or the cluster that the user's context names."""

import itertools
import os
import platform
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from doatrack.exceptions import WorkerError

__all__ = ["count_jobs", "in_parallel"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_DEATHS = ("KilledWorker", "WorkerCrashedError", "RayActorError", "NodeDiedError")
"""What Dask and Ray raise when a worker dies; named, since neither need be installed."""

_WAITING_PER_JOB = 4
"""How many jobs a cluster is given at a time for each of its cores: a slow one leaves work for the others."""


def count_jobs(n_jobs: int | None) -> int:
    """Return how many jobs run at a time: -1 is one per core, None what the user's `joblib.parallel_config` says, or 1.

    Examples
    --------
    >>> import joblib
    >>> count_jobs(None), count_jobs(2)
    (1, 2)
    >>> with joblib.parallel_config("threading", n_jobs=3):
    ...     count_jobs(None)
    3
    """
    from joblib import effective_n_jobs

    return int(effective_n_jobs(n_jobs))


def in_parallel(
    function: Callable[[_Item], _Result], items: Sequence[_Item], n_jobs: int | None, way_out: str
) -> Iterator[_Result]:
    """Yield the results of a function in order, as soon as each and those before it are there.

    Other processes use one thread each, so that all together use no more than there are cores.

    Parameters
    ----------
    function : callable
        Picklable, like items and results, where there are several processes.
    items : sequence
    n_jobs : int, optional
        As for `count_jobs`.
    way_out : str
        What is kept, and what to do, if a worker dies.

    Raises
    ------
    WorkerError
        If a worker dies, such as for want of memory.

    Examples
    --------
    >>> list(in_parallel(abs, [-1, 2, -3], n_jobs=None, way_out=""))
    [1, 2, 3]
    """
    dask = _dask_backend(n_jobs)
    if dask is None and count_jobs(n_jobs) == 1:
        yield from map(function, items)
        return
    # joblib starts all processes at once, whether there is work for them or not
    most = max(len(items), 2)
    n_jobs = most if dask is None and count_jobs(n_jobs) > most else n_jobs
    tasks = [(_process(), function, item) for item in items]
    done = 0
    try:
        for result in _on_joblib(tasks, n_jobs) if dask is None else _on_dask(tasks, dask, count_jobs(n_jobs)):
            yield result
            done += 1
    except Exception as error:
        if not _is_death(error):
            raise
        raise WorkerError(
            f"A worker process died at job {done + 1} of {len(items)} or one of the next (often: no memory left; fewer "
            f"jobs need less). {way_out}"
        ) from error


def _dask_backend(n_jobs: int | None) -> Any:
    """Return joblib's backend for the Dask cluster that the user's context names, or None."""
    from joblib.parallel import get_active_backend

    active = get_active_backend()[0]
    return active if n_jobs != 1 and hasattr(active, "client") else None


def _on_dask(tasks: Sequence[tuple[Any, ...]], dask: Any, n_jobs: int) -> Iterator[Any]:
    """Yield what a Dask cluster makes of tasks.

    Through its client: the backend itself (joblib 1.6) waits for ever for a job whose workers die.
    """
    left = iter(tasks)
    waiting = deque(_submit(dask, task) for task in itertools.islice(left, _WAITING_PER_JOB * n_jobs))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(_submit(dask, task) for task in itertools.islice(left, 1))
        yield result


def _submit(dask: Any, task: tuple[Any, ...]) -> Any:
    with warnings.catch_warnings():
        # recordings in memory go with their job, so that it can be done again elsewhere
        warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
        return dask.client.submit(_one_thread, *task, pure=False, **getattr(dask, "submit_kwargs", {}))


def _on_joblib(tasks: Iterable[tuple[Any, ...]], n_jobs: int | None) -> Iterable[Any]:
    """Return what the backend makes of tasks, as results come where it can."""
    from joblib import Parallel, delayed

    try:
        pool = Parallel(n_jobs=n_jobs, return_as="generator")
    except ValueError:
        pool = Parallel(n_jobs=n_jobs)
    return pool(delayed(_one_thread)(*task) for task in tasks)


def _process() -> tuple[str, int]:
    """Return what tells this process from those of other machines and containers too."""
    return platform.node(), os.getpid()


def _one_thread(parent: tuple[str, int], function: Callable[[_Item], _Result], item: _Item) -> _Result:
    if _process() != parent:
        import torch

        torch.set_num_threads(1)  # in a worker process of its own
    return function(item)


def _is_death(error: BaseException) -> bool:
    return isinstance(error, BrokenProcessPool) or any(kind.__name__ in _DEATHS for kind in type(error).__mro__)
