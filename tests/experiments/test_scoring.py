"""Errors scene by scene, and the figures of a row."""

import numpy as np
import pytest

from doatrack import SRPPHAT, MicArray
from doatrack.experiments.scoring import TestSet, figures, scene_errors
from doatrack.metrics import mean_angular_error_deg, root_mean_square_angular_error_deg

ARRAY = MicArray.from_preset("tetrahedron_4")


def rows(doa, active):
    times = np.arange(60) * 0.02
    return np.column_stack([times, np.tile(doa, (60, 1)), active])


def test_errors_are_those_of_the_metrics_over_active_frames(rng):
    signals = [rng.normal(size=(4, 19200)).astype(np.float32) for _ in range(2)]
    active = np.repeat([1.0, 0.0], 30)
    truths = [rows([1.0, 0, 0], active), rows([0, 0, 1.0], active[::-1])]
    tracker = SRPPHAT(n_directions=200).fit(signals, ARRAY)
    errors = scene_errors(tracker, TestSet("a", "A", ARRAY, signals, truths))
    doa = tracker.predict(signals)
    times = [tracker.frame_times(len(d)) for d in doa]
    pooled = np.concatenate(errors)
    assert 0 < len(errors[0]) < len(doa[0])
    assert pooled.mean() == pytest.approx(mean_angular_error_deg(truths, doa, frame_times=times))
    expected = root_mean_square_angular_error_deg(truths, doa, frame_times=times)
    assert figures(errors, None)["rmse_deg"] == pytest.approx(expected)


def test_a_set_of_another_array_moves_the_tracker(rng):
    signals = [rng.normal(size=(4, 8192)).astype(np.float32)]
    other = MicArray(2 * ARRAY.positions)
    test = TestSet("a", "A", other, signals, [rows([1.0, 0, 0], np.ones(60))])
    moved = scene_errors(SRPPHAT(n_directions=200).fit(signals, ARRAY), test)
    assert moved == scene_errors(SRPPHAT(n_directions=200).fit(signals, other), test)


def test_figures_without_frames_or_reference():
    row = figures([[3.0, 4.0], []], None)
    assert row == {
        "n_scenes": 2,
        "n_frames": 2,
        "mae_deg": 3.5,
        "rmse_deg": pytest.approx(12.5**0.5),
        "difference_deg": None,
        "difference_90_deg": None,
    }
    assert figures([[]], None)["mae_deg"] is None
