"""Reverberation that can be predicted from what was heard just before, and taken away: above all early reflections."""

import torch
from torch import Tensor

from doatrack._validation import check_int
from doatrack.exceptions import InvalidInputError
from doatrack.features.noise_statistics import snapshot_power

__all__ = ["Dereverberator", "dereverberate"]

_WINDOW_S = 0.004
_BLOCK_S = 0.192
_MOST_TAPS, _FEWEST_TAPS = 8, 3  # windows, from the one before on: reflections of the next 16 or 6 ms
_INPUTS = 48  # windows times microphones: what more of them bring costs the cube
_LOADING = 0.03  # of the mean power of what is predicted from
_LEAST = 0.1  # of a frequency's mean power: weaker moments count no more than this


def dereverberate(waveform: Tensor, sample_rate: int, first_block: int = 0) -> Tensor:
    """Return a recording less what its last 6 to 16 ms foretell, block by block: its direct sound stands out more.

    A reflection repeats, some milliseconds later, what all microphones have heard; the direct sound brings what is new.
    In windows of 4 ms, in each frequency, the present is predicted from the windows before of all microphones (eight,
    or so many that together they are 48, at least three: the last 16 ms with up to 6 microphones, 8 ms with 12), and
    what is left goes on. Each block of 0.19 s has a prediction of its own, learned from it and the one before, so
    talkers may move. Where sound comes from stays as it was: only earlier sound is subtracted.

    Parameters
    ----------
    waveform : Tensor of shape (n_mics, n_samples)
    sample_rate : int
        In Hz.
    first_block : int
        Samples at the end of which one block ends, from which the others are counted; 0 is any.

    Returns
    -------
    Tensor of shape (n_mics, n_samples)

    Raises
    ------
    InvalidInputError
        If the waveform is no tensor of real floating-point numbers of two axes.

    Notes
    -----
    With x(t, f) the spectra of a window and a(t, f) those of the windows before, of all microphones, the prediction G
    minimises the sum over both blocks of |x - G^H a|^2 / p, p being the power of all microphones, at least a tenth of
    its mean over a block and what that is predicted from. It is the weighted prediction error (WPE), which usually
    waits for tens of milliseconds, with a delay of one window. That takes the periods of a voice away too, and leaves
    it hoarse: what comes out is for finding directions, not for listening.

    References
    ----------
    T. Nakatani et al., "Speech dereverberation based on variance-normalized delayed linear prediction", IEEE TASLP
    2010.

    Examples
    --------
    >>> sound = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0)).expand(2, -1)
    >>> reflected = sound + 0.7 * sound.roll(80, dims=1)
    >>> left = dereverberate(reflected, 16000)
    >>> bool((left - sound).square().mean() < 0.5 * (reflected - sound).square().mean())
    True
    """
    if not isinstance(waveform, Tensor) or waveform.ndim != 2 or waveform.dtype not in (torch.float32, torch.float64):
        given = f"shape {tuple(waveform.shape)}, {waveform.dtype}" if isinstance(waveform, Tensor) else type(waveform)
        raise InvalidInputError(
            f"waveform must be a torch tensor (n_mics, n_samples) in single or double precision, got {given}. "
            "Convert it: torch.from_numpy(samples).float()."
        )
    check_int("sample_rate", sample_rate, 1)
    stream = Dereverberator(sample_rate, first_block)
    return torch.cat([stream.push(waveform), stream.finish()], dim=1)


class Dereverberator:
    """`dereverberate` for sound that comes in parts: the parts do not matter.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    first_block : int
        As for `dereverberate`.
    step : int, optional
        Samples after which, again and again, a block ends, counted from the first one: of frames, whose ends are those
        of blocks. It is cut into several blocks if it is long. None is one block of the usual length.
    held : bool
        Whether sound comes out so much later (`delay_samples`) that a block is known when its last sample is.

    Attributes
    ----------
    delay_samples : int
        What must follow a block until its samples are known, since windows reach beyond it: half a window where blocks
        begin and end with windows, up to a whole one elsewhere, as after a gap.
    most_delay_samples : int
        The largest that it can become.

    Examples
    --------
    >>> stream = Dereverberator(16000)
    >>> sound = torch.randn(3, 8000, generator=torch.Generator().manual_seed(0))
    >>> first, rest = stream.push(sound), stream.finish()
    >>> first.shape[1], rest.shape[1]
    (6144, 1856)
    """

    def __init__(self, sample_rate: int, first_block: int = 0, step: int | None = None, *, held: bool = False) -> None:
        hop = self._hop = max(2, round(_WINDOW_S * sample_rate / 2))
        self._n_usual = max(1, round(_BLOCK_S * sample_rate / hop))  # windows of a block
        self.most_delay_samples = 2 * hop - 1
        self._step = hop * self._n_usual if step is None else step
        self._in_step = max(1, round(self._step / (hop * self._n_usual)))
        self._held = held
        self._shape = torch.sin((torch.arange(2 * hop, dtype=torch.float64) + 0.5) * torch.pi / (2 * hop))
        self._learner = _Learner(self._n_usual)
        self.restart(first_block)

    def restart(self, first_block: int) -> None:
        """Begin anew, after a gap: what was learned stays, what waits is dropped.

        Parameters
        ----------
        first_block : int
            From now on, as for `dereverberate`.
        """
        hop, usual = self._hop, self._hop * self._n_usual
        aligned = first_block % hop == 0 and self._step % (self._in_step * hop) == 0
        self.delay_samples = hop if aligned else self.most_delay_samples
        self._given_end = first_block - (self.delay_samples if self._held else 0)
        # a first block that is too short learns little: where there may be a longer one it is that
        least = max(1, min(self._given_end, usual))
        self._block = -(-(least - self._given_end) * self._in_step // self._step)  # that is waited for
        self._parts: list[Tensor] = []  # samples that wait, from the beginning of the next window on
        self._n_samples = self._n_done = self._n_given = 0  # samples taken so far, windows done, samples given out
        self._early = torch.zeros(0, 0)  # samples that are known and to be held back
        self._heard: Tensor | None = None  # spectra of the last windows
        self._half: Tensor | None = None  # what overlaps with the next window

    def push(self, samples: Tensor) -> Tensor:
        """Take samples (n_mics, n) and return those that became known, from the first one not given out yet."""
        if not self._n_samples:
            # the first window begins before the first sample
            self._parts = [samples.new_zeros(len(samples), self._hop)]
            self._early = samples.new_zeros(len(samples), self.delay_samples if self._held else 0)
        if samples.shape[1]:
            # they may be a view of memory that is used again
            self._parts.append(samples.clone())
        self._n_samples += samples.shape[1]
        known = [samples[:, :0]]
        while self._n_samples // self._hop >= (n_windows := 1 + -(-self._block_end() // self._hop)):
            if n_windows > self._n_done:  # blocks may be shorter than windows
                known.append(self._foretold(n_windows - self._n_done))
            self._block += 1
        return self._given(torch.cat(known, dim=1))

    def _block_end(self) -> int:
        return self._given_end + self._block * self._step // self._in_step

    def finish(self) -> Tensor:
        """Return what was held back, as no sound follows; then there is only `restart`."""
        left = torch.zeros(0, 0) if not self._parts else self._parts[0][:, :0]
        if self._n_samples == self._n_given:
            return left
        n_windows = 1 + -(-self._n_samples // self._hop)
        self._parts.append(left.new_zeros(len(left), n_windows * self._hop - self._n_samples))
        return self._given(self._foretold(n_windows - self._n_done))

    def _given(self, samples: Tensor) -> Tensor:
        """Return what may be given out, once more samples became known: as many as were taken at most."""
        known, self._early = torch.cat([self._early, samples], dim=1).tensor_split(
            [self._n_samples - self._n_given], dim=1
        )
        self._n_given += known.shape[1]
        return known

    def _foretold(self, count: int) -> Tensor:
        """Return the samples that so many more windows make whole, less what was foretold of them."""
        hop = self._hop
        waiting = torch.cat(self._parts, dim=1)
        samples, self._parts = waiting[:, : (count + 1) * hop], [waiting[:, count * hop :]]
        shape = self._shape.to(samples)
        new = torch.fft.rfft(samples.unfold(1, 2 * hop, hop) * shape).permute(2, 1, 0)
        if self._heard is None:
            self._heard = new.new_zeros(len(new), _n_taps(len(samples)), len(samples))
        n_taps = self._heard.shape[1]
        known = torch.cat([self._heard, new], dim=1)
        self._heard = known[:, -n_taps:]
        # the windows before each one side by side, (n_freq, count, n_taps n_mics)
        earlier = known[:, :-1].unfold(1, n_taps, 1).transpose(2, 3).flatten(2)
        rest = new - earlier @ self._learner.prediction(known, earlier)
        halves = (torch.fft.irfft(rest.permute(2, 1, 0), 2 * hop) * shape).unflatten(2, (2, hop))
        before = halves.new_zeros(len(samples), hop) if self._half is None else self._half
        whole = torch.cat([before[:, None], halves[:, :-1, 1]], dim=1) + halves[:, :, 0]
        self._half = halves[:, -1, 1]
        # the first half of the first window lies before the recording
        skip = 0 if self._n_done else 1
        self._n_done += count
        return whole[:, skip:].flatten(1)


class _Learner:
    """What takes earlier windows to the present, learned from those of the last blocks.

    Parameters
    ----------
    n_usual : int
        Windows of a usual block.
    """

    def __init__(self, n_usual: int) -> None:
        self._n_usual = n_usual
        self._last: Tensor | float = 0.0  # products of the last usual block, or more, and their windows
        self._recent: Tensor | float = 0.0  # and of what came after it
        self._n_last = self._n_recent = 0

    def prediction(self, spectra: Tensor, earlier: Tensor) -> Tensor:
        """Return it (n_freq, n_inputs, n_mics) for the next windows, learned from them too, as for `_products`."""
        self._recent = self._recent + _products(spectra, earlier)
        self._n_recent += earlier.shape[1]
        # a block alone tells too little of so many microphones, and what is left at the end may be short
        found = _prediction(self._recent + self._last)
        n_heard = self._n_recent + self._n_last
        if self._n_recent >= self._n_usual:
            self._last, self._recent = self._recent, 0.0
            self._n_last, self._n_recent = self._n_recent, 0
        # from a few windows alone nearly all would seem foretold
        return found * (n_heard / self._n_usual) if n_heard < self._n_usual else found


def _n_taps(n_mics: int) -> int:
    """Return how many windows back the present is predicted from."""
    return max(_FEWEST_TAPS, min(_MOST_TAPS, _INPUTS // n_mics))


def _products(spectra: Tensor, earlier: Tensor) -> Tensor:
    """Return the sums over windows of a^* a^T and a^* x^T side by side, (n_freq, n_inputs, n_inputs + n_mics).

    Of spectra x (n_freq, n_taps + n, n_mics), which begin with those before the first window, and earlier ones a
    (n_freq, n, n_inputs); windows count by the inverse of their power.
    """
    power, n_taps = snapshot_power(spectra), spectra.shape[1] - earlier.shape[1]
    # the mean is that of all, since in silence after loud sound nothing else would bound the weights
    weight = 1 / torch.maximum(power[:, n_taps:], _LEAST * power.mean(dim=1, keepdim=True)).clamp_min(1e-30)
    return (earlier * weight[..., None]).mH @ torch.cat([earlier, spectra[:, n_taps:]], dim=2)


def _prediction(products: Tensor) -> Tensor:
    """Return what takes earlier windows to the present, (n_freq, n_inputs, n_mics), by least squares."""
    n_inputs = products.shape[1]
    matrix, wanted = products[..., :n_inputs].clone(), products[..., n_inputs:]
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    diagonal += _LOADING * diagonal.real.mean(dim=1, keepdim=True) + 1e-20
    return torch.cholesky_solve(wanted, torch.linalg.cholesky_ex(matrix).L)
