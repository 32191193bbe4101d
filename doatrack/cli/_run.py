"""How every command runs: messages on standard error, exit codes, warnings, Ctrl-C."""

import contextlib
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import typer

from doatrack.exceptions import (
    AudioFileError,
    DoatrackError,
    DoatrackWarning,
    LiveAudioError,
    NoActivityError,
    WorkerError,
)

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["INTERRUPTED", "SOME_FAILED", "WRONG_USE", "Failures", "running", "say", "table_console"]

SOME_FAILED = 1
WRONG_USE = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells have it

_BOTH_COUNTS = re.compile(r"channel \d+ \(counted from 0; (\d+) from 1\)")
_PIPE_WIDTH = 160  # columns of tables that no terminal limits


def say(text: str) -> None:
    """Write a line to standard error."""
    typer.echo(text, err=True)


def table_console() -> "Console":
    """Return a console for tables on standard output, wide enough where nobody looks at it."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)


class Failures:
    """Inputs that failed: each is named on standard error, the others go on."""

    def __init__(self) -> None:
        self.count = 0

    @contextlib.contextmanager
    def tolerate(self, path: str | os.PathLike[str]) -> Iterator[None]:
        """Turn what goes wrong with one input into a line of text and a count."""
        try:
            yield
        except BrokenPipeError:
            raise
        except (DoatrackError, OSError) as error:
            self.count += 1
            message = _message(error)
            say(f"Failed: {message}" if str(path) in message else f"Failed: {path}: {message}")


@contextlib.contextmanager
def running(kept: Callable[[], str] = lambda: "Nothing was written.") -> Iterator[Failures]:
    """Run the body of a command and end the program with the exit code that fits.

    Parameters
    ----------
    kept : callable
        Tells after Ctrl-C what is kept of the work.

    Yields
    ------
    Failures
        Where inputs that fail are counted: one or more make the exit code 1.

    Raises
    ------
    typer.Exit
        With 1 if some inputs failed or a file could not be written, 2 on wrong use, 130 on Ctrl-C.
    """
    failures = Failures()
    with _warnings_as_lines():
        try:
            yield failures
        except KeyboardInterrupt:
            say(f"Interrupted. {kept()}")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise  # the reader of a pipe has gone: typer ends quietly
        except (DoatrackError, OSError) as error:
            say(f"Error: {_message(error)}")
            raise typer.Exit(_exit_code(error)) from error
    if failures.count:
        raise typer.Exit(SOME_FAILED)


def _exit_code(error: Exception) -> int:
    wrong_use = isinstance(error, DoatrackError) and not isinstance(
        error, (AudioFileError, LiveAudioError, NoActivityError, WorkerError)
    )
    return WRONG_USE if wrong_use else SOME_FAILED


def _message(error: Exception) -> str:
    """Return the words of an error without its number, and channels counted from 1 alone, as `--channels` does."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return _BOTH_COUNTS.sub(r"channel \1", str(error))


@contextlib.contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Show the library's warnings as plain lines; others stay as they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", DoatrackWarning)
        usual = warnings.showwarning

        def show(message: Any, category: type[Warning], *place: Any, **options: Any) -> None:
            if issubclass(category, DoatrackWarning):
                say(f"Warning: {message}")
            else:
                usual(message, category, *place, **options)

        warnings.showwarning = show
        yield
