"""Models on disk: safetensors files that cannot run code."""

from doatrack.persistence.safetensors_file import FORMAT_VERSION, read_model_file, write_model_file

__all__ = ["FORMAT_VERSION", "read_model_file", "write_model_file"]
