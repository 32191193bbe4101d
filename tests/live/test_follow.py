import math
import threading

import numpy as np
import pytest

from doatrack import MultiTrack
from doatrack.exceptions import AudioFileError, InvalidInputError, LiveAudioError
from doatrack.live import LiveEvent, LiveFrame, follow


def split(told):
    frames = [message for message in told if isinstance(message, LiveFrame)]
    return frames, [message for message in told if isinstance(message, LiveEvent)]


def kinds(told):
    return [event.kind for event in split(told)[1]]


def test_every_frame_is_told_once_to_everybody_between_start_and_end(list_source, session, chunk):
    first, second = [], []
    summary = follow(list_source([chunk(130)] * 10), session, [first.append, second.append])
    assert first == second
    assert kinds(first) == ["start", "end"]
    frames, (start, end) = split(first)
    assert [frame.time_s for frame in frames] == [0.2, 0.5, 0.8, 1.1]
    assert isinstance(first[0], LiveEvent)
    assert isinstance(first[-1], LiveEvent)
    assert start.values == {"source": "the list", "n_mics": 2, "sample_rate": 1000, "latency_s": 0.7}
    assert (summary.n_frames, summary.n_active, summary.duration_s, summary.lost_s) == (4, 4, 1.3, 0.0)
    assert end.message == "The sound ended after 1.300 s: 4 frames."
    assert "A direction comes at most 0.70 s after its sound." in start.message
    assert not summary.stopped
    assert session.finished


def test_a_tracker_of_several_sources_is_refused(list_source, session, chunk):
    session.push = lambda samples: MultiTrack([], np.zeros((0, 2, 3)), *np.zeros((3, 0, 2)))
    with pytest.raises(InvalidInputError, match=r"follows one source, and this tracker 2\. Set n_sources to 1"):
        follow(list_source([chunk(100)]), session, [])


def test_frames_that_overlap_lost_sound_are_inactive_and_none_is_shifted(list_source, session, chunk):
    told = []
    items = [chunk(500), chunk(100, n_lost=700), chunk(700, value=np.nan), chunk(1000)]
    summary = follow(list_source(items), session, [told.append])
    frames, events = split(told)
    np.testing.assert_allclose([frame.time_s for frame in frames], 0.2 + 0.3 * np.arange(len(frames)))
    assert len(frames) == (3000 - 400) // 300 + 1
    heard = [frame.time_s for frame in frames if frame.active]
    assert heard == pytest.approx([0.2, 2.3, 2.6])
    assert [(event.kind, event.time_s, event.lost_s) for event in events[1:-1]] == [
        ("gap", 0.5, 0.7),
        ("nan", 1.3, 0.7),
    ]
    assert summary.lost_s == pytest.approx(1.4)
    assert "1.400 s of them lost" in events[-1].message


def test_a_stop_ends_it_with_the_last_frames(list_source, session, chunk):
    stop, told = threading.Event(), []

    def pressed():
        stop.set()
        return chunk(400)

    source = list_source([chunk(300), pressed, chunk(300), chunk(0), chunk(900)])
    summary = follow(source, session, [told.append], stop=stop)
    assert source.closed  # and what it had heard by then is tracked
    assert [frame.time_s for frame in split(told)[0]] == [0.2, 0.5, 0.8]
    assert summary.stopped
    assert "Stopped after 1.000 s" in told[-1].message


def test_a_source_that_never_ends_is_stopped_all_the_same(list_source, session, chunk):
    stop = threading.Event()
    stop.set()
    source = list_source([])
    source.read = lambda timeout_s: chunk(1000)
    assert follow(source, session, [], stop=stop).duration_s == 20.0


@pytest.mark.parametrize("error", [LiveAudioError("The device went."), AudioFileError("cut off"), OSError(5, "I/O")])
def test_sound_that_breaks_off_is_told_after_the_last_frames(list_source, session, chunk, error):
    told = []
    with pytest.raises(type(error)):
        follow(list_source([chunk(700), error]), session, [told.append])
    assert len(split(told)[0]) == 2
    assert kinds(told) == ["start", "end"]
    assert told[-1].message.startswith("The sound broke off after 0.700 s: 2 frames.")


def test_a_reader_that_has_gone_ends_it_at_once(list_source, session, chunk):
    def output(message):
        if isinstance(message, LiveFrame):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        follow(list_source([chunk(700), chunk(700)]), session, [output])


def test_silence_of_a_source_is_told_once_and_its_end_too(list_source, session, chunk, clock):
    def nothing():
        clock.now += 0.5
        return chunk(0)

    told = []
    follow(list_source([chunk(100), *[nothing] * 12, chunk(100)]), session, [told.append], patience_s=2, clock=clock)
    events = [event.message for event in split(told)[1] if event.kind == "stall"]
    assert events == ["No sound has come from the list for 2 s. Waiting.", "Sound comes again after 6.0 s."]


def test_a_slow_tracker_is_not_taken_for_a_silent_source(list_source, session, chunk, clock):
    push = session.push

    def slow(samples):
        clock.now += 5.0
        return push(samples)

    session.push, told = slow, []
    follow(list_source([chunk(500), chunk(0), chunk(500), chunk(0)]), session, [told.append], clock=clock)
    assert kinds(told) == ["start", "end"]


def test_a_duration_ends_it_to_the_sample(list_source, session, chunk):
    told = []
    summary = follow(list_source([chunk(450)] * 9), session, [told.append], duration_s=1.0)
    assert summary.duration_s == 1.0
    assert summary.stopped
    assert session.samples.shape[1] == 1000
    summary = follow(list_source([chunk(450, n_lost=800)] * 2), type(session)(), [told.append], duration_s=1.0)
    assert (summary.duration_s, summary.lost_s) == (1.0, 0.8)


def test_a_duration_may_be_for_ever_and_must_be_one(list_source, session, chunk):
    summary = follow(list_source([chunk(450)] * 3), session, [], duration_s=math.inf)
    assert (summary.duration_s, summary.stopped) == (1.35, False)
    for bad, words in ((-1.0, "at least 0, got -1"), (math.nan, "finite, got nan"), ("1", "a number, got '1'")):
        with pytest.raises(InvalidInputError, match=f"duration_s must be {words}"):
            follow(list_source([chunk(450)]), type(session)(), [], duration_s=bad)


def test_channels_are_picked_and_must_fit(list_source, session, chunk):
    source = list_source([chunk(500, n_channels=5)])
    source.n_channels = 5
    follow(source, session, [], channels=[4, 1])
    assert session.samples.shape == (2, 500)
    with pytest.raises(InvalidInputError, match="the list must have 2 channels, one per microphone, got 5"):
        follow(source, type(session)(), [])


def test_a_source_at_another_rate_is_resampled(list_source, session, chunk):
    source = list_source([chunk(441)] * 10)
    source.sample_rate = 4410
    summary = follow(source, session, [])
    assert summary.duration_s == 1.0
    assert session.samples.shape[1] == pytest.approx(1000, abs=1)


def test_a_flood_of_gaps_is_told_now_and_then(list_source, session, chunk, clock):
    def step():
        clock.now += 0.1
        return chunk(90, n_lost=10)

    told = []
    summary = follow(list_source([step] * 200), session, [told.append], clock=clock)
    gaps = [event for event in split(told)[1] if event.kind == "gap"]
    assert len(gaps) <= 6
    assert sum(event.lost_s for event in gaps) == pytest.approx(2.0)
    assert summary.lost_s == pytest.approx(2.0)


def test_a_long_outage_reaches_the_tracker_in_pieces(list_source, session, chunk):
    follow(list_source([chunk(10, n_lost=100_000)]), session, [])
    assert session.largest <= 65536
