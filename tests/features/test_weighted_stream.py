import weakref

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doatrack.features import FrameSettings, GCCExtractor, GCCFeatures
from doatrack.geometry import MicArray

ARRAY = MicArray([[0.05, 0, 0], [-0.05, 0.01, 0], [0, 0.05, 0.03]])
FRAMES = FrameSettings(win_length=512, hop_length=384)
SHORT = {"statistics_s": 0.25, "reverberation_decay_s": 0.02}  # several spans in a short recording


def waveform(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    gate = 0.1 + (np.arange(n) % 3000 < 1200)
    return (gate * (rng.normal(size=n) + rng.normal(size=(3, n)))).astype(np.float32)


def extractor(causal: bool, frames: FrameSettings = FRAMES, **options) -> GCCExtractor:
    return GCCExtractor(ARRAY, frames, lag_step=0.5, features=GCCFeatures(causal=causal, **(SHORT | options)))


def assert_same(one: torch.Tensor, other: torch.Tensor) -> None:
    assert one.shape == other.shape
    assert (one - other).abs().max() <= 1e-5 * other.abs().max()


@pytest.mark.parametrize("causal", [False, True])
@given(sizes=st.lists(st.integers(1, 4000), min_size=1, max_size=6))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_blocks_of_any_size_give_the_same(causal, sizes):
    signal = waveform(sum(sizes))
    if signal.shape[1] < 512:
        return
    extract = extractor(causal)
    stream = extract.stream(np.split(signal, np.cumsum(sizes)[:-1], axis=1))
    parts = list(stream)
    assert stream.n_frames == sum(map(len, parts)) == 1 + (signal.shape[1] - 512) // 384
    assert_same(torch.cat(parts), extract.gcc(torch.from_numpy(signal)))
    assert len(stream.activity()) == stream.n_frames


@pytest.mark.parametrize(("win", "hop"), [(512, 301), (1024, 700)])
@pytest.mark.parametrize("causal", [False, True])
def test_blocks_do_not_count_off_the_grid_of_snapshots_either(causal, win, hop):
    signal = waveform(12000)
    extract = extractor(causal, FrameSettings(win_length=win, hop_length=hop))
    whole = extract.gcc(torch.from_numpy(signal))
    for size in (777, 5000):
        blocks = np.split(signal, range(size, 12000, size), axis=1)
        assert_same(torch.cat(list(extract.stream(blocks))), whole)


@pytest.mark.parametrize("weighting", ["snr", "whitened"])
@pytest.mark.parametrize("cut", [2000, 7003])
def test_causal_frames_know_nothing_of_later_sound(cut, weighting):
    signal = waveform(10000)
    later = signal.copy()
    later[:, cut:] = 30 * waveform(10000, seed=1)[:, cut:]
    extract = extractor(True, weighting=weighting)
    one, two = (extract.gcc(torch.from_numpy(s)) for s in (signal, later))
    known = 1 + (cut - 512) // 384
    assert torch.equal(one[:known], two[:known])
    assert not torch.equal(one[known:], two[known:])


def test_causal_noise_is_learned_when_there_is_twice_as_much_sound_and_every_so_often():
    frames = FrameSettings(win_length=4096, hop_length=4000)  # four frames a second
    stream = extractor(True, frames, statistics_s=20.0).stream()
    learned, learn = [], stream._weighted.learn
    stream._weighted.learn = lambda *heard: (learned.append(stream.n_frames + 1), learn(*heard))[1]
    for start in range(0, 16000 * 30, 16000):
        stream.push(waveform(16000, seed=start))
    assert learned == [1, 2, 3, 5, 9, 17, 33, 63, 93]


def test_frames_that_are_not_causal_learn_from_later_sound():
    signal = waveform(8000)
    later = signal.copy()
    later[:, 4000:] *= 30
    one, two = (extractor(False, statistics_s=1.0).gcc(torch.from_numpy(s)) for s in (signal, later))
    assert not torch.allclose(one[0], two[0], rtol=1e-3)


def test_the_last_frame_of_causal_features_has_learned_what_the_span_holds():
    """Learned with frame 5 too, the model of the last of five frames is that of all of them."""
    signal = torch.from_numpy(waveform(512 + 4 * 384))
    # reverberation is told by the models of its time
    options = {"statistics_s": 5.0, "reverberation_factor": 0.0, "dereverberation": False}
    causal, whole = (extractor(flag, **options).gcc(signal) for flag in (True, False))
    assert_same(causal[-1], whole[-1])
    assert not torch.allclose(causal[0], whole[0], rtol=1e-2)


def test_each_span_learns_for_itself():
    """Beyond the span and the reverberation that reaches into it, other sound changes nothing."""
    signal = waveform(16000)
    other = signal.copy()
    span = round(0.25 * 16000 / 384) * 384
    other[:, : 2 * span] = waveform(16000, seed=2)[:, : 2 * span]
    one, two = (extractor(False, dereverberation=False).gcc(torch.from_numpy(s)) for s in (signal, other))
    same = [torch.allclose(a, b, atol=1e-5 * float(a.abs().max())) for a, b in zip(one, two, strict=True)]
    assert not any(same[: 2 * span // 384 - 1])
    assert all(same[3 * span // 384 + 1 :])


@pytest.mark.parametrize("causal", [False, True])
def test_what_is_kept_does_not_grow_with_the_recording(causal):
    """The blocks are not held: of 6 s only the span and the reverberation before it."""
    extract = extractor(causal, statistics_s=0.5)
    rng = np.random.default_rng(0)
    held = []

    class Watched(np.ndarray):
        """A block that says when it is freed."""

    def blocks(n):
        for _ in range(n):
            block = rng.normal(size=(3, 8000)).astype(np.float32).view(Watched)
            held.append(weakref.ref(block))
            yield block

    n_frames = sum(len(part) for part in extract.stream(blocks(12)))
    assert n_frames == 1 + (12 * 8000 - 512) // 384
    assert sum(ref() is not None for ref in held) <= 5


@pytest.mark.parametrize("causal", [False, True])
def test_too_short_a_recording_gives_no_frame(causal):
    stream = extractor(causal).stream([waveform(400)])
    assert list(stream) == []
    assert stream.n_frames == 0
    one = extractor(causal).gcc(torch.from_numpy(waveform(512)))
    assert one.shape[0] == 1
    assert torch.isfinite(one).all()
