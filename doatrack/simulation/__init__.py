"""Rooms, talkers and noise: labelled scenes made by code."""

from doatrack.simulation.absorption import absorption_from_rt60, rt60_from_reflection, shortest_rt60
from doatrack.simulation.activity import speech_activity
from doatrack.simulation.convolution import convolve, convolve_moving
from doatrack.simulation.noise import NOISE_KINDS, scale_to_snr
from doatrack.simulation.room import ShoeboxRoom, room_impulse_responses
from doatrack.simulation.scene import Scene, simulate_scene, simulate_scenes
from doatrack.simulation.settings import SceneSettings
from doatrack.simulation.source import synthetic_speech
from doatrack.simulation.trajectory import Trajectory, random_position, random_trajectory

__all__ = [
    "NOISE_KINDS",
    "Scene",
    "SceneSettings",
    "ShoeboxRoom",
    "Trajectory",
    "absorption_from_rt60",
    "convolve",
    "convolve_moving",
    "random_position",
    "random_trajectory",
    "room_impulse_responses",
    "rt60_from_reflection",
    "scale_to_snr",
    "shortest_rt60",
    "simulate_scene",
    "simulate_scenes",
    "speech_activity",
    "synthetic_speech",
]
