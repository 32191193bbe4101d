"""`doatrack reproduce`: the experiments of the paper, one command each."""

import pathlib
from typing import TYPE_CHECKING, Annotated

import typer

from doatrack.cli._run import running, say, table_console
from doatrack.exceptions import InvalidInputError

if TYPE_CHECKING:
    from doatrack.experiments.methods import Method
    from doatrack.experiments.workspace import Workspace
    from doatrack.simulation.scene import SpeechSource

__all__ = ["run_reproduce"]

_ALL = "all"
_TABLES = "tables"


_ExperimentsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="EXPERIMENT...",
        help="Which, or all; without any they are listed. tables: nothing is run, and the tables of all that is "
        "finished in the folder are written.",
    ),
]
_OutOption = Annotated[
    pathlib.Path, typer.Option(metavar="DIR", help="Folder of the run; the same folder goes on with it.")
]
_ScaleOption = Annotated[
    str,
    typer.Option(metavar="NAME", help="smoke (seconds), cpu (hours on two cores) or paper (300 epochs, 585 x 20 s)."),
]
_SpeechOption = Annotated[
    pathlib.Path | None,
    typer.Option(
        metavar="DIR",
        help="Dry speech: LibriSpeech (train-clean-100 to learn, test-clean to test), or a folder with index.csv "
        "and its splits train and valid. Without it, synthetic talkers.",
    ),
]
_RoomsOption = Annotated[
    pathlib.Path | None, typer.Option(metavar="DIR", help="A set with known directions from measured rooms.")
]
_LocataOption = Annotated[pathlib.Path | None, typer.Option(metavar="DIR", help="The LOCATA corpus.")]
_SeedOption = Annotated[int, typer.Option(min=0, help="One seed, the same scenes and weights.")]
_MethodsOption = Annotated[
    str | None, typer.Option(metavar="NAME,NAME", help="Only these methods; without it all that are listed.")
]
_EpochsFactorOption = Annotated[
    float, typer.Option(metavar="X", help="So many times the scale's epochs: more for a long run, less for a look.")
]
_StartOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="METHOD=FILE", help="Weights that training for sensor noise starts from instead of random ones."
    ),
]
_ThreadsOption = Annotated[int, typer.Option(min=1, metavar="N", help="Threads to learn and test with.")]
_QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress, only the tables.")]


def run_reproduce(
    experiments: _ExperimentsArgument = None,
    out: _OutOption = pathlib.Path("reproduced"),
    scale: _ScaleOption = "cpu",
    speech: _SpeechOption = None,
    rooms: _RoomsOption = None,
    locata: _LocataOption = None,
    seed: _SeedOption = 0,
    methods: _MethodsOption = None,
    epochs_factor: _EpochsFactorOption = 1.0,
    start: _StartOption = None,
    threads: _ThreadsOption = 1,
    quiet: _QuietOption = False,
) -> None:
    """Run experiments of the paper beside its own figures; finished parts are kept, so that a killed run goes on.

    Writes EXPERIMENT.json and EXPERIMENT.md into the folder, beside the simulated scenes and trained models, with the
    methods of earlier runs too.
    """
    with running(lambda: f"What is finished is kept in {out}: the same command goes on."):
        import torch

        if not experiments:
            _list()
            return
        if experiments == [_TABLES]:
            _write_tables(out)
            return
        names = _names(experiments, rooms)
        chosen = _methods(methods)
        torch.set_num_threads(threads)
        space = _workspace(out, scale, speech, rooms, locata, seed, epochs_factor, start or [], quiet)
        for name in names:
            _run(space, name, chosen)


def _names(given: list[str], rooms: pathlib.Path | None) -> list[str]:
    """Return the experiments that are meant; all leaves out what needs a set that is not given."""
    from doatrack._validation import check_choice
    from doatrack.experiments.catalogue import EXPERIMENTS

    if given == [_ALL]:
        return [name for name in EXPERIMENTS if name != "rooms" or rooms is not None]
    return [check_choice("experiment", name, list(EXPERIMENTS)) for name in given]


def _methods(given: str | None) -> "list[Method]":
    from doatrack.experiments.catalogue import chosen_methods

    return chosen_methods(None if given is None else [name.strip() for name in given.split(",")])


def _run(space: "Workspace", name: str, methods: "list[Method]") -> None:
    from doatrack.experiments.catalogue import run_experiment

    run_experiment(space, name, methods)
    typer.echo((space.folder / f"{name}.md").read_text(encoding="utf-8"))


def _write_tables(folder: pathlib.Path) -> None:
    """Write and print the tables of what is finished in the folder."""
    from doatrack.experiments.catalogue import EXPERIMENTS, write_table

    written = [name for name in EXPERIMENTS if write_table(folder, name)]
    if not written:
        raise InvalidInputError(f"Nothing is finished in {folder} yet. Run an experiment with --out {folder}.")
    for name in written:
        typer.echo((folder / f"{name}.md").read_text(encoding="utf-8"))


def _workspace(
    out: pathlib.Path,
    scale: str,
    speech: pathlib.Path | None,
    rooms: pathlib.Path | None,
    locata: pathlib.Path | None,
    seed: int,
    epochs_factor: float,
    start: list[str],
    quiet: bool,
) -> "Workspace":
    from doatrack._validation import check_choice
    from doatrack.experiments.scale import SCALES
    from doatrack.experiments.workspace import Workspace

    return Workspace(
        out,
        SCALES[check_choice("--scale", scale, SCALES)].longer(epochs_factor),
        seed,
        *_talkers(speech),
        rooms,
        locata,
        _starts(start),
        (lambda text: None) if quiet else say,
        0 if quiet else 2,
    )


def _talkers(speech: pathlib.Path | None) -> "tuple[SpeechSource | None, SpeechSource | None]":
    """Return the talkers to learn from and to test on, other ones."""
    from doatrack.datasets import LibriSpeech, SpeechFolder

    if speech is None:
        return None, None
    if (speech / "train-clean-100").is_dir() and not (speech / "index.csv").exists():
        return LibriSpeech(speech, "train-clean-100"), LibriSpeech(speech, "test-clean")
    return SpeechFolder(speech, "train"), SpeechFolder(speech, "valid")


def _starts(given: list[str]) -> dict[str, pathlib.Path]:
    from doatrack._validation import check_choice
    from doatrack.experiments.methods import METHODS

    found = {}
    for text in given:
        method, separator, file = text.partition("=")
        if not separator:
            raise InvalidInputError(f"--start must be METHOD=FILE, got {text!r}.")
        found[check_choice("--start", method, [name for name, m in METHODS.items() if m.learns])] = pathlib.Path(file)
    return found


def _list() -> None:
    from rich.table import Table

    from doatrack.experiments.catalogue import EXPERIMENTS
    from doatrack.experiments.methods import METHODS

    experiments = Table("experiment", "what it measures")
    for name, experiment in EXPERIMENTS.items():
        experiments.add_row(name, experiment.title)
    methods = Table("method", "", "in the paper")
    for name, method in METHODS.items():
        methods.add_row(name, method.label, method.published)
    console = table_console()
    console.print(experiments)
    console.print(methods)
