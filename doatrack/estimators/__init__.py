"""Trackers with scikit-learn's interface."""

from doatrack.estimators._files import load
from doatrack.estimators._setup_report import Finding, SetupReport
from doatrack.estimators.cross3d import Cross3DTracker
from doatrack.estimators.dml import DML
from doatrack.estimators.esprit import ESPRIT
from doatrack.estimators.music import MUSIC
from doatrack.estimators.neural_srp import NeuralSRPTracker
from doatrack.estimators.physics_vae import PhysicsVAETracker
from doatrack.estimators.setup_check import check_setup
from doatrack.estimators.srp_phat import SRPPHAT

__all__ = [
    "DML",
    "ESPRIT",
    "MUSIC",
    "SRPPHAT",
    "Cross3DTracker",
    "Finding",
    "NeuralSRPTracker",
    "PhysicsVAETracker",
    "SetupReport",
    "check_setup",
    "load",
]
