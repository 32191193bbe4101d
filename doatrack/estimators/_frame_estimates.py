"""What an estimator knows of each frame of one recording."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["FrameEstimates"]


@dataclasses.dataclass(frozen=True)
class FrameEstimates:
    """What an estimator knows of each frame of one recording: the inside of a `Track`.

    `log_likelihood` (n_frames, n_directions), in nats over the estimator's grid, is there for estimators that make
    maps, where it was asked for. `weight` (n_frames,) says how much each frame counts as an observation, where its
    activity alone does not: for networks that pool time, few do. `agreement` (n_frames, 3) says how well what was heard
    agrees with joined frames (`doatrack.tracking.agreement`).
    """

    doa: NDArray[np.float64]
    concentration: NDArray[np.float64]
    credible_angle: NDArray[np.float64]
    activity: NDArray[np.bool_]
    evidence: NDArray[np.float64]
    log_likelihood: NDArray[np.float64] | None = None
    weight: NDArray[np.float64] | None = None
    agreement: NDArray[np.float64] | None = None

    @classmethod
    def joined(cls, parts: Sequence["FrameEstimates"]) -> "FrameEstimates":
        """Return the frames of successive parts as one; what one of them lacks, all do."""
        if len(parts) == 1:
            return parts[0]
        columns = ([getattr(part, field.name) for part in parts] for field in dataclasses.fields(cls))
        whole = [None if any(c is None for c in column) else np.concatenate(column) for column in columns]
        return cls(*whole)  # type: ignore[arg-type]
