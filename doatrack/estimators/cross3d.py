"""Cross3D: the supervised tracker with causal convolutions over maps of steered power."""

import os
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from doatrack._validation import check_array, check_int
from doatrack.estimators._supervised import SupervisedTracker, Vectors, unit_vectors
from doatrack.exceptions import InvalidInputError
from doatrack.features import GCCExtractor, srp_map, steering_matrix
from doatrack.geometry import SPEED_OF_SOUND, DirectionGrid, MicArray
from doatrack.networks import Cross3D, normalise_map
from doatrack.networks.cross3d import check_resolution
from doatrack.networks.memory import Memory
from doatrack.tracking import MotionModel
from doatrack.training import Batch

__all__ = ["Cross3DTracker"]

_LAG_STEP = 0.366  # samples, as for the unsupervised tracker's maps
_FRAMES_AT_ONCE = 64


class Cross3DTracker(SupervisedTracker):
    """Supervised direction tracker: causal three-dimensional convolutions over SRP-PHAT maps (Cross3D).

    It learns from recordings with known directions, for instance simulated ones (`doatrack.simulation`). The network
    sees the map of each frame and of the 36 before it, and no positions: what it knows of an array is its map.
    It assumes one source at a time, in the far field.

    Parameters
    ----------
    array : MicArray, optional
        The array, where `fit` gets none (model selection).
    resolution : (int, int)
        Elevations and azimuths of the map, powers of 2 from 4; (32, 64) is 5.63 million parameters, (16, 32) and
        (8, 16) need about 4 and 16 times less time.
    width : int
        Channels of the convolutions over the map.
    n_epochs, batch_size, crop_frames : int
        Passes over the recordings; crops in a step; frames of a crop.
    learning_rate : float
        The same in all steps after the first 5 %, over which it rises.
    sample_rate : int
        In Hz; files are resampled to it.
    win_length, hop_length : int
        In samples.
    window : {"hann", "rectangular"}
        Analysis window.
    speed_of_sound : float
        In m/s.
    motion : MotionModel, optional
        How sources move, for filter and smoother; None is the usual motion.
    causal : bool
        Whether the activity is learned from earlier sound only, so that a frame's answer waits for nothing that comes
        later (docs/streaming.md). It can be set after fitting, `set_params(causal=True)`.
    random_state : int, RandomState or None
        Seed of initial weights and crops.
    device : str
        Torch device to fit on.
    devices, num_nodes : int
        Processes to fit in on each machine, and machines (docs/scale.md); each takes batches of `batch_size`. More than
        one needs lightning-fabric.
    precision : {"32-true", "bf16-mixed"}
        As in lightning-fabric: of what networks compute while fitting. Mixed is faster on a GPU.
    checkpoint : path-like, optional
        Folder to save the run in after every epoch; the same folder resumes it.
    warm_start : bool
        Whether `fit` goes on from the weights of the last `fit`.
    verbose : int
        0 silent; 1 a progress bar on a terminal; 2 also a line per epoch elsewhere.

    Attributes
    ----------
    array_ : MicArray
    grid_ : DirectionGrid
        The directions of the map: centres of equal bands of elevation, azimuths from -180 degrees.
    network_ : Cross3D
    history_ : list of dict
        Per epoch: loss, mean angular error in degrees over frames that count, learning rate.
    calibration_ : dict of ConeCalibration
        What `calibrate` found, by smoothing ("frame", "filter", "smoother"); before, concentrations are NaN.
    fitted_array_ : MicArray
        The array it learned on.

    Notes
    -----
    The network looks at no later frame. The activity, which sets frames without sound to zero, looks 1.5 s ahead
    where it is estimated from the signals. The published training begins with scenes of 30 dB and widens the range
    after the first epochs: `fit` on quiet scenes, then with `warm_start` on all (docs/supervised.md). `score` without
    truth is the mean over pairs of the correlation at the delays of the estimate.

    References
    ----------
    D. Diaz-Guerra, A. Miguel, J. R. Beltran, "Robust sound source tracking using SRP-PHAT and 3D convolutional neural
    networks", IEEE/ACM Transactions on Audio, Speech, and Language Processing 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from doatrack import Cross3DTracker, MicArray
    >>> array = MicArray([[0.05, 0, 0], [-0.05, 0, 0], [0, 0.05, 0], [0, 0, 0.05]])
    >>> signals = np.random.default_rng(0).normal(size=(2, 4, 32000)) * np.repeat([0.01, 1.0], 16000)
    >>> doa = np.tile([0.0, 1.0, 0.0], (2, 10, 1))                       # known directions, one per frame
    >>> tracker = Cross3DTracker(resolution=(4, 8), width=4, n_epochs=1, random_state=0).fit(signals, array, doa)
    >>> tracker.predict(signals).shape
    (2, 10, 3)
    """

    network_: Cross3D
    _loss = "squared"
    _when_moved = "Its maps are computed for the new array; what the network makes of maps of another shape,"

    def __init__(
        self,
        array: MicArray | None = None,
        *,
        resolution: tuple[int, int] = (32, 64),
        width: int = 32,
        n_epochs: int = 80,
        batch_size: int = 4,
        crop_frames: int = 103,
        learning_rate: float = 1e-4,
        sample_rate: int = 16000,
        win_length: int = 4096,
        hop_length: int = 3072,
        window: Literal["hann", "rectangular"] = "hann",
        speed_of_sound: float = SPEED_OF_SOUND,
        motion: MotionModel | None = None,
        causal: bool = False,
        random_state: Any = None,
        device: str = "cpu",
        devices: int = 1,
        num_nodes: int = 1,
        precision: Literal["32-true", "bf16-mixed"] = "32-true",
        checkpoint: str | os.PathLike[str] | None = None,
        warm_start: bool = False,
        verbose: int = 1,
    ) -> None:
        self.array = array
        self.resolution = resolution
        self.width = width
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.crop_frames = crop_frames
        self.learning_rate = learning_rate
        self.sample_rate = sample_rate
        self.win_length = win_length
        self.hop_length = hop_length
        self.window = window
        self.speed_of_sound = speed_of_sound
        self.motion = motion
        self.causal = causal
        self.random_state = random_state
        self.device = device
        self.devices = devices
        self.num_nodes = num_nodes
        self.precision = precision
        self.checkpoint = checkpoint
        self.warm_start = warm_start
        self.verbose = verbose

    @classmethod
    def paper(cls, array: MicArray | None = None, random_state: Any = None) -> Self:
        """Return an unfitted tracker with the published network and 80 epochs of 20 s crops, batch 16.

        Parameters
        ----------
        array : MicArray, optional
        random_state : int, RandomState or None

        Examples
        --------
        >>> Cross3DTracker.paper().resolution
        (32, 64)
        """
        return cls(array, batch_size=16, random_state=random_state)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_int("width", self.width, 1)
        sizes = check_array("resolution", self.resolution, (2,))
        try:
            if (sizes != np.rint(sizes)).any():
                raise ValueError("whole numbers")
            check_resolution(*self._size())
        except ValueError as error:
            raise InvalidInputError(
                "resolution must be the number of elevations and of azimuths, both powers of 2 from 4, such as "
                f"(16, 32), got {self.resolution!r}."
            ) from error

    def _options(self) -> dict[str, Any]:
        return {"resolution": self._size(), "width": self.width}

    def _build(self) -> nn.Module:
        return Cross3D(*self._size(), self.width)

    def _size(self) -> tuple[int, int]:
        n_elevations, n_azimuths = self.resolution
        return int(n_elevations), int(n_azimuths)

    def _search_grid(self) -> DirectionGrid:
        n_elevations, n_azimuths = self._size()
        return DirectionGrid.rectangular(n_azimuths, n_elevations)

    def _runtime(self) -> "_Tables":
        self._check_built()
        return self._tables_for(_Tables)

    def _batch_vectors(self, batch: Batch) -> Tensor:
        vectors: Tensor = self.network_(batch.features, batch.activity)
        return vectors

    def _vectors(self) -> "_FrameVectors":
        return _FrameVectors(self.network_)


class _FrameVectors:
    """What the network makes of maps as they come."""

    at_once, look_ahead = _FRAMES_AT_ONCE, 0

    def __init__(self, network: Cross3D) -> None:
        self._network, self._memory = network, Memory()

    @torch.no_grad()
    def push(self, features: Tensor, activity: Tensor) -> Vectors:
        vectors = self._network(features[None], activity[None], self._memory)[0].double().numpy()
        return Vectors(unit_vectors(vectors), np.linalg.norm(vectors, axis=1))

    def finish(self) -> Vectors:
        return Vectors(np.zeros((0, 3)), np.zeros(0))


class _Tables:
    """What follows from array and parameters, computed once."""

    def __init__(self, tracker: Cross3DTracker) -> None:
        self.extractor = GCCExtractor(
            tracker.array_,
            tracker._frames(),
            lag_step=_LAG_STEP,
            speed_of_sound=tracker.speed_of_sound,
            causal=tracker.causal,
        )
        self.shape = tracker._size()
        delays = self.extractor.tdoa_samples(tracker.grid_.directions)
        self._steering = steering_matrix(delays, self.extractor.lags)

    def features(self, gcc: Tensor) -> Tensor:
        """Return normalised maps."""
        return normalise_map(srp_map(gcc, self._steering).unflatten(-1, self.shape))
