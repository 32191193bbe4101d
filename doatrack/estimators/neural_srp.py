"""Neural-SRP: the supervised tracker that sums a network's answer over microphone pairs."""

import os
import warnings
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from doatrack._validation import check_choice, check_int
from doatrack.estimators._pooled_weight import PooledWeight
from doatrack.estimators._supervised import SupervisedTracker, Vectors, unit_vectors
from doatrack.estimators._unpooling import Unpooling
from doatrack.exceptions import GeometryWarning
from doatrack.features import GCCExtractor
from doatrack.geometry import SPEED_OF_SOUND, DirectionGrid, MicArray
from doatrack.networks import NEURAL_SRP_LAGS, NeuralSRP
from doatrack.persistence import read_state_dict
from doatrack.tracking import MotionModel
from doatrack.training import Batch, interpolate_frames

__all__ = ["NeuralSRPTracker", "pair_positions"]

_PAIR_ORDERS = ("canonical", "channels")
_CENTIMETRES = 100.0
_PAIR_FRAMES_AT_ONCE = 2000


class NeuralSRPTracker(SupervisedTracker):
    """Supervised direction tracker: one convolutional recurrent network for every pair, summed (Neural-SRP).

    It learns from recordings with known directions, for instance simulated ones (`doatrack.simulation`). The network
    is given the absolute correlations and the positions of each pair, and sums over pairs what it makes of them. It
    assumes one source at a time, and that it will be used on what it learned from: array, rooms, noise.

    Parameters
    ----------
    array : MicArray, optional
        The array, where `fit` gets none (model selection).
    pair_order : {"canonical", "channels"}
        Which microphone of a pair is the first: the one that comes first by its x, then y, then z, so that the order
        of channels does not matter; or the one whose channel comes first, as in the published checkpoints.
    width : int
        Channels of the convolutions and units of all layers; 128 is 0.89 million parameters.
    n_epochs, batch_size, crop_frames, pairs_per_step : int
        Passes over the recordings; crops in a step; frames of a crop; random pairs looked at in a step, whose sum is
        scaled up to all pairs (prediction uses all).
    learning_rate : float
        The same in all steps after the first 5 %, over which it rises.
    sample_rate : int
        In Hz; files are resampled to it.
    win_length, hop_length : int
        In samples.
    window : {"hann", "rectangular"}
        Analysis window.
    speed_of_sound : float
        In m/s. The network learns delays by itself; only `score` without truth needs it.
    motion : MotionModel, optional
        How sources move, for filter and smoother; None is the usual motion.
    causal : bool
        Whether the activity is learned from earlier sound only; the network still looks at later frames, which it
        pools (docs/streaming.md). It can be set after fitting, `set_params(causal=True)`.
    random_state : int, RandomState or None
        Seed of initial weights, crops and pairs.
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
    network_ : NeuralSRP
    history_ : list of dict
        Per epoch: loss, mean angular error in degrees over frames that count, learning rate.
    calibration_ : dict of ConeCalibration
        What `calibrate` found, by smoothing ("frame", "filter", "smoother"); before, concentrations are NaN.
    fitted_array_ : MicArray
        The array it learned on.

    Notes
    -----
    Lags are -32 to 31 samples, whatever the array: at 16 kHz it should be no larger than 0.66 m. Time is pooled by 5
    frames and brought back to the frames on the sphere; a frame's answer depends on a few later ones. `score` without
    truth is the mean over pairs of the correlation at the delays of the estimate.

    References
    ----------
    E. Grinstein, C. M. Hicks, T. van Waterschoot, M. Brookes, P. A. Naylor, "The Neural-SRP method for universal robust
    multi-source tracking", IEEE Open Journal of Signal Processing 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from doatrack import MicArray, NeuralSRPTracker
    >>> array = MicArray([[0.05, 0, 0], [-0.05, 0, 0], [0, 0.05, 0], [0, 0, 0.05]])
    >>> signals = np.random.default_rng(0).normal(size=(2, 4, 32000)) * np.repeat([0.01, 1.0], 16000)
    >>> doa = np.tile([0.0, 1.0, 0.0], (2, 10, 1))                       # known directions, one per frame
    >>> tracker = NeuralSRPTracker(width=8, n_epochs=1, random_state=0).fit(signals, array, doa)
    >>> tracker.predict(signals).shape
    (2, 10, 3)
    """

    network_: NeuralSRP
    _loss = "absolute"
    _when_moved = "The network is told the new positions; what it makes of positions that it never met,"

    def __init__(
        self,
        array: MicArray | None = None,
        *,
        pair_order: Literal["canonical", "channels"] = "canonical",
        width: int = 128,
        n_epochs: int = 80,
        batch_size: int = 8,
        crop_frames: int = 103,
        pairs_per_step: int = 16,
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
        self.pair_order = pair_order
        self.width = width
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.crop_frames = crop_frames
        self.pairs_per_step = pairs_per_step
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
        """Return an unfitted tracker with the published setting: 80 epochs of 20 s crops, batch 16, all pairs.

        Parameters
        ----------
        array : MicArray, optional
        random_state : int, RandomState or None

        Examples
        --------
        >>> NeuralSRPTracker.paper().batch_size
        16
        """
        return cls(array, batch_size=16, pairs_per_step=1_000_000, random_state=random_state)

    @classmethod
    def from_reference(cls, path: str | os.PathLike[str], array: MicArray) -> Self:
        """Return a tracker with the weights of a checkpoint that Neural-SRP's authors published.

        Parameters
        ----------
        path : path-like
            A PyTorch state dict of 924,563 values; nothing in it is run. The head for activity is left out.
        array : MicArray
            The array to track with, its microphones in the order of the channels.

        Returns
        -------
        NeuralSRPTracker
            With `pair_order="channels"`.

        Raises
        ------
        ModelFileError
            If the file is missing, is no state dict, holds a pickle with code, or is another network's.

        Examples
        --------
        >>> import tempfile
        >>> array = MicArray.from_preset("tetrahedron_4")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save(NeuralSRP(activity_head=True).state_dict(), f"{folder}/neural-srp.bin")
        ...     NeuralSRPTracker.from_reference(f"{folder}/neural-srp.bin", array).pair_order
        'channels'
        """
        expected = {k: tuple(v.shape) for k, v in NeuralSRP(activity_head=True).state_dict().items()}
        weights = read_state_dict(path, expected)
        tracker = cls(array, pair_order="channels", random_state=0)
        tracker._check_parameters()
        tracker._start(array)
        kept = tracker.network_.state_dict()
        tracker.network_.load_state_dict({name: weights[name] for name in kept})
        return tracker

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_choice("pair_order", self.pair_order, _PAIR_ORDERS)
        check_int("width", self.width, 4)
        check_int("pairs_per_step", self.pairs_per_step, 1)

    def _start(self, array: MicArray) -> None:
        longest, reach = array.aperture / self.speed_of_sound * self.sample_rate, float(NEURAL_SRP_LAGS[-1])
        if longest > reach:
            warnings.warn(
                f"Delays between the microphones of {array} reach {longest:.0f} samples, and this network sees "
                f"{reach:.0f}: pairs that are farther apart tell it nothing. Use a lower sample_rate, or microphones "
                "that are closer together.",
                GeometryWarning,
                stacklevel=4,
            )
        super()._start(array)

    def _options(self) -> dict[str, Any]:
        return {"width": self.width}

    def _build(self) -> nn.Module:
        return NeuralSRP(self.width)

    def _rows_in_a_step(self) -> int:
        return self.pairs_per_step

    def _search_grid(self) -> DirectionGrid:
        return DirectionGrid.quasi_uniform(16)  # it searches none

    def _runtime(self) -> "_Tables":
        self._check_built()
        return self._tables_for(_Tables)

    def _batch_vectors(self, batch: Batch) -> Tensor:
        tables = self._runtime()
        positions = tables.positions.to(batch.rows.device)[batch.rows]
        summed = self.network_.summed(batch.features, positions)
        pooled = self.network_.directions(summed * (len(tables.positions) / len(batch.rows)))
        return interpolate_frames(pooled, self.network_.time_pooling, batch.features.shape[1])

    def _vectors(self) -> "_PooledVectors":
        return _PooledVectors(self.network_, self._runtime().positions)


class _PooledVectors:
    """What the network makes of correlations as they come, brought back from pooled time to the frames."""

    def __init__(self, network: NeuralSRP, positions: Tensor) -> None:
        self._network, self._positions = network, positions
        self._stream, self._unpooling = network.streamed(), Unpooling(network.time_pooling)
        self._weight = PooledWeight(network.time_pooling)
        self.at_once = network.time_pooling * max(1, _PAIR_FRAMES_AT_ONCE // (network.time_pooling * len(positions)))
        self.look_ahead = network.look_ahead
        self._n_frames = 0

    def push(self, features: Tensor, activity: Tensor) -> Vectors:
        self._n_frames += len(features)
        self._weight.hear(activity.numpy())
        return self._answers(features, last=False)

    def finish(self) -> Vectors:
        rest = torch.zeros(0, len(self._positions), len(NEURAL_SRP_LAGS))
        last, (doa, (length,)) = self._answers(rest, last=True), self._unpooling.finish(self._n_frames)
        assert last.weight is not None
        weight = np.append(last.weight, self._weight.of_frames(0, len(doa)))
        return Vectors(np.concatenate([last.doa, doa]), np.append(last.length, length), weight)

    def _answers(self, features: Tensor, *, last: bool) -> Vectors:
        pooled = self._pooled(features, last=last)
        doa, (length,) = self._unpooling.push(*pooled, self._n_frames)
        return Vectors(doa, length, self._weight.of_frames(len(pooled[0]), len(doa)))

    @torch.no_grad()
    def _pooled(self, features: Tensor, *, last: bool) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        hidden = self._stream.push(features, last=last)
        summed = self._network.summed_states(hidden[None], self._positions)
        vectors = self._network.directions(summed)[0].double().numpy()
        return unit_vectors(vectors), [np.linalg.norm(vectors, axis=1)]


class _Tables:
    """What follows from array and parameters, computed once."""

    def __init__(self, tracker: NeuralSRPTracker) -> None:
        canonical = tracker.pair_order == "canonical"
        self.extractor = GCCExtractor(
            tracker.array_,
            tracker._frames(),
            lags=NEURAL_SRP_LAGS,
            canonical=canonical,
            speed_of_sound=tracker.speed_of_sound,
            causal=tracker.causal,
        )
        self.shape = (len(self.extractor.mic_pairs), len(NEURAL_SRP_LAGS))
        self.positions = pair_positions(self.extractor)

    def features(self, gcc: Tensor) -> Tensor:
        """Return absolute correlations."""
        return gcc.abs()


def pair_positions(extractor: GCCExtractor) -> Tensor:
    """Return what the network is told of each pair, (n_pairs, 6): both microphones, in cm from the array's origin.

    Examples
    --------
    >>> from doatrack.features import FrameSettings
    >>> extractor = GCCExtractor(MicArray.from_preset("tetrahedron_4"), FrameSettings(), lags=NEURAL_SRP_LAGS)
    >>> pair_positions(extractor).shape
    torch.Size([6, 6])
    """
    place = _CENTIMETRES * torch.tensor(extractor.array.positions, dtype=torch.float32)
    first, second = torch.as_tensor(extractor.mic_pairs).T
    return torch.cat([place[first], place[second]], dim=1)
