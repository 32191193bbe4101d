"""One of the directions that an array cannot tell apart, always the same, in place of a coin toss."""

import dataclasses

import numpy as np

from doatrack.estimators._frame_estimates import FrameEstimates
from doatrack.geometry import Ambiguity, DirectionGrid, MicArray, array_ambiguity
from doatrack.metrics import angular_error

__all__ = ["one_side", "one_side_of_map", "standing_ambiguity", "what_is_ambiguous"]

_WHOLE = 0.99  # share of the sphere
_NEVER = -1e6  # nats; finite, so that the motion model's arithmetic stays finite


def what_is_ambiguous(array: MicArray, grid: DirectionGrid) -> Ambiguity:
    """Return what an array cannot tell apart of the directions searched."""
    ambiguity = array_ambiguity(array)
    if not ambiguity or grid.coverage > _WHOLE:
        return ambiguity
    return ambiguity.within(grid.directions, grid.spacing)


def standing_ambiguity(array: MicArray, grid: DirectionGrid) -> Ambiguity:
    """Return the ambiguity of which one direction stands for all; none where a search region says where sources are."""
    return array_ambiguity(array) if grid.coverage > _WHOLE else Ambiguity()


def one_side(frames: FrameEstimates, array: MicArray, grid: DirectionGrid) -> FrameEstimates:
    """Return the frames with every direction replaced by the one that stands for all with its delays."""
    ambiguity = standing_ambiguity(array, grid)
    if not ambiguity:
        return frames
    return dataclasses.replace(frames, doa=np.asarray(ambiguity.canonical(frames.doa), dtype=np.float64))


def one_side_of_map(frames: FrameEstimates, array: MicArray, grid: DirectionGrid) -> FrameEstimates:
    """Return the frames with a log-likelihood that leaves out the directions for which others stand.

    Two equal peaks have a broad, empty mean; of one, direction and concentration mean what they say.
    """
    frames, ambiguity = one_side(frames, array, grid), standing_ambiguity(array, grid)
    if not ambiguity or frames.log_likelihood is None:
        return frames
    standing = angular_error(ambiguity.canonical(grid.directions), grid.directions) <= grid.spacing
    return dataclasses.replace(frames, log_likelihood=np.where(standing, frames.log_likelihood, _NEVER))
