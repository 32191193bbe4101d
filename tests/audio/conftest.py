import numpy as np
import pytest
import soundfile


@pytest.fixture
def write(tmp_path, rng):
    """Return a function that writes noise (n_samples, n_channels) and gives path and samples."""

    def write_noise(name="a.wav", n_samples=5000, n_channels=4, sample_rate=16000, **options):
        samples = rng.uniform(-0.5, 0.5, (n_samples, n_channels)).astype(np.float32)
        soundfile.write(tmp_path / name, samples, sample_rate, **options)
        return tmp_path / name, samples

    return write_noise
