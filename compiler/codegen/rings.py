"""The slots of a ring buffer: the choice of the next slot, and the data that each slot holds."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

__all__ = ["Ring"]


class Ring:
    """The slots of one ring buffer while code is generated.

    Parameters
    ----------
    slots : int
        Number of slots.
    """

    def __init__(self, slots: int) -> None:
        self._holds: list[tuple[Hashable, ...]] = [()] * slots
        self._next = 0

    def take(self, contents: tuple[Hashable, ...]) -> tuple[int, bool]:
        """The slot for ``contents``, and whether the slot holds these contents already.

        Contents that no slot holds go to the least recently filled slot. Empty contents (``()``)
        stand for a slot that is computed, not loaded; no slot holds them.
        """
        if contents and contents in self._holds:
            return self._holds.index(contents), True
        slot = self._next
        self._next = (slot + 1) % len(self._holds)
        self._holds[slot] = contents
        return slot, False

    def forget(self, stale: Callable[[Any], bool]) -> None:
        """Discard the contents of each slot of which a part is ``stale``."""
        self._holds = [() if any(map(stale, contents)) else contents for contents in self._holds]
