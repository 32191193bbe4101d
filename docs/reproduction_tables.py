"""Put the tables of a run into docs/reproduction.md: python docs/reproduction_tables.py FOLDER.

FOLDER is what `doatrack reproduce` was given as --out; the tables hold all that is finished there. Between
<!-- NAME:start --> and <!-- NAME:end --> of each experiment that the page has a place for, everything is replaced.
"""

import argparse
import json
import pathlib

from doatrack.experiments import EXPERIMENTS
from doatrack.experiments.workspace import read_settings

PAGE = pathlib.Path(__file__).with_name("reproduction.md")


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--page", type=pathlib.Path, default=PAGE)
    options = parser.parse_args()
    read_settings(options.folder)  # or say that this is no run
    page = options.page.read_text(encoding="utf-8")
    for name in EXPERIMENTS:
        page = with_table(page, name, options.folder)
    options.page.write_text(page, encoding="utf-8")


def with_table(page: str, name: str, folder: pathlib.Path) -> str:
    """Return the page with an experiment's table, or as it was where it has no place for it or nothing is finished."""
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    rows = EXPERIMENTS[name].rows(folder)
    if not rows or page.count(start) != 1 or page.count(end) != 1:
        return page
    text = EXPERIMENTS[name].text(json.loads(json.dumps(rows)), reading=False)
    before, rest = page.split(start)
    return f"{before}{start}\n{text}\n{end}{rest.split(end)[1]}"


if __name__ == "__main__":
    main()
