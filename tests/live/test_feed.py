import threading

import numpy as np
import pytest

from doatrack.live import LiveEvent
from doatrack.live.feed import Feed


def block(n, value=0.0):
    return np.full((1, n), value, dtype=np.float32)


def test_what_has_no_room_is_counted_and_told_with_the_next_chunk():
    feed = Feed(1, 100, longest_s=1.0, drops=True)
    for k in range(5):
        assert feed.put(block(40, k), n_lost=1 if k == 3 else 0, events=(LiveEvent("gap", "seen"),) if k == 3 else ())
    first, second = feed.get(0), feed.get(0)
    assert (first.n_lost, second.n_lost) == (0, 0)
    feed.put(block(40, 9))
    third = feed.get(0)
    assert third.n_lost == 3 * 40 + 1
    assert [event.kind for event in third.events] == ["gap", "slow"]
    assert third.events[-1].lost_s == pytest.approx(1.21)
    assert third.samples[0, 0] == 9


def test_what_was_dropped_last_is_told_at_the_end():
    feed = Feed(1, 100, longest_s=1.0, drops=True)
    for _ in range(2):
        feed.put(block(80))
    feed.close()
    assert [feed.get(0).n_samples, feed.get(0).n_lost, feed.get(0)] == [80, 80, None]


def test_a_producer_that_may_wait_waits_and_loses_nothing():
    feed = Feed(1, 100, longest_s=0.5, drops=False)
    given, taken = [], []

    def produce():
        for k in range(20):
            feed.put(block(20, k))
            given.append(k)
        feed.close()

    thread = threading.Thread(target=produce)
    thread.start()
    while (chunk := feed.get(5.0)) is not None:
        assert len(given) - len(taken) <= 3  # the one just taken, and two that wait: a third has no room
        taken.append(chunk.samples[0, 0])
    thread.join()
    assert taken == list(range(20))
    assert feed.was_full


def test_a_tracker_that_falls_behind_hears_of_it_once_and_again_after_it_caught_up():
    feed = Feed(1, 100, longest_s=10.0, drops=True)
    told = []
    for _ in range(2):
        for _ in range(40):
            feed.put(block(10))
        told.append([event for _ in range(40) for event in feed.get(0).events])
    assert [[event.kind for event in events] for events in told] == [["slow"], ["slow"]]
    assert told[0][0].message == "The tracker is 3.9 s behind the sound; after 10 s it is lost."
    assert told[0][0].lost_s == 0


def test_closing_frees_a_producer_that_waits():
    feed = Feed(1, 100, longest_s=0.1, drops=False)
    answers = []
    thread = threading.Thread(target=lambda: answers.extend(feed.put(block(10)) for _ in range(3)))
    thread.start()
    while not feed.was_full:
        pass
    feed.close()
    thread.join(5)
    assert answers == [True, False, False]


def test_nothing_in_time_is_an_empty_chunk_and_errors_come_after_the_last_chunk():
    feed = Feed(2, 100, longest_s=1.0, drops=False)
    assert feed.get(0.01).samples.shape == (2, 0)
    feed.put(np.zeros((2, 5), dtype=np.float32))
    feed.close(ValueError("broken"))
    assert feed.get(0).n_samples == 5
    with pytest.raises(ValueError, match="broken"):
        feed.get(0)
    assert feed.get(0) is None


def test_a_chunk_longer_than_the_queue_passes():
    feed = Feed(1, 100, longest_s=0.1, drops=False)
    assert feed.put(block(500))
    assert feed.get(0).n_samples == 500
