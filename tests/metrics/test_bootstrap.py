"""The paired interval: known cases, coverage of a known difference, and bad input."""

import numpy as np
import pytest

from doatrack.exceptions import InvalidInputError
from doatrack.metrics import paired_bootstrap


def test_a_constant_difference_has_no_width(rng):
    other = [rng.uniform(0, 90, size=n) for n in (3, 0, 8, 1)]
    found = paired_bootstrap([e + 2.5 for e in other], other)
    np.testing.assert_allclose(found, [2.5, 2.5, 2.5])


def test_the_difference_is_that_of_the_pooled_means(rng):
    mine, other = ([rng.uniform(0, 90, size=n) for n in (3, 20, 8)] for _ in range(2))
    found = paired_bootstrap(mine, other)
    assert found.difference == pytest.approx(np.concatenate(mine).mean() - np.concatenate(other).mean())
    assert found.low <= found.difference <= found.high


def test_two_scenes_are_drawn_as_binomials():
    # of two scenes with differences 0 and 1, a draw has the mean 0, 1/2 or 1 with chances 1/4, 1/2, 1/4
    gains = ([[1.0], [0.0]], [[0.0], [0.0]])
    assert tuple(paired_bootstrap(*gains, level=0.4)) == (0.5, 0.5, 0.5)
    assert tuple(paired_bootstrap(*gains, level=0.6)) == (0.5, 0.0, 1.0)


def test_scenes_are_drawn_whole():
    # a thousand frames of one scene are no more evidence than one
    few, many = ([np.full(n, gain) for gain in (1.0, -1.0, 0.5, 0.2)] for n in (1, 1000))
    none = [np.zeros_like(e) for e in few], [np.zeros_like(e) for e in many]
    np.testing.assert_allclose(paired_bootstrap(few, none[0]), paired_bootstrap(many, none[1]))


def test_the_interval_covers_as_often_as_it_says():
    generator = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        gain = generator.normal(1.0, 2.0, size=30)
        found = paired_bootstrap([[g] for g in gain], [[0.0]] * 30, n_draws=400)
        covered += found.low <= 1.0 <= found.high
    assert 0.82 <= covered / 200 <= 0.96


def test_one_seed_one_interval_and_the_level_widens_it(rng):
    mine, other = ([rng.uniform(0, 9, size=5) for _ in range(12)] for _ in range(2))
    assert paired_bootstrap(mine, other, random_state=4) == paired_bootstrap(mine, other, random_state=4)
    wide, narrow = paired_bootstrap(mine, other, level=0.99), paired_bootstrap(mine, other, level=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(
    ("mine", "other", "options", "message"),
    [
        ([[1.0]], [[1.0], [2.0]], {}, "errors must have as many rows as other_errors, got 1 and 2"),
        ([[1.0], [1.0, 2.0]], [[1.0], [2.0]], {}, "errors of scene 1 must have as many rows as other_errors"),
        ([[1.0], [np.nan]], [[1.0], [2.0]], {}, "errors of scene 1 must be finite"),
        ([[]], [[]], {}, "at least one frame"),
        ([[1.0]], [[1.0]], {"level": 90}, "level must lie strictly between 0 and 1"),
        ([[1.0]], [[1.0]], {"n_draws": 0}, "n_draws must be at least 1"),
        ([[1.0]], [[1.0]], {"random_state": -1}, "random_state must be at least 0"),
    ],
)
def test_bad_input_is_refused(mine, other, options, message):
    with pytest.raises(InvalidInputError, match=message):
        paired_bootstrap(mine, other, **options)
