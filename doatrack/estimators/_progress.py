"""Progress on the terminal, as callbacks: the training loop itself is silent."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from doatrack.training import Callback, TrainingLoop

__all__ = ["ProgressBar", "progress_over"]


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=False)


@contextlib.contextmanager
def progress_over(items: Sequence[Any], description: str, verbose: int) -> Iterator[Iterator[Any]]:
    """Iterate over items behind a progress bar on standard error; silent where that is no terminal."""
    console = Console(stderr=True)
    if not verbose or not console.is_terminal:
        yield iter(items)
        return
    with _progress(console) as bar:
        yield iter(bar.track(items, description=description))


class ProgressBar(Callback):
    """Show steps and losses of a training loop on standard error.

    On a terminal a bar; elsewhere, with `verbose` above 1, a line per epoch.
    """

    def __init__(self, verbose: int) -> None:
        self._console = Console(stderr=True)
        self._bar = _progress(self._console) if verbose and self._console.is_terminal else None
        self._lines = verbose > 1 and self._bar is None
        self._task: Any = None

    def __enter__(self) -> "ProgressBar":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def on_epoch_begin(self, loop: TrainingLoop) -> None:
        """Open the bar at the first epoch run, which after a resume is not the first of all."""
        if self._bar is not None and self._task is None:
            total, done = loop.n_epochs * loop.n_steps, loop.epoch * loop.n_steps
            self._task = self._bar.add_task("learning", total=total, completed=done)

    def on_step_end(self, loop: TrainingLoop, record: dict[str, float]) -> None:
        """Move the bar."""
        if self._bar is not None:
            text = f"learning, epoch {loop.epoch + 1}/{loop.n_epochs}, loss {record['loss']:.3f}"
            self._bar.update(self._task, advance=1, description=text)

    def on_epoch_end(self, loop: TrainingLoop, record: dict[str, float]) -> None:
        """Write a line, where there is no bar."""
        if self._lines:
            values = ", ".join(f"{k} {v:.4g}" for k, v in record.items() if k != "epoch")
            self._console.print(f"epoch {loop.epoch} of {loop.n_epochs}: {values}", highlight=False, soft_wrap=True)
