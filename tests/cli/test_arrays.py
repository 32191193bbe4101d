"""`doatrack arrays`."""

from doatrack import MicArray
from doatrack.geometry import preset_names


def test_every_preset_is_listed_with_kind_and_aperture(doatrack):
    shown = doatrack("arrays").stdout
    rows = {line.split()[1]: line for line in shown.splitlines() if line.startswith("│ ") and line.split()[1] != "│"}
    assert set(preset_names()) <= set(rows)
    assert "12" in rows["nao_head_12"].split()
    assert "3-D" in rows["nao_head_12"]
    assert "0.121" in rows["nao_head_12"]
    assert "LOCATA's robot head" in rows["nao_head_12"]
    assert "channels 2-5 of 6" in " ".join(shown.replace("│", " ").split())
    assert "introlab" not in shown


def test_one_array_with_positions_source_and_ambiguity(doatrack):
    shown = doatrack("arrays", "respeaker_usb_4").stdout
    assert "4 microphones, planar" in shown
    assert "mirror image" in shown
    assert "introlab/odas" in shown
    assert "0.0228  -0.0228   0.0050" in shown
    assert "ambiguity: none" in doatrack("arrays", "nao_head_12").stdout


def test_json_is_read_back_and_never_replaced(doatrack, tmp_path):
    file = tmp_path / "new" / "mine.json"
    assert doatrack("arrays", "minidsp_uma_8", "--json", file).exit_code == 0
    assert MicArray.from_json(file) == MicArray.from_preset("minidsp_uma_8")
    assert doatrack("arrays", file).exit_code == 0
    again = doatrack("arrays", "nao_head_12", "--json", file)
    assert again.exit_code == 2
    assert "exists and is not written over" in again.stderr
    assert MicArray.from_json(file).n_mics == 7


def test_unknown_names_are_wrong_use(doatrack, tmp_path):
    wrong = doatrack("arrays", "nao_haed_12")
    assert wrong.exit_code == 2
    assert "Did you mean 'nao_head_12'?" in wrong.stderr
    missing = doatrack("arrays", tmp_path / "nothing.json")
    assert missing.exit_code == 2
    assert "does not exist" in missing.stderr
    assert "name the array" in doatrack("arrays", "--json", tmp_path / "a.json").stderr
