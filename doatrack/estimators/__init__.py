"""Trackers with scikit-learn's interface."""

from doatrack.estimators._files import load
from doatrack.estimators.physics_vae import PhysicsVAETracker
from doatrack.estimators.srp_phat import SRPPHAT

__all__ = ["SRPPHAT", "PhysicsVAETracker", "load"]
