"""What the parameters of `PhysicsVAETracker` may be, and what follows from them and the array."""

from typing import Any

from doatrack._validation import check_bool, check_choice, check_int, check_real
from doatrack.estimators._encoders import ENCODERS, lag_settings
from doatrack.estimators._map_scale import map_scale_of
from doatrack.estimators._source_learning import MIXTURE_KLS, SOURCE_LOSSES
from doatrack.exceptions import InvalidInputError
from doatrack.features import GCCExtractor, GCCFeatures
from doatrack.networks import PairGeometry

__all__ = ["VAETables", "check_vae_parameters"]

_PRIORS = ("motion", "uniform")
_TEACHERS = ("smoother", "physics")


def check_vae_parameters(tracker: Any) -> None:
    """Raise unless the parameters that no other tracker has are possible, alone and together."""
    check_choice("encoder", tracker.encoder, ENCODERS)
    check_choice("teacher", tracker.teacher, _TEACHERS)
    check_choice("prior", tracker.prior, _PRIORS)
    if tracker.teacher == "smoother" and tracker.encoder == "paper":
        raise InvalidInputError(
            "teacher='smoother' needs an encoder that makes maps, encoder='map'; with encoder='paper' use "
            "teacher='physics'."
        )
    check_choice("source_loss", tracker.source_loss, SOURCE_LOSSES)
    check_choice("mixture_kl", tracker.mixture_kl, MIXTURE_KLS)
    GCCFeatures.of(tracker.features)
    if tracker.prior == "motion" and tracker.encoder == "paper":
        raise InvalidInputError(
            "prior='motion' needs a posterior over a grid, encoder='map'; with encoder='paper' use prior='uniform'."
        )
    if tracker.width is not None:
        check_int("width", tracker.width, 4)
    for name in ("gamma", "gamma_initial", "final_learning_rate"):
        check_real(name, getattr(tracker, name), 0.0, exclusive_minimum=True)
    for name in ("sigma", "sigma_initial"):
        check_real(name, getattr(tracker, name), 0.0, 100.0, exclusive_minimum=True)
    check_bool("learn_sigma", tracker.learn_sigma)
    check_bool("check_positions", tracker.check_positions)
    check_real("beta", tracker.beta, 0.0)
    if tracker.map_scale is not None:
        check_real("map_scale", tracker.map_scale, 0.0, exclusive_minimum=True)
    check_real("motion_concentration", tracker.motion_concentration, 0.0)
    check_int("pairs_per_step", tracker.pairs_per_step, 1)


class VAETables:
    """What follows from array and parameters, computed once."""

    def __init__(self, tracker: Any) -> None:
        self.extractor = GCCExtractor(
            tracker.array_,
            tracker._frames(),
            features=GCCFeatures.of(tracker.features),
            speed_of_sound=tracker.speed_of_sound,
            causal=tracker.causal,
            **lag_settings(tracker.encoder),
        )
        self.geometry = PairGeometry.of(self.extractor, tracker.grid_)
        self.steering = self.geometry.fine_steering()
        self.map_scale = map_scale_of(tracker.map_scale, self.extractor.features)
