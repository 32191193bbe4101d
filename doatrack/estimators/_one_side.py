"""One of the directions that an array cannot tell apart, always the same, in place of a coin toss."""

import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray

from doatrack.estimators._frame_estimates import FrameEstimates
from doatrack.geometry import Ambiguity, DirectionGrid, MicArray
from doatrack.metrics import angular_error

__all__ = ["OneSide", "standing_ambiguity", "what_is_ambiguous"]

_WHOLE = 0.99  # share of the sphere
_NEVER = -1e6  # nats; finite, so that the motion model's arithmetic stays finite


def what_is_ambiguous(array: MicArray, grid: DirectionGrid) -> Ambiguity:
    """Return what an array cannot tell apart of the directions searched."""
    ambiguity = array.ambiguity
    if not ambiguity or grid.coverage > _WHOLE:
        return ambiguity
    return ambiguity.within(grid.directions, grid.spacing)


def standing_ambiguity(array: MicArray, grid: DirectionGrid) -> Ambiguity:
    """Return the ambiguity of which one direction stands for all; none where a search region says where sources are."""
    return array.ambiguity if grid.coverage > _WHOLE else Ambiguity()


class OneSide:
    """One of the directions that an array cannot tell apart, for an array and a grid.

    Parameters
    ----------
    array : MicArray
    grid : DirectionGrid
        A search region, which says where sources are, leaves all as it is.
    """

    def __init__(self, array: MicArray, grid: DirectionGrid) -> None:
        self._ambiguity, self._grid = standing_ambiguity(array, grid), grid

    def of_directions(self, frames: FrameEstimates) -> FrameEstimates:
        """Return the frames with every direction replaced by the one that stands for all with its delays."""
        if not self._ambiguity:
            return frames
        return dataclasses.replace(frames, doa=np.asarray(self._ambiguity.canonical(frames.doa), dtype=np.float64))

    def of_maps(self, frames: FrameEstimates) -> FrameEstimates:
        """Return the frames with a log-likelihood that leaves out the directions for which others stand.

        Two equal peaks have a broad, empty mean; of one, direction and concentration mean what they say.
        """
        frames = self.of_directions(frames)
        if not self._ambiguity or frames.log_likelihood is None:
            return frames
        return dataclasses.replace(frames, log_likelihood=np.where(self._standing, frames.log_likelihood, _NEVER))

    def of_maps_of_several(self, frames: FrameEstimates) -> FrameEstimates:
        """Return the frames with nothing to hear from directions for which others stand: there the map is its median.

        What several sources are found by (how far a map rises above the rest, what is left under another source)
        stays as it is, and the mirror image of one is not taken for a second.
        """
        if not self._ambiguity or frames.log_likelihood is None or not len(frames.log_likelihood):
            return frames
        middle = np.median(frames.log_likelihood, axis=-1, keepdims=True)
        return dataclasses.replace(frames, log_likelihood=np.where(self._standing, frames.log_likelihood, middle))

    @functools.cached_property
    def _standing(self) -> NDArray[np.bool_]:
        directions = self._grid.directions
        return angular_error(self._ambiguity.canonical(directions), directions) <= self._grid.spacing
