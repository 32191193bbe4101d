"""The search finds orders whatever the given one; its sums are those of the evidence."""

import numpy as np
import pytest

from doatrack import MicArray
from doatrack.estimators._setup_evidence import Wiring, measure_delays
from doatrack.estimators._setup_order_search import PairSums, searched_orders, swapped
from doatrack.estimators._setup_resampling import resampled_sums


@pytest.fixture(scope="module")
def brief():
    rng = np.random.default_rng(0)
    array = MicArray(0.07 * rng.normal(size=(6, 3)))
    frequency = np.fft.rfftfreq(8000, 1 / 16000)
    parts = []
    for direction in rng.normal(size=(5, 3)):
        early = array.positions @ direction / np.linalg.norm(direction) / 343.0
        spectrum = np.fft.rfft(rng.normal(size=8000) * (np.arange(8000) < 6400))
        parts.append(np.fft.irfft(spectrum * np.exp(2j * np.pi * frequency * early[:, None]), 8000))
    waves = np.concatenate(parts, axis=1)
    waves = (0.1 * (waves + 0.05 * rng.normal(size=waves.shape))).astype(np.float32)
    return measure_delays([waves], array, 16000, 343.0, brief=True)


def test_the_best_order_is_the_true_one(brief):
    assert (searched_orders(brief, Wiring.as_given(6))[0] == np.arange(6)).all()


def test_sums_after_an_exchange_are_those_of_the_exchanged_order(brief):
    sums = PairSums(brief, Wiring.as_given(6), 20)
    order = np.array([2, 0, 1, 5, 3, 4])
    exchanged = list(sums.swaps(order))
    assert len(exchanged) == 15
    for i, j, total in exchanged:
        np.testing.assert_allclose(total, sums.total(swapped(order, i, j)), atol=1e-5)


def test_resampled_sums_have_the_mean_of_the_sums():
    values = np.random.default_rng(0).random((2, 200))
    drawn = resampled_sums(values, np.arange(200) * 0.1, np.random.default_rng(1))
    np.testing.assert_allclose(drawn.mean(axis=1), values.sum(axis=1), rtol=0.02)
