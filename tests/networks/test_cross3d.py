"""Cross3D: the published size, causality, and how it treats the edges of a map."""

import pytest
import torch

from doatrack.networks import Cross3D, normalise_map
from doatrack.networks.cross3d import check_resolution


@pytest.fixture
def network(seeded):
    return Cross3D(8, 16, width=4).eval()


@pytest.fixture
def maps(generator):
    return normalise_map(torch.rand(2, 60, 8, 16, generator=generator))


@pytest.fixture
def heard():
    return torch.ones(2, 60)


def answer(network, maps, activity):
    with torch.no_grad():
        return network(maps, activity)


def test_size_is_the_published_one(seeded):
    network = Cross3D()
    assert sum(p.numel() for p in network.parameters()) == 5_626_275
    assert network.hidden.in_channels == 2 * 4096
    assert network.context == 4 + 4 * 4 + 2 * 8
    assert network(torch.zeros(1, 2, 32, 64), torch.ones(1, 2)).shape == (1, 2, 3)


@pytest.mark.parametrize(
    ("size", "n_poolings"), [((4, 8), 2), ((8, 16), 3), ((16, 16), 4), ((16, 32), 4), ((64, 8), 3)]
)
def test_smaller_maps_are_halved_as_often_as_they_can_be(seeded, size, n_poolings):
    assert check_resolution(*size) == n_poolings
    network = Cross3D(*size, width=2)
    across, up = network.crossed(torch.zeros(1, 3, 2, *size))
    assert across.shape == (1, 2, 2, size[0], size[1] // 2**n_poolings)
    assert up.shape == (1, 2, 2, size[0] // 2**n_poolings, size[1])
    assert network(torch.zeros(1, 2, *size), torch.ones(1, 2)).shape == (1, 2, 3)


@pytest.mark.parametrize("size", [(2, 16), (12, 24), (8, 20), (0, 8)])
def test_maps_that_cannot_be_halved_are_refused(size):
    with pytest.raises(ValueError, match="powers of 2 from 4"):
        Cross3D(*size)


@pytest.mark.parametrize("frame", [0, 17, 59])
def test_no_answer_depends_on_a_later_frame(network, maps, heard, frame):
    before = answer(network, maps, heard)
    other = maps.clone()
    other[:, frame:] = normalise_map(torch.rand(2, 60 - frame, 8, 16, generator=torch.Generator().manual_seed(9)))
    after = answer(network, other, heard)
    assert torch.equal(after[:, :frame], before[:, :frame])
    assert (after[:, frame] - before[:, frame]).abs().max() > 1e-6


def test_the_context_is_all_that_an_answer_depends_on(network, maps, heard):
    context = network.context
    other = maps.clone()
    other[:, 5] = 0.0
    change = (answer(network, other, heard) - answer(network, maps, heard)).abs().amax(dim=(0, 2))
    assert (change[:5] == 0).all()
    assert change[5 + context] > 0
    assert (change[6 + context :] == 0).all()
    late = answer(network, maps[:, 60 - context - 1 :], heard[:, 60 - context - 1 :])
    assert torch.allclose(late[:, -1], answer(network, maps, heard)[:, -1], atol=1e-6)


def test_frames_without_sound_are_set_to_zero(network, maps, heard):
    silent = heard.clone()
    silent[:, 30:40] = 0
    other = maps.clone()
    other[:, 30:40] = -maps[:, 30:40]
    assert torch.equal(answer(network, maps, silent), answer(network, other, silent))
    assert (answer(network, maps, silent) - answer(network, maps, heard)).abs().max() > 1e-5
    assert (network.channels(maps, silent)[:, :, 30:40] == 0).all()


def test_the_map_and_the_place_of_its_maximum_are_the_input(network, maps, heard):
    planes = network.channels(maps, heard)
    assert planes.shape == (2, 3, 60, 8, 16)
    assert torch.equal(planes[:, 0], maps)
    row, column = divmod(int(maps[1, 7].argmax()), 16)
    assert (planes[1, 1, 7] == (row + 0.5) / 8).all()
    assert (planes[1, 2, 7] == (column + 0.5) / 16).all()


def test_azimuth_is_a_circle(network, generator):
    """Turning the input by whole pooling windows turns what both branches give."""
    x = torch.randn(1, 3, 6, 8, 16, generator=generator)
    with torch.no_grad():
        across, up = network.crossed(x)
        turned_across, turned_up = network.crossed(x.roll(8, dims=-1))
    assert torch.allclose(turned_across, across.roll(1, dims=-1), atol=1e-5)
    assert torch.allclose(turned_up, up.roll(8, dims=-1), atol=1e-5)
    assert not torch.allclose(turned_up, up, atol=1e-3)


def test_elevation_is_a_mirror_not_a_circle(network, generator):
    """The first convolution written out: what is beyond the lowest row is the second lowest."""
    layer, x = network.first, torch.randn(1, 3, 6, 8, 16, generator=generator)
    rows = [2, 1, *range(8), 6, 5]
    columns = [14, 15, *range(16), 0, 1]
    padded = torch.nn.functional.pad(x[..., rows, :][..., columns], (0, 0, 0, 0, 4, 0))
    with torch.no_grad():
        expected = layer.activation(
            torch.nn.functional.conv3d(padded, layer.convolution.weight, layer.convolution.bias)
        )
        assert torch.allclose(layer(x), expected, atol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 1e-2])
def test_maps_are_normalised(generator, scale):
    maps = normalise_map(scale * torch.rand(5, 8, 16, generator=generator) + 3 * scale)
    assert torch.allclose(maps.amax(dim=(-2, -1)), torch.ones(5))
    assert torch.allclose(maps.mean(dim=(-2, -1)), torch.zeros(5), atol=1e-4)
    assert torch.allclose(normalise_map(maps), maps, atol=1e-4)
    assert normalise_map(torch.full((8, 16), 0.3)).abs().max() < 1e-2


def test_every_parameter_gets_a_gradient(network, maps, heard, generator):
    (network(maps, heard) * torch.randn(2, 60, 3, generator=generator)).sum().backward()
    assert all(p.grad.abs().max() > 1e-7 for p in network.parameters())


def test_a_state_dict_goes_round(network, maps, heard):
    other = Cross3D(8, 16, width=4).eval()
    assert not torch.equal(answer(other, maps, heard), answer(network, maps, heard))
    other.load_state_dict(network.state_dict())
    assert torch.equal(answer(other, maps, heard), answer(network, maps, heard))
