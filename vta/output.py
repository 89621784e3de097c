"""Standard output that cannot take what a command prints: full disks, closed pipes, encodings."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["reported_output"]


@contextlib.contextmanager
def reported_output() -> Iterator[None]:
    """Around a whole command: a failure to print or to use a file is one line and exit code 1.

    A reader that goes away (``| head``) is no failure worth a line. Characters that the encoding of
    standard output does not have are printed as escapes.

    Raises
    ------
    SystemExit
        With exit code 1, after an OSError.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:  # None: closed by the caller, `>&-`
                sys.stdout.flush()
    except OSError as error:
        _discard_output()
        if error.errno != errno.EPIPE:
            place = f"use {os.fsdecode(error.filename)}" if error.filename else "write the output"
            with contextlib.suppress(OSError):
                print(f"Error: cannot {place}: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)


def _discard_output() -> None:
    """What is still in the buffer of standard output goes nowhere, instead of failing again when
    the interpreter ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
