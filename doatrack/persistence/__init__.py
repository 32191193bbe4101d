"""Models on disk: safetensors files that cannot run code."""

from doatrack.persistence.pretrained import PRETRAINED, PretrainedModel, pretrained_file
from doatrack.persistence.safetensors_file import FORMAT_VERSION, read_model_file, write_model_file
from doatrack.persistence.state_dict_file import read_state_dict

__all__ = [
    "FORMAT_VERSION",
    "PRETRAINED",
    "PretrainedModel",
    "pretrained_file",
    "read_model_file",
    "read_state_dict",
    "write_model_file",
]
