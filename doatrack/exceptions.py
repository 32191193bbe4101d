"""Errors and warnings of the library: what a caller may want to catch by name."""

__all__ = [
    "ArrayMismatchWarning",
    "AudioFileError",
    "DoatrackError",
    "DoatrackWarning",
    "GeometryWarning",
    "InvalidInputError",
    "ModelFileError",
    "NoActivityError",
    "OutputExistsError",
]


class DoatrackError(Exception):
    """Base of every error that doatrack raises on purpose."""


class InvalidInputError(DoatrackError, ValueError):
    """A value breaks a stated rule; the message says which, what it got and the way out."""


class NoActivityError(InvalidInputError):
    """Learning was asked for on recordings without one active frame."""


class AudioFileError(DoatrackError, OSError):
    """A file cannot be read as audio; the message names the file."""


class ModelFileError(DoatrackError, ValueError):
    """A model file is damaged, of another version or not a doatrack file."""


class OutputExistsError(DoatrackError, FileExistsError):
    """Writing would replace a file that doatrack did not write."""


class DoatrackWarning(UserWarning):
    """Base of every warning that doatrack gives."""


class GeometryWarning(DoatrackWarning):
    """A microphone geometry is legal but probably not what was meant."""


class ArrayMismatchWarning(DoatrackWarning):
    """A tracker is used with another array than the one it was fitted for."""
