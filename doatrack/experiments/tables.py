"""The rows of experiments as Markdown, each beside the paper's."""

from collections.abc import Sequence
from typing import Any

__all__ = ["complexity_text", "corruption_text", "error_text", "figure_text", "markdown_table"]

Row = dict[str, Any]

READING = (
    "Degrees over active frames. RMS: root of the mean square. The paper calls its figures root mean square; the code "
    "that its evaluation follows averages the angles, so that they stand beside the mean. Difference: of the means, to "
    "{other}, with a 90 % interval from drawing scenes in pairs."
)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table.

    Examples
    --------
    >>> print(markdown_table(["a", "b"], [["1", "2"]]))
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, ["---"] * len(header), *rows])


def error_text(rows: Sequence[Row], *, reading: bool = True) -> str:
    """Return a table per test set, with what its columns mean before."""
    other = "the SRP-PHAT with the same window, its frames joined in the same way"
    parts = [READING.format(other=other)] if reading else []
    for name in dict.fromkeys(row["set"] for row in rows):
        here = [row for row in rows if row["set"] == name]
        size = f"{here[0]['n_scenes']} scenes, {here[0]['n_frames']} active frames"
        parts += [f"**{here[0]['set_label']}** ({name}; {size})", _error_table(here)]
    return "\n\n".join(parts)


def corruption_text(rows: Sequence[Row], *, reading: bool = True) -> str:
    """Return a table of errors by corruption, with what its columns mean before."""
    header = ["corruption", "method", "mean", "RMS", "increase", "difference", "paper: mean", "increase"]
    cells = [
        [
            f"{row['corruption_percent']} %",
            row["label"],
            _number(row["mae_deg"]),
            _number(row["rmse_deg"]),
            _number(row["increase_percent"], "{:+.1f} %"),
            _difference(row),
            _number(row["published_deg"], "{:.1f}"),
            _number(row["published_increase_percent"], "{:+.1f} %"),
        ]
        for row in rows
    ]
    where = (
        f"{rows[0]['set_label']}; {rows[0]['n_scenes']} scenes, {rows[0]['n_frames']} active frames." if rows else ""
    )
    meaning = READING.format(other="NeuralSRPTracker") + " " if reading else ""
    return "\n\n".join([f"{meaning}Models of experiment 3, frame by frame. {where}", markdown_table(header, cells)])


def complexity_text(rows: Sequence[Row], *, reading: bool = True) -> str:
    """Return a table of parameters, operations and real-time factors, with what its columns mean before."""
    threads = sorted({int(k.removeprefix("rtf_")) for row in rows for k in row if k[4:].isdigit()})
    header = ["method", "parameters", "MACs, 20 s", "of these per pair", *(f"RTF, {n} thread(s)" for n in threads)]
    header += ["paper: parameters", "MACs", "RTF"]
    cells = []
    for row in rows:
        mine = [row["label"], _millions(row["n_parameters"]), _millions(row["macs"]), _millions(row["macs_per_pair"])]
        times = [f"{row[f'rtf_{n}']:.4f} ({row[f'rtf_{n}_processor']:.4f})" for n in threads]
        known = row["published_values"] or (None, None, None)
        theirs = [_number(known[0], "{:.2f} M"), _number(known[1], "{:.0f} M"), _number(known[2])]
        cells.append([*mine, *times, *theirs])
    meaning = (
        "RTF: time of `predict` per hop over the hop's length, elapsed (processor time in brackets), the best of the "
        "repetitions. MACs: of convolutions, linear and recurrent layers. Activity heads and decoders are not counted."
    )
    return "\n\n".join([*([meaning] if reading else []), markdown_table(header, cells)])


def figure_text(rows: Sequence[Row], *, reading: bool = True) -> str:
    """Return the pictures and the errors of what they show."""
    parts = []
    for row in rows:
        errors = f"mean {_number(row['mae_deg'])}, RMS {_number(row['rmse_deg'])} degrees"
        parts += [
            f"**{row['label']}**, {row['set_label']}: {errors}; the paper's excerpt {row['published_deg']}.",
            f"![azimuth and elevation over time]({row['picture']})",
        ]
    return "\n\n".join(parts)


def _error_table(rows: Sequence[Row]) -> str:
    ways = any("way" in row for row in rows)
    header = [
        "method",
        *(["array"] if ways else []),
        "labels",
        "frames joined by",
        "mean",
        "RMS",
        "difference",
        "paper",
    ]
    cells = []
    for row in rows:
        labels = {"none": "not trained", "supervised": "yes", "unsupervised": "no"}[row["learning"]]
        way = [row["way"]] if ways else []
        figures = [_number(row["mae_deg"]), _number(row["rmse_deg"]), _difference(row)]
        published = _number(row.get("published_deg"), "{:.1f}")
        cells.append([row["label"], *way, labels, row["smoothing"] or "nothing", *figures, published])
    return markdown_table(header, cells)


def _difference(row: Row) -> str:
    if row["difference_deg"] is None:
        return "-"
    low, high = row["difference_90_deg"]
    return f"{row['difference_deg']:+.2f} ({low:+.2f} to {high:+.2f})"


def _number(value: float | None, form: str = "{:.2f}") -> str:
    return "-" if value is None else form.format(value)


def _millions(value: float | None) -> str:
    return "-" if value is None else f"{value / 1e6:.2f} M" if value < 1e9 else f"{value / 1e9:.2f} G"
