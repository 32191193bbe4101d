"""Parameters that several estimators have are described alike: each docstring stands alone, and none may drift."""

import inspect
import itertools
import re

import pytest

from doatrack import DML, ESPRIT, MUSIC, SRPPHAT, Cross3DTracker, NeuralSRPTracker, PhysicsVAETracker

ENTRY = re.compile(r"^(\w+(?:, \w+)*) : (.*)\n((?:    .*\n?)*)", re.MULTILINE)
EVERYWHERE = {"array", "motion"}
OF_CLASSICAL = {"n_directions", "azimuth_range_deg", "elevation_range_deg", "sample_rate", "speed_of_sound"}
OF_LEARNING = {"device", "devices", "num_nodes", "precision", "checkpoint", "warm_start", "verbose"}
OF_SUPERVISED = {"learning_rate", "sample_rate", "win_length", "hop_length", "window"}
OF_COVARIANCES = {
    "grid",
    "freq_range_hz",
    "snapshot_length",
    "snapshot_hop",
    "win_length",
    "hop_length",
    "window",
    "causal",
}
ALIKE = [
    ((SRPPHAT, MUSIC, DML, ESPRIT, PhysicsVAETracker, NeuralSRPTracker, Cross3DTracker), EVERYWHERE),
    ((SRPPHAT, MUSIC, DML), OF_CLASSICAL),
    ((MUSIC, DML), OF_COVARIANCES),
    ((PhysicsVAETracker, NeuralSRPTracker, Cross3DTracker), OF_LEARNING),
    ((NeuralSRPTracker, Cross3DTracker), OF_SUPERVISED),
]


def described(estimator):
    """Return type and description of each parameter by name."""
    text = inspect.getdoc(estimator).split("Parameters\n----------\n")[1].split("\n\n")[0] + "\n"
    entries = {}
    for names, kind, body in ENTRY.findall(text):
        entries |= dict.fromkeys(names.split(", "), (kind, " ".join(body.split())))
    return entries


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [(first, second, names) for group, names in ALIKE for first, second in itertools.pairwise(group)],
)
def test_shared_parameters_are_described_alike(first, second, names):
    ours, theirs = described(first), described(second)
    assert {name: ours[name] for name in names} == {name: theirs[name] for name in names}


@pytest.mark.parametrize(
    "estimator", [SRPPHAT, MUSIC, DML, ESPRIT, PhysicsVAETracker, NeuralSRPTracker, Cross3DTracker]
)
def test_every_parameter_is_described(estimator):
    assert set(described(estimator)) == set(estimator().get_params(deep=False))
