"""The encoders that a tracker can be built with, by name."""

from typing import Any

import torch
from torch import nn

from doatrack.features import GCCFeatures
from doatrack.networks import MapEncoder, PairEncoder

__all__ = ["ENCODERS", "build_encoder", "lag_settings"]

_PAPER_LAGS = 64  # lost from the paper's text; its Table 6 fits 64
_MAP_LAG_STEP = 0.366  # samples: about 5.7 points per period at 8 kHz, where speech has little left

_WEIGHTED_INPUT_SCALE = 40.0  # most moments count little, and correlations are as much smaller

ENCODERS: dict[str, type[nn.Module]] = {"map": MapEncoder, "paper": PairEncoder}


def lag_settings(encoder: str) -> dict[str, Any]:
    """Return the lag axis that an encoder reads, as arguments of `GCCExtractor`."""
    return {"n_lags": _PAPER_LAGS} if encoder == "paper" else {"lag_step": _MAP_LAG_STEP}


def build_encoder(encoder: str, width: int | None, seed: int, features: GCCFeatures, n_sources: int = 1) -> nn.Module:
    """Return a new encoder whose initial weights depend on the seed only."""
    options: dict[str, Any] = {} if width is None else {"width": width}
    if encoder == "map" and features.weighting != "phat":
        options |= {"input_scale": _WEIGHTED_INPUT_SCALE}
    if encoder == "paper":
        options |= {"n_lags": _PAPER_LAGS, "n_sources": n_sources} | (
            {} if width is None else {"recurrent_width": width}
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ENCODERS[encoder](**options)
