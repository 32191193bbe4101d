"""Write docs/api.md, the list of public names, from the code: python docs/api_page.py."""

import importlib
import inspect
import pathlib
import pkgutil

import doatrack

PAGE = pathlib.Path(__file__).with_name("api.md")
HEAD = """# All names

The public interface by module, with the first line of each description. `help(name)` in Python shows the rest, with
shapes, units and an example that runs. Everything else is private and may change without notice. The command line is
on [its own page](command_line.md).

This page is written by `docs/api_page.py`.
"""
CONSTANTS = {
    "__version__": "Version of the package.",
    "EXPERIMENTS": "The tables and figures of the paper, by name.",
    "FORMAT_VERSION": "Version of the model files written.",
    "LOCATA_ARRAYS": "LOCATA's names of its arrays, and the presets with the same microphones.",
    "Loss": "A loss over a batch: the type of what a training loop takes.",
    "METHODS": "The methods that the experiments compare, by name.",
    "NEURAL_SRP_LAGS": "The lags of Neural-SRP's input, in samples.",
    "PCM_FORMATS": "Formats of raw samples, by name, and their bytes.",
    "NOISE_KINDS": "Names of the kinds of noise that a scene can have.",
    "PRECISIONS": "Number formats of a training step, by name.",
    "PRETRAINED": "The models that come with the package, by name.",
    "SCALES": "Sizes of the experiments: smoke, cpu, paper.",
    "SPEED_OF_SOUND": "In air at about 20 degrees Celsius, m/s.",
    "WINDOWS": "Names of the analysis windows.",
}


def main() -> None:
    """Write the page."""
    modules = [f"doatrack.{module.name}" for module in pkgutil.iter_modules(doatrack.__path__) if module.ispkg]
    names = ["doatrack", *sorted({*modules, "doatrack.exceptions"} - {"doatrack.cli", "doatrack.pretrained"})]
    PAGE.write_text("\n".join([HEAD, *map(section, names)]), encoding="utf-8")


def section(module_name: str) -> str:
    """Return the table of one module."""
    module = importlib.import_module(module_name)
    rows = [f"| `{name}` | {describe(name, getattr(module, name))} |" for name in sorted(module.__all__, key=str.lower)]
    first = (module.__doc__ or "").strip().splitlines()[0]
    return "\n".join([f"## {module_name}\n", f"{first}\n", "| name | what it is |", "| --- | --- |", *rows, ""])


def describe(name: str, item: object) -> str:
    """Return one line about a name."""
    if inspect.isclass(item) or inspect.isfunction(item):
        return (inspect.getdoc(item) or "").splitlines()[0].replace("|", "\\|")
    if name.endswith("_scorer"):
        return f"`{name.removesuffix('_scorer')}` as a scorer for scikit-learn's model selection."
    return CONSTANTS[name]


if __name__ == "__main__":
    main()
