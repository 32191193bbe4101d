"""The folder of a run."""

import dataclasses

import pytest

from doatrack.exceptions import InvalidInputError, OutputExistsError
from doatrack.experiments.scale import SCALES
from doatrack.experiments.workspace import Workspace


def test_a_part_is_made_again_only_under_another_key(space):
    made = []

    def make():
        made.append(1)
        return {"value": (len(made), 0.1)}

    assert space.once("parts/a.json", {"k": (1,)}, make) == {"value": [1, 0.1]}
    assert space.once("parts/a.json", {"k": (1,)}, make) == {"value": [1, 0.1]}
    assert space.once("parts/a.json", {"k": (2,)}, make) == {"value": [2, 0.1]}


def test_the_same_settings_go_on_and_others_are_refused(space):
    Workspace(space.folder, space.scale)
    Workspace(space.folder, space.scale.longer(3))  # longer training of the same scenes
    with pytest.raises(OutputExistsError, match="other settings: seed differ"):
        Workspace(space.folder, space.scale, seed=1)
    with pytest.raises(OutputExistsError, match="scenes differ"):
        Workspace(space.folder, dataclasses.replace(space.scale, n_train=9))


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(OutputExistsError, match=r"holds other files and no settings\.json"):
        Workspace(tmp_path, SCALES["smoke"])
    with pytest.raises(InvalidInputError, match="must be a folder, but it is a file"):
        Workspace(tmp_path / "holiday.jpg", SCALES["smoke"])


def test_a_damaged_part_is_named(space):
    space.path("parts/a.json").write_text("{")
    with pytest.raises(InvalidInputError, match=r"a\.json cannot be read.*Delete it"):
        space.once("parts/a.json", {}, dict)


def test_longer_training():
    assert SCALES["cpu"].longer(0.5).n_epochs["neural-srp"] == SCALES["cpu"].n_epochs["neural-srp"] // 2
    with pytest.raises(InvalidInputError, match="epochs_factor must be above 0"):
        SCALES["cpu"].longer(0)
