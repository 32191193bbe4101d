"""What is kept for the noise: spread evenly over the last span, whatever the parts in which it came."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from doatrack.features.noise_history import NoiseHistory
from doatrack.features.noise_statistics import snapshot_power


def numbered(first: int, last: int) -> torch.Tensor:
    """Snapshots of two frequencies and microphones that say which they are."""
    number = torch.arange(first, last, dtype=torch.float32)[None, :, None].expand(2, -1, 2)
    return torch.complex(number, torch.zeros_like(number))


def kept(history: NoiseHistory) -> list[int]:
    return sorted(history.spectra[0, :, 0].real.int().tolist())


@given(
    st.integers(1, 40),
    st.integers(1, 12),
    st.lists(st.integers(1, 25), min_size=1, max_size=12),
    st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_it_is_the_newest_of_every_so_many_however_they_came(n_span, most, sizes, asked):
    history, total = NoiseHistory(n_span, most), 0
    for size, ask in zip(sizes, asked, strict=False):
        history.append(numbered(total, total + size))
        total += size
        if ask:
            kept(history)  # writing early changes nothing
    found = kept(history)
    every = history.every
    assert len(found) <= min(most, n_span)
    assert found == list(range(0, total, every))[-len(found) :]
    assert total - found[0] <= n_span + every - 1
    whole = NoiseHistory(n_span, most)
    whole.append(numbered(0, total))
    assert kept(whole) == found
    assert whole.every == every


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 90), st.integers(0, 90), st.integers(0, 90))
def test_parts_of_it_are_found_by_number_and_in_order(n_span, most, total, first, last):
    history = NoiseHistory(n_span, most)
    history.append(numbered(0, total))
    spectra, power = history.between(first, last)
    found = spectra[0, :, 0].real.int().tolist()
    expected = [number for number in kept(history) if first <= number < last]
    assert sorted(found) == expected
    assert len(expected) == len(kept(history)) or found == expected
    assert torch.equal(power, snapshot_power(spectra))
    assert history.n_snapshots == total


def test_all_are_kept_while_they_are_few():
    history = NoiseHistory(n_span=100, most=30)
    history.append(numbered(0, 25))
    assert kept(history) == list(range(25))
    assert history.every == 1
    history.append(numbered(25, 26))
    assert kept(history) == list(range(0, 26, 2))


def test_the_power_goes_with_the_snapshots():
    history = NoiseHistory(n_span=9, most=4)
    spectra = torch.randn(3, 31, 2, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    for part in spectra.split(5, dim=1):
        history.append(part)
    assert torch.equal(history.power, snapshot_power(history.spectra))


@pytest.mark.parametrize("n", [5, 500])
def test_what_is_held_is_bounded(n):
    history = NoiseHistory(n_span=40, most=10)
    for k in range(n):
        history.append(numbered(7 * k, 7 * k + 7))
    held = sum(part.shape[1] for part in history._waiting)
    assert held <= 2 * 10
    assert history.spectra.shape[1] <= 10
    assert np.isfinite(history.power.numpy()).all()
