"""Each part of the loss against a closed form, a sample mean, a fine grid, or counting all sequences."""

import dataclasses
import itertools
import math

import pytest
import torch

from doatrack.distributions import VonMisesFisher
from doatrack.distributions.grid_posterior import GridPosterior
from doatrack.geometry import DirectionGrid
from doatrack.networks import PhysicsDecoder, delay_target
from doatrack.training import motion_log_transition, physics_loss, to_time_axis, variational_loss

FINE = torch.tensor(DirectionGrid.quasi_uniform(20000).directions, dtype=torch.float32)


def heard(geometry, doa, width=1.0):
    """Correlations of clean plane waves from doa (n_frames, 3): one peak per pair, (1, n_frames, n_pairs, n_lags)."""
    delays = doa @ geometry.baselines.T
    return torch.exp(-0.5 * ((geometry.lags - delays[..., None]) / width) ** 2)[None]


def grid_posterior(geometry, generator, n_frames=4, sharpness=3.0):
    return GridPosterior(sharpness * torch.randn(1, n_frames, 300, generator=generator), geometry.directions)


# ---- physics ----


def test_a_grid_expectation_is_the_mean_over_its_samples(geometry, generator):
    posterior = grid_posterior(geometry, generator, n_frames=2)
    target = delay_target(torch.rand(1, 2, 6, len(geometry.lags), generator=generator), 3.0)
    decoder = PhysicsDecoder(0.8)
    exact = physics_loss(posterior, target, decoder, geometry)
    index = torch.multinomial(posterior.probabilities[0], 20000, replacement=True, generator=generator)
    log_p = decoder(geometry.directions[index], geometry.baselines, geometry.lags)  # (2, n_samples, pairs, lags)
    samples = -(target[0][:, None] * log_p).sum(dim=-1).mean(dim=-1)
    error = 4 * samples.std(dim=1) / math.sqrt(20000)
    assert ((samples.mean(dim=1) - exact[0]).abs() < error).all()
    assert (error < 0.02 * exact[0]).all()


def test_it_is_the_mean_over_pairs_of_the_cross_entropy(geometry, generator):
    """Written out for one direction, pair by pair and lag by lag."""
    k = 42
    posterior = GridPosterior(torch.full((1, 1, 300), -1e4).index_fill(-1, torch.tensor(k), 0.0), geometry.directions)
    gcc = torch.rand(1, 1, 6, len(geometry.lags), generator=generator)
    total = 0.0
    for pair in range(6):
        q = delay_target(gcc[0, 0, pair], 4.0)
        logits = -((geometry.lags - geometry.delays[pair, k]) ** 2) / (2 * (0.7 * 1.5) ** 2)
        total -= float((q * (logits - logits.logsumexp(0))).sum())
    loss = physics_loss(posterior, delay_target(gcc, 4.0), PhysicsDecoder(0.7), geometry, blur=1.5)
    assert loss.item() == pytest.approx(total / 6, rel=1e-4)


def test_a_von_mises_fisher_sample_is_unbiased_against_a_fine_grid(geometry, generator):
    mean, kappa = torch.tensor([0.48, -0.6, 0.64]), torch.tensor(30.0)
    target = delay_target(heard(geometry, torch.tensor([[0.6, -0.48, 0.64]])), 4.0)
    decoder = PhysicsDecoder(1.0)
    density = VonMisesFisher(mean, kappa).log_prob(FINE)
    log_p = decoder(FINE, geometry.baselines, geometry.lags)
    cost = -(target[0, 0] * log_p).sum(dim=(-1, -2)) / 6
    exact = (torch.softmax(density, dim=0) * cost).sum().detach()
    n = 20000
    many = VonMisesFisher(mean.expand(1, n, 3), kappa.expand(1, n))
    with torch.no_grad():
        samples = physics_loss(many, target.expand(1, n, -1, -1), decoder, geometry, generator=generator)
    assert abs(float(samples.mean() - exact)) < 4 * float(samples.std()) / math.sqrt(n)
    assert float(samples.std()) / math.sqrt(n) < 0.01 * float(exact)


def test_the_sample_comes_from_the_given_generator(geometry):
    posterior = VonMisesFisher(torch.tensor([[[0.0, 0.0, 1.0]]]), torch.tensor([[5.0]]))
    target = delay_target(heard(geometry, torch.tensor([[0.0, 0.0, 1.0]])), 4.0)

    def draw(seed):
        given = torch.Generator().manual_seed(seed)
        return physics_loss(posterior, target, PhysicsDecoder(), geometry, generator=given).item()

    before = torch.random.get_rng_state()
    assert draw(0) == draw(0) != draw(1)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("doa", [[1.0, 0, 0], [0, -0.6, 0.8], [-0.48, 0.6, -0.64]])
@pytest.mark.parametrize(("gamma", "sigma"), [(2.0, 1.0), (10.0, 0.8)])
def test_a_clean_delay_is_explained_best_by_its_own_direction(geometry, doa, gamma, sigma):
    target = delay_target(heard(geometry, torch.tensor([doa], dtype=torch.float32), width=0.8), gamma)
    grid = torch.tensor(DirectionGrid.quasi_uniform(4000).directions, dtype=torch.float32)
    log_p = PhysicsDecoder(sigma)(grid, geometry.baselines, geometry.lags)
    best = grid[(target[0, 0] * log_p).sum(dim=(-1, -2)).argmax()]
    assert math.degrees(math.acos(min(1.0, float(best @ torch.tensor(doa))))) < 5.0


def test_gradient_descent_on_a_posterior_finds_the_source(geometry, generator):
    doa = torch.tensor([[0.0, -0.6, 0.8]])
    gcc, active = heard(geometry, doa), torch.ones(1, 1)
    raw = torch.tensor([[[0.5, -0.7, 0.5]]], requires_grad=True)
    optimizer = torch.optim.Adam([raw], lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        posterior = VonMisesFisher(torch.nn.functional.normalize(raw, dim=-1), torch.tensor([[50.0]]))
        terms = variational_loss(
            posterior, gcc, active, PhysicsDecoder(), geometry, gamma=4.0, beta=0.0, generator=generator
        )
        terms.total.backward()
        optimizer.step()
    found = torch.nn.functional.normalize(raw.detach(), dim=-1)[0, 0]
    assert math.degrees(math.acos(float(found @ doa[0]))) < 8.0


# ---- divergence from the prior ----


def test_divergence_of_a_von_mises_fisher_is_equation_24(geometry):
    kappa = torch.tensor([[0.3, 2.0, 40.0]], dtype=torch.float64)
    posterior = VonMisesFisher(torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64), kappa)
    gcc = torch.rand(1, 3, 6, len(geometry.lags), dtype=torch.float64)
    weight = torch.tensor([[1.0, 0.0, 1.0]])
    decoder = PhysicsDecoder().double()
    tensors = {name: value.double() for name, value in vars(geometry).items() if isinstance(value, torch.Tensor)}
    decoder_geometry = dataclasses.replace(geometry, **tensors)
    terms = variational_loss(posterior, gcc, weight, decoder, decoder_geometry, gamma=1.0, beta=0.5)
    closed = [k / math.tanh(k) - 1 + math.log(k / math.sinh(k)) for k in (0.3, 40.0)]
    assert terms.kl.item() == pytest.approx(sum(closed) / 2, rel=1e-6)
    assert terms.total.item() == pytest.approx(terms.physics.item() + 0.5 * terms.kl.item(), rel=1e-6)
    assert terms.n_active.item() == 2


def test_divergence_of_a_grid_posterior_is_log_n_minus_its_entropy(geometry):
    two = torch.full((1, 1, 300), -1e9)
    two[..., [5, 100]] = 0.0
    posterior = GridPosterior(two, geometry.directions)
    gcc = torch.zeros(1, 1, 6, len(geometry.lags))
    terms = variational_loss(posterior, gcc, torch.ones(1, 1), PhysicsDecoder(), geometry, gamma=1.0, beta=1.0)
    assert terms.kl.item() == pytest.approx(math.log(300 / 2), rel=1e-5)


def tiny_chain(n_states, generator):
    """A grid of few directions and a transition over it, as `motion_log_transition` makes it."""
    directions = torch.tensor(DirectionGrid.quasi_uniform(n_states).directions, dtype=torch.float64)
    return directions, motion_log_transition(directions, 2.0, jump=0.1).double()


def chain_kl(posterior, transition, geometry, valid=None, active=None):
    n_recordings, n_frames = posterior.batch_shape
    gcc = torch.zeros(n_recordings, n_frames, 1, 3, dtype=torch.float64)
    geometry = type(geometry)(
        lags=torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64),
        delays=torch.zeros(1, len(posterior.directions), dtype=torch.float64),
        baselines=torch.zeros(1, 3, dtype=torch.float64),
        positions=torch.zeros(1, 6, dtype=torch.float64),
        directions=posterior.directions,
    )
    active = torch.ones(n_recordings, n_frames) if active is None else active
    decoder = PhysicsDecoder().double()
    return variational_loss(
        posterior, gcc, active, decoder, geometry, gamma=1.0, beta=1.0, transition=transition, valid=valid
    ).kl


@pytest.mark.parametrize("n_states", [4, 5])
def test_divergence_from_the_chain_agrees_with_counting_all_sequences(geometry, generator, n_states):
    n_frames = 4
    directions, transition = tiny_chain(n_states, generator)
    logits = torch.randn(1, n_frames, n_states, generator=generator, dtype=torch.float64)
    posterior = GridPosterior(logits, directions)
    log_q = posterior.logits[0]
    total = 0.0
    for path in itertools.product(range(n_states), repeat=n_frames):
        q = sum(float(log_q[t, s]) for t, s in enumerate(path))
        # the transition is relative to the uniform density: 1/n per frame
        p = -n_frames * math.log(n_states) + sum(float(transition[a, b]) for a, b in itertools.pairwise(path))
        total += math.exp(q) * (q - p)
    assert chain_kl(posterior, transition, geometry).item() == pytest.approx(total / n_frames, rel=1e-9)
    assert total > 0


def test_the_chain_itself_has_no_divergence_and_no_gradient(geometry):
    """Two frames, two states, and a prior without memory: the posterior that is the prior is the minimum."""
    directions = torch.tensor([[0.0, 0, 1], [0, 0, -1]], dtype=torch.float64)
    logits = torch.zeros(1, 2, 2, dtype=torch.float64, requires_grad=True)
    kl = chain_kl(GridPosterior(logits, directions), torch.zeros(2, 2, dtype=torch.float64), geometry)
    kl.backward()
    assert kl.item() == pytest.approx(0.0, abs=1e-12)
    assert logits.grad.abs().max() < 1e-12


def test_two_states_by_hand(geometry):
    """q = (a, 1-a) in both frames; the chain stays with probability s: KL written out."""
    directions = torch.tensor([[0.0, 0, 1], [0, 0, -1]], dtype=torch.float64)
    stay, a = 0.9, 0.8
    transition = torch.tensor([[2 * stay, 2 - 2 * stay], [2 - 2 * stay, 2 * stay]], dtype=torch.float64).log()
    q = torch.tensor([a, 1 - a], dtype=torch.float64).log().expand(1, 2, 2)
    entropy = -(a * math.log(a) + (1 - a) * math.log(1 - a))
    same = a * a + (1 - a) * (1 - a)
    agreement = same * math.log(2 * stay) + (1 - same) * math.log(2 - 2 * stay)
    expected = (2 * (math.log(2) - entropy) - agreement) / 2
    assert chain_kl(GridPosterior(q, directions), transition, geometry).item() == pytest.approx(expected, rel=1e-9)


def test_staying_is_likelier_than_jumping(geometry, generator):
    transition = motion_log_transition(geometry.directions, 200.0)
    gcc = torch.zeros(1, 6, 6, len(geometry.lags))

    def kl(path):
        logits = torch.full((1, 6, 300), -20.0)
        logits[0, torch.arange(6), torch.tensor(path)] = 0.0
        posterior = GridPosterior(logits, geometry.directions)
        kwargs = {"gamma": 1.0, "beta": 1.0, "transition": transition}
        return variational_loss(posterior, gcc, torch.ones(1, 6), PhysicsDecoder(), geometry, **kwargs).kl.item()

    assert kl([7] * 6) < kl([7, 7, 7, 250, 250, 250]) < kl([7, 250, 7, 250, 7, 250])


# ---- padding and silence ----


@pytest.mark.parametrize("motion", [False, True])
def test_padding_has_no_influence(geometry, generator, motion):
    logits = torch.randn(2, 9, 300, generator=generator)
    gcc = torch.rand(2, 9, 6, len(geometry.lags), generator=generator)
    active, valid = torch.ones(2, 9), torch.ones(2, 9)
    active[1, 5:] = valid[1, 5:] = 0
    transition = motion_log_transition(geometry.directions, 50.0) if motion else None

    def loss(logits, gcc):
        given = logits.clone().requires_grad_()
        posterior = GridPosterior(given, geometry.directions)
        kwargs = {"gamma": 3.0, "beta": 0.3, "transition": transition, "valid": valid}
        total = variational_loss(posterior, gcc, active, PhysicsDecoder(), geometry, **kwargs).total
        total.backward()
        return total.item(), given.grad

    other_logits, other_gcc = logits.clone(), gcc.clone()
    other_logits[1, 5:] = torch.randn(4, 300, generator=generator)
    other_gcc[1, 5:] = 0
    one, gradient = loss(logits, gcc)
    other, _ = loss(other_logits, other_gcc)
    assert other == pytest.approx(one, rel=1e-5)
    assert (gradient[1, 5:] == 0).all()
    assert gradient[1, :5].abs().amax(dim=-1).min() > 0


def test_a_padded_batch_has_the_loss_of_its_parts(geometry, generator):
    logits = torch.randn(2, 9, 300, generator=generator)
    gcc = torch.rand(2, 9, 6, len(geometry.lags), generator=generator)
    valid = torch.ones(2, 9)
    valid[1, 5:] = 0
    kwargs = {"gamma": 3.0, "beta": 0.3, "transition": motion_log_transition(geometry.directions, 50.0)}

    def terms(logits, gcc, valid):
        posterior = GridPosterior(logits, geometry.directions)
        return variational_loss(posterior, gcc, valid, PhysicsDecoder(), geometry, valid=valid, **kwargs)

    both = terms(logits, gcc, valid)
    long = terms(logits[:1], gcc[:1], valid[:1])
    short = terms(logits[1:, :5], gcc[1:, :5], valid[1:, :5])
    for name in ("physics", "kl", "total"):
        expected = (9 * getattr(long, name) + 5 * getattr(short, name)) / 14
        assert getattr(both, name).item() == pytest.approx(expected.item(), rel=1e-5)


def test_silent_frames_have_no_physics_but_the_motion_prior_ties_them(geometry, generator):
    logits = torch.randn(1, 5, 300, generator=generator)
    gcc = torch.rand(1, 5, 6, len(geometry.lags), generator=generator)
    active = torch.tensor([[1.0, 1, 0, 1, 1]])

    def gradient(transition):
        given = logits.clone().requires_grad_()
        posterior = GridPosterior(given, geometry.directions)
        kwargs = {"gamma": 3.0, "beta": 0.3, "transition": transition}
        variational_loss(posterior, gcc, active, PhysicsDecoder(), geometry, **kwargs).total.backward()
        return given.grad[0].abs().amax(dim=-1)

    alone, tied = gradient(None), gradient(motion_log_transition(geometry.directions, 50.0))
    assert alone[2] == 0
    assert tied[2] > 0
    assert alone[[0, 1, 3, 4]].min() > 0


def test_no_active_frame_at_all_gives_a_finite_loss(geometry, generator):
    posterior = grid_posterior(geometry, generator)
    gcc = torch.zeros(1, 4, 6, len(geometry.lags))
    terms = variational_loss(posterior, gcc, torch.zeros(1, 4), PhysicsDecoder(), geometry, gamma=1.0, beta=1.0)
    assert terms.total.item() == 0
    assert terms.n_active.item() == 0


# ---- motion prior ----


@pytest.mark.parametrize("concentration", [0.0, 20.0, 200.0])
@pytest.mark.parametrize("jump", [0.02, 0.5])
def test_transitions_are_densities_relative_to_the_uniform_one(concentration, jump):
    directions = torch.tensor(DirectionGrid.quasi_uniform(1000).directions, dtype=torch.float32)
    transition = motion_log_transition(directions, concentration, jump)
    assert torch.allclose(transition.exp().mean(dim=1), torch.ones(1000), atol=1e-4)
    # symmetric as far as the grid is uniform: rows are normalised on it
    assert (transition - transition.T).abs().max() < 0.1
    assert transition.exp().min() >= jump * (1 - 1e-4)


def test_transitions_are_the_von_mises_fisher_mixture_on_a_fine_grid():
    directions = torch.tensor(DirectionGrid.quasi_uniform(4000).directions, dtype=torch.float32)
    transition = motion_log_transition(directions, 30.0, 0.02)
    density = VonMisesFisher(directions[17], torch.tensor(30.0)).log_prob(directions).exp() * 4 * math.pi
    assert torch.allclose(transition[17].exp(), 0.98 * density + 0.02, rtol=0.01, atol=1e-4)


# ---- time axis ----


def test_the_pooled_time_axis_keeps_straight_lines_and_constants(generator):
    line = torch.arange(20.0)[None, :, None].expand(2, -1, 3)
    assert torch.allclose(to_time_axis(line, 4), torch.tensor([2.0, 7.0, 12.0, 17.0])[None, :, None].expand(2, -1, 3))
    assert torch.allclose(to_time_axis(torch.full((1, 13, 2, 5), 0.7), 3), torch.full((1, 3, 2, 5), 0.7))
    values = torch.rand(2, 7, 3, generator=generator)
    assert to_time_axis(values, 7) is values


def test_every_channel_is_interpolated_by_itself(generator):
    values = torch.rand(2, 15, 3, 4, generator=generator)
    whole = to_time_axis(values, 3)
    assert whole.shape == (2, 3, 3, 4)
    assert torch.allclose(whole[1, :, 2, 1], to_time_axis(values[1:, :, 2, 1], 3)[0], atol=1e-6)


def test_a_pooled_posterior_is_compared_with_the_input_at_its_own_time(geometry, generator):
    """A source that turns: each pooled frame is explained best by the direction in its middle."""
    angle = torch.linspace(0, math.pi, 20)
    doa = torch.stack([angle.cos(), angle.sin(), 0 * angle], dim=-1)
    gcc = heard(geometry, doa, width=2.0)
    middle = doa[[2, 7, 12, 17]]
    kwargs = {"gamma": 4.0, "beta": 0.0}

    def physics(directions):
        posterior = VonMisesFisher(directions[None], torch.full((1, 4), 1e5))
        given = torch.Generator().manual_seed(0)
        return variational_loss(
            posterior, gcc, torch.ones(1, 20), PhysicsDecoder(), geometry, generator=given, **kwargs
        ).physics.item()

    right = physics(middle)
    assert right < physics(doa[[0, 5, 10, 15]])
    assert right < physics(doa[[4, 9, 14, 19]])
