"""Independent jobs through joblib: processes here, or the cluster that the user's context names."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from doatrack.exceptions import WorkerError

__all__ = ["count_jobs", "in_parallel"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_DEATHS = ("KilledWorker", "WorkerCrashedError", "RayActorError", "NodeDiedError")
"""What Dask and Ray raise when a worker dies; named, since neither need be installed."""


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
    if count_jobs(n_jobs) == 1:
        yield from map(function, items)
        return
    from joblib import delayed

    tasks = [delayed(_one_thread)(os.getpid(), function, item) for item in items]
    done = 0
    try:
        for result in _pool(n_jobs)(tasks):
            yield result
            done += 1
    except Exception as error:
        if not _is_death(error):
            raise
        raise WorkerError(
            f"A worker process died at job {done + 1} of {len(items)} or one of the next (often: no memory left; fewer "
            f"jobs need less). {way_out}"
        ) from error


def _pool(n_jobs: int | None) -> Any:
    """Return a pool that gives results as they come, where the backend can."""
    from joblib import Parallel

    try:
        return Parallel(n_jobs=n_jobs, return_as="generator")
    except ValueError:
        return Parallel(n_jobs=n_jobs)


def _one_thread(parent: int, function: Callable[[_Item], _Result], item: _Item) -> _Result:
    if os.getpid() != parent:
        import torch

        torch.set_num_threads(1)  # in a worker process of its own
    return function(item)


def _is_death(error: BaseException) -> bool:
    return isinstance(error, BrokenProcessPool) or type(error).__name__ in _DEATHS
