import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doatrack.exceptions import InvalidInputError
from doatrack.metrics import angular_error, ospa_deg, ospa_distance

FRONT, LEFT, UP = np.eye(3)
NOBODY = np.zeros((0, 3))


@st.composite
def sets_of_directions(draw, n_sets):
    """Sets of 0 to 4 directions, some of them near each other."""
    rng = np.random.default_rng(draw(st.integers(0, 100_000)))
    spread = draw(st.sampled_from([0.05, 0.5, 5.0]))
    sets = []
    for _ in range(n_sets):
        vectors = FRONT + spread * rng.normal(size=(draw(st.integers(0, 4)), 3))
        sets.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    return sets


parameters = {"order": st.sampled_from([1.0, 2.0, 10.0]), "cutoff": st.sampled_from([0.1, np.pi / 6, np.pi])}


@given(sets=sets_of_directions(3), **parameters)
def test_axioms_of_a_metric(sets, order, cutoff):
    first, second, third = sets
    options = {"order": order, "cutoff": cutoff}
    there = ospa_distance(first, second, **options)
    assert 0 <= there <= cutoff + 1e-12
    assert ospa_distance(second, first, **options) == pytest.approx(there)
    assert ospa_distance(first, first[::-1], **options) == pytest.approx(0, abs=1e-12)
    assert there > 0 or len(first) == len(second)
    by_way = ospa_distance(first, third, **options) + ospa_distance(third, second, **options)
    assert there <= by_way + 1e-9


@given(sets=sets_of_directions(2), **parameters)
def test_the_order_in_a_set_does_not_matter(sets, order, cutoff):
    first, second = sets
    straight = ospa_distance(first, second, order=order, cutoff=cutoff)
    assert ospa_distance(first[::-1], np.roll(second, 1, axis=0), order=order, cutoff=cutoff) == pytest.approx(straight)


def test_hand_made_distances():
    near = np.array([np.cos(0.1), np.sin(0.1), 0])
    assert ospa_distance([FRONT], [near], cutoff=0.5) == pytest.approx(0.1)
    assert ospa_distance([FRONT], [LEFT], cutoff=0.5) == pytest.approx(0.5)
    assert ospa_distance([FRONT, LEFT], [near], cutoff=0.5) == pytest.approx((0.1 + 0.5) / 2)
    assert ospa_distance([FRONT, LEFT], [near], cutoff=0.5, order=2) == pytest.approx(np.sqrt((0.01 + 0.25) / 2))
    assert ospa_distance(NOBODY, NOBODY) == 0
    assert ospa_distance(NOBODY, [UP, LEFT], cutoff=0.5) == pytest.approx(0.5)
    assert ospa_distance([], [UP], cutoff=0.5) == pytest.approx(0.5)


def test_sets_of_one_have_the_angle_as_distance(random_directions):
    first, second = random_directions(20), random_directions(20)
    for order in (1.0, 3.0):
        distances = [
            ospa_distance(a[None], b[None], order=order, cutoff=np.pi) for a, b in zip(first, second, strict=True)
        ]
        assert distances == pytest.approx(angular_error(first, second))


def test_the_mean_leaves_out_frames_without_any_source():
    truth, estimate = [[FRONT, LEFT]] * 3, [[FRONT, LEFT]] * 3
    here, there = [[1, 1], [0, 0], [0, 0]], [[1, 0], [0, 0], [0, 1]]
    # one missed of two: 15; nobody: left out; one invented: 30
    value = ospa_deg(truth, estimate, active_true=here, active_pred=there, cutoff_deg=30)
    assert value == pytest.approx((15 + 30) / 2)
    weighted = ospa_deg(truth, estimate, [1, 1, 0], active_true=here, active_pred=there, cutoff_deg=30)
    assert weighted == pytest.approx(15)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 0.5}, "order must be at least 1, got 0.5"),
        ({"cutoff_deg": 0}, "cutoff_deg must be above 0 and at most 180, got 0"),
        ({"active_true": [[0]], "active_pred": [[0]]}, "No counted frame holds a source"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(InvalidInputError, match=message):
        ospa_deg([[FRONT]], [[FRONT]], **options)


def test_sets_that_are_no_directions_are_refused():
    with pytest.raises(InvalidInputError, match=r"second must have the shape \(n, 3\), got \(3,\)"):
        ospa_distance([FRONT], UP)
