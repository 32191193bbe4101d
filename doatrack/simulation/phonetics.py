"""What a synthetic talker says: voices, phrases, syllables, and the tracks of pitch, formants and noise they make."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

__all__ = ["SpeechTracks", "Voice", "draw_tracks", "draw_voice"]

FRAME_TIME = 0.005  # seconds between two values of a track

# First three formants in Hz of ten American English vowels spoken by men: Peterson and Barney (1952), Table II.
VOWEL_FORMANTS = np.array(
    [
        [270.0, 2290, 3010],
        [390, 1990, 2550],
        [530, 1840, 2480],
        [660, 1720, 2410],
        [730, 1090, 2440],
        [570, 840, 2410],
        [440, 1020, 2240],
        [300, 870, 2240],
        [640, 1190, 2390],
        [490, 1350, 1690],
    ]
)
# Noise of consonants: centre and width of the band in Hz, level in dB below a vowel, shortest and longest time in s.
FRICATIVES = np.array(
    [
        [6000.0, 1500, -8, 0.07, 0.14],  # as in "see"
        [3700, 1200, -8, 0.07, 0.14],  # "she"
        [4500, 4000, -20, 0.06, 0.12],  # "fee"
        [5500, 3000, -22, 0.05, 0.10],  # "thin"
        [1600, 1500, -20, 0.04, 0.08],  # "he"
    ]
)
BURSTS = np.array(
    [
        [1000.0, 900, -14, 0.008, 0.020],  # "pea"
        [4200, 1500, -8, 0.012, 0.030],  # "tea"
        [2200, 900, -10, 0.015, 0.035],  # "key"
    ]
)


@dataclass(frozen=True)
class Voice:
    """What stays the same while one person speaks.

    Attributes
    ----------
    pitch : float
        Mean pitch in Hz.
    tract_scale : float
        Formants relative to an adult man.
    syllable_rate : float
        Per second.
    tilt_db : float
        Extra slope of the voice source in dB per octave.
    breathiness : float
        Share of noise in voiced sounds, 0 to 1.
    sibilance_db : float
        Level of the consonants' noise relative to the table's.
    """

    pitch: float
    tract_scale: float
    syllable_rate: float
    tilt_db: float
    breathiness: float
    sibilance_db: float


@dataclass(frozen=True)
class SpeechTracks:
    """Parameters of speech every 5 ms.

    Attributes
    ----------
    pitch : ndarray (n_frames,)
        In Hz.
    voicing, noise : ndarray (n_frames,)
        Amplitudes of the voice and of the consonants' noise.
    formants : ndarray (n_frames, 3)
        In Hz.
    noise_centre, noise_width : ndarray (n_frames,)
        Band of the noise in Hz.
    """

    pitch: NDArray[np.float64]
    voicing: NDArray[np.float64]
    noise: NDArray[np.float64]
    formants: NDArray[np.float64]
    noise_centre: NDArray[np.float64]
    noise_width: NDArray[np.float64]


def draw_voice(generator: np.random.Generator) -> Voice:
    """Draw a voice: pitch 85 to 250 Hz, higher ones with a shorter vocal tract.

    Examples
    --------
    >>> 80 < draw_voice(np.random.default_rng(0)).pitch < 260
    True
    """
    high = generator.random() < 0.5
    pitch = generator.uniform(165, 250) if high else generator.uniform(85, 150)
    return Voice(
        pitch=float(pitch),
        tract_scale=float(generator.uniform(1.08, 1.22) if high else generator.uniform(0.94, 1.06)),
        syllable_rate=float(generator.uniform(3.5, 5.5)),
        tilt_db=float(generator.uniform(-3.5, 1.5)),
        breathiness=float(generator.uniform(0.02, 0.12)),
        sibilance_db=float(generator.normal(-5.0, 4.0)),
    )


def draw_tracks(voice: Voice, duration: float, generator: np.random.Generator) -> SpeechTracks:
    """Draw phrases of syllables with pauses between them until `duration` seconds are full.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> tracks = draw_tracks(draw_voice(generator), 2.0, generator)
    >>> len(tracks.pitch), tracks.formants.shape
    (401, (401, 3))
    """
    n_frames = int(duration / FRAME_TIME) + 1
    writer = _TrackWriter(voice, n_frames, generator)
    time = generator.uniform(0.0, 0.4)
    while time < duration:
        time = writer.phrase(time, int(generator.integers(4, 16)))
        time += min(1.5, generator.lognormal(np.log(0.35), 0.6))
    return writer.smooth()


class _TrackWriter:
    """Writes syllables into tracks that are smoothed together at the end, so that sounds run into each other."""

    def __init__(self, voice: Voice, n_frames: int, generator: np.random.Generator) -> None:
        self.voice, self.generator, self.n_frames = voice, generator, n_frames
        self.pitch = np.full(n_frames, voice.pitch)
        self.voicing = np.zeros(n_frames)
        self.noise = np.zeros(n_frames)
        self.formants = np.full((n_frames, 3), np.nan)
        self.noise_centre = np.full(n_frames, 3000.0)
        self.noise_width = np.full(n_frames, 2000.0)

    def phrase(self, start: float, n_syllables: int) -> float:
        """Write a phrase whose pitch and level sink towards its end; return when it ends."""
        time, level = start, 10 ** (self.generator.normal(0, 2) / 20)
        top, bottom = self.generator.uniform(1.05, 1.25), self.generator.uniform(0.75, 0.9)
        for k in range(n_syllables):
            share = k / max(1, n_syllables - 1)
            accent = self.generator.lognormal(0, 0.08)
            pitch = self.voice.pitch * (top + (bottom - top) * share) * accent
            time = self.syllable(time, pitch, level * accent**2 * 10 ** (-3 * share / 20))
        return time

    def syllable(self, start: float, pitch: float, level: float) -> float:
        """Write consonant, vowel and sometimes a final consonant; return when they end."""
        time = self.consonant(start, level)
        long = self.generator.lognormal(0, 0.3) * 0.6 / self.voice.syllable_rate
        vowel = self.generator.integers(len(VOWEL_FORMANTS))
        part = self._frames(time, time + long)
        self.voicing[part] = level * 10 ** (self.generator.normal(0, 1.5) / 20)
        self.formants[part] = VOWEL_FORMANTS[vowel] * self.voice.tract_scale * self.generator.normal(1, 0.04, 3)
        self.pitch[self._frames(start, time + long)] = pitch
        time += long
        return self.consonant(time, level) if self.generator.random() < 0.35 else time

    def consonant(self, start: float, level: float) -> float:
        """Write a fricative, a stop (silence and burst), a nasal or glide, or nothing."""
        kind = self.generator.choice(4, p=[0.32, 0.28, 0.3, 0.1])
        if kind == 0:
            return self._noise(FRICATIVES[self.generator.integers(len(FRICATIVES))], start, level)
        if kind == 1:
            closure = self.generator.uniform(0.03, 0.07)
            return self._noise(BURSTS[self.generator.integers(len(BURSTS))], start + closure, level)
        if kind == 2:
            end = start + self.generator.uniform(0.04, 0.08)
            part = self._frames(start, end)
            self.voicing[part] = level * self.generator.uniform(0.2, 0.5)
            self.formants[part] = np.array([280, self.generator.uniform(900, 1800), 2400]) * self.voice.tract_scale
            return end
        return start

    def smooth(self) -> SpeechTracks:
        """Fill formants across gaps and let all tracks move at the speed of the articulators."""
        known = ~np.isnan(self.formants[:, 0])
        frames = np.arange(self.n_frames)
        formants = np.tile(np.array([500.0, 1500, 2500]) * self.voice.tract_scale, (self.n_frames, 1))
        if known.any():
            formants = np.stack([np.interp(frames, frames[known], self.formants[known, k]) for k in range(3)], axis=1)
        jitter = 1 + 0.02 * gaussian_filter1d(self.generator.normal(size=self.n_frames), 3) * 3
        return SpeechTracks(
            pitch=gaussian_filter1d(self.pitch, 8) * jitter,
            voicing=gaussian_filter1d(self.voicing, 2),
            noise=gaussian_filter1d(self.noise, 0.8),
            formants=gaussian_filter1d(formants, 5, axis=0),
            noise_centre=self.noise_centre,
            noise_width=self.noise_width,
        )

    def _noise(self, row: NDArray[np.float64], start: float, level: float) -> float:
        centre, width, level_db, shortest, longest = row
        end = start + self.generator.uniform(shortest, longest)
        part = self._frames(start, end)
        self.noise[part] = level * 10 ** ((level_db + self.voice.sibilance_db + self.generator.normal(0, 2)) / 20)
        wide = self._frames(start - 0.02, end + 0.02)
        self.noise_centre[wide], self.noise_width[wide] = centre * self.generator.normal(1, 0.08), width
        return float(end)

    def _frames(self, start: float, end: float) -> slice:
        return slice(min(self.n_frames, max(0, round(start / FRAME_TIME))), max(0, round(end / FRAME_TIME)))
