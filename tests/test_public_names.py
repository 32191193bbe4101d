import importlib
import inspect
import pathlib
import pkgutil

import pytest

import doatrack

API_PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "api.md"
MODULES = ["doatrack", "doatrack.exceptions"] + [
    f"doatrack.{module.name}" for module in pkgutil.iter_modules(doatrack.__path__) if module.ispkg
]


def public(module_name):
    module = importlib.import_module(module_name)
    return [(name, getattr(module, name)) for name in getattr(module, "__all__", [])]


@pytest.mark.parametrize("module_name", MODULES)
def test_every_public_class_and_function_has_an_example(module_name):
    written = [(name, item) for name, item in public(module_name) if inspect.isclass(item) or inspect.isfunction(item)]
    assert [name for name, item in written if ">>>" not in (item.__doc__ or "")] == []


@pytest.mark.parametrize("module_name", [name for name in MODULES if name != "doatrack.cli"])
def test_every_public_name_stands_on_the_page_of_names(module_name):
    page = API_PAGE.read_text(encoding="utf-8")
    section = page.partition(f"## {module_name}\n")[2].partition("\n## ")[0]
    assert section, f"run: python docs/api_page.py ({module_name} is missing)"
    missing = [name for name, _ in public(module_name) if f"| `{name}` |" not in section]
    assert missing == [], "run: python docs/api_page.py"
