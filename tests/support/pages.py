"""Runs the Python blocks of a documentation page and compares what they print with the page.
 All ``python`` blocks of a page share one namespace, in order. What a block prints must be the text
of the ``text`` block that follows it (after blank lines); a block that prints nothing has none.
"""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["run_page"]

BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass
class _Example:
    code: re.Match[str]
    shown: re.Match[str] | None
    printed: str = ""


def _examples(page: str) -> list[_Example]:
    examples: list[_Example] = []
    for block in BLOCK.finditer(page):
        if block[1] == "python":
            examples.append(_Example(block, None))
        elif examples and not page[examples[-1].code.end() : block.start()].strip():
            examples[-1].shown = block
    return examples


def run_page(path: Path, *, update: bool = False) -> None:
    """Check one page; with ``update`` write what the blocks print into it instead."""
    page = path.read_text(encoding="utf-8")
    examples = _examples(page)
    namespace: dict[str, object] = {"__name__": path.stem}
    for example in examples:
        line = page.count("\n", 0, example.code.start()) + 2
        code = compile("\n" * (line - 1) + example.code[2], str(path), "exec")
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(code, namespace)
        example.printed = out.getvalue()
    if update:
        path.write_text(_updated(page, examples), encoding="utf-8")
        return
    for example in examples:
        shown = example.shown[2] if example.shown else ""
        line = page.count("\n", 0, example.code.start()) + 1
        assert example.printed == shown, (
            f"{path.name}, line {line}: the block prints something else than the page shows"
        )


def _updated(page: str, examples: list[_Example]) -> str:
    for example in reversed(examples):
        text = f"```text\n{example.printed}```" if example.printed else ""
        if example.shown:
            page = page[: example.shown.start()] + text + page[example.shown.end() :]
        elif text:
            page = page[: example.code.end()] + "\n" + text + page[example.code.end() :]
    return page
