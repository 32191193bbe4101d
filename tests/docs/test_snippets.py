import os
import pathlib
import re
import shlex

import pytest
import typer

from doatrack.cli.app import app

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"<!-- run first\n(?P<setup>.*?)-->|(?P<skip><!-- skip[^>]*-->\s*)?```python\n(?P<code>.*?)```", re.DOTALL
)
SHELL = re.compile(r"^doatrack [a-z].*$|`(doatrack [a-z][^`]*)`", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


def blocks(page):
    """Python of a page in order: hidden set-up in comments and shown code, without skipped blocks and doctests."""
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        code = match["setup"] or match["code"]
        if not match["skip"] and not code.startswith(">>>"):
            yield code


@pytest.mark.parametrize("page", [page for page in PAGES if any(blocks(page))], ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": page.stem}
    for number, code in enumerate(blocks(page), start=1):
        exec(compile(code, f"{page.name}, block {number}", "exec"), namespace)  # noqa: S102
    pyplot.close("all")


def test_there_is_something_to_run():
    assert sum(len(list(blocks(page))) for page in PAGES) > 15


def test_a_failing_block_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- run first\nx = 1\n-->\n\n```python\nx + y\n```\n<!-- skip: later -->\n\n```python\nz\n```\n")
    setup, shown = blocks(page)
    assert setup == "x = 1\n"
    with pytest.raises(NameError, match="y"):
        exec(setup + shown, {})  # noqa: S102


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / os.path.normpath(target)).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_have_the_options_that_pages_name(page):
    commands = typer.main.get_command(app).commands
    known = {name: {flag for option in command.params for flag in option.opts} for name, command in commands.items()}
    known["COMMAND"] = {"--help"}
    for match in SHELL.finditer(page.read_text(encoding="utf-8")):
        _, name, *words = shlex.split(match[1] or match[0], comments=True)
        flags = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert flags <= known[name] | {"--help"}, match[0]
