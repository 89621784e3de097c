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
    from types import TracebackType

__all__ = ["report_output_errors", "reported_output"]


@contextlib.contextmanager
def reported_output() -> Iterator[None]:
    """Around a whole command: a failure to print or to use a file is one line and exit code 1.

    A reader that goes away (``| head``) is no failure worth a line. Characters that the encoding of
    standard output does not have are printed as escapes. What is written to a stream that the
    caller has closed (``>&-``) goes nowhere.

    Raises
    ------
    SystemExit
        With exit code 1, after an OSError.
    """
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        _report(error)
        sys.exit(1)


def report_output_errors() -> None:
    """The same for the rest of a script, which has no function to call inside of
    :func:`reported_output`. Nothing happens where standard output is not a file: in a notebook, or
    while it is collected."""
    if not isinstance(sys.stdout, io.TextIOWrapper):
        return
    # Line by line: a failure when the interpreter ends would come too late to be reported.
    sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
    others = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, OSError):
            _report(error)
        else:
            others(kind, error, trace)

    sys.excepthook = hook  # the exit code is 1 after it


def _open_closed_streams() -> None:
    """Standard streams that the caller has closed, which Python has as None, become the null
    device. Their descriptors, too: the next file that is opened would get them, and the output of
    other programs with them."""
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    descriptor = 0
    while descriptor <= 2:  # the lowest that is free
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)
    # Python closes them when it ends.
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _report(error: OSError) -> None:
    """One line about a failure of the system, and none about a reader that went away."""
    _discard_output()
    if error.errno != errno.EPIPE:
        place = f"use {os.fsdecode(error.filename)}" if error.filename else "write the output"
        with contextlib.suppress(OSError):
            print(f"Error: cannot {place}: {error.strerror or error}", file=sys.stderr)


def _discard_output() -> None:
    """What is still in the buffer of standard output goes nowhere, instead of failing again when
    the interpreter ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
