import doctest
import importlib.util
import pathlib

import pytest

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "conventions.md"


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text(encoding="utf-8")


def test_the_examples_of_the_page_run():
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert failed == 0
    assert tried > 15


def test_the_table_of_presets_is_up_to_date(page):
    spec = importlib.util.spec_from_file_location("preset_table", DOCS / "preset_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.with_table(page) == page, "run: python docs/preset_table.py"
    assert module.with_table(page.replace("| `nao_head_12` |", "| `old` |")) == page
