"""The bound is what maximum likelihood reaches, and follows time, size, and turns as physics has it."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from doatrack import MicArray
from doatrack.exceptions import InvalidInputError
from doatrack.geometry import azimuth_elevation_deg_to_unit
from doatrack.metrics import cramer_rao_bound

ARRAY = MicArray(0.06 * np.random.default_rng(1).normal(size=(6, 3)))
UP_LEFT = azimuth_elevation_deg_to_unit(70.0, 30.0)


def maximum_likelihood_errors(array, doa, snr_db, duration_s, band, n_trials, seed=0):
    """Errors in the tangent plane (n_trials, 2) of the beam with the highest power, found from the truth on."""
    rng = np.random.default_rng(seed)
    frequency = np.arange(band[0], band[1], 1 / duration_s)
    east = np.array([-doa[1], doa[0], 0]) / np.hypot(doa[0], doa[1])
    basis = np.stack([east, np.cross(doa, east)])
    wave = 2 * np.pi * frequency / 343.0
    seen = np.exp(1j * wave[:, None] * (array.positions @ doa))
    errors = []
    for _ in range(n_trials):
        draw = rng.normal(size=(2, len(frequency), 1 + array.n_mics)) * 0.5**0.5
        source, noise = draw[0, :, :1] + 1j * draw[1, :, :1], draw[0, :, 1:] + 1j * draw[1, :, 1:]
        heard = 10 ** (snr_db / 20) * source * seen + noise

        def cost(step, heard=heard):
            turned = doa + 0.01 * step @ basis
            steering = np.exp(-1j * wave[:, None] * (array.positions @ (turned / np.linalg.norm(turned))))
            return -(np.abs((heard * steering).sum(axis=1)) ** 2).sum()

        errors.append(0.01 * minimize(cost, np.zeros(2), method="BFGS").x)
    return np.array(errors)


def test_maximum_likelihood_reaches_it():
    bound = cramer_rao_bound(ARRAY, UP_LEFT, 10.0, 0.05, freq_range_hz=(500, 4000))
    errors = maximum_likelihood_errors(ARRAY, UP_LEFT, 10.0, 0.05, (500, 4000), 300)
    found = errors.T @ errors / len(errors)
    assert np.degrees(np.sqrt(np.trace(found))) == pytest.approx(bound.rmse_deg, rel=0.08)
    np.testing.assert_allclose(found, bound.covariance, atol=0.15 * np.trace(bound.covariance))
    mean = np.degrees(np.linalg.norm(errors, axis=1)).mean()
    assert mean == pytest.approx(bound.mean_angular_error_deg, rel=0.08)


def test_time_size_band_and_noise_scale_it():
    def rmse(array=ARRAY, snr_db=30.0, duration_s=1.0, **options):
        return float(cramer_rao_bound(array, UP_LEFT, snr_db, duration_s, **options).rmse_deg)

    assert rmse(duration_s=4.0) == pytest.approx(rmse() / 2)
    assert rmse(MicArray(2 * ARRAY.positions)) == pytest.approx(rmse() / 2)
    assert rmse(MicArray(ARRAY.positions + np.array([1.0, 2.0, 0.5]))) == pytest.approx(rmse())
    # the density at one microphone is what counts, and twice the band has 8 times the sum of squares
    assert rmse(freq_range_hz=(0, 4000)) == pytest.approx(8**0.5 * rmse(freq_range_hz=(0, 8000)), rel=1e-4)
    assert rmse(snr_db=40.0, signal="unknown") == pytest.approx(rmse(signal="unknown") / 10**0.5)
    assert rmse(speed_of_sound=686.0) == pytest.approx(2 * rmse())


def test_a_gaussian_signal_is_as_good_as_an_unknown_one_only_if_loud():
    loud, soft = (
        [float(cramer_rao_bound(ARRAY, UP_LEFT, db, 1.0, signal=s).rmse_deg) for s in ("stochastic", "unknown")]
        for db in (40, -10)
    )
    assert loud[0] == pytest.approx(loud[1], rel=1e-3)
    # w = M q^2 / (1 + M q) against q
    assert soft[0] / soft[1] == pytest.approx(((1 + 6 * 0.1) / (6 * 0.1)) ** 0.5)


def test_turning_and_permuting_change_nothing():
    turn = Rotation.from_euler("xyz", [40, 20, 110], degrees=True)
    bound = cramer_rao_bound(ARRAY, UP_LEFT, 10, 0.3)
    turned = cramer_rao_bound(ARRAY.rotate(turn), turn.apply(UP_LEFT), 10, 0.3)
    np.testing.assert_allclose(np.linalg.eigvalsh(turned.covariance), np.linalg.eigvalsh(bound.covariance))
    assert turned.mean_angular_error_deg == pytest.approx(bound.mean_angular_error_deg)
    permuted = cramer_rao_bound(ARRAY.select([3, 1, 0, 5, 4, 2]), UP_LEFT, 10, 0.3)
    np.testing.assert_allclose(permuted.covariance, bound.covariance)


def test_a_flat_array_knows_azimuth_in_its_plane_and_no_elevation():
    flat = MicArray([[0.05, 0.05, 0], [-0.05, 0.05, 0], [-0.05, -0.05, 0], [0.05, -0.05, 0]])
    elevation = np.array([0.0, 10.0, 30.0, 60.0, 90.0])
    bound = cramer_rao_bound(flat, azimuth_elevation_deg_to_unit(np.full(5, 20.0), elevation), 20, 0.3)
    assert np.isinf(bound.rmse_deg).tolist() == [True, False, False, False, False]
    assert np.isinf(bound.mean_angular_error_deg).tolist() == [True, False, False, False, False]
    deviation = np.sqrt(bound.covariance[:, [0, 1], [0, 1]])
    np.testing.assert_allclose(deviation[1:4, 1], deviation[4, 1] / np.sin(np.radians(elevation[1:4])))
    np.testing.assert_allclose(deviation[:, 0], deviation[0, 0])
    line = cramer_rao_bound(MicArray([[0, 0.1, 0], [0, -0.1, 0]]), UP_LEFT, 20, 0.3)
    assert np.isinf(line.rmse_deg)
    assert np.linalg.matrix_rank(line.information, tol=1e-9 * line.information.max()) == 1


def test_mean_error_of_known_covariances():
    bound = cramer_rao_bound(MicArray.from_preset("frl_octahedral_7"), [1.0, 0, 0], 10, 0.3)
    rng = np.random.default_rng(0)
    draws = rng.multivariate_normal([0, 0], bound.covariance, size=200000)
    expected = np.degrees(np.linalg.norm(draws, axis=1)).mean()
    assert bound.mean_angular_error_deg == pytest.approx(expected, rel=0.01)


def test_a_spectrum_counts_where_it_is():
    def rmse(spectrum):
        return float(cramer_rao_bound(ARRAY, UP_LEFT, 10, 0.3, spectrum=spectrum).rmse_deg)

    assert rmse([1, 1]) == pytest.approx(rmse(None))
    assert rmse([3, 2, 1]) == pytest.approx(rmse([6, 4, 2]))
    assert rmse([1, 1, 0]) > rmse([1, 1, 1]) > rmse([0, 1, 1])


def test_bad_input_is_named():
    with pytest.raises(InvalidInputError, match="doa must hold unit vectors"):
        cramer_rao_bound(ARRAY, [1.0, 1.0, 0], 10, 1.0)
    with pytest.raises(InvalidInputError, match=r"freq_range_hz must go from low to high, at least 0, got \(4, 2\)"):
        cramer_rao_bound(ARRAY, UP_LEFT, 10, 1.0, freq_range_hz=(4, 2))
    with pytest.raises(InvalidInputError, match="signal must be one of"):
        cramer_rao_bound(ARRAY, UP_LEFT, 10, 1.0, signal="known")
    with pytest.raises(InvalidInputError, match="spectrum must hold at least 2 powers"):
        cramer_rao_bound(ARRAY, UP_LEFT, 10, 1.0, spectrum=[0, 0])
    with pytest.raises(InvalidInputError, match="duration_s must be above 0"):
        cramer_rao_bound(ARRAY, UP_LEFT, 10, 0.0)
