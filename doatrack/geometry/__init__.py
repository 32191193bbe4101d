"""Where microphones are, which directions there are, and the time differences that follow."""

from doatrack.geometry.grid import DirectionGrid
from doatrack.geometry.mic_array import SPEED_OF_SOUND, MicArray
from doatrack.geometry.peak import PeakFinder
from doatrack.geometry.tdoa import speed_of_sound, tdoa_far_field, tdoa_near_field

__all__ = ["SPEED_OF_SOUND", "DirectionGrid", "MicArray", "PeakFinder", "speed_of_sound", "tdoa_far_field", "tdoa_near_field"]
