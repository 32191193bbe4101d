import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from doatrack.exceptions import InvalidInputError
from doatrack.features import analysis_window, gcc_phat, lag_axis, lag_transform, stft, whiten

WIN = 1024
PAIR = np.array([[0, 1]])


def delayed_pair(delay: float, seed: int = 0, n: int = 4096) -> torch.Tensor:
    """Microphone 0 hears periodic noise `delay` samples after microphone 1."""
    spectrum = torch.fft.rfft(torch.randn(n, generator=torch.Generator().manual_seed(seed)))
    shift = torch.exp(-2j * torch.pi * torch.arange(n // 2 + 1) * delay / n)
    return torch.fft.irfft(torch.stack([spectrum * shift, spectrum]), n=n)


def correlation(waveform: torch.Tensor, lags: torch.Tensor, window: str = "hann") -> torch.Tensor:
    spectra = stft(waveform, analysis_window(window, WIN), WIN // 2)
    return gcc_phat(spectra, PAIR, lag_transform(lags, WIN))


@given(st.floats(-5.0, 5.0))
def test_the_peak_stands_at_a_fractional_delay(delay):
    lags = lag_axis(5.0, step=0.05)
    peak = lags[correlation(delayed_pair(delay), lags)[:, 0].mean(dim=0).argmax()]
    assert abs(float(peak) - delay) < 0.08


def test_identical_channels_correlate_to_one_at_lag_zero():
    lags = lag_axis(3.0, step=0.5)
    gcc = correlation(delayed_pair(0.0), lags)
    assert torch.allclose(gcc[:, 0, len(lags) // 2], torch.ones(len(gcc)), atol=1e-3)
    assert gcc.abs().max() <= 1 + 1e-3


def test_swapping_the_microphones_mirrors_the_lags():
    lags = lag_axis(6.0, step=0.25)
    pair = delayed_pair(2.3)
    assert torch.allclose(correlation(pair.flip(0), lags), correlation(pair, lags).flip(-1), atol=1e-5)


def test_integer_lags_equal_the_inverse_fft():
    spectra = stft(delayed_pair(1.7), analysis_window("hann", WIN), WIN // 2)
    white = whiten(spectra)
    expected = torch.fft.irfft(white[:, 0] * white[:, 1].conj(), n=WIN)
    got = gcc_phat(spectra, PAIR, lag_transform(torch.tensor([0.0, 1.0, 2.0]), WIN))[:, 0]
    assert torch.allclose(got, expected[:, :3], atol=1e-5)


def test_the_level_does_not_matter_and_silence_gives_zero():
    lags = lag_axis(3.0, step=0.5)
    pair = delayed_pair(1.0)
    assert torch.allclose(correlation(1e-4 * pair, lags), correlation(pair, lags), atol=1e-4)
    assert correlation(0 * pair, lags).abs().max() == 0


def test_many_frames_equal_single_frames():
    spectra = stft(delayed_pair(1.0, n=40 * WIN), analysis_window("hann", WIN), WIN // 2)
    transform = lag_transform(lag_axis(2.0, step=0.5), WIN)
    alone = torch.stack([gcc_phat(frame[None], PAIR, transform)[0] for frame in spectra])
    assert torch.allclose(gcc_phat(spectra, PAIR, transform), alone, atol=1e-5)


@given(st.floats(0.0, 40.0), st.floats(0.1, 1.0))
def test_lags_are_symmetric_and_reach_beyond_the_longest_delay(longest, step):
    lags = lag_axis(longest, step=step)
    assert torch.equal(lags, -lags.flip(0))
    assert float(lags[-1]) >= longest + 0.5 - 1e-3
    assert float(lags[-1]) < longest + 0.5 + step + 1e-3


def test_a_number_of_lags_is_kept():
    assert len(lag_axis(5.6, n_lags=64)) == 64


def test_step_and_number_together_are_refused():
    with pytest.raises(InvalidInputError, match="exactly one of step and n_lags"):
        lag_axis(1.0, step=0.5, n_lags=3)


def test_a_recording_shorter_than_a_window_is_refused():
    with pytest.raises(InvalidInputError, match="at least one frame long, 1024 samples, got 1000"):
        stft(torch.zeros(2, 1000), analysis_window("hann", 1024), 512)
