"""Trackers with scikit-learn's interface."""

from doatrack.estimators._files import load
from doatrack.estimators.cross3d import Cross3DTracker
from doatrack.estimators.neural_srp import NeuralSRPTracker
from doatrack.estimators.physics_vae import PhysicsVAETracker
from doatrack.estimators.srp_phat import SRPPHAT

__all__ = ["SRPPHAT", "Cross3DTracker", "NeuralSRPTracker", "PhysicsVAETracker", "load"]
