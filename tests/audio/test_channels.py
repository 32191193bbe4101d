import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doatrack.audio.channels import check_channels, parse_channels
from doatrack.exceptions import InvalidInputError


@pytest.mark.parametrize(
    ("text", "indices"),
    [("1-4", (0, 1, 2, 3)), ("3", (2,)), (" 2 - 3 , 1", (1, 2, 0)), ("5-5", (4,)), ("1024", (1023,))],
)
def test_counts_from_one_and_keeps_the_order(text, indices):
    assert parse_channels(text) == indices


@given(st.lists(st.integers(1, 1024), min_size=1, max_size=20, unique=True))
def test_a_list_of_numbers_is_each_less_one(numbers):
    assert parse_channels(",".join(map(str, numbers))) == tuple(n - 1 for n in numbers)


@pytest.mark.parametrize("text", ["", "0", "0-3", "4-1", "-3", "1-", "a", "1;2", "1-2-3", "1,,2", "1025", "٣"])
def test_other_texts_are_refused(text):
    with pytest.raises(InvalidInputError, match=r"must be numbers from 1 to 1024 or ranges.*got"):
        parse_channels(text)


@given(st.text("0123456789,- a٣", max_size=10))
def test_any_text_gives_indices_or_the_error(text):
    try:
        indices = parse_channels(text)
    except InvalidInputError:
        return
    assert indices
    assert all(0 <= i < 1024 for i in indices)


def test_twice_is_refused():
    with pytest.raises(InvalidInputError, match=r"channel 2 \(counted from 0; 3 from 1\) twice"):
        parse_channels("1-4,3")


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ([], "at least one channel"),
        ([0, -1], "channel must be .*got -1"),
        ([0.0], "whole number"),
        ([True], "whole number"),
        ("01", "got the text '01'.*parse_channels"),
    ],
)
def test_bad_indices_are_refused(channels, message):
    with pytest.raises(InvalidInputError, match=message):
        check_channels(channels)


def test_numpy_indices_are_taken():
    assert check_channels(np.array([3, 1])) == (3, 1)
