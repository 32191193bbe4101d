"""How the unsupervised tracker learns of several sources at once: the posterior as a mixture, and its loss."""

from typing import Any, get_args

from torch import Tensor

from doatrack.distributions import GridMixture, GridPosterior
from doatrack.estimators._learning import Schedule, UnsupervisedTask
from doatrack.estimators._several_sources import separated_sources
from doatrack.geometry import DirectionGrid
from doatrack.networks import PairGeometry, PhysicsDecoder
from doatrack.training import LossTerms, several_sources_loss
from doatrack.training.source_losses import MixtureKL, SourceLoss

__all__ = ["MIXTURE_KLS", "SOURCE_LOSSES", "SeveralSourcesTask"]

SOURCE_LOSSES: tuple[str, ...] = get_args(SourceLoss)
MIXTURE_KLS: tuple[str, ...] = get_args(MixtureKL)


class SeveralSourcesTask(UnsupervisedTask):
    """The loss of a batch for several sources (section 5.6).

    A posterior over a grid is split at its separated peaks; where they are has no gradient, how the parts look has.
    """

    def __init__(
        self,
        encoder: Any,
        decoder: PhysicsDecoder,
        geometry: PairGeometry,
        schedule: Schedule,
        motion_concentration: float | None,
        *,
        grid: DirectionGrid,
        n_sources: int,
        source_loss: Any,
        mixture_kl: Any,
    ) -> None:
        super().__init__(encoder, decoder, geometry, schedule, motion_concentration)
        self._peaks = separated_sources(grid, n_sources, refine=False)
        self._options = {"source_loss": source_loss, "mixture_kl": mixture_kl}

    def _loss(self, posterior: Any, gcc: Tensor, activity: Tensor, geometry: PairGeometry, **moment: Any) -> LossTerms:
        if isinstance(posterior, GridPosterior):
            index = self._peaks(posterior.logits.detach().cpu()).index
            posterior = GridMixture(posterior, index.to(posterior.logits.device))
        return several_sources_loss(posterior, gcc, activity, self._decoder, geometry, **moment, **self._options)
