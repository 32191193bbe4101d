"""Read the next batch while this one is learned from."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

__all__ = ["ahead"]

_T = TypeVar("_T")


class _Ended:
    """What comes after the last item, with the error that ended it, if one did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(items: Iterable[_T], change: Callable[[_T], _T] = lambda item: item, count: int = 2) -> Iterator[_T]:
    """Yield changed items in order, made by a thread that stays a few ahead.

    Parameters
    ----------
    items : iterable
    change : callable
        Done in the thread, such as pinning memory.
    count : int
        How many items may wait.

    Examples
    --------
    >>> list(ahead(range(3), lambda k: 10 * k))
    [0, 10, 20]
    """
    waiting: queue.Queue[_T | _Ended] = queue.Queue(maxsize=count)
    stopped = threading.Event()

    def put(value: _T | _Ended) -> None:
        while not stopped.is_set():
            try:
                waiting.put(value, timeout=0.1)
                return
            except queue.Full:
                continue

    def make() -> None:
        try:
            for item in items:
                put(change(item))
                if stopped.is_set():
                    return
        except BaseException as error:  # noqa: BLE001  (raised by the reader)
            put(_Ended(error))
        else:
            put(_Ended())

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while not isinstance(item := waiting.get(), _Ended):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        thread.join()
