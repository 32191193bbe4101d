"""Tracking many files, one after the other or several at a time."""

import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from doatrack._parallel import count_jobs, in_parallel
from doatrack.estimators._many import chunks
from doatrack.exceptions import DoatrackError

if TYPE_CHECKING:
    from doatrack.audio import AudioFile
    from doatrack.estimators._smoothing import Smoothing

__all__ = ["track_each"]

_Job = list[tuple[Any, "AudioFile"]]


def track_each(
    trackers: Sequence[Any], files: "Sequence[AudioFile]", smoothing: "Smoothing", n_jobs: int, way_out: str
) -> Iterator[Any]:
    """Yield the track of each file by its tracker in order, or the error that it ended with.

    Raises
    ------
    WorkerError
        If a worker process dies; it ends with `way_out`.
    """
    pairs = list(zip(trackers, files, strict=True))
    n = count_jobs(n_jobs)
    # one at a time there is nothing to gain from larger jobs
    jobs: list[_Job] = (
        [[pair] for pair in pairs] if n == 1 else [pairs[p.start : p.stop] for p in chunks(len(pairs), n)]
    )
    for found in in_parallel(functools.partial(_track, smoothing), jobs, n_jobs, way_out):
        yield from found


def _track(smoothing: "Smoothing", job: _Job) -> list[Any]:
    found: list[Any] = []
    for tracker, file in job:
        try:
            found.append(tracker.track(file, smoothing))
        except (DoatrackError, OSError) as error:
            found.append(error)
    return found
