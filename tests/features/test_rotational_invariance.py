"""Phases between shifted sub-arrays, and the direction that fits them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from doatrack import MicArray
from doatrack.features import (
    robust_projection,
    shift_operator,
    shift_phase_rates,
    signal_subspace,
    steering_vectors,
)
from doatrack.geometry import find_shifts

OCTAHEDRON = MicArray.from_preset("frl_octahedral_7")


def unit(rng, *shape):
    vectors = rng.normal(size=(*shape, 3))
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_the_eigenvalues_of_the_operator_are_the_phase_factors_of_all_sources(rng):
    line = MicArray([[0.03 * k, 0, 0] for k in range(6)])
    doa = unit(rng, 2)
    waves = steering_vectors(line.positions, doa, np.array([2000.0]))[0].mT
    subspace = signal_subspace(waves @ waves.mH + 0.01 * torch.eye(6), 2)
    shift = find_shifts(line)[0]
    values = torch.linalg.eigvals(shift_operator(subspace, shift.first, shift.second))
    expected = np.exp(2j * np.pi * 2000 * doa @ shift.displacement / 343)
    assert np.allclose(sorted(values.numpy(), key=np.angle), sorted(expected, key=np.angle))


def test_one_source_is_the_general_case_with_one_column(rng):
    subspace = torch.from_numpy(rng.normal(size=(3, 5, 1)) + 1j * rng.normal(size=(3, 5, 1)))
    first, second = np.array([0, 1, 2]), np.array([2, 3, 4])
    expected = torch.linalg.lstsq(subspace[:, first], subspace[:, second]).solution
    assert torch.allclose(shift_operator(subspace, first, second), expected)


def test_phases_are_the_rates_times_the_direction(rng):
    doa, frequencies = unit(rng), np.array([500.0, 1700.0])
    shifts = find_shifts(OCTAHEDRON)
    rates, usable = shift_phase_rates(shifts, frequencies)
    waves = steering_vectors(OCTAHEDRON.positions, doa[None], frequencies).mT
    for k, shift in enumerate(shifts):
        phase = shift_operator(waves, shift.first, shift.second)[..., 0, 0].angle()
        expected = rates[:, k] @ torch.from_numpy(doa)
        assert torch.allclose(phase[usable[:, k]], expected[usable[:, k]])
    lengths = np.array([shift.length for shift in shifts])
    assert np.array_equal(usable.numpy(), lengths < 343 / 2 / frequencies[:, None])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 0.3))
def test_outliers_hardly_move_the_answer(seed, share):
    rng = np.random.default_rng(seed)
    doa = torch.from_numpy(unit(rng))
    rates, usable = shift_phase_rates(find_shifts(OCTAHEDRON), np.arange(300.0, 1500.0, 31.25))
    rates, weights = rates.flatten(0, 1), usable.flatten().double()
    phases = rates @ doa
    wrong = torch.from_numpy(rng.random(len(phases)) < share)
    phases = torch.where(wrong, torch.from_numpy(rng.uniform(-np.pi, np.pi, len(phases))), phases)
    found, agreement = robust_projection(phases, weights, rates)
    assert (found - doa).norm() < 0.02
    assert 1 - 2.2 * wrong.double().mean() - 0.1 < agreement <= 1 + 1e-12


def test_a_phase_near_pi_may_come_out_on_the_other_side():
    rates = torch.tensor([[1.0], [2.0], [3.1]], dtype=torch.float64).repeat_interleave(5, dim=0)
    phases = rates[:, 0].clone()
    phases[-1] = -3.1
    assert robust_projection(phases, torch.ones(15, dtype=torch.float64), rates)[0].item() == pytest.approx(1, abs=0.02)


def test_frames_do_not_touch_each_other(rng):
    rates = torch.from_numpy(rng.normal(size=(40, 3)))
    phases = torch.from_numpy(rng.uniform(-2, 2, size=(4, 40)))
    weights = torch.from_numpy(rng.random((4, 40)))
    together = robust_projection(phases, weights, rates)
    for k in range(4):
        alone = robust_projection(phases[k], weights[k], rates)
        assert torch.allclose(together[0][k], alone[0])
        assert torch.allclose(together[1][k], alone[1])


def test_silence_gives_zero(rng):
    rates = torch.from_numpy(rng.normal(size=(6, 3)))
    found, agreement = robust_projection(torch.zeros(2, 6, dtype=torch.float64), torch.zeros(2, 6).double(), rates)
    assert torch.equal(found, torch.zeros(2, 3, dtype=torch.float64))
    assert torch.equal(agreement, torch.zeros(2, dtype=torch.float64))
