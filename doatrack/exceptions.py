"""Errors and warnings of the library: what a caller may want to catch by name."""

__all__ = [
    "ArrayMismatchWarning",
    "AudioFileError",
    "DoatrackError",
    "DoatrackWarning",
    "GeometryWarning",
    "InvalidInputError",
    "LiveAudioError",
    "LookAheadWarning",
    "ModelFileError",
    "NoActivityError",
    "OutputExistsError",
    "WorkerError",
]


class DoatrackError(Exception):
    """Base of every error that doatrack raises on purpose.

    Examples
    --------
    >>> from doatrack import MicArray
    >>> try:
    ...     MicArray.from_preset("nao_head")
    ... except DoatrackError as error:
    ...     print(type(error).__name__)
    InvalidInputError
    """


class InvalidInputError(DoatrackError, ValueError):
    """A value breaks a stated rule; the message says which, what it got and the way out.

    Examples
    --------
    >>> from doatrack import MicArray
    >>> MicArray([[0.05, 0, 0]])
    Traceback (most recent call last):
    doatrack.exceptions.InvalidInputError: ...
    """


class NoActivityError(InvalidInputError):
    """Learning was asked for on recordings without one active frame.

    Examples
    --------
    >>> import numpy as np, doatrack
    >>> array = doatrack.MicArray.from_preset("tetrahedron_4")
    >>> doatrack.PhysicsVAETracker().fit(np.zeros((4, 16000)), array)
    Traceback (most recent call last):
    doatrack.exceptions.NoActivityError: ...
    """


class AudioFileError(DoatrackError, OSError):
    """A file cannot be read as audio; the message names the file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from doatrack.audio import read_audio
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "a.wav").write_text("not sound")
    ...     read_audio(f"{folder}/a.wav")
    Traceback (most recent call last):
    doatrack.exceptions.AudioFileError: ...
    """


class LiveAudioError(DoatrackError, OSError):
    """Live sound cannot be opened, or broke off: a device, a pipe.

    Examples
    --------
    >>> import io
    >>> from doatrack.live import wav_source
    >>> wav_source(io.BytesIO(b"not a sound file"))
    Traceback (most recent call last):
    doatrack.exceptions.LiveAudioError: ...
    """


class ModelFileError(DoatrackError, ValueError):
    """A model file is damaged, of another version or not a doatrack file.

    Examples
    --------
    >>> import pathlib, tempfile, doatrack
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "a.safetensors").write_text("not a model")
    ...     doatrack.load(f"{folder}/a.safetensors")
    Traceback (most recent call last):
    doatrack.exceptions.ModelFileError: ...
    """


class OutputExistsError(DoatrackError, FileExistsError):
    """Writing would replace a file that doatrack did not write.

    Examples
    --------
    >>> issubclass(OutputExistsError, FileExistsError)
    True
    """


class DoatrackWarning(UserWarning):
    """Base of every warning that doatrack gives.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", DoatrackWarning)  # whatever is done here gives no advice
    ...     warnings.warn("two microphones are far apart", GeometryWarning)
    """


class GeometryWarning(DoatrackWarning):
    """A microphone geometry is legal but probably not what was meant.

    Examples
    --------
    >>> import warnings
    >>> from doatrack import MicArray
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     array = MicArray([[8, 0, 0], [-8, 0, 0]])  # centimetres?
    >>> caught[0].category.__name__
    'GeometryWarning'
    """


class ArrayMismatchWarning(DoatrackWarning):
    """A tracker is used with another array than the one it was fitted for.

    Examples
    --------
    >>> issubclass(ArrayMismatchWarning, DoatrackWarning)
    True
    """


class WorkerError(DoatrackError, RuntimeError):
    """One of several processes died or failed; the message says which, what is kept and how to go on.

    Examples
    --------
    >>> try:
    ...     raise WorkerError("Process 1 of 2 was killed by SIGKILL.")
    ... except DoatrackError as error:
    ...     print(error)
    Process 1 of 2 was killed by SIGKILL.
    """


class LookAheadWarning(DoatrackWarning):
    """A stream's answers wait for later sound, which a live use hardly wants.

    Examples
    --------
    >>> issubclass(LookAheadWarning, DoatrackWarning)
    True
    """
