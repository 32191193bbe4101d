"""Data sets: scored sets, the LOCATA corpus, and folders of speech and noise for simulation."""

from doatrack.datasets.folder import find_recordings
from doatrack.datasets.librispeech import LibriSpeech
from doatrack.datasets.locata import Locata, is_locata
from doatrack.datasets.locata_recording import LOCATA_ARRAYS, LocataRecording
from doatrack.datasets.noise_folder import NoiseFolder
from doatrack.datasets.scored_set import ScoredSet, write_scored_set
from doatrack.datasets.simulated import SimulatedScenes
from doatrack.datasets.speech_folder import SpeechFolder
from doatrack.datasets.truth import read_truth, write_truth

__all__ = [
    "LOCATA_ARRAYS",
    "LibriSpeech",
    "Locata",
    "LocataRecording",
    "NoiseFolder",
    "ScoredSet",
    "SimulatedScenes",
    "SpeechFolder",
    "find_recordings",
    "is_locata",
    "read_truth",
    "write_scored_set",
    "write_truth",
]
