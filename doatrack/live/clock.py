"""Whether a stream of samples keeps pace with the clock: drift of its rate, and sound that comes late."""

import math

import numpy as np

from doatrack.live.messages import LiveEvent

__all__ = ["ClockMonitor"]

_BIN_S = 5.0  # the earliest chunk of so many seconds had the least delay on its way
_FEWEST_BINS, _MOST_BINS = 12, 120  # a minute; ten minutes
_NO_CLOCK = 0.02  # a rate that is off by more is not a clock's fault
_SURE = 4.0  # standard errors


class ClockMonitor:
    """Compare counted samples with the time of their arrival.

    Delays on the way only ever add, so the least delay in some seconds follows the source's clock. A straight line
    through these minima is the error of the sample rate; a step up is sound that was lost or held up.

    Parameters
    ----------
    sample_rate : int
        As the source claims it, in Hz.
    drift_ppm : float
        Least error of the rate that is reported, in millionths.
    late_s : float
        Least step that is reported, in seconds.

    Examples
    --------
    >>> monitor = ClockMonitor(16000)  # a device that gives 16008 samples per second
    >>> events = [monitor.heard(1600 * k, 1600 * k / 16008) for k in range(1000)]
    >>> [event.values["drift_ppm"] for found in events for event in found]
    [500.0]
    """

    def __init__(self, sample_rate: int, drift_ppm: float = 200.0, late_s: float = 0.2) -> None:
        self._rate = sample_rate
        self._drift_ppm = drift_ppm
        self._late_s = late_s
        self._told_ppm = 0.0
        self._told_late_s = 0.0
        self.restart()

    def restart(self) -> None:
        """Forget what was heard: after a pause, or where times tell nothing."""
        self._minima: list[tuple[float, float]] = []
        self._least = math.inf
        self._bin_end = math.nan
        self._bin_least = (math.inf, math.inf)

    def heard(self, n_samples: int, now_s: float) -> list[LiveEvent]:
        """Take note that so many samples in all, lost ones included, had come at a time; return what is to be said.

        Parameters
        ----------
        n_samples : int
            Since the beginning of the stream.
        now_s : float
            Of a clock that never jumps, in seconds.
        """
        if math.isnan(self._bin_end):
            self._bin_end = now_s + _BIN_S
        events: list[LiveEvent] = []
        if now_s >= self._bin_end:
            events = self._close_bin()
            self._bin_end, self._bin_least = now_s + _BIN_S, (math.inf, math.inf)
        self._bin_least = min(self._bin_least, (now_s - n_samples / self._rate, now_s))
        return events

    def _close_bin(self) -> list[LiveEvent]:
        offset, when = self._bin_least
        step = offset - self._minima[-1][1] if self._minima else 0.0
        if abs(step) > self._late_s / 2:
            self._minima = []
        self._minima = [*self._minima[1 - _MOST_BINS :], (when, offset)]
        self._least = min(self._least, offset)
        return [*self._late(offset - self._least, step), *self._drift()]

    def _late(self, late_s: float, step: float) -> list[LiveEvent]:
        if late_s < self._told_late_s / 2:
            self._told_late_s = 0.0  # it has caught up
        if step <= self._late_s / 2 or late_s < max(self._late_s, 2 * self._told_late_s):
            return []
        self._told_late_s = late_s
        text = (
            f"Sound comes {late_s:.2f} s later than at first: it was held up, or lost before it came here. Times count "
            "the samples that came."
        )
        return [LiveEvent("late", text, values={"late_s": late_s})]

    def _drift(self) -> list[LiveEvent]:
        if len(self._minima) < _FEWEST_BINS:
            return []
        when, offset = np.array(self._minima).T
        (slope, _), covariance = np.polyfit(when - when.mean(), offset, 1, cov=True)
        drift, error = -slope, math.sqrt(max(covariance[0, 0], 0.0))
        ppm = float(np.round(drift * 1e6))
        if not self._drift_ppm <= abs(ppm) < _NO_CLOCK * 1e6 or abs(drift) < _SURE * error:
            return []
        if abs(ppm - self._told_ppm) < self._drift_ppm:
            return []
        self._told_ppm = ppm
        way = "fast" if ppm > 0 else "slow"
        text = (
            f"The sample rate is {abs(ppm):.0f} ppm {way}: times differ from the clock by {abs(ppm) * 3.6e-3:.2f} s "
            "more each hour."
        )
        return [LiveEvent("drift", text, values={"drift_ppm": ppm})]
