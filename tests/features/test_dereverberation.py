"""Foretold sound is subtracted: reflections go, the direct sound and where it comes from stay, parts do not matter."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from doatrack import MicArray
from doatrack.exceptions import InvalidInputError
from doatrack.features import FrameSettings, GCCExtractor, GCCFeatures, dereverberate, weighted_stream
from doatrack.features.dereverberation import Dereverberator

RATE = 16000
ARRAY = MicArray([[0.05, 0, 0], [-0.05, 0.01, 0], [0, 0.05, 0], [0, 0, 0.09]])


def noise(n_samples: int = RATE, n_mics: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.randn(n_mics, n_samples, generator=torch.Generator().manual_seed(seed))


def late(sound: torch.Tensor, samples: int) -> torch.Tensor:
    return torch.nn.functional.pad(sound, (samples, 0))[..., : sound.shape[-1]]


@given(sizes=st.lists(st.integers(0, 5000), max_size=8), first=st.sampled_from([0, 1, 1024, 4096, 5000]))
@settings(max_examples=25, deadline=None)
def test_parts_do_not_matter(sizes, first):
    sound = noise(sum(sizes))
    assert torch.equal(in_parts(Dereverberator(RATE, first), sound, sizes), dereverberate(sound, RATE, first))


@given(
    sizes=st.lists(st.integers(0, 3000), max_size=8),
    first=st.sampled_from([1, 20, 1024, 4096, 5000]),
    step=st.sampled_from([7, 100, 512, 3072, 5000, 12288]),
    held=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_parts_do_not_matter_to_blocks_that_end_with_frames(sizes, first, step, held):
    sound = noise(sum(sizes))
    whole = Dereverberator(RATE, first, step, held=held)
    expected = torch.cat([whole.push(sound), whole.finish()], dim=1)
    assert expected.shape == sound.shape
    assert torch.equal(in_parts(Dereverberator(RATE, first, step, held=held), sound, sizes), expected)


def in_parts(stream: Dereverberator, sound: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    parts = [stream.push(part) for part in sound.split(sizes, dim=1)]
    return torch.cat([part for part in [*parts, stream.finish()] if part.shape[1]] or [sound], dim=1)


@pytest.mark.parametrize(("first", "step"), [(4096, 3072), (1024, 500), (12000, 10000), (4096, 6144), (256, 64)])
def test_held_sound_is_known_with_the_last_sample_of_a_block(first, step):
    stream, sound = Dereverberator(RATE, first, step, held=True), noise(30000)
    n_given = now = 0
    for end in range(first, 30000, step):
        n_given += stream.push(sound[:, now:end]).shape[1]
        now = end
        assert n_given == end


def test_held_sound_is_half_a_window_late_and_learned_a_little_earlier():
    """But for that nothing is different."""
    sound = noise(20000)
    one, late_one = Dereverberator(RATE, 4064, 3072), Dereverberator(RATE, 4096, 3072, held=True)
    assert late_one.delay_samples == 32
    plain = torch.cat([one.push(sound), one.finish()], dim=1)
    held = torch.cat([late_one.push(sound), late_one.finish()], dim=1)
    assert (held[:, :32] == 0).all()
    assert torch.equal(held[:, 32:], plain[:, :-32])


def test_short_blocks_are_learned_from_as_much_as_long_ones():
    sound = noise(n_samples=40000, n_mics=1).expand(3, -1) + 0.1 * noise(40000, seed=1)
    reflected, taken = sound + 0.8 * late(sound, 80), []
    for step in (3072, 256):
        stream = Dereverberator(RATE, 4096, step)
        left = torch.cat([stream.push(reflected), stream.finish()], dim=1)
        taken.append(float((left - sound)[:, 8000:].square().mean().sqrt()))
    assert taken[1] == pytest.approx(taken[0], rel=0.05)


@pytest.mark.parametrize("n_samples", [0, 1, 31, 32, 33, 3072, 4096, 4097, 9000])
def test_as_many_samples_come_out_as_went_in(n_samples):
    assert dereverberate(noise(n_samples), RATE).shape == (3, n_samples)


def test_a_prediction_is_learned_from_two_blocks():
    """Nothing foretells noise: of 72 numbers learned from one block of 96 windows alone more would be taken away."""
    left = dereverberate(noise(40000, n_mics=12), RATE)[:, 8000:]
    assert 0.6 < left.std() < 1.0


@pytest.mark.parametrize(("n_mics", "reach_ms"), [(4, 16), (8, 12), (12, 8), (32, 6)])
def test_more_microphones_look_less_far_back(n_mics, reach_ms):
    """A reflection within reach goes, a later one stays as it was."""
    direct = noise(n_mics=1).expand(n_mics, -1) + 0.1 * noise(n_mics=n_mics, seed=1)
    change = []
    for delay in (reach_ms - 2, reach_ms + 4):
        reflection = 0.8 * late(noise(n_mics=1), 16 * delay).expand(n_mics, -1)
        left = dereverberate(direct + reflection, RATE) - direct
        change.append(float((left * reflection).mean() / reflection.square().mean()))
    # a part of everything goes: many numbers are learned from few windows
    assert change[1] > change[0] + 0.2


def test_after_a_gap_what_was_learned_stays():
    """A short block alone would take nothing away, with what was learned before it does as much as before."""
    sound = noise(n_mics=1).expand(3, -1) + 0.1 * noise()
    reflected = sound + 0.8 * late(sound, 80)
    stream = Dereverberator(RATE)
    taken = [torch.cat([stream.push(reflected[:, :9000]), stream.finish()], dim=1) - sound[:, :9000]]
    stream.restart(0)
    taken.append(torch.cat([stream.push(reflected[:, 9000:10000]), stream.finish()], dim=1) - sound[:, 9000:10000])
    taken.append(dereverberate(reflected[:, 9000:10000], RATE) - sound[:, 9000:10000])
    before, after, alone = (float(rest[:, 200:].square().mean().sqrt()) for rest in taken)
    assert after < 1.1 * before
    assert after < 0.9 * alone
    stream.restart(0)
    assert stream.finish().shape[1] == 0


def test_pushed_memory_may_be_overwritten():
    sound = noise(9000)
    stream, memory = Dereverberator(RATE), torch.empty(3, 100)
    parts = []
    for part in sound.split(100, dim=1):
        parts.append(stream.push(memory.copy_(part)))
    memory.zero_()
    assert torch.equal(torch.cat([*parts, stream.finish()], dim=1), dereverberate(sound, RATE))


def test_what_nothing_foretells_stays():
    """A click in silence has nothing before it."""
    click = torch.zeros(2, RATE)
    click[:, 8000] = 1.0
    left = dereverberate(click, RATE)
    assert (left - click).abs().max() < 0.1


@pytest.mark.parametrize("delay_ms", [3, 5, 9])
def test_reflections_go_and_the_direct_sound_stays(delay_ms):
    direct = torch.stack([late(noise(n_mics=1)[0], d) for d in (0, 3, 1, 4)])
    other = torch.stack([late(noise(n_mics=1)[0], delay_ms * 16 + d) for d in (4, 0, 2, 1)])
    left = dereverberate(direct + 0.8 * other, RATE)
    change = (left - direct).square().mean() / (0.8 * other).square().mean()
    assert change < 0.7
    # and what is left points where the direct sound comes from: its delays stand out more
    for i, j, true, false in ((0, 1, -3, 4), (0, 3, -4, 3)):
        heard, cleaned = (_correlation(x[i], x[j]) for x in (direct + 0.8 * other, left))
        assert int(cleaned.argmax()) - 8 == true
        assert cleaned[8 + false] / cleaned[8 + true] < 0.6 * heard[8 + false] / heard[8 + true]


def _correlation(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return torch.stack([(one * other.roll(shift)).sum() for shift in range(-8, 9)])


@pytest.mark.parametrize("factor", [1e-9, 1e6])
def test_loudness_does_not_matter(factor):
    sound = noise()
    assert torch.allclose(dereverberate(sound * factor, RATE) / factor, dereverberate(sound, RATE), atol=1e-3)


def test_silence_stays_silence():
    sound = noise(12000)
    sound[:, 3000:] = 0.0
    left = dereverberate(sound, RATE)
    assert torch.isfinite(left).all()
    # what is foretold rings for as long as it looks back
    assert (left[:, 3000 + 64 + 8 * 32 :] == 0).all()
    assert (dereverberate(torch.zeros(2, 9000), RATE) == 0).all()


def test_single_and_double_precision_agree():
    sound = noise().double()
    assert (dereverberate(sound.float(), RATE) - dereverberate(sound, RATE)).abs().max() < 1e-3


@pytest.mark.parametrize("rate", [1000, 8000, 44100, 48000])
def test_any_sample_rate(rate):
    left = dereverberate(noise(rate), rate)
    assert left.shape == (3, rate)
    assert torch.isfinite(left).all()


@pytest.mark.parametrize("n_mics", [1, 8, 9, 32])
def test_it_is_the_default_of_weighted_features_but_live_with_many_microphones(n_mics):
    def chosen(**settings):
        return GCCFeatures(**settings).for_microphones(n_mics).dereverberation

    assert chosen() is True
    assert chosen(causal=True) is (n_mics <= 8)
    assert chosen(causal=True, dereverberation=True) is True
    assert chosen(dereverberation=False) is False
    assert chosen(weighting="phat", dereverberation=True) is False


@pytest.mark.parametrize(
    "frames",
    [FrameSettings(), FrameSettings(win_length=1024), FrameSettings(win_length=1024, hop_length=768)],
)
@pytest.mark.parametrize("gap", [None, 1, 100, 6144])
@pytest.mark.parametrize("causal", [False, True])
def test_frames_wait_as_long_as_is_said_and_causal_ones_for_nothing(frames, gap, causal):
    """Not causal, with noise learned frame by frame: for the windows that reach beyond them."""
    features = GCCFeatures(causal=causal, dereverberation=True, statistics_s=frames.hop_length / RATE)
    stream = GCCExtractor(ARRAY, frames, lag_step=0.5, features=features).stream()
    ahead = stream.look_ahead_samples
    assert ahead == (0 if causal else 63)
    sound = noise(20000, n_mics=4).numpy()
    known = lost = now = 0
    if gap is not None:
        known = sum(map(len, stream.push(sound[:, :7000])))
        rest, n_lost = stream.gap(gap)
        known = lost = known + sum(map(len, rest)) + n_lost
        now = 7000 + gap
    for start in range(0, sound.shape[1], 100):
        known += sum(len(part) for part in stream.push(sound[:, start : start + 100]))
        now += 100
        assert frames.count(max(0, now - ahead)) <= known <= max(lost, frames.count(now))


@pytest.mark.parametrize("causal", [False, True])
def test_features_in_blocks_and_after_a_gap_are_those_of_one_block(causal):
    extract = GCCExtractor(
        ARRAY, FrameSettings(), lag_step=0.5, features=GCCFeatures(causal=causal, dereverberation=True)
    )
    sound = noise(40000, n_mics=4).numpy()
    whole = extract.gcc(torch.from_numpy(sound))
    pieces = torch.cat(list(extract.stream(np.array_split(sound, 17, axis=1))))
    assert (whole - pieces).abs().max() <= 1e-5 * whole.abs().max()
    stream = extract.stream()
    before = stream.push(sound[:, :20000])
    rest, n_lost = stream.gap(4000)
    after = stream.push(sound[:, 24000:]) + stream.finish()
    n_before, n_after = (sum(map(len, parts)) for parts in ([*before, *rest], after))
    assert n_before == FrameSettings().count(20000)
    assert n_before + n_lost + n_after == len(whole)
    assert torch.isfinite(torch.cat(after)).all()


def test_a_stream_foretells_after_a_gap_with_what_it_had_learned(monkeypatch):
    made = []

    class Counted(Dereverberator):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            made.append(self)

    monkeypatch.setattr(weighted_stream, "Dereverberator", Counted)
    features = GCCFeatures(causal=True, dereverberation=True)
    stream = GCCExtractor(
        ARRAY, FrameSettings(win_length=512, hop_length=384), lag_step=0.5, features=features
    ).stream()
    sound = noise(20000, n_mics=4).numpy()
    stream.push(sound)
    stream.gap(100)
    (one,) = made
    learned = one._learner._last.clone()
    stream.push(sound[:, :1000])
    assert len(made) == 1
    # too little came since then to take its place
    assert torch.equal(one._learner._last, learned)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("first", [0, 100, 20000])
def test_gaps_may_follow_each_other_and_end_a_stream(causal, first):
    features = GCCFeatures(causal=causal, dereverberation=True)
    stream = GCCExtractor(ARRAY, FrameSettings(), lag_step=0.5, features=features).stream()
    sound = noise(first, n_mics=4).numpy()
    known = sum(map(len, stream.push(sound))) if first else 0
    for n_samples in (100, 5000):
        rest, n_lost = stream.gap(n_samples)
        known += sum(map(len, rest)) + n_lost
    after = stream.push(noise(12000, n_mics=4, seed=1).numpy())
    rest, n_lost = stream.gap(100)
    known += sum(map(len, [*after, *rest, *stream.finish()])) + n_lost
    # as many frames as begin before the end of the last gap
    assert known == -(-(first + 5100 + 12000 + 100) // 3072)


@pytest.mark.parametrize("n_mics", [2, 12])
def test_silence_after_sound_as_loud_as_sixteen_bits_leaves_numbers(n_mics):
    sound = 30000 * noise(40000, n_mics)
    sound[:, 4096:13000] = 0
    left = dereverberate(sound, RATE, 4096)
    assert torch.isfinite(left).all()
    # and what comes after it is taken for what it is
    later = dereverberate(sound[:, 20000:], RATE)
    assert left[:, 30000:].std() == pytest.approx(float(later[:, 10000:].std()), rel=0.2)


@pytest.mark.parametrize("wrong", [torch.zeros(2, 100, dtype=torch.int16), torch.zeros(100), np.zeros((2, 100))])
def test_what_is_no_waveform_is_refused(wrong):
    with pytest.raises(InvalidInputError, match=r"waveform must be a torch tensor \(n_mics, n_samples\) in single"):
        dereverberate(wrong, RATE)
