"""Pieces of Markdown for generated pages."""

from __future__ import annotations

import ast
import inspect
import re
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import enum
    from collections.abc import Iterable, Sequence

__all__ = ["attribute_docstrings", "first_paragraph", "table", "without_roles"]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; a bar in a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def first_paragraph(text: str | None) -> str:
    """The first paragraph of a docstring, in one line."""
    return without_roles(" ".join((text or "").strip().split("\n\n")[0].split()))


def without_roles(text: str) -> str:
    """A docstring's references (``:func:`~vta.build```) as code."""
    return re.sub(r":(?:py:)?\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")


def attribute_docstrings(values: type[enum.Enum]) -> dict[str, str]:
    """The string after each member in the source of an enumeration."""
    (definition,) = ast.parse(inspect.getsource(values)).body
    assert isinstance(definition, ast.ClassDef)
    notes = {}
    for member, note in pairwise(definition.body):
        if isinstance(member, ast.Assign) and isinstance(note, ast.Expr):
            target, value = member.targets[0], note.value
            assert isinstance(target, ast.Name) and isinstance(value, ast.Constant)
            notes[target.id] = first_paragraph(str(value.value))
    return notes
