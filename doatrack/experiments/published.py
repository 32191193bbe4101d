"""What the paper reports: Tables 2 to 6, in degrees."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["BY_CORRUPTION", "BY_EXPERIMENT", "COMPLEXITY", "FIGURE_3_DEG"]

BY_EXPERIMENT: Mapping[str, Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "exp1": {"SRP-PHAT": (8.4, 16.7), "Proposed": (5.5, 8.8), "Cross3D": (4.2, 6.1), "Neural-SRP": (3.2, 4.7)},
        "exp2": {"SRP-PHAT": (7.9, 16.7), "Proposed": (3.8, 8.0), "Cross3D": (3.5, 6.1), "Neural-SRP": (3.4, 5.8)},
        "exp3": {"SRP-PHAT": (8.4, 16.7), "Proposed": (6.3, 8.2), "Cross3D": (6.7, 11.6), "Neural-SRP": (6.1, 7.6)},
    }
)
"""Tables 2, 3 and 4: on simulated data and on LOCATA."""

BY_CORRUPTION: Mapping[str, Mapping[int, tuple[float, float]]] = MappingProxyType(
    {
        "Proposed": {10: (8.7, 4.6), 20: (9.9, 19.8), 30: (11.8, 42.4), 40: (14.1, 69.5), 50: (16.5, 99.0)},
        "Neural-SRP": {10: (8.0, 5.3), 20: (9.6, 26.4), 30: (12.1, 59.6), 40: (15.3, 101.2), 50: (18.8, 147.8)},
    }
)
"""Table 5: per cent of corruption to the error on LOCATA and its increase in per cent."""

COMPLEXITY: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {"Proposed": (0.89, 159.0, 0.18), "Cross3D": (5.63, 41.0, 0.01), "Neural-SRP": (0.89, 159.0, 0.17)}
)
"""Table 6: millions of parameters, millions of multiply-accumulate operations, real-time factor."""

FIGURE_3_DEG = 3.7
"""The error of the excerpt that figure 3 shows."""
