"""Many recordings, some at a time where the user's joblib context says so."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from doatrack._parallel import count_jobs, in_parallel
from doatrack.audio.recordings import Recordings

__all__ = ["chunks", "each_recording"]

_CHUNKS_PER_JOB = 4
"""Of recordings: a tracker's tables are built once for each, and whoever is done early takes another."""


def chunks(n_items: int, n_jobs: int) -> list[range]:
    """Return runs of numbers 0..n_items, enough for all jobs.

    Examples
    --------
    >>> chunks(10, 2)
    [range(0, 2), range(2, 4), range(4, 6), range(6, 8), range(8, 10)]
    >>> chunks(3, 1)
    [range(0, 3)]
    """
    size = n_items if n_jobs == 1 else -(-n_items // (_CHUNKS_PER_JOB * n_jobs))
    return [range(k, min(k + size, n_items)) for k in range(0, n_items, max(size, 1))]


def each_recording(work: Callable[[Recordings, int], Any], recordings: Recordings) -> list[Any]:
    """Return what work makes of each recording, in order.

    Parameters
    ----------
    work : callable
        `work(recordings, index)`, a bound method of a tracker or a `functools.partial` of one.
    recordings : Recordings

    Raises
    ------
    WorkerError
        If a worker process dies.
    """
    n_jobs = count_jobs(None)
    parts = [(recordings.only(part), part) for part in chunks(len(recordings), n_jobs)]
    way_out = "Nothing of this call is kept: give fewer recordings at a time, or use doatrack track, which writes each."
    found = in_parallel(functools.partial(_chunk, work), parts, None, way_out)
    return [result for part in found for result in part]


def _chunk(work: Callable[[Recordings, int], Any], part: tuple[Recordings, Sequence[int]]) -> list[Any]:
    recordings, indices = part
    return [work(recordings, k) for k in indices]
