import pickle

import numpy as np
import pytest
import soundfile

from doatrack.datasets import SpeechFolder
from doatrack.exceptions import InvalidInputError

RATE = 16000
PITCH = {"low": 200.0, "mid": 500.0, "high": 1200.0}  # a talker is a tone here, so it can be told who speaks


@pytest.fixture
def folder(tmp_path):
    """Three talkers with two utterances each, of different levels and lengths."""
    rows = ["file,split,speaker_id"]
    for speaker, pitch in PITCH.items():
        (tmp_path / speaker).mkdir()
        for k, level in enumerate((0.02, 0.4)):
            time = np.arange(int((0.6 + 0.2 * k) * RATE)) / RATE
            soundfile.write(tmp_path / speaker / f"{k}.wav", level * np.sin(2 * np.pi * pitch * time), RATE)
            rows.append(f"{speaker}/{k}.wav,{'valid' if speaker == 'high' else 'train'},{speaker}")
    (tmp_path / "index.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def loudest_frequency(samples, rate=RATE):
    return np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)


def draws(speech, n=20, n_samples=3 * RATE):
    return [speech(np.random.default_rng(seed), n_samples, RATE) for seed in range(n)]


def test_splits_and_speakers_come_from_the_index(folder):
    assert SpeechFolder(folder).speakers == ["high", "low", "mid"]
    train = SpeechFolder(folder, split="train")
    assert (train.speakers, len(train)) == (["low", "mid"], 4)
    heard = {round(loudest_frequency(dry), -2) for dry, _ in draws(train)}
    assert heard == {200, 500}


def test_one_draw_is_one_talker(folder):
    for dry, _ in draws(SpeechFolder(folder), n=6):
        spectrum = np.abs(np.fft.rfft(dry)) ** 2
        frequency = np.fft.rfftfreq(len(dry), 1 / RATE)
        at = {name: spectrum[np.abs(frequency - pitch) < 60].sum() for name, pitch in PITCH.items()}
        assert max(at.values()) > 0.98 * sum(at.values())


def test_utterances_have_one_level_and_pauses_are_silent(folder):
    for dry, active in draws(SpeechFolder(folder, pause_range=(0.3, 0.3)), n=5):
        assert dry.dtype == np.float32
        assert active.dtype == np.bool_
        assert 0.5 < active.mean() < 0.85
        assert np.sqrt(np.mean(dry[active] ** 2)) == pytest.approx(0.1, rel=0.05)
        assert np.sqrt(np.mean(dry[~active] ** 2)) < 0.02


def test_the_generator_decides_everything(folder):
    speech = SpeechFolder(folder)
    first, again, other = (speech(np.random.default_rng(seed), RATE, RATE) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("n_samples", [1, 100, 5 * RATE])
def test_length_is_as_asked(folder, n_samples):
    dry, active = SpeechFolder(folder)(np.random.default_rng(0), n_samples, RATE)
    assert dry.shape == active.shape == (n_samples,)


def test_other_sample_rate(folder):
    dry, _ = SpeechFolder(folder, split="valid")(np.random.default_rng(0), 8000, 8000)
    assert loudest_frequency(dry, 8000) == pytest.approx(1200, abs=20)


def test_without_an_index_a_folder_is_a_talker(folder):
    (folder / "index.csv").unlink()
    speech = SpeechFolder(folder)
    assert [speaker.rsplit("/", 1)[-1] for speaker in speech.speakers] == ["high", "low", "mid"]
    with pytest.raises(InvalidInputError, match=r"has no index\.csv, so it has no split 'train'"):
        SpeechFolder(folder, split="train")


def test_first_channel_of_stereo_is_used(tmp_path):
    time = np.arange(RATE) / RATE
    soundfile.write(tmp_path / "a.wav", np.stack([np.sin(2 * np.pi * f * time) / 2 for f in (300, 900)], axis=1), RATE)
    dry, _ = SpeechFolder(tmp_path)(np.random.default_rng(0), RATE, RATE)
    assert loudest_frequency(dry) == pytest.approx(300, abs=5)


def test_silent_files_do_no_harm(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE), RATE)
    dry, active = SpeechFolder(tmp_path)(np.random.default_rng(0), RATE, RATE)
    assert not dry.any()
    assert not active.any()


def test_pickled_for_other_processes(folder):
    speech = SpeechFolder(folder, split="train")
    for ours, theirs in zip(draws(speech, 1), draws(pickle.loads(pickle.dumps(speech)), 1), strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])


@pytest.mark.parametrize(
    ("index", "options", "message"),
    [
        ("name,split\n", {}, r"index\.csv has no column 'file'"),
        ("file\na.wav\n", {"split": "train"}, r"index\.csv has no column 'split'"),
        ("file\na.wav\n", {}, r"index\.csv, column 'file': .*a\.wav does not exist"),
        ("file,split\n", {}, r"index\.csv names no files"),
        (None, {"split": "trian"}, r"split of .*index\.csv must be .*got 'trian'\. Did you mean 'train'"),
        (None, {"pause_range": (1.0, 0.5)}, r"pause_range must be at least 1, got 0\.5"),
    ],
)
def test_errors_name_file_and_column(folder, index, options, message):
    if index is not None:
        (folder / "index.csv").write_text(index)
    with pytest.raises(InvalidInputError, match=message):
        SpeechFolder(folder, **options)


def test_missing_folder():
    with pytest.raises(InvalidInputError, match="speech folder /nowhere is not a folder"):
        SpeechFolder("/nowhere")


def test_shared_speech_keeps_speakers_of_splits_apart(shared_data):
    train, valid = (SpeechFolder(shared_data / "speech", split=split) for split in ("train", "valid"))
    assert (len(train.speakers), len(valid.speakers)) == (281, 10)
    assert not set(train.speakers) & set(valid.speakers)
    dry, active = valid(np.random.default_rng(0), 2 * RATE, RATE)
    assert np.sqrt(np.mean(dry[active] ** 2)) == pytest.approx(0.1, rel=0.5)


def test_faint_parts_count_as_the_threshold_says(tmp_path):
    tone = np.sin(np.arange(RATE) * 0.5) * np.repeat([0.5, 0.5 * 10 ** (-25 / 20)], RATE // 2)
    soundfile.write(tmp_path / "talker.wav", tone, RATE)
    shares = {}
    for threshold in (30.0, 20.0):
        speech = SpeechFolder(tmp_path, pause_range=(0.0, 0.0), activity_threshold_db=threshold)
        shares[threshold] = np.mean([active.mean() for _, active in draws(speech, n=5, n_samples=10 * RATE)])
    assert shares[30.0] > 0.95
    assert shares[20.0] == pytest.approx(0.5, abs=0.05)
    with pytest.raises(InvalidInputError, match="activity_threshold_db must be at least 0, got -1"):
        SpeechFolder(tmp_path, activity_threshold_db=-1.0)
