"""Statistics of the simulators, accumulated over the runs of this process's local sessions."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from vta.run_result import Counters

if TYPE_CHECKING:
    from vta.run_result import RunResult

__all__ = ["clear_stats", "enabled", "record", "stats"]

_lock = threading.Lock()
_counters = Counters()
_cycles: int | None = None


def enabled() -> bool:
    """Whether there is a simulator: always, it is part of the package."""
    return True


def record(result: RunResult) -> None:
    """Add one run."""
    global _counters, _cycles
    with _lock:
        _counters = _counters + result.counters
        if result.cycle_count is not None:
            _cycles = (_cycles or 0) + result.cycle_count


def stats() -> dict[str, int]:
    """The seven counters since :func:`clear_stats`, and ``cycle_count`` if the RTL ran."""
    with _lock:
        out = _counters.as_dict()
        if _cycles is not None:
            out["cycle_count"] = _cycles
        return out


def clear_stats() -> None:
    """Start again at zero."""
    global _counters, _cycles
    with _lock:
        _counters, _cycles = Counters(), None
