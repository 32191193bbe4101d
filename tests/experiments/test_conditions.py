"""What the experiments differ in."""

import numpy as np
import pytest

from doatrack.experiments.conditions import CONDITIONS, moved_microphones
from doatrack.geometry import MicArray
from doatrack.simulation import SceneSettings


def test_scenes_are_those_of_table_1():
    for condition in CONDITIONS.values():
        settings = condition.settings(20.0)
        assert settings.rt60_range == (0.2, 1.0)
        assert settings.snr_db_range == (5.0, 30.0)
        assert settings.oscillations_range == (0.0, 2.0)
        assert settings.amplitude_range == (0.0, 1.0)
    assert CONDITIONS["sensor"].settings(20.0) == SceneSettings()


def test_the_two_interferers_differ_in_when_they_sound():
    published, continuous = (CONDITIONS[name].settings(20.0) for name in ("interferer-start", "interferer"))
    assert published.noise == continuous.noise == "directional"
    assert published.noise_share == pytest.approx(1 / 156)
    assert continuous.noise_share == 1.0


def test_microphones_move_by_the_standard_deviation_asked_for():
    array = MicArray.from_preset("nao_head_12")
    generator = np.random.default_rng(0)
    moved = np.stack([moved_microphones(array, 0.01, generator).positions for _ in range(300)])
    assert (moved - array.positions).std(axis=0) == pytest.approx(0.01, rel=0.2)
    assert np.abs((moved - array.positions).mean(axis=0)).max() < 0.003
    assert moved_microphones(array, 0.0, generator) == array
    assert CONDITIONS["moved-mics"].position_error == 0.01
