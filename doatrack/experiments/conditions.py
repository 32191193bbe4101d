"""What the experiments of the paper differ in: the noise, and how well microphone positions are known."""

from dataclasses import dataclass

import numpy as np

from doatrack._validation import check_real
from doatrack.geometry import MicArray
from doatrack.simulation import SceneSettings

__all__ = ["CONDITIONS", "PUBLISHED_NOISE_SHARE", "Condition", "moved_microphones"]

PUBLISHED_NOISE_SHARE = 1 / 156
"""The interferer of the reference code has one impulse response against 156 points of the talker's path, so that it
sounds in the first 1/156 of a recording only."""


@dataclass(frozen=True)
class Condition:
    """A setting that methods are trained and tested in (section 5.1).

    Parameters
    ----------
    name : str
        Names folders.
    title : str
    noise : str
        As in `SceneSettings`.
    noise_share : float
        As in `SceneSettings`.
    position_error : float
        Standard deviation in metres by which each coordinate of each microphone differs from what trackers are told.

    Examples
    --------
    >>> CONDITIONS["sensor"].settings(duration_s=10.0).noise
    'sensor'
    """

    name: str
    title: str
    noise: str = "sensor"
    noise_share: float = 1.0
    position_error: float = 0.0

    def settings(self, duration_s: float, **changes: object) -> SceneSettings:
        """Return the ranges of scenes: Table 1 of the paper, but for `changes`."""
        known = {"duration_s": duration_s, "noise": self.noise, "noise_share": self.noise_share}
        return SceneSettings(**(known | changes))  # type: ignore[arg-type]


CONDITIONS = {
    condition.name: condition
    for condition in (
        Condition("sensor", "white noise of each microphone"),
        Condition(
            "interferer-start",
            "a noise loudspeaker in the first 1/156 of each recording",
            "directional",
            noise_share=PUBLISHED_NOISE_SHARE,
        ),
        Condition("interferer", "a noise loudspeaker all the time", "directional"),
        Condition("moved-mics", "microphones 1 cm off, white noise of each", position_error=0.01),
    )
}
"""By name: experiment 1, experiment 2 as published and with continuous noise, experiment 3."""


def moved_microphones(array: MicArray, standard_deviation: float, generator: np.random.Generator) -> MicArray:
    """Return an array whose microphones are moved by Gaussian errors, independent in each coordinate.

    Parameters
    ----------
    array : MicArray
    standard_deviation : float
        In metres; 0 returns the same positions.
    generator : numpy.random.Generator

    Examples
    --------
    >>> array = MicArray.from_preset("tetrahedron_4")
    >>> moved = moved_microphones(array, 0.01, np.random.default_rng(0))
    >>> 0 < float(np.abs(moved.positions - array.positions).max()) < 0.05
    True
    """
    check_real("standard_deviation", standard_deviation, 0.0)
    errors = generator.normal(scale=standard_deviation, size=array.positions.shape)
    return MicArray(array.positions + errors)
