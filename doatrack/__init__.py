"""Find and follow the direction of sound with a microphone array, and learn to do so without labels."""

from doatrack.estimators import SRPPHAT, PhysicsVAETracker, load
from doatrack.geometry import DirectionGrid, MicArray
from doatrack.tracking import Track

__version__ = "0.1.0"

__all__ = ["SRPPHAT", "DirectionGrid", "MicArray", "PhysicsVAETracker", "Track", "__version__", "load"]
