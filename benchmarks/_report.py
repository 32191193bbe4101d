"""What every benchmark says about itself, and where its tables go."""

import argparse
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import sys
from collections.abc import Sequence
from typing import Any

import torch

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn")
DATA = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"


def make_parser(description: str, section: str) -> argparse.ArgumentParser:
    """Return a parser with the arguments that all benchmarks share; `section` is the name of its markers."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="also write all figures to FILE")
    parser.add_argument(
        "--write",
        type=pathlib.Path,
        metavar="PAGE",
        help=f"also replace what stands between <!-- {section}:start --> and <!-- {section}:end --> in a page",
    )
    parser.set_defaults(section=section)
    return parser


def environment(threads: Sequence[int], packages: Sequence[str] = ()) -> dict[str, Any]:
    """Return when, where and with what a benchmark ran."""
    versions = {"python": platform.python_version(), "doatrack": _version("doatrack")}
    versions |= {name: _version(name) for name in (*PACKAGES, *packages)}
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": " ".join(["python", f"benchmarks/{pathlib.Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "threads": list(threads),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "versions": versions,
    }


def environment_line(env: dict[str, Any]) -> str:
    """Return the environment as one paragraph."""
    versions = ", ".join(f"{name} {version}" for name, version in env["versions"].items())
    threads = " and ".join(map(str, env["threads"]))
    return (
        f"Measured {env['date']} by `{env['command']}`; threads: {threads}; {env['cpu']} ({env['capability']}), "
        f"{env['cores']} cores, load average {env['load_average']} at the start; {versions}."
    )


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def publish(args: argparse.Namespace, text: str, figures: dict[str, Any]) -> None:
    """Print the text; write JSON and the section of a page where asked to."""
    print(text)
    if args.json is not None:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if args.write is not None:
        write_section(args.write, args.section, text)


def write_section(page: pathlib.Path, section: str, text: str) -> None:
    """Replace what stands between the markers of a section.

    Raises
    ------
    ValueError
        If the page has not both markers, once and in this order.
    """
    start, end = f"<!-- {section}:start -->", f"<!-- {section}:end -->"
    content = page.read_text(encoding="utf-8")
    if content.count(start) != 1 or content.count(end) != 1 or content.index(start) > content.index(end):
        raise ValueError(f"{page} must hold {start} and {end} once each, in this order.")
    before, rest = content.split(start)
    page.write_text(f"{before}{start}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        if package == "doatrack":
            import doatrack

            return doatrack.__version__
        return "not installed"


def _cpu_name() -> str:
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
