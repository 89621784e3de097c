"""Consoles for reports: names of models, nodes and files are printed as they are."""

from __future__ import annotations

import sys

from rich.console import Console

__all__ = ["report_console"]


def report_console(width: int = 120, *, stderr: bool = False) -> Console:
    """A console on which square brackets and colons in names have no meaning.

    Parameters
    ----------
    width : int
        Columns where the output is no terminal.
    stderr : bool
        Whether it is standard error, else standard output.
    """
    is_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(
        width=None if is_terminal else width, stderr=stderr, markup=False, emoji=False
    )  # fmt: skip
