"""Trackers fed with sound as it comes."""

import dataclasses
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from doatrack.audio.recordings import Recordings
from doatrack.distributions import credible_angle
from doatrack.estimators._core import TrackerCore
from doatrack.estimators._frame_estimates import FrameEstimates
from doatrack.estimators._frame_source import FrameHead, FrameSource
from doatrack.estimators._one_side import OneSide, what_is_ambiguous
from doatrack.estimators._online_join import FilterJoin, NoJoin, OnlineJoin, SeveralJoin, SourcesJoin
from doatrack.estimators._several_sources import peaks_of_frames, track_of
from doatrack.estimators._smoothing import Smoothing, check_smoothing, log_likelihood_of, smoother_weights, weight_of
from doatrack.exceptions import InvalidInputError, LookAheadWarning
from doatrack.geometry import Ambiguity
from doatrack.streaming import Stream
from doatrack.tracking import MultiTrack, SourceLinker, Track
from doatrack.tracking.agreement import mean_agreement
from doatrack.tracking.smoother_by_parts import smoothed_directions

__all__ = ["StreamedTracker"]

_LONG_S = 1.0
_GROUP_FRAMES = 512


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
        if smoothing is not None and not (isinstance(smoothing, str) and smoothing == "filter"):
            raise InvalidInputError(
                f"A stream's smoothing must be 'filter' or None, got {smoothing!r}. The smoother needs the whole "
                "recording: use track()."
            )
        self._follow_parameters()
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
        return self._head(maps=smoothing is not None or self._follows_several(), only_maps=True)

    def _join(self, smoothing: Literal["filter"] | None) -> OnlineJoin:
        """Return what joins frames as they come, as `_one_source` joins those of a recording."""
        grid, side = self.grid_, OneSide(self.array_, self.grid_)
        if self._follows_several():
            if smoothing is not None:
                return SourcesJoin(self._transition(own_grid=True), self.n_sources, side)
            peaks, link = self._peaks(), SourceLinker(self.n_sources)

            def find(frames: FrameEstimates) -> FrameEstimates:
                return side.of_directions(peaks_of_frames(side.of_maps_of_several(frames), grid, peaks, link))

            return SeveralJoin(find, self.n_sources)
        if smoothing is None:
            return NoJoin(lambda frames: self._believed(side.of_directions(frames), None))

        def after(frames: FrameEstimates) -> FrameEstimates:
            return self._believed(side.of_directions(frames), smoothing)

        transition = self._transition(own_grid=self._makes_maps())
        return FilterJoin(transition, self._step_s, lambda frames: self._heard(frames, side), after)

    def _heard(self, frames: FrameEstimates, side: OneSide) -> FrameEstimates:
        """Return what frames tell to the motion model."""
        return side.of_maps(frames if frames.log_likelihood is not None else self._believed(frames, None))

    def _joined(self, recordings: Recordings, index: int, smoothing: Smoothing) -> FrameEstimates:
        """Return the frames of one recording; joined part by part, so that maps of a long one need little memory."""
        check_smoothing(smoothing)
        if smoothing is None or self._follows_several():
            return super()._joined(recordings, index, smoothing)
        found = self._in_parts(recordings, index)
        if smoothing == "filter":
            join = self._join(smoothing)
            parts = [dataclasses.replace(join.push(part), log_likelihood=None) for part in found]
            return FrameEstimates.joined(parts) if parts else self._too_short(recordings, index)
        side = OneSide(self.array_, self.grid_)
        parts = list(_grouped(_with_small_map(self._heard(part, side)) for part in found))
        return self._smoothed(parts, side) if parts else self._too_short(recordings, index)

    def _in_parts(self, recordings: Recordings, index: int) -> Iterator[FrameEstimates]:
        tracker = self._believing(recordings, index)
        source = FrameSource(tracker._feature_stream(), lambda: tracker._head_for("filter"), prompt=False)
        for block in recordings.blocks(index):
            yield from (part for part in source.push(block) if isinstance(part, FrameEstimates))
        yield from (part for part in source.finish() if isinstance(part, FrameEstimates))

    def _smoothed(self, parts: list[FrameEstimates], side: OneSide) -> FrameEstimates:
        """Return what the smoother makes of a recording's parts."""
        transition = self._transition(own_grid=parts[0].log_likelihood is not None)
        likelihoods = [log_likelihood_of(part, transition.grid) for part in parts]
        counted = smoother_weights(parts, self._step_s)
        doa, concentration, agreement = smoothed_directions(likelihoods, counted, transition)
        weights = np.concatenate([weight_of(part) for part in parts])
        agreement = mean_agreement(agreement, weights, self._step_s)
        angle = credible_angle(torch.from_numpy(concentration), 0.9).numpy()
        joined = dataclasses.replace(
            _without_maps(parts), doa=doa, concentration=concentration, credible_angle=angle, agreement=agreement
        )
        return self._believed(side.of_directions(joined), "smoother")


def _without_maps(parts: list[FrameEstimates]) -> FrameEstimates:
    return FrameEstimates.joined([dataclasses.replace(part, log_likelihood=None) for part in parts])


class _Engine:
    """What a stream does with sound: frames, joined, as tracks.

    Nothing that it keeps is ever learned through, and tensors without the bookkeeping for that take a tenth less time.
    """

    def __init__(self, tracker: StreamedTracker, smoothing: Literal["filter"] | None) -> None:
        self._frames = tracker._frames()
        self._join = tracker._join(smoothing)
        self._source = FrameSource(tracker._feature_stream(), lambda: tracker._head_for(smoothing), prompt=True)
        self._ambiguity: Ambiguity = what_is_ambiguous(tracker.array_, tracker.grid_)
        self._nothing = track_of(self._frames.times(0), self._join.lost(0), self._ambiguity)
        self._n_frames = 0
        samples = self._source.look_ahead_samples(tracker.hop_length)
        self.look_ahead_s = samples / tracker.sample_rate

    @torch.inference_mode()
    def push(self, samples: NDArray[np.float32]) -> Track | MultiTrack:
        return self._track(self._source.push(samples))

    @torch.inference_mode()
    def gap(self, n_samples: int) -> Track | MultiTrack:
        return self._track(self._source.gap(n_samples))

    @torch.inference_mode()
    def finish(self) -> Track | MultiTrack:
        return self._track(self._source.finish())

    def _track(self, found: list[FrameEstimates | int]) -> Track | MultiTrack:
        if not found:
            return self._nothing  # most chunks are shorter than a frame
        parts = [self._join.lost(part) if isinstance(part, int) else self._join.push(part) for part in found]
        frames = FrameEstimates.joined(parts)
        times = self._frames.times(len(frames.doa), self._n_frames)
        self._n_frames += len(frames.doa)
        return track_of(times, frames, self._ambiguity)


def _grouped(parts: Iterable[FrameEstimates]) -> Iterator[FrameEstimates]:
    """Yield the frames in fewer, larger parts: many small arrays that stay would leave holes in memory."""
    held: list[FrameEstimates] = []
    for part in parts:
        held.append(part)
        if sum(len(some.doa) for some in held) >= _GROUP_FRAMES:
            yield FrameEstimates.joined(held)
            held = []
    if held:
        yield FrameEstimates.joined(held)


def _with_small_map(frames: FrameEstimates) -> FrameEstimates:
    """Return the frames with the map in single precision where nothing is lost: most come from it."""
    if frames.log_likelihood is None:
        return frames
    small: Any = frames.log_likelihood.astype(np.float32)
    return dataclasses.replace(frames, log_likelihood=small) if np.array_equal(small, frames.log_likelihood) else frames
