"""All experiments by name, and how one is run."""

import pathlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from doatrack._files import atomic_write_bytes
from doatrack._validation import check_choice
from doatrack.exceptions import InvalidInputError
from doatrack.experiments.accuracy import score_condition, score_corruption, score_rooms
from doatrack.experiments.complexity import measure_complexity
from doatrack.experiments.figure import draw_figure
from doatrack.experiments.finished import condition_rows, corruption_rows, kept_values, rooms_rows
from doatrack.experiments.methods import METHODS, Method
from doatrack.experiments.tables import complexity_text, corruption_text, error_text, figure_text
from doatrack.experiments.workspace import Workspace, read_settings, write_json

__all__ = ["EXPERIMENTS", "Experiment", "chosen_methods", "run_experiment", "write_table"]

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Experiment:
    """A table or figure of the paper.

    Parameters
    ----------
    name, title : str
    work : callable
        `work(workspace, methods)` does what is not finished of some methods.
    rows : callable
        `rows(folder)` gives the rows of all methods that are finished in the folder of a run.
    text : callable
        `text(rows)` is the Markdown of the rows; with `reading=False` without what the columns mean.

    Examples
    --------
    >>> EXPERIMENTS["exp1"].title
    'Experiment 1 (Table 2): sensor noise'
    """

    name: str
    title: str
    work: Callable[[Workspace, Sequence[Method]], None]
    rows: Callable[[pathlib.Path], Rows]
    text: Callable[..., str]


def _errors(name: str, title: str, condition: str, published: str) -> Experiment:
    return Experiment(
        name,
        title,
        lambda space, methods: score_condition(space, methods, condition),
        lambda folder: condition_rows(folder, condition, published),
        error_text,
    )


def _kept(place: str) -> Callable[[pathlib.Path], Rows]:
    return lambda folder: kept_values(folder, place)


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        _errors("exp1", "Experiment 1 (Table 2): sensor noise", "sensor", "exp1"),
        _errors(
            "exp2-published",
            "Experiment 2 (Table 3) as published: an interferer in the first 1/156 of each recording",
            "interferer-start",
            "exp2",
        ),
        _errors("exp2-continuous", "Experiment 2 with an interferer all the time", "interferer", "exp2"),
        _errors(
            "exp3", "Experiment 3 (Table 4): microphones 1 cm from where they are told to be", "moved-mics", "exp3"
        ),
        Experiment(
            "rooms",
            "Measured rooms and another array, in place of real recordings (--rooms)",
            score_rooms,
            rooms_rows,
            error_text,
        ),
        Experiment(
            "table5",
            "Table 5: wrong microphone positions told in the evaluation",
            score_corruption,
            corruption_rows,
            corruption_text,
        ),
        Experiment(
            "table6",
            "Table 6: parameters, operations, real-time factor",
            measure_complexity,
            _kept("table6"),
            complexity_text,
        ),
        Experiment("figure3", "Figure 3: a track over 20 s", draw_figure, _kept("figure3"), figure_text),
    )
}
"""By name, in the order of the paper."""


def chosen_methods(names: Sequence[str] | None) -> list[Method]:
    """Return methods by name, in the order of the tables; all without names.

    Raises
    ------
    InvalidInputError
        If a name is unknown.

    Examples
    --------
    >>> [method.name for method in chosen_methods(["neural-srp", "srp-phat"])]
    ['srp-phat', 'neural-srp']
    """
    for name in names or ():
        check_choice("--methods", name, METHODS)
    return [method for name, method in METHODS.items() if not names or name in names]


def run_experiment(space: Workspace, name: str, methods: Sequence[Method]) -> Rows:
    """Run an experiment as far as it is not finished and write NAME.json and NAME.md into the folder.

    The table holds all methods that are finished in the folder, also those of earlier runs with other methods.

    Parameters
    ----------
    space : Workspace
    name : str
        One of `EXPERIMENTS`.
    methods : sequence of Method

    Returns
    -------
    list of dict
        The rows of the table.

    Raises
    ------
    InvalidInputError
        If the name is unknown, or the experiment needs data that were not given.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from doatrack.experiments import SCALES
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     space = Workspace(pathlib.Path(folder) / "run", SCALES["smoke"])
    ...     rows = run_experiment(space, "exp1", chosen_methods(["srp-phat"]))
    >>> [(row["method"], row["published_deg"]) for row in rows]
    [('srp-phat', 8.4), ('srp-phat+filter', None), ('srp-phat+smoother', None)]
    """
    experiment = EXPERIMENTS[check_choice("experiment", name, EXPERIMENTS)]
    if name == "rooms" and space.rooms is None:
        raise InvalidInputError(
            "The experiment 'rooms' needs recordings of measured rooms: give their folder, --rooms."
        )
    experiment.work(space, methods)
    return write_table(space.folder, name)


def write_table(folder: pathlib.Path, name: str) -> Rows:
    """Write NAME.json and NAME.md of what is finished in the folder of runs, and return the rows; none write nothing.

    Parameters
    ----------
    folder : path
    name : str
        One of `EXPERIMENTS`.

    Raises
    ------
    InvalidInputError
        If the name is unknown, or the folder is not that of a run.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from doatrack.experiments import SCALES
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     space = Workspace(pathlib.Path(folder), SCALES["smoke"])
    ...     write_table(space.folder, "exp1")
    []
    """
    experiment = EXPERIMENTS[check_choice("experiment", name, EXPERIMENTS)]
    settings = read_settings(folder)
    rows = experiment.rows(folder)
    if rows:
        write_json(folder / f"{name}.json", {"experiment": name, "title": experiment.title} | settings | {"rows": rows})
        text = f"# {experiment.title}\n\n{experiment.text(rows)}\n"
        atomic_write_bytes(folder / f"{name}.md", text.encode())
    return rows
