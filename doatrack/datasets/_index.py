"""The index of a folder of recordings: the files that count, and what it says of each."""

import pathlib

from doatrack._files import read_text_table
from doatrack._validation import check_choice
from doatrack.exceptions import InvalidInputError

__all__ = ["INDEX", "indexed_files"]

INDEX = "index.csv"


def indexed_files(folder: pathlib.Path, **wanted: str | None) -> list[tuple[pathlib.Path, dict[str, str]]]:
    """Return the files of an index with their rows; of `column=value` only those with the value, None takes all."""
    index = folder / INDEX
    asked = {column: value for column, value in wanted.items() if value is not None}
    rows = read_text_table(index, ["file", *asked])
    if not rows:
        raise InvalidInputError(f"{index} names no files.")
    for column, value in asked.items():
        check_choice(f"{column} of {index}", value, {row[column] for row in rows})
        rows = [row for row in rows if row[column] == value]
    files = [folder / row["file"] for row in rows]
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None:
        raise InvalidInputError(f"{index}, column 'file': {missing} does not exist.")
    return list(zip(files, rows, strict=True))
