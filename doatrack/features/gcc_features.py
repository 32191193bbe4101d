"""How correlations are weighted over time, frequency and pairs: one settings object for all estimators."""

import dataclasses
from typing import Any, Literal

from doatrack._validation import check_array, check_bool, check_choice, check_int, check_real
from doatrack.exceptions import InvalidInputError

__all__ = ["WEIGHTINGS", "GCCFeatures"]

WEIGHTINGS = ("phat", "snr", "whitened")
_FEW_MICS = 6
_MOST_MICS_LIVE = 8  # with which foretold sound is subtracted by default in a stream too


@dataclasses.dataclass(frozen=True)
class GCCFeatures:
    """Settings of the correlations that maps and networks are made of.

    Parameters
    ----------
    weighting : {"whitened", "snr", "phat"}
        "phat": every frequency of the whole frame counts alike (equation 2; the paper's setting). "snr": frames are cut
        into short snapshots, and each snapshot and frequency counts as far as it rises above the noise floor and above
        the reverberation of what was heard just before. "whitened": moreover the noise is made equal from all
        directions by its spatial covariance, learned where each frequency is quiet, so that an interferer is nulled.
    freq_range_hz : (float, float), optional
        Frequencies that count; None is all of them ("phat"), or 60 Hz to nearly half the sample rate.
    average_frames : int
        Frames whose cross-spectra are averaged, the present and earlier ones.
    pair_weighting : {"uniform", "baseline"}
        Pairs count alike, or in proportion to their length: long ones tell small angles apart.
    snapshot_length : int, optional
        Of a snapshot in samples, at most the frame's; None is a quarter of the frame. Snapshots follow each other by
        a quarter of their length.
    noise_quantile : float
        Share of the snapshots of each frequency that are taken as noise, the quietest.
    diffuse_factor : float
        How much of the sound that rises above the noise is taken to come back from everywhere, as reverberation does.
        Its coherence, known from the positions, is added to the noise covariance.
    loading : float
        Added to the noise covariance, whose mean eigenvalue is 1: the smaller, the deeper the nulls, and the more the
        positions are trusted.
    n_bands : int, optional
        Bands of frequencies, the higher the wider, each of which is divided by its own denominator ("whitened"). None:
        4, or 8 with 6 microphones or fewer.
    floor_factor, floor_quantile : float
        A snapshot weighs max(0, 1 - floor_factor * floor / power - ...), the floor being this quantile of its
        frequency's power over time.
    reverberation_factor : float, optional
        Weight of the reverberation that is expected from earlier snapshots, against the power. Above 1 fewer snapshots
        are left, which count more for it, by the square. None: 1 with 7 microphones or more, a third more for each one
        less, up to 2: the fewer there are, the less early reflections can be told from the source by where they come
        from, and the more by when.
    reverberation_delay_s, reverberation_decay_s : float
        From when on sound counts as reverberation, and the time constant of its decay, in seconds.
    dereverberation : bool, optional
        Whether what the last 6 to 16 ms foretell, above all early reflections, is subtracted first (`dereverberate`).
        None: yes, but not if `causal` with more than 8 microphones, where a live frame would take twice as long or
        more. It changes nothing for "phat". If `causal`, what is heard is 2 to 4 ms older: a frame waits for
        nothing.
    statistics_s : float
        Span of the recording from which floor and covariance are learned, in seconds.
    noise_changes : bool
        Whether noise that starts or stops is noticed, and what is before and after it learned from for itself; live
        only noise that starts, one to two seconds late. Otherwise all of the span counts.
    causal : bool
        Whether they are learned from earlier sound only, for streams; otherwise also from later sound, up to the span.

    Raises
    ------
    InvalidInputError
        If a value is out of its range.

    Notes
    -----
    What sounds all the time at one level, such as a fan, is noise to "snr" and "whitened", and is not found. With
    the noise covariance N, which holds as much of a diffuse field as is expected of reverberation,
    Q = (N + loading I)^-1 and steering vectors a, "whitened" steers in each band
    sum w |a^H Q x|^2 / (x^H Q x) over the mean of a^H Q a: the share of the whitened power that a plane wave explains,
    summed over snapshots and frequencies of weight w. With N = I it is SRP with a normalisation over all microphones.

    References
    ----------
    H. Cox, "Resolving power and sensitivity to mismatch of optimum array processors", JASA 1973 (the whitened
    beamformer); K. Lebart et al., "A new method based on spectral subtraction for speech dereverberation", Acta
    Acustica 2001 (late reverberation from earlier power).

    Examples
    --------
    >>> GCCFeatures().weighting, GCCFeatures.of("phat").weighting
    ('whitened', 'phat')
    """

    weighting: Literal["whitened", "snr", "phat"] = "whitened"
    freq_range_hz: tuple[float, float] | None = None
    average_frames: int = 1
    pair_weighting: Literal["uniform", "baseline"] = "uniform"
    snapshot_length: int | None = None
    noise_quantile: float = 0.6
    diffuse_factor: float = 0.08
    loading: float = 0.02
    n_bands: int | None = None
    floor_factor: float = 0.7
    floor_quantile: float = 0.2
    reverberation_factor: float | None = None
    reverberation_delay_s: float = 0.016
    reverberation_decay_s: float = 0.03
    dereverberation: bool | None = None
    statistics_s: float = 20.0
    noise_changes: bool = True
    causal: bool = False

    def __post_init__(self) -> None:
        check_choice("weighting", self.weighting, WEIGHTINGS)
        check_choice("pair_weighting", self.pair_weighting, ("uniform", "baseline"))
        if self.freq_range_hz is not None:
            low, high = check_array("freq_range_hz", self.freq_range_hz, (2,))
            if not 0 <= low < high:
                raise InvalidInputError(
                    f"freq_range_hz must go from low to high, from 0 Hz up, got ({low:g}, {high:g}). Swap the two."
                )
            # a file gives lists, and equal settings must be equal
            object.__setattr__(self, "freq_range_hz", (float(low), float(high)))
        check_int("average_frames", self.average_frames, 1)
        if self.snapshot_length is not None:
            check_int("snapshot_length", self.snapshot_length, 16)
        for name in ("noise_quantile", "floor_quantile"):
            check_real(name, getattr(self, name), 0.0, 1.0, exclusive_minimum=True)
        check_real("loading", self.loading, 0.0, exclusive_minimum=True)
        if self.n_bands is not None:
            check_int("n_bands", self.n_bands, 1)
        for name in ("diffuse_factor", "floor_factor"):
            check_real(name, getattr(self, name), 0.0)
        if self.reverberation_factor is not None:
            check_real("reverberation_factor", self.reverberation_factor, 0.0)
        for name in ("reverberation_delay_s", "reverberation_decay_s", "statistics_s"):
            check_real(name, getattr(self, name), 0.0, exclusive_minimum=True)
        check_bool("noise_changes", self.noise_changes)
        check_bool("causal", self.causal)
        if self.dereverberation is not None:
            check_bool("dereverberation", self.dereverberation)

    def for_microphones(self, n_mics: int) -> "GCCFeatures":
        """Return settings in which everything is chosen that was left open, most of it by the number of microphones.

        Raises
        ------
        InvalidInputError
            If that is no number from 1 up.

        Examples
        --------
        >>> few, many = GCCFeatures().for_microphones(4), GCCFeatures().for_microphones(12)
        >>> few.n_bands, few.reverberation_factor, many.n_bands, many.reverberation_factor
        (8, 2.0, 4, 1.0)
        """
        check_int("n_mics", n_mics, 1)
        chosen: dict[str, Any] = {}
        if self.n_bands is None:
            chosen["n_bands"] = 4 if n_mics > _FEW_MICS else 8
        if self.reverberation_factor is None:
            chosen["reverberation_factor"] = min(2.0, 1.0 + max(0, _FEW_MICS + 1 - n_mics) / 3)
        wanted = not self.causal or n_mics <= _MOST_MICS_LIVE if self.dereverberation is None else self.dereverberation
        chosen["dereverberation"] = wanted and self.weighting != "phat"
        return dataclasses.replace(self, **chosen)

    @classmethod
    def of(cls, features: Any) -> "GCCFeatures":
        """Return settings from a parameter: settings themselves, or the name of a weighting.

        Raises
        ------
        InvalidInputError
            If it is neither.
        """
        if isinstance(features, GCCFeatures):
            return features
        if isinstance(features, str):
            return cls(weighting=check_choice("features", features, WEIGHTINGS))  # type: ignore[arg-type]
        raise InvalidInputError(
            f"features must be {', '.join(map(repr, WEIGHTINGS))} or a doatrack.features.GCCFeatures, got {features!r}."
        )
