"""What a steered map's value of 1 is worth as a log-likelihood, for filter and smoother."""

from doatrack.features import GCCFeatures

__all__ = ["map_scale_of"]

_PHAT, _WEIGHTED = 200.0, 800.0  # nats, found on simulated scenes (docs/notes.md)


def map_scale_of(chosen: float | None, features: GCCFeatures) -> float:
    """Return the scale that was chosen, or the usual one of maps of these features."""
    if chosen is not None:
        return chosen
    return _PHAT if features.weighting == "phat" else _WEIGHTED
