"""Tables that a notebook shows. Everything that is inserted is escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

__all__ = ["code", "table"]


def table(titles: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """A table in HTML.

    Parameters
    ----------
    titles : sequence of str
        Of the columns.
    rows : iterable of sequence
        Numbers are written with commas and at the right; None is an empty cell.
    caption : str
        Above the table; none if empty.
    """
    above = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    head = "".join(f"<th>{html.escape(title)}</th>" for title in titles)
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    return f"<table>{above}<tr>{head}</tr>{body}</table>"


def _cell(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f'<td style="text-align: right">{value:,}</td>'
    return f"<td>{'' if value is None else html.escape(str(value))}</td>"


def code(text: str) -> str:
    """Lines of a program, with the width of their characters kept. A call at the beginning of a
    line, which is an instruction, is bold."""
    lines = re.sub(r"^( *)(\w+)(?=\()", r"\1<b>\2</b>", html.escape(text), flags=re.MULTILINE)
    return f'<pre style="white-space: pre; overflow-x: auto">{lines}</pre>'
