"""What a program needs besides the graph: array, frames, features, directions, calibration."""

import dataclasses
import json
from typing import Any

from doatrack.export.graphs import ExportGraph, graph_of

__all__ = ["FORMAT_VERSION", "model_metadata"]

FORMAT_VERSION = 1

_DIGITS = 9  # of numbers that are known in single precision


def model_metadata(estimator: Any, graph: ExportGraph | None = None) -> dict[str, str]:
    """Return what is stored beside the graph of a fitted estimator: names and JSON (docs/onnx.md lists them).

    Parameters
    ----------
    estimator : fitted estimator
        One of those that `graph_of` takes.
    graph : ExportGraph, optional
        Its graph, where it was made already.

    Raises
    ------
    InvalidInputError
        As `graph_of`.

    Examples
    --------
    >>> from doatrack import PhysicsVAETracker
    >>> stored = model_metadata(PhysicsVAETracker.from_pretrained())
    >>> json.loads(stored["sample_rate"]), len(json.loads(stored["mic_positions"]))
    (16000, 12)
    """
    from doatrack import __version__

    made = graph_of(estimator) if graph is None else graph
    extractor = made.extractor
    values: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "doatrack_version": __version__,
        "estimator": type(estimator).__name__,
        "mic_positions": estimator.array_.positions.tolist(),
        "array_name": estimator.array_.name,
        "channel_order": extractor.channel_order.tolist(),
        "mic_pairs": extractor.mic_pairs.tolist(),
        "lags": _rounded(extractor.lags.tolist()),
        "features": dataclasses.asdict(extractor.features),
        **dataclasses.asdict(extractor.frames),
        "causal": extractor.causal,
        "speed_of_sound": extractor.speed_of_sound,
        "time_pooling": made.time_pooling,
        "context_frames": made.context,
        "map_scale": made.map_scale,
        "directions": [_rounded(row) for row in estimator.grid_.directions.tolist()]
        if made.map_scale is not None
        else None,
        "calibration": {name: known.to_dict() for name, known in estimator.calibration_.items()},
        "concentration_is_claimed": estimator._claims and "concentration" in made.outputs,
    }
    return {name: json.dumps(value) for name, value in values.items()}


def _rounded(values: list[float]) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in values]
