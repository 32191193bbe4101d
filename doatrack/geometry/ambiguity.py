"""Directions that an array cannot tell apart, because they give the same delays."""

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike

from doatrack._validation import FloatArray, check_array, check_choice, check_int, check_real, check_unit_vectors
from doatrack.exceptions import InvalidInputError

__all__ = ["Ambiguity"]

_NEAR = 1.5  # grid spacings within which a direction counts as on the grid
_LEAST_SHARE = 0.05
_TOWARDS_FRONT = 0.9
_OF_A_CONE = 12


@dataclasses.dataclass(frozen=True)
class Ambiguity:
    """What an array cannot tell apart: nothing, a direction and its mirror image, or all directions of a cone.

    Parameters
    ----------
    kind : {"none", "mirror", "cone"}
        "mirror": microphones in a plane; "cone": microphones on a line.
    axis : tuple of 3 floats
        Unit normal of the plane, or axis of the line; (0, 0, 0) for "none".

    Examples
    --------
    >>> flat = Ambiguity("mirror", (0.0, 0.0, 1.0))
    >>> flat.equivalent([0.8, 0.0, 0.6]).tolist()
    [[0.8, 0.0, 0.6], [0.8, 0.0, -0.6]]
    >>> bool(Ambiguity())
    False
    >>> print(flat)
    a direction and its mirror image through the plane with the normal [0.0, 0.0, 1.0] give the same delays
    """

    kind: str = "none"
    axis: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, ("none", "mirror", "cone"))
        axis = check_array("axis", self.axis, (3,))
        if self.kind == "none" and axis.any():
            raise InvalidInputError(f"axis must be (0, 0, 0) where nothing is ambiguous, got {axis.tolist()}.")
        if self.kind != "none":
            check_unit_vectors("axis", axis)
        object.__setattr__(self, "axis", tuple(axis.tolist()))

    def __bool__(self) -> bool:
        return self.kind != "none"

    def __str__(self) -> str:
        axis = np.round(self.axis, 3).tolist()
        return {
            "none": "none",
            "mirror": f"a direction and its mirror image through the plane with the normal {axis} give the same delays",
            "cone": f"all directions on a cone around the axis {axis} give the same delays: only the angle to it is "
            "known",
        }[self.kind]

    def equivalent(self, doa: ArrayLike, n_directions: int = 36) -> FloatArray:
        """Return all directions with the same delays.

        Parameters
        ----------
        doa : array-like of shape (..., 3)
            Unit vectors; rows of NaN stay unknown.
        n_directions : int
            How many directions stand for a cone.

        Returns
        -------
        ndarray of shape (..., n_equivalent, 3)
            The given direction first: 1 where nothing is ambiguous, 2 for a mirror, `n_directions` for a cone, at equal
            steps around the axis.
        """
        directions = check_unit_vectors("doa", doa)
        if self.kind == "none":
            return directions[..., None, :].copy()
        axis = np.array(self.axis)
        along = (directions @ axis)[..., None] * axis
        if self.kind == "mirror":
            return np.stack([directions, directions - 2 * along], axis=-2)
        turn = np.arange(check_int("n_directions", n_directions, 2)) * (2 * math.pi / n_directions)
        across = directions - along
        sideways = np.cross(axis, across)
        around = np.cos(turn)[:, None] * across[..., None, :] + np.sin(turn)[:, None] * sideways[..., None, :]
        return np.asarray(along[..., None, :] + around)

    def nearest(self, doa: ArrayLike, target: ArrayLike) -> FloatArray:
        """Return the direction with the same delays that is nearest to a target.

        With the truth as target, errors are counted modulo the ambiguity.

        Parameters
        ----------
        doa : array-like of shape (..., 3)
            Unit vectors.
        target : array-like of shape (..., 3)
            Directions of any length above 0.

        Returns
        -------
        ndarray of shape (..., 3)
        """
        directions = check_unit_vectors("doa", doa)
        wanted = check_array("target", target, ("...", 3), finite=False)
        directions, wanted = np.broadcast_arrays(directions, wanted)
        if self.kind == "none":
            return directions.copy()
        axis = np.array(self.axis)
        height = (directions @ axis)[..., None]
        side = (wanted @ axis)[..., None]
        if self.kind == "mirror":
            return np.asarray(np.where(height * side < 0, directions - 2 * height * axis, directions))
        across = wanted - side * axis
        length = np.linalg.norm(across, axis=-1, keepdims=True)
        own = directions - height * axis
        radius = np.linalg.norm(own, axis=-1, keepdims=True)
        # a target on the axis is as far from every direction of the cone
        around = np.where(length > 1e-12, radius * across / np.maximum(length, 1e-12), own)
        return np.asarray(height * axis + around)

    def canonical(self, doa: ArrayLike) -> FloatArray:
        """Return the direction that stands for all with the same delays.

        Of a mirror that on the side of the normal (up for a board that lies flat); of a cone that in the half-plane
        between the axis and the front (the left for an axis towards the front).

        Parameters
        ----------
        doa : array-like of shape (..., 3)
            Unit vectors.

        Returns
        -------
        ndarray of shape (..., 3)
        """
        if self.kind == "mirror":
            return self.nearest(doa, self.axis)
        front, left = np.eye(3)[:2]
        return self.nearest(doa, left if abs(self.axis[0]) > _TOWARDS_FRONT else front)

    def within(self, directions: ArrayLike, spacing: float) -> "Ambiguity":
        """Return what is left of the ambiguity where only some directions are searched.

        Parameters
        ----------
        directions : array-like of shape (n_directions, 3)
            The directions searched, such as `DirectionGrid.directions`.
        spacing : float
            Typical angle in radians between neighbouring ones, such as `DirectionGrid.spacing`.

        Returns
        -------
        Ambiguity
            "none" if hardly any of them has another one with the same delays, as in the upper half of a mirror.
        """
        searched = check_array("directions", directions, ("n_directions", 3))
        reach = math.cos(min(_NEAR * check_real("spacing", spacing, 0.0), math.pi))
        if self.kind == "none":
            return self
        others = self.equivalent(searched, _OF_A_CONE)[:, 1:]
        # near the plane or the axis a direction is its own image
        apart = (others * searched[:, None]).sum(axis=-1) < math.cos(2 * math.acos(reach))
        reached = np.stack([(others[:, k] @ searched.T).max(axis=1) for k in range(others.shape[1])], axis=1) > reach
        return self if (apart & reached).any(axis=1).mean() > _LEAST_SHARE else Ambiguity()
