import numpy as np
import pytest

from doatrack.live import ClockMonitor

RATE, BLOCK = 16000, 512


def listen(monitor, seconds, *, ppm=0.0, jitter_s=0.0, steps=(), seed=0):
    """Let blocks of a device with a wrong rate arrive with delays; steps are (time, seconds held up from then on)."""
    rng = np.random.default_rng(seed)
    told = []
    for k in range(1, int(seconds * RATE / BLOCK)):
        time = k * BLOCK / (RATE * (1 + ppm * 1e-6))
        delay = rng.exponential(jitter_s) if jitter_s else 0.0
        held = sum(seconds for when, seconds in steps if time >= when)
        told += [(event.kind, event.values, time) for event in monitor.heard(k * BLOCK, time + delay + held)]
    return told


@pytest.mark.parametrize("ppm", [-900, -300, 300, 1500])
def test_a_wrong_rate_is_estimated_through_jitter(ppm):
    told = listen(ClockMonitor(RATE), 200, ppm=ppm, jitter_s=0.01)
    assert [kind for kind, *_ in told] == ["drift"]
    assert told[0][1]["drift_ppm"] == pytest.approx(ppm, abs=60)
    assert told[0][2] > 60


def test_a_good_clock_is_not_complained_about():
    assert listen(ClockMonitor(RATE), 400, ppm=50, jitter_s=0.02) == []


def test_a_drift_is_told_again_only_when_it_changes():
    monitor = ClockMonitor(RATE)
    assert len(listen(monitor, 900, ppm=400)) == 1


def test_a_pause_upstream_is_told_once():
    told = listen(ClockMonitor(RATE), 120, jitter_s=0.005, steps=[(40, 0.7)])
    assert [kind for kind, *_ in told] == ["late"]
    assert told[0][1]["late_s"] == pytest.approx(0.7, abs=0.02)
    assert told[0][2] < 51


def test_growing_lateness_is_told_each_time_it_doubles():
    told = listen(ClockMonitor(RATE), 200, steps=[(10 * k, 0.3) for k in range(1, 18)])
    late = [values["late_s"] for kind, values, _ in told if kind == "late"]
    assert np.round(late, 1).tolist() == [0.3, 0.6, 1.2, 2.4, 4.8]


def test_sound_faster_than_any_clock_comes_from_a_file_and_is_fine():
    assert listen(ClockMonitor(RATE), 300, ppm=9e6) == []


def test_one_late_block_is_no_lateness():
    monitor = ClockMonitor(RATE)
    for k in range(1, 4000):
        assert monitor.heard(k * BLOCK, k * BLOCK / RATE + (0.8 if k % 50 == 0 else 0.0)) == []
