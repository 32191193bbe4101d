"""Events that come in floods, told now and then with their sum."""

import dataclasses
from collections.abc import Callable

from doatrack.live.messages import LiveEvent

__all__ = ["Throttle"]

_EVERY_S = 5.0


class Throttle:
    """Let the first event of a kind pass at once, and those that follow within some seconds as one.

    Parameters
    ----------
    clock : callable
        Gives seconds.

    Examples
    --------
    >>> throttle = Throttle(clock=lambda: 0.0)
    >>> told = [throttle.take(LiveEvent("gap", "Lost.", lost_s=0.5)) for _ in range(3)]
    >>> [len(events) for events in told], throttle.due(everything=True)[0].lost_s
    ([1, 0, 0], 1.0)
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told: dict[str, float] = {}
        self._held: dict[str, tuple[int, LiveEvent]] = {}

    def take(self, event: LiveEvent) -> list[LiveEvent]:
        """Return what is to be told now."""
        now = self._clock()
        if now - self._told.get(event.kind, -_EVERY_S) >= _EVERY_S and event.kind not in self._held:
            self._told[event.kind] = now
            return [event]
        n, before = self._held.get(event.kind, (0, dataclasses.replace(event, lost_s=0.0)))
        self._held[event.kind] = (n + 1, dataclasses.replace(event, lost_s=before.lost_s + event.lost_s))
        return []

    def due(self, everything: bool = False) -> list[LiveEvent]:
        """Return what was held back long enough, or all of it."""
        now, events = self._clock(), []
        for kind in list(self._held):
            if everything or now - self._told[kind] >= _EVERY_S:
                n, event = self._held.pop(kind)
                self._told[kind] = now
                more = f" ({n} times, {event.lost_s:.3f} s in all.)" if event.lost_s else f" ({n} times.)"
                events.append(dataclasses.replace(event, message=event.message + more) if n > 1 else event)
        return events
