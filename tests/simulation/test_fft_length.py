from hypothesis import given
from hypothesis import strategies as st

from doatrack.simulation.fft_length import fast_fft_length


@given(st.integers(1, 10**6))
def test_lengths_are_long_enough_not_much_longer_and_fast(at_least):
    length = fast_fft_length(at_least)
    assert at_least <= length <= max(1.21 * at_least, at_least + 1)
    odd = length
    while odd % 2 == 0:
        odd //= 2
    assert odd in (1, 3, 5, 9, 15)
    assert fast_fft_length(length) == length
