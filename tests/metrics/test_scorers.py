import pickle
from functools import partial

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline

from doatrack.exceptions import InvalidInputError
from doatrack.metrics import (
    make_frame_scorer,
    mean_angular_error_deg,
    mean_angular_error_scorer,
    root_mean_square_angular_error_scorer,
    share_within,
    share_within_scorer,
)


class FixedAngle(BaseEstimator):
    """Points at a constant azimuth, ten frames a second."""

    def __init__(self, azimuth_deg=0.0):
        self.azimuth_deg = azimuth_deg

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def predict(self, X):
        angle = np.radians(self.azimuth_deg)
        return [np.tile([np.cos(angle), np.sin(angle), 0], (x.shape[1] // 10, 1)) for x in X]

    def frame_times(self, n_frames):
        return 0.05 + 0.1 * np.arange(n_frames)


class Unchanged(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X


@pytest.fixture
def recordings():
    return [np.zeros((2, n)) for n in (40, 50, 60, 70)]


@pytest.fixture
def truth_rows(recordings):
    # The source is in front while it is active, and behind in silence.
    rows = []
    for recording in recordings:
        times = 0.02 * np.arange(recording.shape[1] // 2)
        active = times < 0.25
        rows.append(np.column_stack([times, np.where(active, 1.0, -1.0), 0 * times, 0 * times, active]))
    return rows


def test_errors_are_negative_and_scores_are_not(recordings, truth_rows):
    estimator = FixedAngle(6.0)
    assert mean_angular_error_scorer(estimator, recordings, truth_rows) == pytest.approx(-6)
    assert root_mean_square_angular_error_scorer(estimator, recordings, truth_rows) == pytest.approx(-6)
    assert share_within_scorer(estimator, recordings, truth_rows) == 1
    within_5 = make_frame_scorer(partial(share_within, tolerance_deg=5), greater_is_better=True)
    assert within_5(estimator, recordings, truth_rows) == 0


def test_cross_validate_on_recordings_of_different_lengths(recordings, truth_rows):
    scoring = {"mean": mean_angular_error_scorer, "within": share_within_scorer}
    result = cross_validate(FixedAngle(20.0), recordings, truth_rows, cv=2, scoring=scoring, error_score="raise")
    np.testing.assert_allclose(result["test_mean"], -20)
    np.testing.assert_array_equal(result["test_within"], 0)


def test_grid_search_and_pipelines_find_the_frame_times(recordings, truth_rows):
    search = GridSearchCV(
        make_pipeline(Unchanged(), FixedAngle()),
        {"fixedangle__azimuth_deg": [-40.0, 3.0, 90.0]},
        scoring=mean_angular_error_scorer,
        cv=2,
        error_score="raise",
    ).fit(recordings, truth_rows)
    assert search.best_params_ == {"fixedangle__azimuth_deg": 3.0}
    assert mean_angular_error_scorer(search, recordings, truth_rows) == pytest.approx(-3)


def test_metrics_go_into_make_scorer(recordings):
    truth = [np.tile([1.0, 0, 0], (x.shape[1] // 10, 1)) for x in recordings]
    scorer = make_scorer(mean_angular_error_deg, greater_is_better=False)
    result = cross_validate(FixedAngle(7.0), recordings, truth, cv=2, scoring=scorer, error_score="raise")
    np.testing.assert_allclose(result["test_score"], -7)


def test_sample_weight_picks_frames(recordings):
    truth = [np.tile([1.0, 0, 0], (x.shape[1] // 10, 1)) for x in recordings]
    weight = [np.zeros(len(part)) for part in truth]
    truth[2][1] = [0, 1, 0]
    weight[2][1] = 1
    assert mean_angular_error_scorer(FixedAngle(0.0), recordings, truth, weight) == pytest.approx(-90)


def test_scorers_pickle_and_name_themselves():
    copy = pickle.loads(pickle.dumps(mean_angular_error_scorer))
    assert repr(copy) == "make_frame_scorer(mean_angular_error_deg, greater_is_better=False)"


def test_what_is_missing_is_said(recordings, truth_rows):
    class NoTimes:
        def predict(self, X):
            return FixedAngle().predict(X)

    with pytest.raises(InvalidInputError, match=r"NoTimes has no frame_times\(n_frames\), so truth rows"):
        mean_angular_error_scorer(NoTimes(), recordings, truth_rows)
    with pytest.raises(InvalidInputError, match="compares with true directions: pass y"):
        mean_angular_error_scorer(FixedAngle(), recordings, None)
