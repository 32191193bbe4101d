"""Reverberation time and absorption."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doatrack.exceptions import InvalidInputError
from doatrack.simulation import absorption_from_rt60, rt60_from_reflection, shortest_rt60

sizes = st.tuples(*[st.floats(1.0, 20.0)] * 3)


@given(sizes, st.floats(1.001, 50.0))
def test_rt60_comes_back(size, times_shortest):
    rt60 = shortest_rt60(size) * times_shortest
    reflection = (1 - absorption_from_rt60(size, rt60)) ** 0.5
    assert rt60_from_reflection(size, reflection) == pytest.approx(rt60, rel=1e-6)


@given(sizes)
def test_eyring_needs_less_absorption_than_sabine_and_more_for_shorter_times(size):
    rt60 = 2 * shortest_rt60(size, model="sabine")
    sabine, eyring = (absorption_from_rt60(size, rt60, model=model) for model in ("sabine", "eyring"))
    assert eyring < sabine < absorption_from_rt60(size, rt60 / 1.9, model="sabine")


def test_sabine_of_a_known_room():
    # 0.161 V / S / T for c = 343 m/s
    assert absorption_from_rt60([6, 5, 3], 0.5, model="sabine") == pytest.approx(0.1611 * 90 / 126 / 0.5, rel=1e-3)


@pytest.mark.parametrize("model", ["eyring", "sabine"])
def test_impossible_times_are_refused_with_the_shortest_possible(model):
    limit = shortest_rt60([10, 8, 6], model=model)
    absorption_from_rt60([10, 8, 6], limit * 1.001, model=model)
    with pytest.raises(InvalidInputError, match=f"{model.capitalize()}'s formula.*at least {limit:.3g} s"):
        absorption_from_rt60([10, 8, 6], limit * 0.9, model=model)


def test_unknown_model():
    with pytest.raises(InvalidInputError, match="Did you mean 'eyring'"):
        absorption_from_rt60([6, 5, 3], 0.5, model="eyrin")
