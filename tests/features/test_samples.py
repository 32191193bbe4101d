"""Samples that several readers want, each from its own place in time on."""

import numpy as np
import pytest
import torch

from doatrack.features.samples import SampleBuffer


def sound(n_samples, n_mics=3):
    return np.arange(n_mics * n_samples, dtype=np.float32).reshape(n_mics, n_samples)


@pytest.mark.parametrize("sizes", [(7,) * 40, (1,) * 280, (100, 180), (3, 0, 200, 1, 76)])
def test_every_reader_gets_the_samples_of_its_place(sizes):
    whole, buffer = sound(280), SampleBuffer()
    slow, fast = buffer.reader(), buffer.reader()
    taken, done = {"slow": [], "fast": []}, 0
    for size in sizes:
        buffer.push(whole[:, done : done + size])
        done += size
        for name, reader, step in (("slow", slow, 50), ("fast", fast, 8)):
            while reader.n_kept >= step:
                taken[name].append(reader.take(step).clone())
    for parts in taken.values():
        found = torch.cat(parts, dim=1).numpy()
        np.testing.assert_array_equal(found, whole[:, : found.shape[1]])
    assert slow.n_kept == 280 % 50
    assert fast.n_kept == 280 % 8


def test_memory_does_not_grow_with_time():
    buffer = SampleBuffer()
    reader = buffer.reader()
    for _ in range(300):
        buffer.push(sound(64))
        reader.take(min(reader.n_kept, 100))
    assert buffer._memory.shape[1] <= 4 * (64 + 100)


def test_what_is_pushed_is_copied_in_order():
    chunk, buffer = sound(5), SampleBuffer(np.array([2, 0, 1]))
    reader, expected = buffer.reader(), sound(5)[[2, 0, 1]]
    buffer.push(chunk)
    chunk[:] = 0
    np.testing.assert_array_equal(reader.first(5).numpy(), expected)


def test_a_place_that_is_still_to_come():
    buffer = SampleBuffer()
    reader = buffer.reader()
    reader.start_at(6)
    buffer.push(sound(4))
    assert reader.n_kept == 0
    assert reader.first(3).shape == (3, 0)
    buffer.push(sound(4) + 100)
    np.testing.assert_array_equal(reader.first(9).numpy(), sound(4)[:, 2:] + 100)


def test_what_was_skipped_is_not_there():
    buffer = SampleBuffer()
    reader = buffer.reader()
    buffer.push(sound(4))
    buffer.skip(10)
    assert (reader.start, reader.n_kept, buffer.n_samples) == (14, 0, 14)
    buffer.push(sound(4))
    np.testing.assert_array_equal(reader.take(4).numpy(), sound(4))
