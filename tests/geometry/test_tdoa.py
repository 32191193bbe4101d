import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from doatrack.exceptions import InvalidInputError
from doatrack.geometry import (
    SPEED_OF_SOUND,
    DirectionGrid,
    MicArray,
    preset_names,
    speed_of_sound,
    tdoa_far_field,
    tdoa_near_field,
)

NAO = MicArray.from_preset("nao_head_12")
SEED = st.integers(0, 2**32 - 1)


def random_unit(rng, shape=()):
    vector = rng.normal(size=(*shape, 3))
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def test_sign_is_that_of_the_correlation_peak():
    """A click that reaches microphone 1 eight samples before 0: t_0 - t_1 = +8, where x_0 correlated with x_1 peaks."""
    sample_rate, apart = 16000, 8
    array = MicArray([[0.0, 0, 0], [apart * SPEED_OF_SOUND / sample_rate, 0, 0]])
    tdoa = tdoa_far_field(array, [1.0, 0, 0])[0]
    source = np.random.default_rng(0).normal(size=256)
    arrives_at_1 = np.fft.rfft(source, 512)
    arrives_at_0 = np.fft.rfft(np.r_[np.zeros(apart), source], 512)
    correlation = np.fft.irfft(arrives_at_0 * arrives_at_1.conj())
    assert correlation.argmax() == round(tdoa * sample_rate) == apart


@given(seed=SEED)
def test_turning_array_and_source_together_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    rotation, doa = Rotation.random(rng=rng), random_unit(rng, (4,))
    turned = tdoa_far_field(NAO.rotate(rotation), rotation.apply(doa))
    np.testing.assert_allclose(turned, tdoa_far_field(NAO, doa), atol=1e-15)


@given(seed=SEED)
def test_near_field_becomes_far_field(seed):
    doa = random_unit(np.random.default_rng(seed))
    gaps = [np.abs(tdoa_near_field(NAO, r * doa) - tdoa_far_field(NAO, doa)).max() for r in (1.0, 10.0, 1000.0)]
    assert gaps[2] < 2e-8
    # the difference falls as 1 / distance
    assert gaps[1] < gaps[0] / 5


@given(seed=SEED)
def test_no_delay_is_longer_than_the_longest_and_triangles_close(seed):
    rng = np.random.default_rng(seed)
    array = MicArray(rng.normal(size=(4, 3)))
    tdoa = tdoa_far_field(array, random_unit(rng, (7,)))
    assert np.abs(tdoa).max() <= array.longest_delay * (1 + 1e-12)
    index = {tuple(pair): k for k, pair in enumerate(array.mic_pairs.tolist())}
    loop = tdoa[:, index[0, 1]] + tdoa[:, index[1, 2]] - tdoa[:, index[0, 2]]
    np.testing.assert_allclose(loop, 0, atol=1e-16)


def test_the_longest_delay_is_reached_along_the_longest_pair():
    first, second = NAO.mic_pairs.T
    baseline = NAO.positions[second] - NAO.positions[first]
    longest = baseline[np.linalg.norm(baseline, axis=1).argmax()]
    assert tdoa_far_field(NAO, longest / np.linalg.norm(longest)).max() == pytest.approx(NAO.longest_delay)
    assert NAO.longest_delay * 16000 == pytest.approx(5.64, abs=0.01)


@pytest.mark.parametrize("name", preset_names())
def test_ambiguity_is_what_the_delays_say(name):
    array = MicArray.from_preset(name)
    doa = DirectionGrid.quasi_uniform(50).directions
    if array.dimension == 3:
        gap = np.linalg.norm(tdoa_far_field(array, doa)[:, None] - tdoa_far_field(array, doa)[None], axis=-1)
        assert (gap + np.eye(50)).min() > 1e-7
    else:
        mirrored = doa - 2 * (doa @ array.normal)[:, None] * array.normal
        np.testing.assert_allclose(tdoa_far_field(array, mirrored), tdoa_far_field(array, doa), atol=1e-15)


def test_delays_of_a_line_depend_on_the_cone_only():
    array = MicArray([[0, 0, 0], [0, 0.1, 0], [0, 0.3, 0]])
    around = np.linspace(0, 2 * np.pi, 9)
    cone = np.stack([0.6 * np.cos(around), np.full(9, 0.8), 0.6 * np.sin(around)], axis=-1)
    np.testing.assert_allclose(np.ptp(tdoa_far_field(array, cone), axis=0), 0, atol=1e-17)
    assert array.normal.tolist() == [0, 1, 0]


def test_speed_of_sound_has_an_effect():
    doa = [0.6, 0.0, 0.8]
    for function in (tdoa_far_field, tdoa_near_field):
        np.testing.assert_allclose(function(NAO, doa, 2 * SPEED_OF_SOUND), function(NAO, doa) / 2)
    assert speed_of_sound(0) == pytest.approx(331.3)
    assert speed_of_sound(30) > speed_of_sound(20) > SPEED_OF_SOUND


def test_shapes_and_unknown_directions():
    assert tdoa_far_field(NAO, np.tile([1.0, 0, 0], (2, 5, 1))).shape == (2, 5, 66)
    assert tdoa_near_field(NAO, np.ones((2, 5, 3))).shape == (2, 5, 66)
    assert np.isnan(tdoa_far_field(NAO, [np.nan] * 3)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tdoa_far_field(NAO, [2.0, 0, 0]), "doa must hold unit vectors.*length 2"),
        (lambda: tdoa_far_field(NAO, [1.0, 0, 0], 0), "speed_of_sound must be above 0, got 0"),
        (lambda: tdoa_near_field(NAO, [[1.0, 0]]), r"source_positions must have the shape \(\.\.\., 3\), got \(1, 2\)"),
        (lambda: speed_of_sound(293.0), "temperature_celsius must be at least -50 and at most 60, got 293"),
    ],
)
def test_messages(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()
