import json

import numpy as np
import pytest

from doatrack import Track
from doatrack.live import LiveEvent
from doatrack.live._throttle import Throttle
from doatrack.live.messages import frames_of


def test_frames_are_the_rows_of_a_track_in_degrees(rng):
    doa = rng.normal(size=(5, 3))
    doa /= np.linalg.norm(doa, axis=1, keepdims=True)
    track = Track(0.1 + 0.2 * np.arange(5), doa, np.full(5, 30.0), np.full(5, 0.2), [1, 0, 1, 1, 0])
    frames = list(frames_of(track))
    np.testing.assert_allclose([frame.azimuth_deg for frame in frames], np.degrees(track.azimuth))
    np.testing.assert_allclose([frame.elevation_deg for frame in frames], np.degrees(track.elevation))
    np.testing.assert_allclose([frame.credible_angle_deg for frame in frames], np.degrees(0.2))
    assert [frame.active for frame in frames] == [True, False, True, True, False]
    told = json.loads(frames[1].to_json())
    assert told["type"] == "frame"
    assert told["time_s"] == 0.3
    assert told["active"] is False
    np.testing.assert_allclose([told[name] for name in "xyz"], doa[1], atol=1e-6)


def test_unknown_is_null_and_text_stays_text(frame):
    nothing = frame(credible_angle_deg=float("nan"), concentration=float("inf"), azimuth_deg=-0.0)
    told = json.loads(nothing.to_json())
    assert (told["credible_angle_deg"], told["concentration"]) == (None, None)
    assert '"azimuth_deg": 0.0' in nothing.to_json()
    event = LiveEvent("device", 'a "name"\n</script>', values={"drift_ppm": 250.0})
    assert "\n" not in event.to_json()
    assert json.loads(event.to_json()) == {
        "type": "event",
        "event": "device",
        "time_s": None,
        "message": 'a "name"\n</script>',
        "drift_ppm": 250.0,
    }
    assert event.at(3.0).time_s == 3.0
    assert event.at(3.0).at(4.0).time_s == 3.0


def test_a_flood_of_events_is_told_now_and_then_with_its_sum(clock):
    throttle = Throttle(clock)
    told = []
    for _ in range(120):
        told += throttle.take(LiveEvent("nan", "No numbers.", lost_s=0.01)) + throttle.due()
        clock.now += 0.1
    told += throttle.due(everything=True)
    assert len(told) == 4
    assert sum(event.lost_s for event in told) == pytest.approx(1.2)
    assert "times, " in told[1].message
    assert throttle.due(everything=True) == []


def test_kinds_do_not_hold_each_other_back(clock):
    throttle = Throttle(clock)
    assert [len(throttle.take(LiveEvent(kind, "x"))) for kind in ("gap", "nan", "gap", "drift")] == [1, 1, 0, 1]
