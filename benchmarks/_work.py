"""The least work of each method, in floating-point operations and bytes, for the floor beside each figure."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from doatrack import MUSIC, SRPPHAT
from doatrack.features.constant_product import ConstantProduct


def fft_flop(length: int) -> float:
    """Return the operations of a real transform."""
    return 2.5 * length * np.log2(length)


def srp_phat_work(tracker: SRPPHAT) -> tuple[float, float]:
    """Return operations and bytes of one frame of SRPPHAT: spectra, cross-spectra, lags, map."""
    tables = tracker._runtime()
    n_mics, n_pairs = tracker.array_.n_mics, len(tables.extractor.mic_pairs)
    n_freq, n_lags = tracker.win_length // 2 + 1, len(tables.extractor.lags)
    moments = tables.extractor._correlate._moments
    n_blocks = -(-n_freq // (moments.shape[1] // 2))
    flop = n_mics * (fft_flop(tracker.win_length) + 8 * n_freq) + 6 * n_pairs * n_freq
    # the functions of a block act on real and imaginary part alike
    flop += 2 * n_pairs * n_freq * len(moments) + 2 * n_pairs * n_blocks * len(moments) * n_lags
    flop += map_flop(tables.steering)
    return flop, 4 * (n_mics * tracker.hop_length + tracker.grid_.n_directions)


def map_flop(steering: ConstantProduct) -> float:
    """Return the operations of the map of one frame: zeros are no work."""
    return 2.0 * int(torch.count_nonzero(steering.matrix))


def music_work(tracker: MUSIC) -> tuple[float, float]:
    """Return operations and bytes of one frame of MUSIC: snapshots, covariances, eigenvectors, spectrum."""
    n_mics, n_directions = tracker.array_.n_mics, tracker.grid_.n_directions
    low, high = np.array(tracker.freq_range_hz) * tracker.snapshot_length / tracker.sample_rate
    n_freq = int(np.floor(high)) - int(np.ceil(low)) + 1
    n_snapshots = 1 + (tracker.win_length - tracker.snapshot_length) // tracker.snapshot_hop
    flop = n_mics * n_snapshots * fft_flop(tracker.snapshot_length)
    flop += n_freq * (8 * n_mics**2 * n_snapshots + 4 * 9 * n_mics**3)
    flop += 2 * n_freq * n_directions * n_mics * (n_mics - 1)
    return flop, 4 * (n_mics * tracker.hop_length + n_directions)


def map_product_share(
    tracker: SRPPHAT, peak_flops: float, seconds_of: Callable[[Callable[[], Any]], float], n_frames: int = 64
) -> float:
    """Return how fast the map of some frames is, as the whole matrix product would be at a share of a measured peak.

    Rows of zeros are not counted. Above 1: no matrix product could be as fast.
    """
    steering = tracker._runtime().steering
    values = torch.randn(n_frames, steering.n_in)
    seconds = seconds_of(lambda: steering(values))
    return n_frames * 2.0 * steering.matrix.numel() / seconds / peak_flops
