"""Every estimator can be fed with sound as it comes, and answers as `track` does."""

import warnings

import numpy as np
import pytest

from doatrack.exceptions import InvalidInputError, LookAheadWarning


@pytest.mark.parametrize("smoothing", [None, "filter"])
def test_a_stream_gives_the_track_of_the_recording(estimator, corpus, smoothing):
    estimator.fit(corpus.signals, corpus.array, corpus.labels)
    signal = corpus.signals[1]
    for causal in (False, True):
        estimator.set_params(causal=causal)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LookAheadWarning)
            stream = estimator.stream(smoothing)
        tracks = [stream.push(chunk) for chunk in np.array_split(signal, 9, axis=1)] + [stream.finish()]
        track = estimator.track(signal, smoothing)
        assert np.array_equal(np.concatenate([part.times for part in tracks]), track.times)
        assert np.array_equal(np.concatenate([part.activity for part in tracks]), track.activity)
        assert np.abs(np.concatenate([part.doa for part in tracks]) - track.doa).max() < 1e-5
        found = np.concatenate([part.concentration for part in tracks])
        assert np.allclose(found, track.concentration, rtol=1e-3, equal_nan=True)


def test_causal_must_be_a_truth_value(estimator, corpus):
    with pytest.raises(InvalidInputError, match="causal must be True or False, got 'yes'"):
        estimator.set_params(causal="yes").fit(corpus.signals, corpus.array, corpus.labels)
