"""Encoders, the physics decoder and the supervised networks as torch modules."""

from doatrack.networks.cross3d import Cross3D, normalise_map
from doatrack.networks.map_encoder import MapEncoder
from doatrack.networks.mixture_decoder import mixture_log_prob
from doatrack.networks.neural_srp import NEURAL_SRP_LAGS, NeuralSRP
from doatrack.networks.pair_encoder import PairEncoder, fill_pooling_windows
from doatrack.networks.pair_geometry import PairGeometry
from doatrack.networks.physics_decoder import PhysicsDecoder, delay_target

__all__ = [
    "NEURAL_SRP_LAGS",
    "Cross3D",
    "MapEncoder",
    "NeuralSRP",
    "PairEncoder",
    "PairGeometry",
    "PhysicsDecoder",
    "delay_target",
    "fill_pooling_windows",
    "mixture_log_prob",
    "normalise_map",
]
