"""`doatrack live`: pipes and signals in real processes, the rest without one of its own."""

import functools
import io
import json
import os
import re
import signal
import struct
import subprocess
import sys
import types
import urllib.request

import numpy as np
import pytest
import soundfile
from rich.console import Console

from doatrack import SRPPHAT, Track
from doatrack.cli._live_outputs import LiveLine
from doatrack.live import LiveEvent, LiveFrame

SRP = ("--method", "srp-phat")
PROGRAM = [sys.executable, "-c", "from doatrack.cli.app import main; main()"]
# where tests run in the background, Ctrl-C is ignored unless it is asked for again
heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="module")
def int16(original):
    """Samples of a recording as a device gives them, (n_samples, 4)."""
    samples, _ = soundfile.read(original / "quiet_00.wav", always_2d=True)
    return (samples / np.abs(samples).max() * 20000).astype("<i2")


def live(*arguments):
    line = [*PROGRAM, "live", "--array", "tetrahedron_4", *SRP, *map(str, arguments)]
    return subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed
    )


def rows(text):
    told = [json.loads(line) for line in text.splitlines()]
    frames = [message for message in told if message["type"] == "frame"]
    return frames, [message for message in told if message["type"] == "event"]


def check_same(frames, track):
    assert [frame["time_s"] for frame in frames] == pytest.approx(track.times)
    np.testing.assert_allclose([[frame[name] for name in "xyz"] for frame in frames], track.doa, atol=2e-6)
    np.testing.assert_array_equal([frame["active"] for frame in frames], track.activity)
    degrees = np.degrees(track.credible_angle)
    np.testing.assert_allclose([frame["credible_angle_deg"] for frame in frames], degrees, atol=1e-4)


def test_a_raw_pipe_gives_what_track_gives_for_the_file(doatrack, int16, tmp_path):
    soundfile.write(tmp_path / "a.wav", int16, 16000, subtype="PCM_16")
    line = ("track", tmp_path / "a.wav", "--array", "tetrahedron_4", *SRP, "--smoothing", "filter")
    assert doatrack(*line, "--out", tmp_path).exit_code == 0
    # a device of six channels, of which four are microphones, and a last sample that is cut
    device = np.zeros((len(int16), 6), dtype="<i2")
    device[:, 1:5] = int16
    options = ("--pcm", "s16le", "--n-channels", 6, "--channels", "2-5", "--json", "--look-ahead")
    with live(*options) as process:
        said = process.communicate(device.tobytes() + b"abc", timeout=60)
    assert process.returncode == 0, said[1]
    frames, events = rows(said[0].decode())
    check_same(frames, Track.from_csv(tmp_path / "a.csv"))
    assert [event["event"] for event in events] == ["start", "truncated", "end"]
    assert "Warning: at 2.000 s: standard input ended within a sample" in said[1].decode()


def test_a_wav_pipe_is_told_to_the_page_too_and_ctrl_c_ends_it_with_the_last_frames(int16, array):
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 0xFFFFFFFF, b"WAVE", b"fmt ", 16, 1, 4, 16000, 128000, 8, 16)
    with live("-", "--json", "--address", "127.0.0.1:0") as process:
        process.stdin.write(head + b"data" + struct.pack("<I", 0xFFFFFFFF) + int16.tobytes())
        process.stdin.flush()
        url = re.search(r"http://127\.0\.0\.1:\d+/", process.stderr.readline().decode())[0]
        # the pipe stays open: frames come while it does
        told = [process.stdout.readline() for _ in range(8)]
        assert "doatrack live" in urllib.request.urlopen(url, timeout=10).read().decode()
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=30)
    assert process.returncode == 130
    frames, events = rows((b"".join(told) + rest).decode())
    waveform = int16.T / np.float32(32768)
    check_same(frames, SRPPHAT(causal=True).fit(waveform, array).track(waveform, "filter"))
    assert events[-1]["event"] == "end"
    assert "Stopped after 2.000 s" in events[-1]["message"]
    assert f"Interrupted. All {len(frames)} frames heard until then are written." in said.decode()
    assert "Traceback" not in said.decode()


def test_a_reader_that_goes_away_ends_it_quietly(original):
    with live(original / "quiet_00.wav", "--json", "--speed", "2") as process:
        assert b"start" in process.stdout.readline()
        process.stdout.close()
        process.stdin.close()
        said = process.stderr.read().decode()
        process.wait(30)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert "BrokenPipe" not in said


def test_a_file_as_fast_as_it_can_be_tracked(doatrack, original, array):
    done = doatrack("live", original / "quiet_00.wav", *SRP, "--speed", "inf", "--json", "--smoothing", "none")
    assert done.exit_code == 0, done.stderr
    frames, events = rows(done.stdout)
    tracker = SRPPHAT(causal=True).fit(original / "quiet_00.wav", array)
    expected = tracker.track(original / "quiet_00.wav", smoothing=None)
    np.testing.assert_allclose([[frame[name] for name in "xyz"] for frame in frames], expected.doa, atol=2e-6)
    assert [frame["credible_angle_deg"] for frame in frames] == [None] * len(frames)
    assert events[0]["latency_s"] == 0.448
    assert "A direction comes at most 0.45 s after its sound." in done.stderr


def test_looking_ahead_is_told(doatrack, original):
    line = ("live", original / "quiet_00.wav", *SRP, "--speed", "inf", "--json", "--look-ahead", "--duration", "1")
    done = doatrack(*line)
    assert rows(done.stdout)[1][0]["latency_s"] > 1
    assert "Warning" not in done.stderr
    assert rows(done.stdout)[1][-1]["message"].startswith("Stopped after 1.000 s: 4 frames")


def test_without_a_terminal_frames_with_sound_are_lines_of_text(doatrack, original, model):
    done = doatrack("live", original / "quiet_00.wav", "--model", model, "--speed", "inf")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) > 2
    assert all(re.search(r"^ +\d\.\d{3} s  azimuth +[+-]\d+\.\d°  elevation", line) for line in lines)


def test_samples_that_are_no_numbers_and_channels_are_named(doatrack, original, array, tmp_path):
    samples, _ = soundfile.read(original / "quiet_00.wav", always_2d=True)
    samples[16000:16160, 2] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    array.to_json(tmp_path / "array.json")
    done = doatrack("live", tmp_path / "a.wav", *SRP, "--speed", "inf", "--json")
    assert done.exit_code == 0
    assert "Warning: at 1.000 s: 0.010 s of sound are no finite numbers (channel 3, counted from 1)" in done.stderr
    frames, _ = rows(done.stdout)
    assert {frame["active"] for frame in frames if abs(frame["time_s"] - 1) < 0.128} == {False}
    few = doatrack("live", tmp_path / "a.wav", *SRP, "--channels", "2-4", "--speed", "inf")
    assert few.exit_code == 2
    assert "a.wav must have 4 channels, one per microphone, got 3" in few.stderr
    assert "channel 7 was asked for" in doatrack("live", tmp_path / "a.wav", *SRP, "--channels", "4-7").stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.wav", "--pcm", "s16le"), "--pcm reads raw samples from standard input, and a.wav is a file"),
        (("--pcm", "s16be"), "--pcm must be one of the known names, got 's16be'. Did you mean 's16le'?"),
        (("-", "--rate", "16000"), "--n-channels and --rate go with --pcm or a device"),
        (("--speed", "2"), "--speed goes with a file"),
        (("a.wav", "--reconnect", "5"), "--reconnect goes with a device"),
        (("a.wav", "--allow-host", "robot.local"), "--allow-host goes with --serve"),
        (("a.wav", "--speed", "0"), "--speed must be above 0, got 0"),
        (("-", "--device", "1"), "--device names a sound device, and a file or pipe is given too"),
        (("a.wav", "--smoothing", "smoother"), "--smoothing smoother needs the whole recording"),
        (("a.wav", "--smoothing", "filtr"), "Did you mean 'filter'?"),
        (("a.wav", "--array", "tetrahedron"), "Did you mean 'tetrahedron_4'?"),
    ],
)
def test_wrong_use_says_what_is_meant(doatrack, arguments, message):
    done = doatrack("live", *arguments, *SRP)
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_missing_file_and_a_wrong_address_are_named(doatrack, original):
    line = ("live", *SRP, "--array", "tetrahedron_4")
    for missing in (doatrack(*line, "nothing.wav"), doatrack("live", *SRP, "nothing.wav")):
        assert (missing.exit_code, "nothing.wav does not exist" in missing.stderr) == (1, True)
    wrong = doatrack(*line, original / "quiet_00.wav", "--serve", "--address", "http://here")
    assert wrong.exit_code == 2
    assert "The address must be HOST:PORT" in wrong.stderr


def test_a_missing_array_is_asked_for(doatrack, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((8000, 4)), 16000)
    done = doatrack("live", tmp_path / "a.wav", *SRP)
    assert (done.exit_code, "needs the geometry of the microphones" in done.stderr) == (2, True)


def test_an_endless_duration_ends_with_the_file(doatrack, original):
    done = doatrack("live", original / "quiet_00.wav", *SRP, "--speed", "inf", "--duration", "inf")
    assert (done.exit_code, "The sound ended after 2.000 s" in done.stderr) == (0, True), done.stderr


def test_an_address_that_others_reach_is_warned_of(doatrack, original):
    line = ("live", original / "quiet_00.wav", *SRP, "--speed", "inf", "--address")
    assert "Warning: everybody who reaches this machine at 0.0.0.0" in doatrack(*line, "0.0.0.0:0").stderr
    assert "everybody" not in doatrack(*line, "127.0.0.1:0").stderr


def test_without_the_extra_it_says_what_to_install(doatrack, original, monkeypatch):
    line = ("live", *SRP, "--array", "tetrahedron_4")
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    for done in (
        doatrack(*line, original / "quiet_00.wav", "--serve"),
        doatrack(*line),
        doatrack("live", "--list-devices"),
    ):
        assert done.exit_code == 1
        assert "pip install 'doatrack[live]'" in done.stderr


@pytest.fixture
def sounddevice(monkeypatch, int16):
    """A device of six channels that plays a recording and then goes away."""
    sound = np.zeros((len(int16), 6), dtype=np.float32)
    sound[:, 1:5] = int16 / np.float32(32768)

    class InputStream:
        active = True

        def __init__(self, **options):
            assert (options["channels"], options["samplerate"]) == (6, 16000)
            self._callback = options["callback"]

        def start(self):
            for block in np.array_split(sound, 50):
                self._callback(block, len(block), None, types.SimpleNamespace(input_overflow=False))
            self.active = False

        def close(self, ignore_errors=True):
            pass

    info = {"name": "Ring", "max_input_channels": 6, "default_samplerate": 16000.0}
    module = types.ModuleType("sounddevice")
    module.query_devices = lambda device=None, kind=None: [info] if kind is None else info
    module.InputStream, module.PortAudioError = InputStream, OSError
    monkeypatch.setitem(sys.modules, "sounddevice", module)


def test_a_device_is_listed_and_tracked_until_it_goes_away(doatrack, sounddevice, int16, array):
    assert doatrack("live", "--list-devices").stdout == "  0    6 channels   16000 Hz  Ring\n"
    line = ("live", *SRP, "--array", "tetrahedron_4", "--channels", "2-5", "--json", "--reconnect", "0")
    done = doatrack(*line)
    assert done.exit_code == 1
    assert "Error: Ring did not come back within 0 s. Is it plugged in?" in done.stderr
    frames, events = rows(done.stdout)
    waveform = int16.T / np.float32(32768)
    expected = SRPPHAT(causal=True).fit(waveform, array).track(waveform, "filter")
    check_same(frames[: expected.n_frames], expected)
    assert "Ring is gone" in " ".join(event["message"] for event in events)
    assert events[-1]["message"].startswith("The sound broke off after 2.")


def test_raw_samples_from_a_terminal_are_not_waited_for(doatrack, monkeypatch):
    reading, writing = os.openpty()
    with open(reading) as terminal:
        monkeypatch.setattr("doatrack.cli._live_sources.sys", types.SimpleNamespace(stdin=terminal))
        done = doatrack("live", *SRP, "--array", "tetrahedron_4", "--pcm", "s16le")
    os.close(writing)
    assert done.exit_code == 2
    assert "but that is the terminal" in done.stderr


def test_a_standard_input_that_is_closed_is_said(doatrack, monkeypatch, tmp_path):
    (tmp_path / "closed").touch()
    closed = (tmp_path / "closed").open()
    closed.close()
    for stream in (None, closed, io.StringIO()):
        monkeypatch.setattr("doatrack.cli._live_sources.sys", types.SimpleNamespace(stdin=stream))
        for arguments in (("--pcm", "s16le"), ("-",)):
            done = doatrack("live", *SRP, "--array", "tetrahedron_4", *arguments)
            assert (done.exit_code, "standard input, and there is none: it is closed" in done.stderr) == (2, True)


def test_the_line_of_a_terminal_shows_angles_and_where_that_is():
    text = io.StringIO()
    with LiveLine(Console(file=text, force_terminal=True, width=140, color_system=None)) as line:
        line(LiveEvent("gap", "0.5 s were [lost]."))
        line(LiveFrame(3.2, (0, 1, 0), 90.0, -3.0, 8.0, 90.0, True))
        line(LiveFrame(3.4, (0, 1, 0), 90.0, -3.0, float("nan"), 90.0, False))
    shown = text.getvalue()
    assert "0.5 s were [lost]." in shown
    assert "3.2 s  ● azimuth   +90.0°  elevation   -3.0°  ±  8.0°" in shown
    assert "3.4 s  ○ azimuth" in shown
    assert "B···········L···········F···········R···········B" in shown
    narrow = io.StringIO()
    with LiveLine(Console(file=narrow, force_terminal=True, width=50, color_system=None)) as line:
        line(LiveFrame(3.2, (0, 1, 0), 90.0, -3.0, 8.0, 90.0, True))
    assert "B···" not in narrow.getvalue()
