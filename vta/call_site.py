"""Lines of Python scripts: where a user called a primitive of a schedule or an operator.

Files of programs do not depend on the scripts that made them, so they have no such lines. The
process that made the contents of a file still knows them: a script that saves a program, uploads
and loads it has the lines of what it loaded.
"""

from __future__ import annotations

import hashlib
import linecache
import sys
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CallSite", "call_site", "calls_of", "remember_calls"]

KEPT = 256
"""Contents of files whose lines are known at most; the oldest are forgotten."""
_PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True)
class CallSite:
    """A line of a script.

    Attributes
    ----------
    file : str
        The file as Python names it; of a cell of a notebook, the name that the kernel gives it.
    line : int
        From 1.
    """

    file: str
    line: int

    def __str__(self) -> str:
        """The file without its folder, and the line: ``matmul.py:41``."""
        return f"{Path(self.file).name}:{self.line}"

    @property
    def text(self) -> str:
        """The line without its indentation; empty if the file cannot be read here."""
        return linecache.getline(self.file, self.line).strip()


def call_site() -> CallSite | None:
    """The innermost line in progress that is outside of this package; None if there is none."""
    frame = sys._getframe(1)
    while frame is not None and _inside(str(frame.f_globals.get("__name__", ""))):
        frame = frame.f_back  # type: ignore[assignment]
    return None if frame is None else CallSite(frame.f_code.co_filename, frame.f_lineno)


def _inside(module: str) -> bool:
    return module == _PACKAGE or module.startswith(f"{_PACKAGE}.")


_kept: OrderedDict[bytes, tuple[CallSite | None, ...]] = OrderedDict()


def remember_calls(content: bytes, calls: Sequence[CallSite | None]) -> None:
    """Know the lines of the program with the file ``content`` in this process."""
    if any(calls):
        key = hashlib.sha256(content).digest()
        _kept[key] = tuple(calls)
        _kept.move_to_end(key)
        if len(_kept) > KEPT:
            _kept.popitem(last=False)


def calls_of(content: bytes) -> tuple[CallSite | None, ...] | None:
    """The lines of the program with the file ``content``, if this process made the content."""
    return _kept.get(hashlib.sha256(content).digest()) if _kept else None
