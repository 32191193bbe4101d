import pytest
import torch

from doatrack.networks import MapEncoder
from doatrack.networks.memory import Memory

LAGS = torch.linspace(-6.0, 6.0, 13)


def encoder(seed: int = 0) -> MapEncoder:
    generator = torch.Generator().manual_seed(seed)
    made = MapEncoder(width=8)
    for parameter in made.parameters():
        if parameter.dim():
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return made


def correlations(n_frames: int, n_recordings: int = 2) -> torch.Tensor:
    return torch.randn(n_recordings, n_frames, 5, 13, generator=torch.Generator().manual_seed(1))


def test_it_is_the_formula_that_is_trained():
    made, gcc = encoder(), correlations(20)
    trained = made.correction_of(gcc, LAGS).detach()
    with torch.no_grad():
        used = made.correction_of(gcc, LAGS)
    assert used.shape == trained.shape == gcc.shape
    assert (used - trained).abs().max() < 1e-5 * trained.abs().max()
    assert trained.std() > 0.01


@pytest.mark.parametrize("sizes", [(20,), (1,) * 20, (3, 0, 9, 8)])
def test_parts_of_a_stream_give_the_whole(sizes):
    made, gcc, memory = encoder(), correlations(20), Memory()
    with torch.no_grad():
        whole = made.correction_of(gcc, LAGS)
        parts = [made.correction_of(part, LAGS, memory) for part in gcc.split(sizes, dim=1) if part.shape[1]]
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-5)


def test_gradients_are_there_when_training():
    made = encoder()
    made.correction_of(correlations(6), LAGS).square().sum().backward()
    assert all(layer.weight.grad.abs().max() > 0 for layer in made.convolutions)
