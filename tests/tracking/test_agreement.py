"""Agreement: what frames say of a posterior, averaged over the second around or before."""

import numpy as np

from doatrack.tracking.agreement import AgreementMean, map_agreement, mean_agreement


def test_a_frame_that_points_elsewhere_misses():
    heard = np.zeros((2, 50))
    heard[0, 3], heard[1, 40] = 8.0, 8.0
    where = np.full((2, 50), -1e3)
    where[:, 3] = 0.0
    level, contrast, miss = map_agreement(where, heard).T
    np.testing.assert_allclose(level, [8.0, 0.0])
    np.testing.assert_allclose(contrast, [8.0 - 8 / 50, -8 / 50])
    np.testing.assert_allclose(miss, [0.0, 8.0])


def test_directions_that_were_left_out_do_not_count():
    heard = np.array([[1.0, 3.0, -1e6]])
    assert map_agreement(np.array([[-1e3, 0.0, -1e7]]), heard)[0].tolist() == [3.0, 1.0, 0.0]


def test_the_running_mean_does_not_depend_on_the_parts():
    rng = np.random.default_rng(0)
    rows, weight = rng.normal(size=(30, 3)), rng.random(30)
    whole = AgreementMean(0.2).push(rows, weight)
    parts = AgreementMean(0.2)
    joined = [parts.push(r, w) for r, w in zip(np.split(rows, [1, 2, 17]), np.split(weight, [1, 2, 17]), strict=True)]
    np.testing.assert_allclose(np.concatenate(joined), whole)


def test_means_are_the_weighted_sums_they_claim_to_be():
    rng = np.random.default_rng(1)
    rows, weight = rng.normal(size=(12, 3)), np.append([0.0, 0.0], rng.random(10))
    share = np.exp(-0.3 * np.abs(np.arange(12)[:, None] - np.arange(12))) * weight
    np.testing.assert_allclose(mean_agreement(rows, weight, 0.3), (share @ rows) / share.sum(axis=1, keepdims=True))
    causal = np.tril(share)[2:]
    found = AgreementMean(0.3).push(rows, weight)
    np.testing.assert_allclose(found[2:], (causal @ rows) / causal.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found[:2], rows[:2])  # nothing counts yet


def test_silence_alone_is_taken_as_it_is():
    rows = np.ones((3, 3))
    np.testing.assert_array_equal(mean_agreement(rows, np.zeros(3), 0.2), rows)
    assert AgreementMean(0.2).last.tolist() == [0.0, 0.0, 0.0]
