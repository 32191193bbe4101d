"""Write the table of presets into conventions.md: `python docs/preset_table.py`."""

import pathlib

from doatrack.geometry import get_preset, preset_names

PAGE = pathlib.Path(__file__).parent / "conventions.md"
START, END = "<!-- presets: written by docs/preset_table.py -->\n", "<!-- end of presets -->"


def with_table(page: str) -> str:
    """Return the page with the table between the two marks written anew."""
    head, rest = page.split(START)
    tail = rest.split(END)[1]
    presets = map(get_preset, preset_names())
    rows = [f"| `{p.name}` | {p.description} | {p.axes} | {p.source} |\n" for p in presets]
    title = "| preset | device | axes | source of the positions |\n| --- | --- | --- | --- |\n"
    return head + START + "\n" + title + "".join(rows) + "\n" + END + tail


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
