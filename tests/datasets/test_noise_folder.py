import pickle

import numpy as np
import pytest
import soundfile

from doatrack import MicArray
from doatrack.datasets import NoiseFolder
from doatrack.exceptions import AudioFileError, InvalidInputError
from doatrack.simulation import SceneSettings, simulate_scene

RATE = 16000


def tone(pitch, seconds, level=0.2):
    return level * np.sin(2 * np.pi * pitch * np.arange(int(seconds * RATE)) / RATE + 0.3)


@pytest.fixture
def folder(tmp_path):
    for name, pitch, seconds, level in (
        ("rain", 300, 0.5, 0.4),
        ("rain2", 500, 4.0, 0.002),
        ("dogs/bark", 900, 1, 0.1),
    ):
        file = tmp_path / f"{name}.wav"
        file.parent.mkdir(exist_ok=True)
        soundfile.write(file, tone(pitch, seconds, level), RATE)
    return tmp_path


def loudest(samples):
    return round(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))).argmax() * RATE / len(samples), -2)


def draws(noise, n=30, n_samples=2 * RATE):
    return [noise(np.random.default_rng(seed), n_samples, RATE) for seed in range(n)]


def test_every_file_is_drawn_and_has_one_level(folder):
    noise = NoiseFolder(folder)
    assert (len(noise), noise.classes) == (3, ["dogs", folder.name])
    drawn = draws(noise)
    assert {loudest(samples) for samples in drawn} == {300, 500, 900}
    for samples in drawn:
        assert (samples.dtype, samples.shape) == (np.float32, (2 * RATE,))
        assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.1, rel=1e-4)


def test_classes_are_folders_or_come_from_the_index(folder):
    assert {loudest(s) for s in draws(NoiseFolder(folder, ["dogs"]), 5)} == {900}
    (folder / "index.csv").write_text("file,class\nrain.wav,water\ndogs/bark.wav,animal\n")
    assert NoiseFolder(folder).classes == ["animal", "water"]
    assert {loudest(s) for s in draws(NoiseFolder(folder, classes=("water",)), 5)} == {300}
    (folder / "index.csv").write_text("file,category\nrain.wav,water\n")
    assert NoiseFolder(folder).classes == ["water"]


def test_a_short_clip_is_repeated_without_clicks(tmp_path):
    pitch = 301.0  # not in whole periods within the clip: a bare repetition jumps
    soundfile.write(tmp_path / "a.wav", tone(pitch, 0.31), RATE, subtype="FLOAT")
    for samples in draws(NoiseFolder(tmp_path), 6, 3 * RATE):
        steepest = np.sqrt(2) * np.abs(samples).max() * 2 * np.pi * pitch / RATE
        assert np.abs(np.diff(samples)).max() < 1.5 * steepest
    bare = NoiseFolder(tmp_path, fade=0.0)
    jumps = [np.abs(np.diff(bare(np.random.default_rng(k), 3 * RATE, RATE))).max() for k in range(6)]
    assert max(jumps) > 1.5 * steepest


def test_a_repeated_clip_begins_anywhere(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(300, 0.5) * np.linspace(0, 1, RATE // 2), RATE)
    firsts = [np.sqrt(np.mean(samples[:500] ** 2)) for samples in draws(NoiseFolder(tmp_path), 10)]
    assert max(firsts) > 1.5 * min(firsts)


def test_repeated_noise_keeps_its_power_in_the_fades(tmp_path, rng):
    soundfile.write(tmp_path / "a.wav", rng.normal(scale=0.1, size=6400), RATE, subtype="FLOAT")
    samples = np.concatenate(draws(NoiseFolder(tmp_path, fade=0.1), 40, 4 * RATE)).reshape(-1, 400)
    power = (samples**2).mean(axis=1)
    assert power.min() > 0.5 * power.mean()
    assert power.max() < 2 * power.mean()


def test_a_long_file_gives_other_stretches_that_are_its_own(tmp_path):
    sweep = (np.arange(RATE * 3) / (RATE * 3)).astype(np.float32) + 0.1  # the level tells the place
    soundfile.write(tmp_path / "a.wav", sweep, RATE, subtype="FLOAT")
    starts = set()
    for samples in draws(NoiseFolder(tmp_path), 20, RATE):
        shape = samples / samples[0]
        start = np.argmin([abs(sweep[k + RATE - 1] / sweep[k] - shape[-1]) for k in range(2 * RATE)])
        starts.add(start // (RATE // 4))
        np.testing.assert_allclose(shape, sweep[start : start + RATE] / sweep[start], rtol=1e-3)
    assert len(starts) > 5


def test_other_rates_and_lengths(folder):
    samples = NoiseFolder(folder, ["dogs"])(np.random.default_rng(0), 8000, 8000)
    assert np.abs(np.fft.rfft(samples)).argmax() == pytest.approx(900, abs=2)
    assert NoiseFolder(folder)(np.random.default_rng(0), 1, RATE).shape == (1,)


def test_the_generator_decides_and_processes_agree(folder):
    noise = NoiseFolder(folder)
    other = pickle.loads(pickle.dumps(noise))
    for ours, theirs in zip(draws(noise, 5), draws(other, 5), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_stretches_of_silence_are_passed_over(tmp_path):
    sound = np.concatenate([np.zeros(9 * RATE), tone(400, 1)])
    soundfile.write(tmp_path / "a.wav", sound, RATE)
    for samples in draws(NoiseFolder(tmp_path), 5, RATE):
        assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.1, rel=1e-4)
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE), RATE)
    with pytest.raises(AudioFileError, match=r"a\.wav is silent: it cannot be scaled to an SNR"):
        NoiseFolder(tmp_path)(np.random.default_rng(0), 100, RATE)


def test_as_the_noise_of_a_scene(folder):
    settings = SceneSettings(duration_s=0.5, rt60_range=(0.2, 0.3), noise="recorded", snr_db_range=(0, 0))
    array = MicArray.from_preset("tetrahedron_4")
    scenes = [simulate_scene(array, settings, 0, None, source) for source in (NoiseFolder(folder), NoiseFolder(folder))]
    np.testing.assert_array_equal(scenes[0].waveform, scenes[1].waveform)


def test_bad_folders_and_files_are_named_at_once(folder):
    with pytest.raises(InvalidInputError, match="noise folder /nowhere is not a folder"):
        NoiseFolder("/nowhere")
    with pytest.raises(InvalidInputError, match=r"class of .*got 'dog'\. Did you mean 'dogs'"):
        NoiseFolder(folder, ["dog"])
    with pytest.raises(InvalidInputError, match=r"classes must be a sequence.*Pass \['dogs'\]"):
        NoiseFolder(folder, "dogs")
    with pytest.raises(InvalidInputError, match="classes must name at least one"):
        NoiseFolder(folder, [])
    with pytest.raises(InvalidInputError, match="fade must be at least 0"):
        NoiseFolder(folder, fade=-1)
    with pytest.raises(InvalidInputError, match=r"rain\.wav lasts 0\.500 s, too short .* cross-fades of 0\.3 s"):
        NoiseFolder(folder, fade=0.3)
    (folder / "index.csv").write_text("file\nsnow.wav\n")
    with pytest.raises(InvalidInputError, match=r"index\.csv, column 'file': .*snow\.wav does not exist"):
        NoiseFolder(folder)
    (folder / "index.csv").write_text("file\n")
    with pytest.raises(InvalidInputError, match=r"index\.csv names no files"):
        NoiseFolder(folder)
    (folder / "index.csv").unlink()
    (folder / "rain.wav").write_bytes((folder / "rain.wav").read_bytes()[:2000])
    with pytest.raises(AudioFileError, match=r"rain\.wav is cut off"):
        NoiseFolder(folder)


def test_shared_noise(shared_data):
    noise = NoiseFolder(shared_data / "noise", ["rain", "dog_bark"])
    assert (len(noise), noise.classes) == (80, ["dog_bark", "rain"])
    for samples in draws(noise, 4, 8 * RATE):
        assert np.isfinite(samples).all()
        assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.1, rel=1e-3)
