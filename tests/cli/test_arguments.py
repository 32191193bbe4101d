"""What the text of shared arguments means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doatrack import MicArray
from doatrack.cli._arguments import parse_range, resolve_array
from doatrack.exceptions import InvalidInputError

NUMBERS = st.floats(-100, 100).map(lambda number: round(number, 2))


@given(NUMBERS, NUMBERS)
def test_ranges_keep_both_numbers_and_their_signs(first, second):
    low, high = sorted((first, second))
    assert parse_range("--snr", f"{low}-{high}") == (low, high)
    assert parse_range("--snr", f" {low} ") == (low, low)


@pytest.mark.parametrize("text", ["", "1-", "-", "a-b", "2-1", "1-2-3", "nan", "1e3", "inf-inf", "1..2"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(InvalidInputError, match="--rt60 must be a number or a range from low to high"):
        parse_range("--rt60", text)


def test_an_array_is_a_preset_a_file_or_a_folder(tmp_path):
    array = MicArray.from_preset("respeaker_core_6")
    array.to_json(tmp_path / "array.json")
    assert resolve_array("respeaker_core_6") == array
    assert resolve_array(str(tmp_path)) == array
    assert resolve_array(str(tmp_path / "array.json")) == array
    with pytest.raises(InvalidInputError, match=r"Did you mean 'respeaker_core_6'\?.*JSON file"):
        resolve_array("respeaker_cor")
    with pytest.raises(InvalidInputError, match=r"missing\.json does not exist"):
        resolve_array("missing.json")
