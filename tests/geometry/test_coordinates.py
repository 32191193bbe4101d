import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from doatrack import geometry
from doatrack.exceptions import InvalidInputError

ANGLE = st.floats(-np.pi, np.pi)
ELEVATION = st.floats(-np.pi / 2, np.pi / 2)
SYSTEMS = [
    (geometry.azimuth_elevation_to_unit, geometry.unit_to_azimuth_elevation),
    (geometry.azimuth_elevation_deg_to_unit, geometry.unit_to_azimuth_elevation_deg),
    (geometry.azimuth_colatitude_to_unit, geometry.unit_to_azimuth_colatitude),
    (geometry.azimuth_colatitude_deg_to_unit, geometry.unit_to_azimuth_colatitude_deg),
    (geometry.locata_to_unit, geometry.unit_to_locata),
    (lambda pair: geometry.cross3d_to_unit(pair), lambda doa: (geometry.unit_to_cross3d(doa),)),
]


@st.composite
def units(draw):
    vector = np.array(draw(st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 1e-3)))
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize(("to_unit", "from_unit"), SYSTEMS)
@given(doa=units())
@example(doa=np.array([0.0, 0.0, 1.0]))
@example(doa=np.array([-0.0, -0.0, -1.0]))
@example(doa=np.array([-1.0, -0.0, 0.0]))
def test_there_and_back(to_unit, from_unit, doa):
    np.testing.assert_allclose(to_unit(*from_unit(doa)), doa, atol=1e-12)


@given(azimuth=ANGLE, elevation=ELEVATION)
def test_unit_vectors_have_length_one_and_the_second_angle_survives(azimuth, elevation):
    doa = geometry.azimuth_elevation_to_unit(azimuth, elevation)
    assert np.linalg.norm(doa) == pytest.approx(1, abs=1e-12)
    assert geometry.unit_to_azimuth_elevation(doa)[1] == pytest.approx(elevation, abs=1e-9)
    assert geometry.unit_to_azimuth_colatitude(doa)[1] == pytest.approx(np.pi / 2 - elevation, abs=1e-9)


@pytest.mark.parametrize(
    ("azimuth_deg", "elevation_deg", "doa"),
    [(0, 0, [1, 0, 0]), (90, 0, [0, 1, 0]), (-90, 0, [0, -1, 0]), (180, 0, [-1, 0, 0]), (37, 90, [0, 0, 1])],
    ids=["front", "left", "right", "back", "up"],
)
def test_axes_are_front_left_up(azimuth_deg, elevation_deg, doa):
    np.testing.assert_allclose(geometry.azimuth_elevation_deg_to_unit(azimuth_deg, elevation_deg), doa, atol=1e-12)


def test_azimuth_lies_in_the_half_open_turn():
    azimuth, _ = geometry.unit_to_azimuth_elevation([[-1.0, 0.0, 0.0], [-1.0, -0.0, 0.0]])
    assert (azimuth == np.pi).all()


@pytest.mark.parametrize("z", [1.0, -1.0])
@pytest.mark.parametrize("x", [0.0, -0.0])
@pytest.mark.parametrize("y", [0.0, -0.0])
def test_azimuth_at_the_poles_is_plain_zero(x, y, z):
    for angles in (geometry.unit_to_azimuth_elevation([x, y, z]), geometry.unit_to_azimuth_colatitude([x, y, z])):
        assert angles[0] == 0
        assert not np.signbit(angles[0])


def test_a_source_that_crosses_the_back_moves_little():
    doa = geometry.azimuth_elevation_deg_to_unit([179, 181, -179], [0, 0, 0])
    np.testing.assert_allclose(doa[1], doa[2], atol=1e-12)
    assert np.linalg.norm(doa[1] - doa[0]) == pytest.approx(np.radians(2), rel=1e-3)


def test_elevation_near_the_pole_keeps_its_digits():
    tiny = 1e-7
    _, elevation = geometry.unit_to_azimuth_elevation([np.sin(tiny), 0, np.cos(tiny)])
    assert np.pi / 2 - elevation == pytest.approx(tiny, rel=1e-6)


def test_unknown_stays_unknown_and_leading_axes_stay():
    doa = np.full((2, 3, 3), np.nan)
    doa[0, 0] = [0, 1, 0]
    azimuth, elevation = geometry.unit_to_azimuth_elevation(doa)
    assert azimuth.shape == elevation.shape == (2, 3)
    assert np.isnan(azimuth).sum() == np.isnan(elevation).sum() == 5
    assert np.isnan(geometry.azimuth_elevation_to_unit([0.0, np.nan], 0.0)).all(axis=-1).tolist() == [False, True]


def test_torch_tensors_are_taken():
    doa = geometry.azimuth_elevation_to_unit(torch.tensor([0.5]), torch.tensor([0.2]))
    np.testing.assert_allclose(geometry.unit_to_azimuth_elevation(torch.as_tensor(doa)), [[0.5], [0.2]], rtol=1e-6)


@given(doa=units())
def test_locata_counts_from_plus_y(doa):
    # cevers/sap_locata_io, mycart2sph: wrap(atan2(y, x) - pi / 2), acos(z / r)
    azimuth, colatitude = geometry.unit_to_locata(doa)
    expected = np.arctan2(doa[1], doa[0]) - np.pi / 2
    if np.hypot(doa[0], doa[1]) > 1e-9:
        assert abs(np.exp(1j * azimuth) - np.exp(1j * expected)) < 1e-9
    assert np.cos(colatitude) == pytest.approx(doa[2], abs=1e-12)


@given(doa=units())
def test_cross3d_has_the_colatitude_first(doa):
    colatitude, azimuth = geometry.unit_to_cross3d(doa)
    assert (azimuth, colatitude) == geometry.unit_to_azimuth_colatitude(doa)


@given(azimuth=ANGLE, colatitude=st.floats(0, np.pi))
def test_agrees_with_pyroomacoustics(azimuth, colatitude):
    utils = pytest.importorskip("pyroomacoustics.doa.utils")
    expected = np.ravel(utils.spher2cart(azimuth, colatitude, 1.0))
    np.testing.assert_allclose(geometry.azimuth_colatitude_to_unit(azimuth, colatitude), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: geometry.azimuth_elevation_to_unit(0, 45),
            r"elevation must lie between -1.5708 and 1.5708 radians "
            r"\(-90 to 90 degrees\), got 45 radians\. For degrees use the function with _deg.*colatitude",
        ),
        (lambda: geometry.azimuth_elevation_deg_to_unit(0, 120), r"elevation must lie .*got 2.0944 radians"),
        (lambda: geometry.azimuth_colatitude_to_unit(0, -0.2), r"colatitude must lie between 0 and .*elevation"),
        (
            lambda: geometry.azimuth_elevation_to_unit([0, 1, 2], [0, 1]),
            r"shapes that broadcast, got \(3,\) and \(2,\)",
        ),
        (lambda: geometry.azimuth_elevation_to_unit(np.inf, 0), "azimuth must be finite or NaN"),
        (lambda: geometry.unit_to_azimuth_elevation([1, 1, 0]), "doa must hold unit vectors.*length 1.414"),
        (lambda: geometry.unit_to_azimuth_elevation([1, 0]), r"doa must have the shape \(\.\.\., 3\), got \(2,\)"),
        (lambda: geometry.cross3d_to_unit([0.0, 0.0, 1.0]), r"angles must have the shape \(\.\.\., 2\), got \(3,\)"),
    ],
)
def test_messages(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()
