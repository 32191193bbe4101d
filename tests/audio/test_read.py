import os

import numpy as np
import pytest
import soundfile

from doatrack.audio import audio_info, read_audio
from doatrack.exceptions import AudioFileError, InvalidInputError


@pytest.mark.parametrize(
    ("name", "subtype", "step"),
    [
        ("a.wav", "FLOAT", 0),
        ("a.wav", "DOUBLE", 0),
        ("a.wav", "PCM_U8", 2**-7),
        ("a.wav", "PCM_16", 2**-15),
        ("a.wav", "PCM_24", 2**-23),
        ("a.wav", "PCM_32", 2**-23),
        ("a.flac", "PCM_16", 2**-15),
        ("a.flac", "PCM_24", 2**-23),
        ("a.aiff", "PCM_16", 2**-15),
    ],
)
def test_samples_come_back_channels_first_with_full_scale_one(write, name, subtype, step):
    path, samples = write(name, subtype=subtype)
    waveform = read_audio(path)
    assert waveform.dtype == np.float32
    assert waveform.flags["C_CONTIGUOUS"]
    np.testing.assert_allclose(waveform, samples.T, rtol=0, atol=step)


def test_integer_extremes_are_minus_one_and_nearly_one(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([[-32768, 32767]], dtype=np.int16), 16000)
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav")[:, 0], [-1, 32767 / 32768], rtol=0, atol=0)


def test_ogg_keeps_length_and_level(tmp_path):
    time = np.arange(16000) / 16000
    tone = 0.5 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(tmp_path / "a.ogg", np.stack([tone, tone / 2], axis=1), 16000)
    waveform = read_audio(tmp_path / "a.ogg")
    assert waveform.shape == (2, 16000)
    np.testing.assert_allclose(waveform.std(axis=1), [0.5 / 2**0.5, 0.25 / 2**0.5], rtol=0.02)


def test_channels_are_picked_in_the_order_given(write):
    path, samples = write(n_channels=6, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(path, channels=[4, 1]), samples.T[[4, 1]])


def test_one_channel_stays_two_dimensional(write):
    assert read_audio(write(n_channels=1)[0]).shape == (1, 5000)


@pytest.mark.parametrize("sample_rate", [8000, 44100, 48000, 96000])
def test_a_tone_keeps_frequency_level_and_phase_at_any_rate(tmp_path, sample_rate):
    """Phase too, so that resampling moves nothing in time: delays between channels and frame times stay."""
    frequency = 1000.0
    tone = 0.5 * np.sin(2 * np.pi * frequency * np.arange(sample_rate) / sample_rate)
    soundfile.write(tmp_path / "a.wav", np.stack([tone, -tone], axis=1), sample_rate, subtype="FLOAT")
    waveform = read_audio(tmp_path / "a.wav")
    assert waveform.shape == (2, 16000)
    expected = 0.5 * np.sin(2 * np.pi * frequency * np.arange(16000) / 16000)
    inside = slice(400, -400)  # the filter's ends see zeros
    np.testing.assert_allclose(waveform[0, inside], expected[inside], atol=1e-4)
    np.testing.assert_array_equal(waveform[1], -waveform[0])


def test_what_lies_above_the_new_band_is_gone(tmp_path):
    tone = 0.5 * np.sin(2 * np.pi * 12000 * np.arange(48000) / 48000)
    soundfile.write(tmp_path / "a.wav", tone, 48000, subtype="FLOAT")
    assert np.abs(read_audio(tmp_path / "a.wav")[:, 400:-400]).max() < 1e-4


def test_another_target_rate(write):
    assert read_audio(write()[0], sample_rate=8000).shape == (4, 2500)


def test_info_is_of_the_file_itself(write):
    info = audio_info(write(sample_rate=48000, n_samples=24000)[0])
    assert (info.sample_rate, info.n_channels, info.n_samples, info.duration) == (48000, 4, 24000, 0.5)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.aiff"])
@pytest.mark.parametrize("share", [0.0, 0.0002, 0.0008, 0.05, 0.6, 0.98, 0.9999])
def test_cut_off_file_is_named(write, name, share):
    path, _ = write(name, n_samples=48000)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(AudioFileError) as caught:
        read_audio(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.wav", r"is cut off: its header promises 384000 bytes of samples, and 230\d\d\d are there"),
        ("a.flac", r"is cut off or damaged: \d\.\d\d\d s of 3\.000 s could be read"),
        ("a.ogg", r"is cut off: its last page is missing"),
        ("a.aiff", r"is cut off: its header promises 384008 bytes of samples"),
    ],
)
def test_cut_off_message_says_how_much_is_there(write, name, message):
    path, _ = write(name, n_samples=48000)
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    with pytest.raises(AudioFileError, match=message):
        read_audio(path)


def test_flac_damaged_in_the_middle(write):
    path, _ = write("a.flac", n_samples=48000)
    content = bytearray(path.read_bytes())
    content[100_000:100_400] = bytes(400)
    path.write_bytes(content)
    with pytest.raises(AudioFileError, match=r"a\.flac is cut off or damaged"):
        read_audio(path)


def test_ogg_damaged_in_the_middle_is_not_read_as_a_shorter_one(write):
    path, _ = write("a.ogg", n_samples=48000)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(AudioFileError, match=r"a\.ogg is damaged: its page at byte \d+ does not fit its checksum"):
        read_audio(path)


def test_flac_of_unknown_length(write):
    path, _ = write("a.flac")
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the 36 bits of the number of samples: 0 means unknown
    content[22:26] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(AudioFileError, match="does not say how long it is"):
        read_audio(path)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000])
def test_wav_from_a_pipe_is_read_to_its_end(write, size):
    path, samples = write(subtype="PCM_16")
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = size.to_bytes(4, "little")
    path.write_bytes(content)
    assert read_audio(path).shape == samples.T.shape


def test_chunks_before_and_after_the_samples_do_not_matter(write):
    path, samples = write(subtype="PCM_16")
    content = path.read_bytes()
    at = content.index(b"data")
    odd_chunk = b"note" + (5).to_bytes(4, "little") + b"hello\0"
    path.write_bytes(content[:at] + odd_chunk + content[at:] + odd_chunk)
    assert read_audio(path).shape == samples.T.shape


def test_text_named_wav(tmp_path):
    (tmp_path / "a.wav").write_text("This is no sound.\n" * 100)
    with pytest.raises(AudioFileError, match=r"a\.wav cannot be read as audio: Format not recognised\.$"):
        read_audio(tmp_path / "a.wav")


def test_damaged_mp3_is_not_said_to_be_missing(tmp_path):
    (tmp_path / "a.mp3").write_bytes(b"ID3" + bytes(500))
    with pytest.raises(
        AudioFileError, match=r"a\.mp3 cannot be read as audio: it is damaged, or its format is not known"
    ):
        read_audio(tmp_path / "a.mp3")


def test_raw_samples_without_a_header(tmp_path):
    (tmp_path / "a.raw").write_bytes(bytes(100))
    with pytest.raises(AudioFileError, match=r"a\.raw cannot be read as audio"):
        read_audio(tmp_path / "a.raw")


def test_what_is_no_file(tmp_path):
    (tmp_path / "empty.wav").touch()
    os.mkfifo(tmp_path / "pipe.wav")
    for path, message in [
        (tmp_path / "empty.wav", r"empty\.wav is empty \(0 bytes\)"),
        (tmp_path / "none.wav", r"none\.wav does not exist"),
        (tmp_path, "is a folder; doatrack.datasets.find_recordings"),
        (tmp_path / "pipe.wav", r"pipe\.wav is not a regular file"),
        (tmp_path / ("a" * 300), "cannot be opened: File name too long"),
    ]:
        with pytest.raises(AudioFileError, match=message):
            read_audio(path)
        with pytest.raises(AudioFileError, match=message):
            audio_info(path)


def test_file_without_permission(write, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("doatrack.audio.sound_file.cut_off_reason", refuse)  # root may read every file
    with pytest.raises(AudioFileError, match=r"a\.wav cannot be opened: Permission denied"):
        read_audio(write()[0])


def test_no_samples(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((0, 4)), 16000)
    with pytest.raises(AudioFileError, match=r"a\.wav holds no samples"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite(tmp_path, bad):
    samples = np.zeros((48000, 2), dtype=np.float32)
    samples[32000, 1] = bad
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    with pytest.raises(AudioFileError, match=r"a\.wav holds samples that are NaN or infinite, first at 2\.000 s"):
        read_audio(tmp_path / "a.wav")


def test_double_too_large_for_float(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full((100, 2), 1e300), 16000, subtype="DOUBLE")
    with pytest.raises(AudioFileError, match="NaN or infinite"):
        read_audio(tmp_path / "a.wav")


def test_header_with_an_absurd_rate(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((100, 2)), 10)
    with pytest.raises(AudioFileError, match=r"a\.wav gives a sample rate of 10 Hz, outside 1000 to 1000000 Hz"):
        read_audio(tmp_path / "a.wav")


def test_fewer_channels_than_asked_for(write):
    with pytest.raises(AudioFileError, match=r"a\.wav has 4 channels, but channel 5 .counted from 0; 6 from 1."):
        read_audio(write()[0], channels=[5, 0])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"sample_rate": 0}, "sample_rate must be at least 1"), ({"channels": [0, 0]}, "channel 0 .* twice")],
)
def test_bad_parameters_are_no_fault_of_the_file(write, options, message):
    with pytest.raises(InvalidInputError, match=message):
        read_audio(write()[0], **options)
