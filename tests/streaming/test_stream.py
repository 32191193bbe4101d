"""A stream gives what `track` gives, whatever the chunks, in bounded memory, and survives what goes wrong."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doatrack.exceptions import InvalidInputError, LookAheadWarning

RATE, WIN, HOP, N = 16000, 512, 384, 20000
TRACKERS = ["srp", "whitened", "averaged", "map", "paper", "neural-srp", "cross3d"]


def chunks_of(signal, sizes):
    """The signal in chunks of these sizes, the last one as long as what is left."""
    return np.split(signal, np.minimum(np.cumsum(sizes), signal.shape[1]), axis=1)


def joined(tracks, name):
    return np.concatenate([getattr(track, name) for track in tracks])


def stream_of(tracker, smoothing="filter"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LookAheadWarning)
        return tracker.stream(smoothing)


def assert_same(tracks, track, tolerance):
    assert np.array_equal(joined(tracks, "times"), track.times)
    assert np.array_equal(joined(tracks, "activity"), track.activity)
    assert np.abs(joined(tracks, "doa") - track.doa).max() <= tolerance
    for name in ("concentration", "credible_angle"):
        assert np.allclose(joined(tracks, name), getattr(track, name), rtol=1e-3, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", TRACKERS)
@given(
    sizes=st.lists(st.one_of(st.integers(0, 3), st.integers(300, 500), st.integers(0, 9000)), max_size=6),
    smoothing=st.sampled_from([None, "filter"]),
)
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_chunks_give_the_track_of_the_whole(fitted, sound, name, causal, sizes, smoothing):
    tracker = copy.copy(fitted[name]).set_params(causal=causal)
    signal = sound(N, seed=7)
    stream = stream_of(tracker, smoothing)
    tracks = [stream.push(chunk) for chunk in chunks_of(signal, sizes)] + [stream.finish()]
    assert_same(tracks, tracker.track(signal, smoothing), 1e-6 if name in ("srp", "averaged") else 1e-5)
    assert stream.n_samples == N
    assert stream.n_frames == 1 + (N - WIN) // HOP


class Buffer:
    """Hands out its own samples, as data frames and tensors of other libraries may."""

    def __init__(self, samples):
        self.samples = samples

    def __array__(self, dtype=None, copy=None):
        return self.samples


@pytest.mark.parametrize("given_as", [np.asarray, torch.from_numpy, Buffer])
def test_a_program_may_use_its_buffer_again(fitted, sound, given_as):
    signal, tracker = sound(8000), fitted["srp"]
    stream, buffer, tracks = stream_of(tracker), np.zeros((len(signal), 500), np.float32), []
    for chunk in np.split(signal, 16, axis=1):
        buffer[:] = chunk
        tracks.append(stream.push(given_as(buffer)))
        buffer[:] = 0.7
    assert_same([*tracks, stream.finish()], tracker.track(signal, "filter"), 1e-6)


def test_single_samples_too(fitted, sound):
    signal = sound(2 * HOP + WIN)
    tracker = copy.copy(fitted["whitened"]).set_params(causal=True)
    stream = stream_of(tracker)
    tracks = [stream.push(signal[:, k : k + 1]) for k in range(signal.shape[1])]
    assert np.flatnonzero([track.n_frames for track in tracks]).tolist() == [WIN - 1, WIN + HOP - 1, WIN + 2 * HOP - 1]
    assert_same(tracks, tracker.track(signal, "filter"), 1e-5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", TRACKERS)
def test_a_frame_waits_no_longer_than_is_said(fitted, sound, name, causal):
    tracker = copy.copy(fitted[name]).set_params(causal=causal)
    stream = stream_of(tracker, None)
    signal, step, waited = sound(2 * N), 320, []
    for end in range(step, signal.shape[1] + 1, step):
        first = stream.n_frames
        frames = stream.push(signal[:, end - step : end]).n_frames
        waited += [(end - frame * HOP - WIN) / RATE for frame in range(first, first + frames)]
    longest = max(waited)
    assert stream.look_ahead_s - 2 * HOP / RATE <= longest <= stream.look_ahead_s + step / RATE
    assert stream.latency_s == pytest.approx((WIN + HOP) / RATE + stream.look_ahead_s)
    if causal and name not in ("paper", "neural-srp"):
        assert stream.look_ahead_s == 0


@pytest.mark.parametrize("name", TRACKERS)
def test_later_sound_changes_nothing_that_a_causal_stream_said(fitted, sound, name):
    tracker = copy.copy(fitted[name]).set_params(causal=True)
    one = sound(N)
    other = one.copy()
    other[:, 12000:] = 10 * sound(N, seed=3)[[1, 3, 0, 2], 12000:]
    ahead = round(stream_of(tracker).look_ahead_s * RATE)
    known = 1 + (12000 - ahead - WIN) // HOP
    a, b = (tracker.track(signal, "filter").doa for signal in (one, other))
    assert np.array_equal(a[:known], b[:known]) or np.abs(a[:known] - b[:known]).max() < 1e-6
    # far above the tolerance for what was known; an untrained network that pools makes few, faint observations
    assert np.abs(a[known:] - b[known:]).max() > 1e-4


def test_causal_can_be_set_after_fitting_and_is_kept_by_files(fitted, sound, tmp_path):
    import doatrack

    tracker = copy.copy(fitted["map"])
    before = tracker.predict(sound(N))
    tracker.set_params(causal=True)
    causal = tracker.predict(sound(N))
    assert np.abs(before - causal).max() > 1e-3
    tracker.save(tmp_path / "causal.safetensors")
    assert np.array_equal(doatrack.load(tmp_path / "causal.safetensors").predict(sound(N)), causal)
    tracker.set_params(causal=False)
    assert np.array_equal(tracker.predict(sound(N)), before)


def test_the_shipped_tracker_can_be_causal():
    from doatrack import PhysicsVAETracker

    tracker = PhysicsVAETracker.from_pretrained().set_params(causal=True)
    stream = tracker.stream()
    assert (stream.look_ahead_s, stream.n_mics, stream.sample_rate) == (0.0, 12, 16000)
    assert stream.latency_s == pytest.approx((4096 + 3072) / 16000)


def test_long_look_ahead_is_told(fitted):
    with pytest.warns(LookAheadWarning, match=r"waits for up to 1\.\d s of later sound.*set_params\(causal=True\)"):
        fitted["srp"].stream()


@pytest.mark.parametrize("name", TRACKERS)
def test_memory_does_not_grow(fitted, sound, name):
    tracker = copy.copy(fitted[name]).set_params(causal=True)
    stream = stream_of(tracker)
    signal, sizes = sound(8000), []
    for _ in range(5):
        for chunk in np.array_split(signal, 5, axis=1):
            stream.push(chunk)
        stream.gap(5000)
        sizes.append(n_bytes(stream))
    assert sizes[-1] <= 1.05 * max(sizes[1:3])


def n_bytes(stream) -> int:
    """What the stream holds, without the tracker itself."""
    engine = stream._tracker
    source = engine._source
    parts = [source._features._stream if hasattr(source._features, "_stream") else source._features]
    held = [vars(part) for part in (*parts, parts[0]._heard, parts[0]._samples)]
    total = sum(_size(value) for values in held for value in values.values())
    return total + _size(source._waiting) + _size(source._known) + _size(source._asked) + _size(vars(source._head))


KEPT = ("_kept", "_hidden", "_doa", "_others", "_activity", "_memory")


def _size(value) -> int:
    import torch

    if isinstance(value, torch.Tensor):
        return value.untyped_storage().nbytes()
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, dict):
        return sum(_size(part) for part in value.values())
    if isinstance(value, (list, tuple)) or type(value).__name__ == "deque":
        return sum(_size(part) for part in value)
    if type(value).__name__ in (
        "NoiseHistory",
        "NoiseLearner",
        "NoiseLevels",
        "_Waiting",
        "Echo",
        "Memory",
        "SoundDetector",
        "SoundRatio",
        "_Sliding",
        "_PooledVectors",
    ):
        return _size(vars(value))
    if type(value).__name__ in ("PooledStream", "StreamedBlock", "Unpooling", "PooledWeight", "_FrameVectors"):
        return _size({k: v for k, v in vars(value).items() if k in KEPT})
    return 0


BAD = {
    "channels": (np.zeros((3, 10)), r"chunk must have 4 channels, one per microphone, got the shape \(3, 10\)"),
    "transposed": (np.zeros((10, 4)), r"chunk must have 4 channels.*looks transposed"),
    "nan": (np.full((4, 10), np.nan), r"chunk must hold finite samples, got 40 NaN"),
    "inf": (np.full((4, 10), np.inf), "chunk must hold finite samples.*40 infinite"),
    "complex": (np.zeros((4, 10), complex), "chunk must hold real samples"),
    "unsigned": (np.zeros((4, 10), np.uint8), "chunk holds unsigned integers"),
    "64 bits": (
        np.zeros((4, 10), np.int64),
        r"chunk holds 64-bit integers \(int64\), whose full scale.*Convert it to int16",
    ),
    "one axis": (np.zeros(4), r"chunk must have the shape \(n_mics, n_samples\), got \(4,\)"),
    "words": ("sound", "chunk must"),
}


@pytest.mark.parametrize("bad", list(BAD))
def test_a_chunk_that_is_refused_leaves_the_stream_as_it_was(fitted, sound, bad):
    tracker = copy.copy(fitted["map"]).set_params(causal=True)
    chunk, message = BAD[bad]
    signal = sound(6000)
    stream = tracker.stream()
    tracks = [stream.push(signal[:, :2500])]
    with pytest.raises(InvalidInputError, match=message):
        stream.push(chunk)
    assert stream.n_samples == 2500
    tracks += [stream.push(signal[:, 2500:]), stream.finish()]
    assert_same(tracks, tracker.track(signal, "filter"), 1e-5)


def test_after_the_end_nothing_is_taken(fitted):
    stream = stream_of(fitted["srp"])
    stream.finish()
    for call in (stream.finish, lambda: stream.push(np.zeros((4, 10))), lambda: stream.gap(3)):
        with pytest.raises(InvalidInputError, match=r"was finished.*tracker\.stream\(\) starts another"):
            call()


@pytest.mark.parametrize("make", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_stream_cannot_be_copied_and_goes_on(fitted, sound, make):
    signal = sound(6000)
    tracker = copy.copy(fitted["map"]).set_params(causal=True)
    stream = tracker.stream(None)
    tracks = [stream.push(signal[:, :2500])]
    rule = "A stream cannot be copied or pickled: it holds the running state"
    with pytest.raises(InvalidInputError, match=rf"{rule} .* Save its tracker with tracker\.save.*another stream"):
        make(stream)
    tracks += [stream.push(signal[:, 2500:]), stream.finish()]
    assert_same(tracks, tracker.track(signal, None), 1e-5)


def test_unknown_smoothing_and_gaps_are_refused(fitted):
    with pytest.raises(InvalidInputError, match=r"smoothing must be 'filter' or None, got 'smoother'\. .* use track"):
        fitted["srp"].stream("smoother")
    with pytest.raises(InvalidInputError, match=r"smoothing must be 'filter' or None, got array\(\['filter'"):
        fitted["srp"].stream(np.array(["filter", "filter"]))
    stream = stream_of(fitted["srp"])
    for count in (-1, 2.5, "3"):
        with pytest.raises(InvalidInputError, match="n_samples must"):
            stream.gap(count)
    assert stream.n_samples == 0


@pytest.mark.parametrize("count", [7 * 24 * 3600 * RATE + 1, 10**30])
def test_a_gap_that_would_fill_the_memory_is_refused_and_the_stream_goes_on(fitted, sound, count):
    signal = sound(6000)
    tracker = copy.copy(fitted["srp"]).set_params(causal=True)
    stream = tracker.stream()
    tracks = [stream.push(signal[:, :2500])]
    with pytest.raises(InvalidInputError, match=f"at most a week, 9676800000 samples, got {count}.*start another one"):
        stream.gap(count)
    tracks += [stream.push(signal[:, 2500:]), stream.finish()]
    assert_same(tracks, tracker.track(signal, "filter"), 1e-6)


def test_an_empty_stream_gives_empty_tracks(fitted):
    stream = stream_of(fitted["srp"])
    for track in (stream.push(np.zeros((4, 0), np.float32)), stream.gap(0), stream.finish()):
        assert track.n_frames == 0
        assert track.doa.shape == (0, 3)


def test_streams_of_one_tracker_do_not_share_anything(fitted, sound):
    tracker = copy.copy(fitted["map"]).set_params(causal=True)
    before = pickle.dumps(tracker)
    one, two = tracker.stream(), tracker.stream()
    signal = sound(8000)
    one.push(sound(5000, seed=5))
    track = two.push(signal)
    assert np.abs(track.doa - tracker.track(signal, "filter").doa).max() < 1e-5
    assert pickle.dumps(tracker) == before


@pytest.mark.parametrize("smoothing", [None, "filter"])
@pytest.mark.parametrize("name", ["srp", "map", "dml"])
def test_several_sources_are_followed_too(fitted, sound, name, smoothing):
    from doatrack import DML

    signal = sound(9000)
    small = {"win_length": WIN, "hop_length": HOP, "snapshot_length": 128, "snapshot_hop": 64}
    tracker = (
        copy.copy(fitted[name]) if name != "dml" else DML(n_directions=200, **small).fit(signal, fitted["srp"].array_)
    )
    tracker.set_params(n_sources=2, causal=True)
    stream = tracker.stream(smoothing)
    tracks = [stream.push(chunk) for chunk in chunks_of(signal, [2000, 0, 3500, 700])] + [stream.finish()]
    track = tracker.track(signal, smoothing)
    assert np.array_equal(joined(tracks, "times"), track.times)
    assert np.array_equal(joined(tracks, "activity"), track.activity)
    assert np.abs(joined(tracks, "doa") - track.doa).max() <= 1e-5
    lost = tracker.stream(smoothing)
    parts = [lost.push(signal[:, :3000]), lost.gap(2000), lost.push(signal[:, 5000:])]
    assert joined(parts, "doa").shape == track.doa.shape
    first = np.arange(track.n_frames) * HOP
    assert not joined(parts, "activity")[(first < 5000) & (first + WIN > 3000)].any()
