"""Signal subspaces of spatial covariances, and the MUSIC spectrum over directions."""

import torch
from torch import Tensor

__all__ = ["music_spectrum", "normalise_spectrum", "signal_subspace"]


def signal_subspace(covariance: Tensor, n_sources: int = 1) -> Tensor:
    """Return the eigenvectors of the largest eigenvalues: where the sources are.

    Parameters
    ----------
    covariance : Tensor of shape (..., n_mics, n_mics), complex
        Hermitian.
    n_sources : int
        Dimension of the signal subspace, below the number of microphones.

    Returns
    -------
    Tensor of shape (..., n_mics, n_sources), complex
        Orthonormal columns; what is orthogonal to them is the noise subspace.

    Examples
    --------
    >>> signal_subspace(torch.diag(torch.tensor([1.0, 5.0, 2.0])).to(torch.complex64), 2).abs().T
    tensor([[0., 0., 1.],
            [0., 1., 0.]])
    """
    return torch.linalg.eigh(covariance).eigenvectors[..., -n_sources:]


def music_spectrum(subspace: Tensor, steering: Tensor) -> Tensor:
    """Return the MUSIC pseudo-spectrum of every frame and frequency.

    1 / sin^2 of the angle between a plane wave and the signal subspace, |a|^2 / (a^H P_noise a): large where the wave
    lies in the subspace, and at least 1.

    Parameters
    ----------
    subspace : Tensor of shape (..., n_freq, n_mics, n_sources), complex
        Orthonormal columns.
    steering : Tensor of shape (n_freq, n_directions, n_mics), complex
        Of magnitude 1.

    Returns
    -------
    Tensor of shape (..., n_freq, n_directions)

    Notes
    -----
    pyroomacoustics leaves out |a|^2, the number of microphones. One matrix product per frequency over all frames:
    n_frames * n_freq * n_directions * n_mics * n_sources complex multiplications.

    References
    ----------
    R. O. Schmidt, "Multiple emitter location and signal parameter estimation", IEEE Trans. Antennas Propag. 1986.

    Examples
    --------
    >>> wave = torch.tensor([[[1, 1], [1, -1], [1, 1j]]]).to(torch.complex128)       # 1 frequency, 3 directions
    >>> music_spectrum(wave[:, 1, :, None] / 2**0.5, wave).round()                  # the second one is heard
    tensor([[1.0000e+00, 4.5036e+15, 2.0000e+00]], dtype=torch.float64)
    """
    n_mics = steering.shape[-1]
    # frames and sources become columns, so that one product per frequency serves all of them
    front = subspace.movedim((-3, -2), (0, 1))
    inside = (steering.conj() @ front.reshape(*front.shape[:2], -1)).reshape(*steering.shape[:2], *front.shape[2:])
    share = (inside.abs().square().sum(dim=-1) / n_mics).movedim((0, 1), (-2, -1))
    # 1 - share is known to a few units of the last place only
    return 1 / (1 - share).clamp_min(torch.finfo(share.dtype).eps)


def normalise_spectrum(spectrum: Tensor) -> Tensor:
    """Return each frequency's spectrum divided by its maximum over directions (normalised MUSIC).

    So every frequency has the same say in the mean over frequencies, and none with one sharp wrong peak decides.

    Parameters
    ----------
    spectrum : Tensor of shape (..., n_freq, n_directions)

    Returns
    -------
    Tensor of the same shape
        At most 1.

    References
    ----------
    D. Salvati, C. Drioli and G. L. Foresti, "Incoherent frequency fusion for broadband steered response power
    algorithms in noisy environments", IEEE Signal Processing Letters 2014.

    Examples
    --------
    >>> normalise_spectrum(torch.tensor([[1.0, 4.0, 2.0]]))
    tensor([[0.2500, 1.0000, 0.5000]])
    """
    return spectrum / spectrum.amax(dim=-1, keepdim=True)
