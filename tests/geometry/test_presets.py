import dataclasses

import numpy as np
import pytest

from doatrack.exceptions import InvalidInputError
from doatrack.geometry import MicArray, get_preset, locata_to_unit, preset_names, preset_positions

KINDS = {
    "eigenmike_em32": "3-D",
    "frl_octahedral_7": "3-D",
    "locata_dicit_15": "planar",
    "locata_eigenmike_32": "3-D",
    "locata_hearing_aids_4": "planar",
    "minidsp_uma_16": "planar",
    "minidsp_uma_8": "planar",
    "nao_head_12": "3-D",
    "respeaker_core_6": "planar",
    "respeaker_usb_4": "planar",
    "tetrahedron_4": "3-D",
}


def test_every_preset_says_what_it_is_and_where_it_is_from():
    assert preset_names() == tuple(sorted(KINDS))
    for name in preset_names():
        preset, array = get_preset(name), MicArray.from_preset(name)
        assert preset.name == array.name == name
        assert min(map(len, (preset.description, preset.axes, preset.source))) > 15
        assert array.kind == KINDS[name]
        trailing = name.rpartition("_")[2]
        assert array.n_mics == int(trailing.removeprefix("em")) - (name == "minidsp_uma_8")
        assert array.aperture < 2.1


def test_presets_cannot_be_changed():
    preset_positions("tetrahedron_4")[0] = 9
    assert np.abs(preset_positions("tetrahedron_4")).max() < 0.1
    with pytest.raises(dataclasses.FrozenInstanceError):
        get_preset("tetrahedron_4").rows = ()


@pytest.mark.parametrize(
    ("folder", "name"),
    [("bench_nao", "nao_head_12"), ("bench_rooms", "frl_octahedral_7"), ("recordings/respeaker4", "respeaker_usb_4")],
)
def test_agrees_with_the_data_beside_the_project(shared_data, folder, name):
    assert MicArray.from_json(shared_data / folder / "array.json") == MicArray.from_preset(name)


def test_eigenmikes_differ_by_the_quarter_turn_and_lie_on_the_sphere():
    own, locata = MicArray.from_preset("eigenmike_em32"), MicArray.from_preset("locata_eigenmike_32")
    quarter = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    np.testing.assert_allclose(own.rotate(quarter).positions, locata.positions, atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(own.positions, axis=1), 0.042, atol=1e-6)
    # a pentakis dodecahedron, rounded to whole degrees: each microphone has an opposite one
    opposite = np.linalg.norm(own.positions[:, None] + own.positions[None], axis=-1).min(axis=1)
    assert opposite.max() < 0.042 * np.radians(2)
    # the first rows of LOCATA's documentation, to its millimetre
    rows = [[0, 0.039, 0.015], [-0.022, 0.036, 0], [0, 0.039, -0.015], [0.022, 0.036, 0], [0, 0.022, 0.036]]
    np.testing.assert_allclose(locata.positions[:5], rows, atol=6e-4)


def test_hearing_aids_are_left_then_right_and_look_along_locatas_front():
    positions = preset_positions("locata_hearing_aids_4")
    front, left = locata_to_unit(0, np.pi / 2), locata_to_unit(np.pi / 2, np.pi / 2)
    assert ((positions[:2] - positions[2:]) @ left > 0.15).all()
    np.testing.assert_allclose((positions[[0, 2]] - positions[[1, 3]]) @ front, 0.009)


def test_dicit_has_its_nested_lines():
    line = preset_positions("locata_dicit_15")
    line = line[line[:, 2] == 0]
    assert len(line) == 13
    for spacing, count in [(0.04, 5), (0.08, 5), (0.16, 5), (0.32, 7)]:
        wanted = spacing * (np.arange(count) - count // 2)
        assert all(np.abs(line[:, 0] - x).min() < 1e-9 for x in wanted)


@pytest.mark.parametrize(
    ("name", "ring", "sense", "radius"),
    [
        ("respeaker_usb_4", slice(None), 1, 0.0323),
        ("respeaker_core_6", slice(None), 1, 0.0463),
        ("minidsp_uma_8", slice(1, None), -1, 0.043),
    ],
)
def test_circles_go_round_in_channel_order(name, ring, sense, radius):
    positions = preset_positions(name)[ring]
    np.testing.assert_allclose(np.hypot(positions[:, 0], positions[:, 1]), radius, atol=1e-4)
    step = np.diff(np.unwrap(np.arctan2(positions[:, 1], positions[:, 0])))
    np.testing.assert_allclose(step, sense * 2 * np.pi / len(positions), atol=2e-3)


def test_uma_16_is_a_grid_that_faces_the_front():
    positions = preset_positions("minidsp_uma_16")
    assert (positions[:, 0] == 0).all()
    corners = [-0.063, -0.021, 0.021, 0.063]
    assert sorted(map(tuple, positions[:, 1:].tolist())) == sorted((y, z) for y in corners for z in corners)
    # acoular's corrected file has x to the right as seen from behind the board: minus our y; its y is our z
    acoular = {1: (0.021, -0.063), 2: (0.063, -0.063), 8: (0.063, 0.063), 9: (-0.063, 0.063), 16: (-0.021, -0.063)}
    for number, (right, up) in acoular.items():
        assert positions[number - 1].tolist() == [0, -right, up]


def test_tetrahedron_is_regular():
    array = MicArray.from_preset("tetrahedron_4")
    first, second = array.mic_pairs.T
    edges = np.linalg.norm(array.positions[first] - array.positions[second], axis=1)
    np.testing.assert_allclose(edges, 0.05 * np.sqrt(8 / 3))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("minidsp_uma16", "got 'minidsp_uma16'. Did you mean 'minidsp_uma_16'?"),
        ("zzz", "got 'zzz'. Choose from: eigenmike_em32, frl_octahedral_7"),
        (3, "preset must be one of the known names, got 3"),
    ],
)
def test_unknown_names_get_a_suggestion(name, message):
    with pytest.raises(InvalidInputError) as caught:
        preset_positions(name)
    assert message in str(caught.value)
