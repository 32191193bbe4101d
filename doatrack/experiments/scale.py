"""How large an experiment is: from seconds, for tests, to the paper's own size."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from doatrack._validation import check_real

__all__ = ["SCALES", "Scale"]


@dataclasses.dataclass(frozen=True)
class Scale:
    """Sizes of data and training.

    Parameters
    ----------
    name : str
    array : str
        Preset of the microphones.
    n_train, n_test : int
        Scenes to learn from and to test on, of each condition.
    duration_s, figure_duration_s : float
        Length of a scene, and of the one that figure 3 shows, in seconds.
    n_epochs : mapping of str to int
        Passes over the scenes by method; a method that is not there keeps its class's default.
    parameters : mapping of str to mapping
        Other parameters by method.
    adaptation : float
        Share of the epochs in conditions other than sensor noise, where methods of `n_epochs` then start from the
        weights that they have for it; 0 starts from random weights with all epochs.
    n_timed : int
        Repetitions of 20 s in the measurement of real-time factors.

    Examples
    --------
    >>> SCALES["paper"].n_epochs["physics-vae-paper"] * SCALES["paper"].n_train == 300 * 585
    True
    """

    name: str
    array: str
    n_train: int
    n_test: int
    duration_s: float
    figure_duration_s: float
    n_epochs: Mapping[str, int] = dataclasses.field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    adaptation: float = 0.0
    n_timed: int = 10

    def longer(self, factor: float) -> "Scale":
        """Return this scale with so many times the epochs, at least one each.

        Examples
        --------
        >>> SCALES["smoke"].longer(3).n_epochs["neural-srp"]
        3
        """
        check_real("epochs_factor", factor, 0.0, exclusive_minimum=True)
        epochs = {method: max(1, round(factor * n)) for method, n in self.n_epochs.items()}
        return dataclasses.replace(self, n_epochs=epochs)


_FRESH = 4
"""The paper draws new scenes in every epoch. Here they are kept on disk: this many times the scenes of an epoch, and as
many times fewer epochs, which is the same number of steps."""

SCALES = {
    scale.name: scale
    for scale in (
        Scale(
            "smoke",
            "tetrahedron_4",
            n_train=3,
            n_test=2,
            duration_s=2.0,
            figure_duration_s=2.0,
            n_epochs={"physics-vae-paper": 1, "physics-vae": 1, "neural-srp": 1, "cross3d": 2},
            parameters={
                "physics-vae-paper": {"width": 8, "crop_frames": 10, "batch_size": 2, "pairs_per_step": 2},
                "physics-vae": {"width": 4, "n_directions": 200, "crop_frames": 10, "batch_size": 2},
                "neural-srp": {"width": 8, "crop_frames": 10, "batch_size": 2, "pairs_per_step": 2},
                "cross3d": {"width": 4, "resolution": (8, 16), "crop_frames": 10, "batch_size": 2},
            },
            adaptation=1.0,
            n_timed=1,
        ),
        Scale(
            "cpu",
            "nao_head_12",
            n_train=240,
            n_test=48,
            duration_s=10.0,
            figure_duration_s=20.0,
            n_epochs={"physics-vae-paper": 48, "neural-srp": 64, "cross3d": 64},
            parameters={
                "physics-vae-paper": {
                    "crop_frames": 52,
                    "batch_size": 8,
                    "pairs_per_step": 8,
                    "learning_rate": 1e-3,
                    "final_learning_rate": 1e-4,
                },
                "neural-srp": {"crop_frames": 52, "batch_size": 8, "pairs_per_step": 8, "learning_rate": 3e-4},
                "cross3d": {"crop_frames": 52, "batch_size": 8, "resolution": (8, 16), "learning_rate": 1e-3},
            },
            adaptation=0.15,
        ),
        Scale(
            "paper",
            "nao_head_12",
            n_train=_FRESH * 585,
            n_test=87,
            duration_s=20.0,
            figure_duration_s=20.0,
            n_epochs={
                "physics-vae-paper": 300 // _FRESH,
                "neural-srp": 80 // _FRESH,
                "cross3d": 80 // _FRESH,
            },
            n_timed=100,
        ),
    )
}
"""By name: smoke (seconds), cpu (hours on two cores), paper (585 x 20 s per epoch, 300 epochs; 80 with labels)."""
