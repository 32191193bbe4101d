"""Data sets: folders of recordings, scored sets, speech for simulation."""

from doatrack.datasets.folder import find_recordings
from doatrack.datasets.scored_set import ScoredSet, write_scored_set
from doatrack.datasets.simulated import SimulatedScenes
from doatrack.datasets.speech_folder import SpeechFolder
from doatrack.datasets.truth import read_truth, write_truth

__all__ = [
    "ScoredSet",
    "SimulatedScenes",
    "SpeechFolder",
    "find_recordings",
    "read_truth",
    "write_scored_set",
    "write_truth",
]
