"""Groups of sources bound the memory of the fine responses, and change nothing."""

import numpy as np
import pytest
import torch

from doatrack.simulation import image_sources
from doatrack.simulation.image_sources import ImageLattice, image_responses


@pytest.mark.parametrize("max_order", [0, 2])
def test_memory_is_bounded_by_groups_of_sources(monkeypatch, max_order):
    rng = np.random.default_rng(0)
    room, sources = np.array([4.0, 5.0, 3.0]), rng.uniform(1.0, 2.0, size=(7, 3))
    mics = torch.tensor(rng.uniform(2.0, 2.5, size=(3, 3)), dtype=torch.float32)
    lattice = ImageLattice.within(room, np.full(6, 0.8), sources, np.array([2.2, 2.2, 2.2]), 20.0, max_order)
    sizes = []
    made = image_sources._ImageAdder.__init__

    def counted(self, *args):
        made(self, *args)
        sizes.append(len(self.fine))

    monkeypatch.setattr(image_sources._ImageAdder, "__init__", counted)
    whole = image_responses(lattice, mics, 300, 16000.0, 343.0)
    monkeypatch.setattr(image_sources, "_MOST_FINE", sizes[0] // 3)
    parts = image_responses(lattice, mics, 300, 16000.0, 343.0)
    assert sizes[1] <= sizes[0] // 3
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-6 * float(whole.abs().max()))
