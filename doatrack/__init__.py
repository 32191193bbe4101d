"""Find and follow the direction of sound with a microphone array, and learn to do so without labels."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from doatrack.estimators import (
        DML,
        ESPRIT,
        MUSIC,
        SRPPHAT,
        Cross3DTracker,
        NeuralSRPTracker,
        PhysicsVAETracker,
        load,
    )
    from doatrack.geometry import DirectionGrid, MicArray
    from doatrack.tracking import MultiTrack, Track

__version__ = "0.1.0"

__all__ = [
    "DML",
    "ESPRIT",
    "MUSIC",
    "SRPPHAT",
    "Cross3DTracker",
    "DirectionGrid",
    "MicArray",
    "MultiTrack",
    "NeuralSRPTracker",
    "PhysicsVAETracker",
    "Track",
    "__version__",
    "load",
]

# Loaded when they are first asked for: PyTorch takes seconds, and `doatrack --help` does not need it.
_HOME = {
    "DML": "doatrack.estimators",
    "ESPRIT": "doatrack.estimators",
    "MUSIC": "doatrack.estimators",
    "SRPPHAT": "doatrack.estimators",
    "Cross3DTracker": "doatrack.estimators",
    "NeuralSRPTracker": "doatrack.estimators",
    "PhysicsVAETracker": "doatrack.estimators",
    "load": "doatrack.estimators",
    "DirectionGrid": "doatrack.geometry",
    "MicArray": "doatrack.geometry",
    "MultiTrack": "doatrack.tracking",
    "Track": "doatrack.tracking",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'doatrack' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
