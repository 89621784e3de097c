"""What a person sees of a build that takes minutes: a status line, or lines where that is none."""

from __future__ import annotations

import re
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["building"]


@contextmanager
def building(
    machine: str, progress: Callable[[str], None] | None = None
) -> Iterator[Callable[[str], None]]:
    """Yield what a build is to call with a few words about each step, if there is something to do.

    Parameters
    ----------
    machine : str
        The fingerprint of the configuration.
    progress : callable or None
        Called instead. None: a status line if stderr is a terminal. Else a line on stderr for each
        step, where steps that differ in a number only are one, and a line at the end; nothing if
        there is nothing to do.
    """
    if progress is not None:
        yield progress
        return
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(f"tsim {machine}") as status:
            yield lambda text: status.update(f"tsim {machine}: {text}")
        return
    lines = _Lines(f"tsim {machine}")
    yield lines
    lines.end()


class _Lines:
    """Steps as lines on stderr."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.begin = time.perf_counter()
        self.step = ""

    def __call__(self, text: str) -> None:
        step = re.sub(r"\d+", "", text)
        if step != self.step:
            self._print(f"{text} ...")
        self.step = step

    def end(self) -> None:
        if self.step:
            self._print(f"built in {time.perf_counter() - self.begin:.0f} s")

    def _print(self, text: str) -> None:
        print(f"{self.name}: {text}", file=sys.stderr, flush=True)
