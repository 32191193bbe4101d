"""The paper's figures agree with each other as far as they can."""

import pytest

from doatrack.experiments.methods import METHODS
from doatrack.experiments.published import BY_CORRUPTION, BY_EXPERIMENT, COMPLEXITY


def test_every_method_has_its_row():
    for method in METHODS.values():
        assert all(method.published in rows for rows in BY_EXPERIMENT.values())
        assert method.published in COMPLEXITY or not method.learns


@pytest.mark.parametrize(("name", "base"), [("Proposed", 8.3), ("Neural-SRP", 7.6)])
def test_table_5_starts_from_the_errors_of_experiment_3(name, base):
    starts = [error / (1 + increase / 100) for error, increase in BY_CORRUPTION[name].values()]
    assert starts == pytest.approx([base] * 5, abs=0.06)
    assert BY_EXPERIMENT["exp3"][name][1] == pytest.approx(base, abs=0.11)
