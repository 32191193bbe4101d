"""The unsupervised tracker: a variational encoder taught by a physics decoder."""

import os
import warnings
from typing import Any, Literal, Self

from doatrack.audio.recordings import Recordings
from doatrack.estimators._frame_source import FrameHead
from doatrack.estimators._inference import MapHead, PairHead
from doatrack.estimators._told_array import contradicts
from doatrack.estimators._vae_learning import UnsupervisedTracker
from doatrack.estimators._vae_parameters import check_vae_parameters
from doatrack.exceptions import ArrayMismatchWarning
from doatrack.features import FeatureStream, GCCFeatures
from doatrack.geometry import SPEED_OF_SOUND, MicArray
from doatrack.networks import MapEncoder, PairEncoder
from doatrack.persistence import pretrained_file
from doatrack.tracking import MotionModel

__all__ = ["PhysicsVAETracker"]


class PhysicsVAETracker(UnsupervisedTracker):
    """Unsupervised direction tracker: variational encoder, physics decoder.

    An encoder proposes for every frame a posterior over directions; the decoder knows nothing but how long sound
    takes between two microphones, and compares the delays that the directions imply with the correlations that
    were heard. Fitting needs recordings and the geometry, no labels. It assumes one source at a time, in the far
    field, and an array that stands still within a frame.

    Parameters
    ----------
    array : MicArray, optional
        The array, where `fit` gets none (model selection).
    encoder : {"map", "paper"}
        "map": correlations corrected by a small causal network, then summed into a posterior over a grid; starts as
        SRP-PHAT, moves to other arrays. "paper": the pairwise convolutional recurrent network of section 4 with a
        von Mises-Fisher posterior.
    teacher : {"smoother", "physics"}
        What teaches. "smoother": the posterior of the motion model's smoother over the uncorrected maps of whole
        recordings, which the encoder learns to give for single frames (encoder "map", one source). "physics": the
        paper's bound; several sources are always learned so.
    prior : {"motion", "uniform"}
        What teacher "physics" expects before listening: a slowly moving source (encoder "map" only), or any direction
        in any frame, as in the paper.
    features : {"whitened", "snr", "phat"} or GCCFeatures
        How correlations are weighted before anything is learned from them (docs/features.md): "phat" is the paper's
        setting, "whitened" survives an interferer.
    n_sources : int
        Sources at a time (section 5.6); above 1 `predict` gives (n_frames, n_sources, 3) and `track` a `MultiTrack`.
        The posterior is a mixture with one component per source: the parts of the map around its separated peaks, or
        for encoder "paper" a head for each. With encoder "map" it can be set after fitting.
    source_loss : {"mixture", "masked"}
        How several sources are compared with what was heard: each lag explained by any of them (equation 27), or each
        pair in a frame given to one (equation 28).
    mixture_kl : {"sampled", "bound"}
        Divergence of a mixture from the uniform prior: by Monte Carlo (exact on a grid), or its upper bound.
    width : int, optional
        Channels of the encoder's layers; None is 16 for "map", 128 for "paper".
    n_directions : int
        Grid of the posterior (encoder "map").
    gamma, gamma_initial : float
        Sharpness of the heard delays (equation 20) at the end and at the start of fitting; it grows geometrically
        over the first half.
    sigma, sigma_initial : float
        Width of the decoder's delays in samples (equation 10), likewise from broad to sharp. It is trained on top
        where `learn_sigma`.
    learn_sigma : bool
        Whether sigma is a trainable scalar, as in the paper.
    beta : float
        Weight of the prior against the mean over pairs of the physics loss (equation 25; for a sum over P pairs, as
        in the paper, multiply by P). A tenth of it during the first 5 % of fitting.
    motion_concentration : float
        Concentration of one hop of the motion prior; 200 is about 5.7 degrees.
    n_epochs, batch_size, crop_frames, pairs_per_step : int
        Passes over the recordings; crops in a step; frames of a crop; random pairs looked at in a step (prediction
        uses all).
    learning_rate, final_learning_rate : float
        First and last, exponential in between.
    azimuth_range_deg, elevation_range_deg : (float, float), optional
        Search region in degrees (encoder "map"): from, to, counter-clockwise from front; lowest, highest.
    sample_rate, win_length, hop_length : int
        In Hz and samples.
    window : {"hann", "rectangular"}
        Of the frames, with features "phat"; the short snapshots of other features are always Hann windows.
    speed_of_sound : float
        In m/s.
    map_scale : float, optional
        Log-likelihood in nats of a map's value of 1 (encoder "map"), for filter and smoother, also the one that
        teaches; None is 200 for features "phat", 800 for the others.
    motion : MotionModel, optional
        How sources move, for filter and smoother; None is the usual motion.
    causal : bool
        Whether noise and activity are learned from earlier sound only, so that a frame's answer waits for nothing that
        comes later (docs/streaming.md). It can be set after fitting, `set_params(causal=True)`.
    check_positions : bool
        Whether a tracker that was moved by `for_array` to positions of as many microphones doubts them: where a
        recording is clearly better explained by the array that it learned with, it goes by that one and warns. Streams
        believe what they are told.
    random_state : int, RandomState or None
        Seed of initial weights, crops and samples.
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
    history_ : list of dict
        Per epoch: loss, physics, kl, gamma, sigma, beta, learning rate.
    calibration_ : dict of ConeCalibration
        What `calibrate` found, by smoothing ("frame", "filter", "smoother"); empty before.
    fitted_array_ : MicArray
        The array it learned on.

    Notes
    -----
    The order of channels, together with their positions, does not matter. Turning the array turns the answers of
    encoder "map", within the grid's spacing; encoder "paper" is told positions, and knows only those it was fitted
    with. Encoder "map" looks at no later frame; "paper" pools five frames into one. The features
    learn the noise from up to 20 s around, later sound too, unless `causal` is set or they are "phat".

    References
    ----------
    "Physics-Guided Variational Model for Unsupervised Sound Source Tracking", arXiv 2602.08484, sections 3 and 4.

    Examples
    --------
    >>> import numpy as np
    >>> from doatrack import MicArray, PhysicsVAETracker
    >>> array = MicArray([[0.05, 0, 0], [-0.05, 0, 0], [0, 0.05, 0], [0, 0, 0.05]])
    >>> signals = np.random.default_rng(0).normal(size=(2, 4, 32000)) * np.repeat([0.01, 1.0], 16000)
    >>> tracker = PhysicsVAETracker(n_directions=200, n_epochs=1, random_state=0).fit(signals, array)
    >>> tracker.predict(signals).shape
    (2, 10, 3)
    """

    _sources_from_maps = True

    def __init__(
        self,
        array: MicArray | None = None,
        *,
        encoder: Literal["map", "paper"] = "map",
        teacher: Literal["smoother", "physics"] = "smoother",
        prior: Literal["motion", "uniform"] = "motion",
        features: Literal["whitened", "snr", "phat"] | GCCFeatures = "whitened",
        n_sources: int = 1,
        source_loss: Literal["mixture", "masked"] = "mixture",
        mixture_kl: Literal["sampled", "bound"] = "sampled",
        width: int | None = None,
        n_directions: int = 2048,
        gamma: float = 10.0,
        gamma_initial: float = 4.0,
        sigma: float = 0.8,
        sigma_initial: float = 1.2,
        learn_sigma: bool = False,
        beta: float = 0.1,
        motion_concentration: float = 200.0,
        n_epochs: int = 4,
        batch_size: int = 8,
        crop_frames: int = 40,
        pairs_per_step: int = 16,
        learning_rate: float = 2e-3,
        final_learning_rate: float = 2e-4,
        azimuth_range_deg: tuple[float, float] | None = None,
        elevation_range_deg: tuple[float, float] | None = None,
        sample_rate: int = 16000,
        win_length: int = 4096,
        hop_length: int = 3072,
        window: Literal["hann", "rectangular"] = "rectangular",
        speed_of_sound: float = SPEED_OF_SOUND,
        map_scale: float | None = None,
        motion: MotionModel | None = None,
        causal: bool = False,
        check_positions: bool = True,
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
        self.encoder = encoder
        self.teacher = teacher
        self.prior = prior
        self.features = features
        self.n_sources = n_sources
        self.source_loss = source_loss
        self.mixture_kl = mixture_kl
        self.width = width
        self.n_directions = n_directions
        self.gamma = gamma
        self.gamma_initial = gamma_initial
        self.sigma = sigma
        self.sigma_initial = sigma_initial
        self.learn_sigma = learn_sigma
        self.beta = beta
        self.motion_concentration = motion_concentration
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.crop_frames = crop_frames
        self.pairs_per_step = pairs_per_step
        self.learning_rate = learning_rate
        self.final_learning_rate = final_learning_rate
        self.azimuth_range_deg = azimuth_range_deg
        self.elevation_range_deg = elevation_range_deg
        self.sample_rate = sample_rate
        self.win_length = win_length
        self.hop_length = hop_length
        self.window = window
        self.speed_of_sound = speed_of_sound
        self.map_scale = map_scale
        self.motion = motion
        self.causal = causal
        self.check_positions = check_positions
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
        """Return an unfitted tracker with the paper's setting, as far as it is known.

        Known (sections 3 to 5): window 4096, hop 3072, encoder of 0.89 M parameters, uniform prior, trainable sigma,
        gamma above 1, beta warm-up over 5 % of the epochs, 300 epochs of 20 s crops, batch 16, learning rate 5e-4
        to 5e-5. Lost from its text and chosen here: 64 lags (they fit its Table 6); gamma 4, grown from 1, since a
        sharp target does not train from random weights (docs/notes.md); sigma from 2.2 samples; beta 1 for the sum
        over the 66 pairs of its array; all pairs in every step; Hann window.

        Parameters
        ----------
        array : MicArray, optional
        random_state : int, RandomState or None

        Examples
        --------
        >>> PhysicsVAETracker.paper().n_epochs
        300
        """
        return cls(
            array,
            encoder="paper",
            teacher="physics",
            prior="uniform",
            features="phat",
            gamma=4.0,
            gamma_initial=1.0,
            sigma=2.2,
            sigma_initial=2.2,
            learn_sigma=True,
            beta=1 / 66,
            window="hann",
            n_epochs=300,
            batch_size=16,
            crop_frames=103,
            pairs_per_step=66,
            learning_rate=5e-4,
            final_learning_rate=5e-5,
            check_positions=False,
            random_state=random_state,
        )

    @classmethod
    def from_pretrained(cls, name: str = "nao_head_12") -> Self:
        """Return a tracker that comes with the package, fitted without labels; docs/model_card.md describes it.

        Parameters
        ----------
        name : str
            "nao_head_12": LOCATA's robot head with 12 microphones. For another array: `for_array(array)`.

        Raises
        ------
        InvalidInputError
            If the name is unknown.
        ModelFileError
            If the installed file was changed.

        Examples
        --------
        >>> PhysicsVAETracker.from_pretrained("nao_head_12").array_.n_mics
        12
        """
        from doatrack.estimators._files import load

        tracker: Self = load(pretrained_file(name))
        return tracker

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_vae_parameters(self)

    def _feature_stream(self) -> FeatureStream:
        return self._runtime().extractor.stream()

    def _head(self, *, evidence: bool = False, maps: bool = False, only_maps: bool = False) -> FrameHead:
        tables = self._runtime()
        bound = {"gamma": self.gamma, "beta": self.beta} if evidence else None
        if isinstance(self.encoder_, PairEncoder):
            return PairHead(self.encoder_, self.decoder_, tables.geometry, maps=maps, bound=bound)
        # several sources are parts of the posterior; one is followed by what was heard, before the encoder joins frames
        scale = tables.map_scale if self.n_sources == 1 else None
        assert isinstance(self.encoder_, MapEncoder)  # there are no others
        return MapHead(
            self.encoder_,
            self.decoder_,
            tables.geometry,
            tables.steering,
            maps=maps,
            only_maps=only_maps,
            map_scale=scale,
            bound=bound,
        )

    def _believing(self, recordings: Recordings, index: int) -> Self:
        told, learned = self.array_, self.fitted_array_
        if not self.check_positions or told == learned or told.n_mics != learned.n_mics:
            return self
        if not contradicts(recordings, index, told, learned, self._frames(), self.speed_of_sound):
            return self
        warnings.warn(
            f"{recordings.name(index)} was recorded with the array that this tracker learned with, not with the "
            "positions that it is told: they explain the sound clearly worse. The learned ones are used. "
            "check_setup tells what is wrong; check_positions=False believes what is told.",
            ArrayMismatchWarning,
            stacklevel=2,
        )
        return self._with_array(learned)

    def _makes_maps(self) -> bool:
        return self.encoder == "map" or self.n_sources > 1
