"""When a dry recording holds speech, from its level."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import binary_closing, binary_opening

from doatrack._validation import check_array, check_int, check_real

__all__ = ["speech_activity"]

_STEP_TIME = 0.01
_LOUD_PERCENTILE = 95


def speech_activity(
    speech: ArrayLike, sample_rate: int = 16000, *, threshold_db: float = 30.0, hold: float = 0.1
) -> NDArray[np.bool_]:
    """Mark the samples of DRY speech that are active.

    Steps of 10 ms count as active from `threshold_db` below the loud ones (their 95th percentile) on. Gaps shorter than
    `hold` are filled and bursts shorter than 20 ms dropped. Only for recordings without noise and reverberation:
    whatever else is louder than the threshold counts as speech.

    Parameters
    ----------
    speech : array-like of shape (n_samples,)
    sample_rate : int
        In Hz.
    threshold_db : float
        Distance to the loud steps in dB.
    hold : float
        In seconds.

    Returns
    -------
    ndarray of bool, shape (n_samples,)

    Examples
    --------
    >>> tone = np.sin(np.arange(16000) * 0.1) * (np.arange(16000) < 8000)
    >>> active = speech_activity(tone)
    >>> bool(active[:7900].all()), bool(active[8200:].any())
    (True, False)
    """
    samples = check_array("speech", speech, ("n_samples",))
    threshold = check_real("threshold_db", threshold_db, 0.0)
    step = max(1, round(_STEP_TIME * check_int("sample_rate", sample_rate, 1)))
    n_steps = -(-len(samples) // step)
    padded = np.zeros(n_steps * step)
    padded[: len(samples)] = samples
    power = (padded.reshape(n_steps, step) ** 2).mean(axis=1)
    loud = power[power > 0]
    if loud.size == 0:
        return np.zeros(len(samples), dtype=np.bool_)
    active = power > np.percentile(loud, _LOUD_PERCENTILE) * 10 ** (-threshold / 10)
    gap = max(1, round(check_real("hold", hold, 0.0) / _STEP_TIME))
    active = binary_closing(np.pad(active, gap), np.ones(gap + 1, dtype=np.bool_))[gap : gap + n_steps]
    active = binary_opening(active, np.ones(2, dtype=np.bool_)) if n_steps > 2 else active
    return np.asarray(np.repeat(active, step)[: len(samples)], dtype=np.bool_)
