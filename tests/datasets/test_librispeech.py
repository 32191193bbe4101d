import functools
import pickle

import numpy as np
import pytest
import soundfile

from doatrack import MicArray
from doatrack.datasets import LibriSpeech
from doatrack.exceptions import AudioFileError, InvalidInputError
from doatrack.simulation import SceneSettings, simulate_scene

RATE = 16000
CHAPTERS = {("61", "70968"): 3, ("61", "70970"): 2, ("7", "10"): 1}
LENGTH = 8000  # samples of an utterance, of which the last quarter is a pause with a little noise


def pitch(chapter, utterance):
    """The frequency by which a test knows an utterance: it lies in whole periods within it."""
    return 200 + 400 * list(CHAPTERS).index(chapter) + 100 * utterance


@pytest.fixture
def corpus(tmp_path):
    time = np.arange(LENGTH) / RATE
    rng = np.random.default_rng(0)
    for (speaker, chapter), count in CHAPTERS.items():
        folder = tmp_path / "LibriSpeech" / "test-clean" / speaker / chapter
        folder.mkdir(parents=True)
        (folder / f"{speaker}-{chapter}.trans.txt").write_text("...")
        for k in range(count):
            tone = 0.1 * np.sin(2 * np.pi * pitch((speaker, chapter), k) * time) * (time < 0.375)
            sound = tone + 1e-5 * rng.normal(size=LENGTH)
            soundfile.write(folder / f"{speaker}-{chapter}-{k:04d}.flac", sound, RATE)
    (tmp_path / "LibriSpeech" / "dev-clean").mkdir()
    return tmp_path / "LibriSpeech"


def heard(dry):
    """Frequencies of the utterances of a trace, one after the other."""
    parts = dry[: len(dry) // LENGTH * LENGTH].reshape(-1, LENGTH)[:, : LENGTH * 3 // 4]
    return [round(np.abs(np.fft.rfft(part)).argmax() * RATE / part.size / 100) * 100 for part in parts]


def test_chapters_are_found_wherever_the_folder_begins(corpus):
    for folder, options in ((corpus, {}), (corpus, {"subset": "test-clean"}), (corpus / "test-clean", {})):
        speech = LibriSpeech(folder, **options)
        assert [(c.speaker, c.chapter) for c in speech.chapters] == [("7", "10"), ("61", "70968"), ("61", "70970")]
        assert [f.name for f in speech.chapters[1].files] == [f"61-70968-{k:04d}.flac" for k in range(3)]
    assert len(LibriSpeech(corpus / "test-clean" / "61")) == 2
    assert len(LibriSpeech(corpus / "test-clean", subset="test-clean")) == 3


def test_utterances_of_one_chapter_follow_each_other_and_begin_again(corpus):
    speech = LibriSpeech(corpus)
    expected = [pitch(("61", "70968"), k) for k in range(3)]
    firsts = set()
    for seed in range(12):
        dry, _ = speech.trace(1, np.random.default_rng(seed), 5 * LENGTH, RATE)
        pitches = heard(dry)
        first = expected.index(pitches[0])
        firsts.add(first)
        assert pitches == [expected[(first + k) % 3] for k in range(5)]
    assert firsts == {0, 1, 2}


def test_random_order_as_the_papers_text_says(corpus):
    speech = LibriSpeech(corpus, order="random")
    orders = {tuple(heard(speech.trace(1, np.random.default_rng(k), 3 * LENGTH, RATE)[0])) for k in range(40)}
    assert len(orders) == 6


def test_a_draw_is_one_chapter_and_every_chapter_comes(corpus):
    speech = LibriSpeech(corpus)
    drawn = set()
    for seed in range(25):
        dry, active = speech(np.random.default_rng(seed), 2 * LENGTH, RATE)
        pitches = heard(dry)
        chapters = {(p - 200) // 400 for p in pitches}
        assert len(chapters) == 1
        drawn |= chapters
        assert (dry.dtype, dry.shape, active.shape) == (np.float32, (2 * LENGTH,), (2 * LENGTH,))
    assert drawn == {0, 1, 2}


def test_pauses_are_marked_silent_and_one_level(corpus):
    generator = np.random.default_rng(1)
    dry, active = LibriSpeech(corpus).trace(1, generator, 6 * LENGTH, RATE)
    assert active.mean() == pytest.approx(0.75, abs=0.02)
    assert not dry[~active].any()
    assert np.sqrt(np.mean(dry[active] ** 2)) == pytest.approx(0.1, rel=1e-3)
    noisy, same = LibriSpeech(corpus, silence_pauses=False).trace(1, np.random.default_rng(1), 6 * LENGTH, RATE)
    np.testing.assert_array_equal(same, active)
    np.testing.assert_allclose(noisy[active], dry[active], rtol=1e-6)
    assert noisy[~active].any()


def test_the_generator_decides_and_processes_agree(corpus):
    speech = LibriSpeech(corpus)
    first, again, other = (speech(np.random.default_rng(seed), RATE, RATE) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])
    voice = pickle.loads(pickle.dumps(functools.partial(speech.trace, 2)))
    np.testing.assert_array_equal(
        voice(np.random.default_rng(0), RATE, RATE)[0], speech.trace(2, np.random.default_rng(0), RATE, RATE)[0]
    )


def test_as_the_voice_of_a_scene(corpus):
    settings = SceneSettings(duration_s=1.0, rt60_range=(0.2, 0.3), noise="none")
    scene = simulate_scene(MicArray.from_preset("tetrahedron_4"), settings, 0, LibriSpeech(corpus))
    assert 0.3 < scene.truth[:, 4].mean() < 1


def test_a_constant_offset_is_removed(tmp_path):
    soundfile.write(tmp_path / "1-2-0000.wav", 0.2 + 0.1 * np.sin(np.arange(RATE) * 0.3), RATE)
    dry, _ = LibriSpeech(tmp_path)(np.random.default_rng(0), RATE, RATE)
    assert abs(dry.mean()) < 1e-4


def test_other_sample_rate(corpus):
    dry, _ = LibriSpeech(corpus).trace(0, np.random.default_rng(0), 4000, 8000)
    assert np.abs(np.fft.rfft(dry)).argmax() * 8000 / 4000 == pytest.approx(pitch(("7", "10"), 0), abs=10)


def test_silent_chapters_do_no_harm(tmp_path):
    soundfile.write(tmp_path / "1-2-0000.wav", np.zeros(RATE), RATE)
    dry, active = LibriSpeech(tmp_path)(np.random.default_rng(0), RATE, RATE)
    assert not dry.any()
    assert not active.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subset": "test-claen"}, "subset of .*got 'test-claen'.*Did you mean 'test-clean'"),
        ({"subset": "dev-clean"}, "dev-clean holds no recording"),
        ({"split": "train"}, r"has no index\.csv, so it has no split 'train'.*pass subset"),
        ({"order": "sorted"}, "order must be .*consecutive, random"),
        ({"silence_pauses": 1}, "silence_pauses must be True or False"),
    ],
)
def test_wrong_options(corpus, options, message):
    with pytest.raises(InvalidInputError, match=message):
        LibriSpeech(corpus, **options)


def test_folders_that_are_none_and_damaged_files(corpus, tmp_path):
    with pytest.raises(InvalidInputError, match="LibriSpeech folder /nowhere is not a folder"):
        LibriSpeech("/nowhere")
    (tmp_path / "other").mkdir()
    soundfile.write(tmp_path / "other" / "a.wav", np.zeros(100), RATE)
    with pytest.raises(InvalidInputError, match=r"holds no utterance of LibriSpeech: names must .*SpeechFolder takes"):
        LibriSpeech(tmp_path / "other")
    (corpus / "test-clean" / "7" / "10" / "7-10-0000.flac").write_bytes(b"fLaC but no more")
    with pytest.raises(AudioFileError, match=r"7-10-0000\.flac"):
        LibriSpeech(corpus).trace(0, np.random.default_rng(0), 100, RATE)
    with pytest.raises(InvalidInputError, match="chapter must be at least 0 and at most 2, got 3"):
        LibriSpeech(corpus).trace(3, np.random.default_rng(0), 100, RATE)
    copy = corpus / "dev-clean" / "7-10-0000.flac"
    copy.write_bytes(b"")
    with pytest.raises(InvalidInputError, match="are one utterance"):
        LibriSpeech(corpus)


def test_an_index_names_files_subsets_and_splits(corpus):
    rows = ["file,subset,split"]
    for file in sorted(corpus.rglob("*.flac")):
        rows.append(f"{file.relative_to(corpus)},test-clean,{'valid' if '70970' in file.name else 'train'}")
    (corpus / "index.csv").write_text("\n".join(rows) + "\n")
    assert len(LibriSpeech(corpus)) == 3
    assert [c.chapter for c in LibriSpeech(corpus, split="valid").chapters] == ["70970"]
    assert len(LibriSpeech(corpus, "test-clean", split="train")) == 2
    with pytest.raises(InvalidInputError, match=r"split of .*index\.csv must be .*Did you mean 'train'"):
        LibriSpeech(corpus, split="trian")
    (corpus / "index.csv").write_text("file\n61-1-0000.flac\n")
    with pytest.raises(InvalidInputError, match=r"index\.csv, column 'file': .*61-1-0000\.flac does not exist"):
        LibriSpeech(corpus)
    with pytest.raises(InvalidInputError, match=r"index\.csv has no column 'subset'"):
        LibriSpeech(corpus, subset="test-clean")


def test_shared_speech_has_chapters_of_20_s(shared_data):
    speech = LibriSpeech(shared_data / "speech", "test-clean", split="train")
    assert len(speech) > 40
    dry, active = speech(np.random.default_rng(0), 20 * RATE, RATE)
    assert dry.shape == (20 * RATE,)
    assert 0.5 < active.mean() < 1
