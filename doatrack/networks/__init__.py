"""Encoders and the physics decoder as torch modules."""

from doatrack.networks.map_encoder import MapEncoder
from doatrack.networks.pair_encoder import PairEncoder, fill_pooling_windows
from doatrack.networks.pair_geometry import PairGeometry
from doatrack.networks.physics_decoder import PhysicsDecoder, delay_target

__all__ = ["MapEncoder", "PairEncoder", "PairGeometry", "PhysicsDecoder", "delay_target", "fill_pooling_windows"]
