"""Draw the Cramer-Rao bound beside errors of SRP-PHAT: python docs/make_bound_picture.py (a minute on one core)."""

import io
import pathlib

import matplotlib.pyplot as plt
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from doatrack import SRPPHAT, MicArray
from doatrack.metrics import angular_error, cramer_rao_bound

PICTURE = pathlib.Path(__file__).parent / "img" / "bound.png"
ARRAYS = ("nao_head_12", "frl_octahedral_7", "tetrahedron_4")
SNR_DB = np.arange(-20, 31, 5)
RATE, WIN, SPEED = 16000, 4096, 343.0
N_DIRECTIONS = 60


def main() -> None:
    """Measure frames of white noise from directions by chance, without echoes, and draw them over the bound."""
    torch.set_num_threads(1)
    axes = plt.figure(figsize=(8, 4.6), layout="constrained").subplots()
    for name, color in zip(ARRAYS, ("tab:blue", "tab:orange", "tab:green"), strict=True):
        array, generator = MicArray.from_preset(name), np.random.default_rng(0)
        doa = generator.normal(size=(N_DIRECTIONS, 3))
        doa /= np.linalg.norm(doa, axis=1, keepdims=True)
        bound = [cramer_rao_bound(array, doa, db, WIN / RATE).mean_angular_error_deg.mean() for db in SNR_DB]
        axes.plot(SNR_DB, bound, "-", color=color, label=f"bound, {name}")
        tracker = SRPPHAT(n_directions=4096, lag_step=0.125).fit(np.zeros((array.n_mics, WIN)), array)
        median = [np.median(errors(tracker, array, doa, db, generator)) for db in SNR_DB]
        axes.plot(SNR_DB, median, "o--", color=color, ms=4, lw=1, label=f"SRP-PHAT, {name}")
    axes.set(yscale="log", xlabel="SNR at one microphone (dB)", ylabel="Error of a frame of 0.256 s (degrees)")
    axes.grid(alpha=0.3, lw=0.5, which="both")
    axes.legend(fontsize="small")
    plain = io.BytesIO()
    axes.figure.savefig(plain, dpi=90)
    Image.open(plain).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(PICTURE, optimize=True)


def errors(
    tracker: SRPPHAT, array: MicArray, doa: NDArray[np.float64], snr_db: float, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return the error of one frame from each direction in degrees."""
    n = 4 * WIN  # cut from the middle: what comes in at one end does not go out at the other
    frequency = np.fft.rfftfreq(n, 1 / RATE)
    found = []
    for direction in doa:
        early = array.positions @ direction / SPEED
        spectrum = np.fft.rfft(generator.normal(size=n)) * np.exp(2j * np.pi * frequency * early[:, None])
        clean = np.fft.irfft(spectrum, n)[:, WIN : 2 * WIN]
        noise = 10 ** (-snr_db / 20) * generator.normal(size=clean.shape)
        found.append(tracker.predict((clean + noise).astype(np.float32))[0])
    return np.degrees(angular_error(doa, found))


if __name__ == "__main__":
    main()
