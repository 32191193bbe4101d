"""Lengths at which a Fourier transform is fast."""

__all__ = ["fast_fft_length"]

_ODD_FACTORS = (1, 3, 5, 9, 15)


def fast_fft_length(at_least: int) -> int:
    """Return the smallest length with at most two odd factors of 3 and 5 beside powers of two.

    On a CPU, lengths with more of them (as scipy's `next_fast_len` gives, 6075 = 3^5 5^2) take several times as long.

    Parameters
    ----------
    at_least : int

    Examples
    --------
    >>> [fast_fft_length(n) for n in (1, 1024, 6049, 30245)]
    [1, 1024, 6144, 30720]
    """
    return min(factor << max(0, (-(-at_least // factor) - 1).bit_length()) for factor in _ODD_FACTORS)
