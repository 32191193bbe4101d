"""Losses over known frames only, and vectors brought back to the input's frames."""

import pytest
import torch

from doatrack.training import direction_loss, interpolate_frames


@pytest.fixture
def truth(generator):
    doa = torch.nn.functional.normalize(torch.randn(3, 8, 3, generator=generator), dim=-1)
    doa[0, 2:] = torch.nan
    doa[2, :, 1] = torch.nan
    return doa


@pytest.mark.parametrize(("kind", "written_out"), [("absolute", torch.abs), ("squared", torch.square)])
def test_mean_over_components_of_frames_that_count(truth, generator, kind, written_out):
    guess = torch.rand(3, 8, 3, generator=generator)
    known = [(0, 0), (0, 1), *((1, t) for t in range(8))]
    errors = torch.stack([written_out(guess[k, t] - truth[k, t]) for k, t in known])
    assert torch.isclose(direction_loss(guess, truth, kind), errors.mean())


@pytest.mark.parametrize("kind", ["absolute", "squared"])
def test_unknown_frames_get_no_gradient_and_none_at_all_is_no_loss(truth, generator, kind):
    guess = torch.rand(3, 8, 3, generator=generator, requires_grad=True)
    direction_loss(guess, truth, kind).backward()
    assert torch.isfinite(guess.grad).all()
    assert (guess.grad[2] == 0).all()
    assert (guess.grad[1] != 0).all()
    nothing = direction_loss(guess, torch.full_like(truth, torch.nan), kind)
    assert nothing.item() == 0
    nothing.backward()
    assert torch.isfinite(guess.grad).all()


def test_the_best_vector_under_the_squared_error_is_the_mean(truth):
    directions = truth[1]
    best = directions.mean(dim=0)
    at_best = direction_loss(best.expand(8, 3), directions, "squared")
    for shift in (0.05, -0.05):
        assert direction_loss((best + shift).expand(8, 3), directions, "squared") > at_best
    assert best.norm() < 1, "unsure: shorter than any of them"


@pytest.mark.parametrize("n_frames", [1, 4, 5, 7, 15])
def test_a_straight_line_stays_one_between_the_windows_centres(n_frames):
    n_pooled = -(-n_frames // 5)
    centres = torch.arange(n_pooled) * 5.0 + 2
    line = interpolate_frames(centres[None, :, None], 5, n_frames)[0, :, 0]
    expected = torch.arange(float(n_frames)).clamp(2.0, float(centres[-1]))
    assert torch.allclose(line, expected, atol=1e-5)


def test_recordings_and_components_are_kept_apart(generator):
    pooled = torch.rand(3, 4, 3, generator=generator)
    whole = interpolate_frames(pooled, 5, 18)
    assert whole.shape == (3, 18, 3)
    assert torch.allclose(whole[:, 2::5], pooled, atol=1e-6)
