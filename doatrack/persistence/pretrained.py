"""Models that come with the package."""

import hashlib
import pathlib
from dataclasses import dataclass

from doatrack._validation import check_choice
from doatrack.exceptions import ModelFileError

__all__ = ["PRETRAINED", "PretrainedModel", "pretrained_file"]

_FOLDER = pathlib.Path(__file__).parents[1] / "pretrained"


@dataclass(frozen=True)
class PretrainedModel:
    """What is known of a shipped model.

    Parameters
    ----------
    sha256 : str
        Of the file.
    description : str
        What it was fitted on; docs/model_card.md says more.
    licence : str

    Examples
    --------
    >>> PRETRAINED["nao_head_12"].licence
    'BSD-3-Clause; fitted on LibriSpeech (CC BY 4.0, V. Panayotov et al.)'
    """

    sha256: str
    description: str
    licence: str = "BSD-3-Clause; fitted on LibriSpeech (CC BY 4.0, V. Panayotov et al.)"


PRETRAINED = {
    "nao_head_12": PretrainedModel(
        sha256="f2d758d9f3f9fe0397b190fbfdcccb62a0a86ed88797b0a1a6254c32b4338086",
        description="simulated rooms with real talkers and sensor noise, LOCATA's robot head, without labels",
    ),
}


def pretrained_file(name: str) -> pathlib.Path:
    """Return the path of a shipped model, after checking that it is the one that was shipped.

    Parameters
    ----------
    name : str
        One of `PRETRAINED`.

    Raises
    ------
    InvalidInputError
        If the name is unknown; the message suggests the nearest.
    ModelFileError
        If the file is missing or has another checksum.

    Examples
    --------
    >>> pretrained_file("nao_head_12").name
    'nao_head_12.safetensors'
    """
    model = PRETRAINED[check_choice("name", name, PRETRAINED)]
    path = _FOLDER / f"{name}.safetensors"
    if not path.is_file():
        raise ModelFileError(f"The shipped model {path} is missing: install doatrack again.")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != model.sha256:
        raise ModelFileError(
            f"The shipped model {path} was changed or damaged: its SHA-256 is {digest}, not {model.sha256}. "
            "Install doatrack again."
        )
    return path
