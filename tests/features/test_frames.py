import torch
from hypothesis import given
from hypothesis import strategies as st

from doatrack.features.frames import gather_frames


@given(st.lists(st.integers(0, 30), max_size=8), st.integers(1, 16))
def test_gathered_parts_are_full_and_hold_every_frame_in_order(sizes, n_frames):
    values = torch.arange(sum(sizes), dtype=torch.float32)[:, None]
    parts = list(gather_frames(values.split(sizes), n_frames))
    assert all(len(part) == n_frames for part in parts[:-1])
    assert torch.equal(torch.cat([torch.zeros(0, 1), *parts]), values)
    assert all(0 < len(part) <= n_frames for part in parts)
