"""Trackers fed with sound as it comes."""

import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from doatrack.estimators._core import TrackerCore
from doatrack.estimators._frame_estimates import FrameEstimates
from doatrack.estimators._frame_source import FrameHead, FrameSource
from doatrack.estimators._one_side import OneSide, what_is_ambiguous
from doatrack.estimators._online_join import FilterJoin, NoJoin, OnlineJoin
from doatrack.estimators._several_sources import track_of
from doatrack.exceptions import InvalidInputError, LookAheadWarning
from doatrack.geometry import Ambiguity
from doatrack.streaming import Stream
from doatrack.tracking import MultiTrack, Track

__all__ = ["StreamedTracker"]

_LONG_S = 1.0


class StreamedTracker(TrackerCore):
    """A tracker that can be fed with sound as it comes."""

    def stream(self, smoothing: Literal["filter"] | None = "filter") -> Stream:
        """Return a stream, which takes sound as it comes and gives what `track` with this smoothing would give.

        Parameters
        ----------
        smoothing : {"filter", None}
            "filter": each frame given all earlier ones, by the motion model. None: each as the method hears it. The
            smoother needs the whole recording.

        Returns
        -------
        Stream
            It keeps what the tracker is now: later changes of the tracker's parameters do not reach it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        InvalidInputError
            If the smoothing is another one.

        Warns
        -----
        LookAheadWarning
            If answers wait for more than a second of later sound, and `causal=True` would spare that.

        Examples
        --------
        >>> import numpy as np
        >>> from doatrack import MicArray, SRPPHAT
        >>> array = MicArray.from_preset("tetrahedron_4")
        >>> tracker = SRPPHAT(n_directions=200, causal=True).fit(np.zeros((4, 4096)), array)
        >>> stream = tracker.stream()
        >>> [stream.push(np.zeros((4, n), np.float32)).n_frames for n in (4000, 96, 0, 9000)]
        [0, 1, 0, 2]
        """
        check_is_fitted(self)
        if smoothing not in ("filter", None):
            raise InvalidInputError(
                f"A stream's smoothing must be 'filter' or None, got {smoothing!r}. The smoother needs the whole "
                "recording: use track()."
            )
        engine = _Engine(self, smoothing)
        stream = Stream(engine, self._frames(), self.array_.n_mics)
        if not self.causal and stream.look_ahead_s > _LONG_S:
            warnings.warn(
                f"Each answer of this stream waits for up to {stream.look_ahead_s:.1f} s of later sound, from which "
                "noise and activity are learned. tracker.set_params(causal=True) learns them from earlier sound only.",
                LookAheadWarning,
                stacklevel=2,
            )
        return stream

    def _head_for(self, smoothing: Literal["filter"] | None) -> FrameHead:
        """Return what makes frames for a track with this smoothing."""
        return self._head(maps=smoothing is not None, only_maps=True)

    def _join(self, smoothing: Literal["filter"] | None) -> OnlineJoin:
        """Return what joins frames as they come, as `_one_source` joins those of a recording."""
        if self._sources_from_maps and self.n_sources > 1:
            raise InvalidInputError(
                f"stream() follows one source, got n_sources={self.n_sources}. Set it to 1, or use track(), which "
                "follows several in a recording."
            )
        side = OneSide(self.array_, self.grid_)
        if smoothing is None:
            return NoJoin(lambda frames: self._believed(side.of_directions(frames), None))

        def before(frames: FrameEstimates) -> FrameEstimates:
            heard = frames if frames.log_likelihood is not None else self._believed(frames, None)
            return side.of_maps(heard)

        def after(frames: FrameEstimates) -> FrameEstimates:
            return self._believed(side.of_directions(frames), smoothing)

        return FilterJoin(self._transition(own_grid=self._makes_maps()), before, after)


class _Engine:
    """What a stream does with sound: frames, joined, as tracks."""

    def __init__(self, tracker: StreamedTracker, smoothing: Literal["filter"] | None) -> None:
        self._frames = tracker._frames()
        self._join = tracker._join(smoothing)
        self._source = FrameSource(tracker._feature_stream(), lambda: tracker._head_for(smoothing), prompt=True)
        self._ambiguity: Ambiguity = what_is_ambiguous(tracker.array_, tracker.grid_)
        self._nothing = self._join.lost(0)
        self._n_frames = 0
        samples = self._source.look_ahead_samples(tracker.hop_length)
        self.look_ahead_s = samples / tracker.sample_rate

    def push(self, samples: NDArray[np.float32]) -> Track | MultiTrack:
        return self._track(self._source.push(samples))

    def gap(self, n_samples: int) -> Track | MultiTrack:
        return self._track(self._source.gap(n_samples))

    def finish(self) -> Track | MultiTrack:
        return self._track(self._source.finish())

    def _track(self, found: list[FrameEstimates | int]) -> Track | MultiTrack:
        parts = [self._join.lost(part) if isinstance(part, int) else self._join.push(part) for part in found]
        frames = FrameEstimates.joined(parts) if parts else self._nothing
        times = self._frames.times(len(frames.doa), self._n_frames)
        self._n_frames += len(frames.doa)
        return track_of(times, frames, self._ambiguity)
