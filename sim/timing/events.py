"""The event queue of the timing model."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Events"]


class Events:
    """Calls functions in the order of their cycles; those of one cycle in the order of ``at``.

    Attributes
    ----------
    now : int
        The current cycle.
    """

    def __init__(self) -> None:
        self.now = 0
        self._heap: list[tuple[int, int, Callable[[int], None]]] = []
        self._count = 0

    def at(self, cycle: int, function: Callable[[int], None]) -> None:
        """Call ``function(cycle)`` in that cycle, which is not in the past."""
        self._count += 1
        heappush(self._heap, (max(cycle, self.now), self._count, function))

    def run(self) -> None:
        """Until no event is left."""
        heap = self._heap
        while heap:
            self.now, _, function = heappop(heap)
            function(self.now)
