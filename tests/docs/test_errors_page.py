"""The page on errors names every error of the package."""

import importlib
from pathlib import Path

from tests.test_architecture import modules
from vta.errors import VTAError

PAGE = Path(__file__).parents[2] / "docs" / "compiler" / "errors.md"


def children(base: type[VTAError]) -> set[type[VTAError]]:
    return {base, *(inner for child in base.__subclasses__() for inner in children(child))}


def test_every_error_is_on_the_page() -> None:
    for name, path in modules():
        if "Error(" in path.read_text(encoding="utf-8"):  # a class, or at least one that is raised
            importlib.import_module(name)
    page = PAGE.read_text(encoding="utf-8")
    ours = {
        error.__name__
        for error in children(VTAError) - {VTAError}
        if error.__module__.startswith("vta.") and not error.__name__.startswith("_")
    }
    assert len(ours) > 25
    assert sorted(name for name in ours if f"`{name}`" not in page) == []
