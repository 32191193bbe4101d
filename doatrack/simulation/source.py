"""A synthetic talker: speech-like sound made by code, for use where no recordings are at hand."""

import numpy as np
from numpy.typing import NDArray

from doatrack._validation import check_int
from doatrack.simulation.activity import speech_activity
from doatrack.simulation.phonetics import FRAME_TIME, SpeechTracks, Voice, draw_tracks, draw_voice

__all__ = ["synthetic_speech"]

_UPPER_FORMANTS = np.array([3500.0, 4500.0, 5600.0, 6700.0])
_BANDWIDTHS = np.array([60.0, 90, 140, 200, 280, 380, 480])
_LEVEL = 0.1  # root mean square while active


def synthetic_speech(
    n_samples: int, generator: np.random.Generator, sample_rate: int = 16000
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return speech-like sound of a random voice, and when it is active.

    A pulse train of moving pitch and noise are shaped by formants that move between vowels, by bands of fricatives and
    bursts, and by pauses. It has the level, spectrum and rhythm of speech but says nothing.

    Parameters
    ----------
    n_samples : int
        Length in samples.
    generator : numpy.random.Generator
        The same state gives the same voice and words.
    sample_rate : int
        In Hz.

    Returns
    -------
    speech : ndarray of float32, shape (n_samples,)
        Root mean square 0.1 while active.
    activity : ndarray of bool, shape (n_samples,)
        By `speech_activity`, in steps of 10 ms.

    References
    ----------
    Fant (1960), "Acoustic theory of speech production": source and filter. Vowels: Peterson and Barney (1952).

    Examples
    --------
    >>> speech, active = synthetic_speech(16000, np.random.default_rng(0))
    >>> speech.shape, active.dtype
    ((16000,), dtype('bool'))
    """
    length = check_int("n_samples", n_samples, 1)
    rate = check_int("sample_rate", sample_rate, 1)
    voice = draw_voice(generator)
    tracks = draw_tracks(voice, length / rate, generator)
    speech = _synthesise(voice, tracks, length, rate, generator)
    activity = speech_activity(speech, rate)
    power = float((speech[activity] ** 2).mean()) if activity.any() else 0.0
    return (speech * (_LEVEL / np.sqrt(power)) if power > 0 else speech).astype(np.float32), activity


def _synthesise(
    voice: Voice, tracks: SpeechTracks, n_samples: int, rate: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Shape pulses and noise by short-time spectra: windows of 20 ms every 5 ms, added with overlap."""
    hop = round(FRAME_TIME * rate)
    n_frames = len(tracks.pitch)
    window = np.hanning(4 * hop + 1)[:-1]
    n_fft = 1 << (8 * hop - 1).bit_length()
    padded = n_frames * hop + 4 * hop
    frequency = np.asarray(np.fft.rfftfreq(n_fft, 1 / rate), dtype=np.float64)
    index = np.arange(n_frames)[:, None] * hop + np.arange(4 * hop)
    pulses = np.fft.rfft(_pulse_train(tracks.pitch, padded, hop, rate)[index] * window, n_fft)
    noise = np.fft.rfft(generator.standard_normal(padded)[index] * window, n_fft)
    vowel = _formant_envelope(tracks.formants, voice, frequency)
    band = np.exp(-0.5 * ((frequency - tracks.noise_centre[:, None]) / tracks.noise_width[:, None]) ** 2)
    voiced = vowel * tracks.voicing[:, None] * (pulses + voice.breathiness * noise)
    frames = np.fft.irfft(voiced + band * tracks.noise[:, None] * noise, n_fft)
    sound = np.zeros((n_frames - 1) * hop + n_fft)
    for k, frame in enumerate(frames):
        sound[k * hop : k * hop + n_fft] += frame
    return np.asarray(sound[2 * hop : 2 * hop + n_samples], dtype=np.float64)


def _pulse_train(pitch: NDArray[np.float64], n_samples: int, hop: int, rate: int) -> NDArray[np.float64]:
    """One pulse of unit power density per period, between two samples where it falls there."""
    fine = np.interp(np.arange(n_samples), (np.arange(len(pitch)) + 2) * hop, pitch)
    phase = np.cumsum(fine) / rate
    cycle = np.floor(phase)
    starts = np.flatnonzero(np.diff(cycle) > 0)
    share = (cycle[starts + 1] - phase[starts]) / (phase[starts + 1] - phase[starts])
    height = np.sqrt(rate / fine[starts])
    train = np.zeros(n_samples)
    train[starts] += height * (1 - share)
    train[starts + 1] += height * share
    return np.asarray(train - train.mean(), dtype=np.float64)


def _formant_envelope(
    formants: NDArray[np.float64], voice: Voice, frequency: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Magnitude (n_frames, n_bins) of voice source, resonances in series, and radiation; peak near 1."""
    upper = np.tile(_UPPER_FORMANTS * voice.tract_scale, (len(formants), 1))
    envelope = np.ones((len(formants), len(frequency)))
    for centre, width in zip(np.concatenate([formants, upper], axis=1).T, _BANDWIDTHS, strict=True):
        ratio = frequency / centre[:, None]
        envelope /= np.sqrt((1 - ratio**2) ** 2 + (width / centre[:, None] * ratio) ** 2)
    knee = np.maximum(frequency, 1.0) / 180
    source = 2 / np.sqrt(1 + knee**2)  # glottal flow falls 12 dB an octave, radiation gives 6 back
    slope = 10 ** (voice.tilt_db * np.log2(np.maximum(knee, 1.0)) / 20)
    low_cut = 1 / np.sqrt(1 + (70 / np.maximum(frequency, 1.0)) ** 4)
    return np.asarray(envelope * source * slope * low_cut / 4, dtype=np.float64)
