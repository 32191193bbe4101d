"""The experiments of the paper, run on simulated and real recordings beside its own figures."""

from doatrack.experiments.catalogue import EXPERIMENTS, Experiment, chosen_methods, run_experiment, write_table
from doatrack.experiments.methods import METHODS, Method
from doatrack.experiments.scale import SCALES, Scale
from doatrack.experiments.workspace import Workspace

__all__ = [
    "EXPERIMENTS",
    "METHODS",
    "SCALES",
    "Experiment",
    "Method",
    "Scale",
    "Workspace",
    "chosen_methods",
    "run_experiment",
    "write_table",
]
