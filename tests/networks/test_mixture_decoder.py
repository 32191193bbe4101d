import math

import torch

from doatrack.networks import PairEncoder, PhysicsDecoder, mixture_log_prob

LAGS = torch.linspace(-6, 6, 49)
BASELINES = torch.tensor([[5.0, 0, 0], [0, 4.0, 0], [3.0, 3.0, 0]])


def directions(*shape, seed=0):
    vectors = torch.randn(*shape, 3, generator=torch.Generator().manual_seed(seed))
    return vectors / vectors.norm(dim=-1, keepdim=True)


def test_it_is_the_weighted_sum_of_the_sources_probabilities():
    doa, weights = directions(4, 2), torch.rand(4, 2, generator=torch.Generator().manual_seed(1))
    weights = weights / weights.sum(-1, keepdim=True)
    decoder = PhysicsDecoder(0.7)
    each = decoder(doa, BASELINES, LAGS, blur=1.5)
    expected = sum(weights[:, n, None, None] * decoder(doa[:, n], BASELINES, LAGS, blur=1.5).exp() for n in range(2))
    mixture = mixture_log_prob(each, weights.log()).exp()
    torch.testing.assert_close(mixture, expected)
    torch.testing.assert_close(mixture.sum(-1), torch.ones(4, 3))
    torch.testing.assert_close(mixture_log_prob(each).exp(), each.exp().mean(dim=-3))


def test_one_source_is_the_plain_decoder():
    doa = directions(5, 1)
    decoder = PhysicsDecoder(0.7)
    mixture = mixture_log_prob(decoder(doa, BASELINES, LAGS))
    torch.testing.assert_close(mixture, decoder(doa[:, 0], BASELINES, LAGS))


def test_the_order_of_sources_does_not_matter():
    each = PhysicsDecoder()(directions(3, 3), BASELINES, LAGS)
    torch.testing.assert_close(mixture_log_prob(each), mixture_log_prob(each.flip(-3)))


def test_an_encoder_of_several_sources_returns_a_mixture(paper_geometry, seeded):
    gcc = torch.randn(2, 7, 6, 16, generator=torch.Generator().manual_seed(0))
    encoder = PairEncoder(n_lags=gcc.shape[-1], width=8, recurrent_width=8, n_sources=2)
    posterior = encoder(gcc, paper_geometry)
    n_latent = math.ceil(gcc.shape[1] / 5)
    assert posterior.batch_shape == (gcc.shape[0], n_latent)
    assert posterior.components.mean_direction.shape == (gcc.shape[0], n_latent, 2, 3)
    posterior.kl_uniform().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
    assert encoder.weight_head.weight.grad.abs().max() > 0


def test_an_encoder_of_one_source_has_the_parameters_it_had():
    encoder = PairEncoder(n_lags=64)
    assert not any("weight_head" in name for name, _ in encoder.named_parameters())
    assert sum(p.numel() for p in encoder.parameters()) == 892_170
