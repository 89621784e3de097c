"""Long commands that Ctrl-C or SIGTERM ends: a message says what is kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from vta.errors import TuningError

__all__ = ["interruptible"]


@contextmanager
def interruptible(kept: Callable[[], str]) -> Iterator[None]:
    """Inside, SIGTERM is handled as Ctrl-C is, so that worker processes and files are closed.

    Parameters
    ----------
    kept : callable
        ``kept()``: what is kept, and how the work goes on.

    Raises
    ------
    TuningError
        On Ctrl-C and SIGTERM.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, end) if main else None
    try:
        yield
    except KeyboardInterrupt:
        raise TuningError(f"interrupted; {kept()}") from None
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)
