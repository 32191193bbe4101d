"""All experiments by name, and how one is run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from doatrack._files import atomic_write_bytes
from doatrack._validation import check_choice
from doatrack.exceptions import InvalidInputError
from doatrack.experiments.accuracy import corruption_table, error_table, rooms_table
from doatrack.experiments.complexity import complexity_table
from doatrack.experiments.figure import draw_figure
from doatrack.experiments.methods import METHODS, Method
from doatrack.experiments.tables import complexity_text, corruption_text, error_text, figure_text
from doatrack.experiments.workspace import Workspace, write_json

__all__ = ["EXPERIMENTS", "Experiment", "chosen_methods", "run_experiment"]

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Experiment:
    """A table or figure of the paper.

    Parameters
    ----------
    name, title : str
    rows : callable
        `rows(workspace, methods)` does the work.
    text : callable
        `text(rows)` is the Markdown of the rows.

    Examples
    --------
    >>> EXPERIMENTS["exp1"].title
    'Experiment 1 (Table 2): sensor noise'
    """

    name: str
    title: str
    rows: Callable[[Workspace, Sequence[Method]], Rows]
    text: Callable[[Rows], str]


def _errors(condition: str, published: str) -> Callable[[Workspace, Sequence[Method]], Rows]:
    return lambda space, methods: error_table(space, methods, condition, published)


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment("exp1", "Experiment 1 (Table 2): sensor noise", _errors("sensor", "exp1"), error_text),
        Experiment(
            "exp2-published",
            "Experiment 2 (Table 3) as published: an interferer in the first 1/156 of each recording",
            _errors("interferer-start", "exp2"),
            error_text,
        ),
        Experiment(
            "exp2-continuous",
            "Experiment 2 with an interferer all the time",
            _errors("interferer", "exp2"),
            error_text,
        ),
        Experiment(
            "exp3",
            "Experiment 3 (Table 4): microphones 1 cm from where they are told to be",
            _errors("moved-mics", "exp3"),
            error_text,
        ),
        Experiment(
            "rooms", "Measured rooms and another array, in place of real recordings (--rooms)", rooms_table, error_text
        ),
        Experiment(
            "table5", "Table 5: wrong microphone positions told in the evaluation", corruption_table, corruption_text
        ),
        Experiment("table6", "Table 6: parameters, operations, real-time factor", complexity_table, complexity_text),
        Experiment("figure3", "Figure 3: a track over 20 s", draw_figure, figure_text),
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
    rows = experiment.rows(space, methods)
    scale = space.scale
    header = {"experiment": name, "title": experiment.title, "scale": scale.name, "seed": space.seed}
    sizes = {"n_train": scale.n_train, "n_test": scale.n_test, "duration_s": scale.duration_s}
    write_json(space.path(f"{name}.json"), header | sizes | {"n_epochs": dict(scale.n_epochs), "rows": rows})
    text = f"# {experiment.title}\n\n{experiment.text(rows)}\n"
    atomic_write_bytes(space.path(f"{name}.md"), text.encode())
    return rows
