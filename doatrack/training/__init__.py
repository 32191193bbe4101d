"""Learning: losses, batches, the loop and its checkpoints."""

from doatrack.training.batches import Batch, CropSampler
from doatrack.training.checkpoint import Checkpoint
from doatrack.training.loop import Callback, TrainingLoop, exponential_decay
from doatrack.training.losses import LossTerms, motion_log_transition, physics_loss, to_time_axis, variational_loss
from doatrack.training.processes import PRECISIONS, Loss, Processes
from doatrack.training.source_losses import (
    expected_log_probs,
    masked_physics_loss,
    mixture_physics_loss,
    several_sources_loss,
    source_masks,
)
from doatrack.training.supervised_losses import direction_loss, interpolate_frames

__all__ = [
    "PRECISIONS",
    "Batch",
    "Callback",
    "Checkpoint",
    "CropSampler",
    "Loss",
    "LossTerms",
    "Processes",
    "TrainingLoop",
    "direction_loss",
    "expected_log_probs",
    "exponential_decay",
    "interpolate_frames",
    "masked_physics_loss",
    "mixture_physics_loss",
    "motion_log_transition",
    "physics_loss",
    "several_sources_loss",
    "source_masks",
    "to_time_axis",
    "variational_loss",
]
