"""What a worker process of Dask runs: groups of calls, if it has the version of the search."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vta.tuning.identity import identity

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["dask_setup", "results_of", "version"]


def dask_setup(worker: Any) -> None:
    """Called by Dask when a worker process of :func:`open_engine` starts: Ctrl-C in a terminal
    reaches all processes, and the process of the command ends its workers."""
    del worker

    def stay(number: int, frame: FrameType | None) -> None:
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # no word on closed connections

    # A function, unlike SIG_IGN, is not inherited: compilers that a task has started still end.
    signal.signal(signal.SIGINT, stay)


def version() -> str:
    """On a worker: its version."""
    return identity()


def results_of(
    expected: str, calls: list[tuple[Callable[..., Any], tuple[Any, ...]]]
) -> tuple[str, str, list[tuple[Any, Exception | None]]]:
    """On a worker: the address, the version, and the result and the error of each call; no
    results if the version is not the expected one."""
    from distributed import get_worker

    where, ours = get_worker().address, identity()
    if ours != expected:
        return where, ours, []
    results: list[tuple[Any, Exception | None]] = []
    for function, arguments in calls:
        try:
            results.append((function(*arguments), None))
        except Exception as error:
            results.append((None, error))
    return where, ours, results
