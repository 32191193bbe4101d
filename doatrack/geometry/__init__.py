"""Where microphones are, which directions there are, and the time differences that follow."""

from doatrack.geometry.ambiguity import Ambiguity
from doatrack.geometry.coordinates import (
    azimuth_colatitude_deg_to_unit,
    azimuth_colatitude_to_unit,
    azimuth_elevation_deg_to_unit,
    azimuth_elevation_to_unit,
    cross3d_to_unit,
    locata_to_unit,
    unit_to_azimuth_colatitude,
    unit_to_azimuth_colatitude_deg,
    unit_to_azimuth_elevation,
    unit_to_azimuth_elevation_deg,
    unit_to_cross3d,
    unit_to_locata,
)
from doatrack.geometry.grid import DirectionGrid
from doatrack.geometry.interpolation import interpolate_directions
from doatrack.geometry.mic_array import SPEED_OF_SOUND, MicArray
from doatrack.geometry.peak import PeakFinder
from doatrack.geometry.presets import Preset, get_preset, preset_names, preset_positions
from doatrack.geometry.region import in_region
from doatrack.geometry.several_peaks import Peaks, SeparatedPeaks, separated_peaks
from doatrack.geometry.shifts import Shift, find_shifts
from doatrack.geometry.tdoa import speed_of_sound, tdoa_far_field, tdoa_near_field

__all__ = [
    "SPEED_OF_SOUND",
    "Ambiguity",
    "DirectionGrid",
    "MicArray",
    "PeakFinder",
    "Peaks",
    "Preset",
    "SeparatedPeaks",
    "Shift",
    "azimuth_colatitude_deg_to_unit",
    "azimuth_colatitude_to_unit",
    "azimuth_elevation_deg_to_unit",
    "azimuth_elevation_to_unit",
    "cross3d_to_unit",
    "find_shifts",
    "get_preset",
    "in_region",
    "interpolate_directions",
    "locata_to_unit",
    "preset_names",
    "preset_positions",
    "separated_peaks",
    "speed_of_sound",
    "tdoa_far_field",
    "tdoa_near_field",
    "unit_to_azimuth_colatitude",
    "unit_to_azimuth_colatitude_deg",
    "unit_to_azimuth_elevation",
    "unit_to_azimuth_elevation_deg",
    "unit_to_cross3d",
    "unit_to_locata",
]
