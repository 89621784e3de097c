"""Where tensors lie in device memory: those that are not live together share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vta.network import PAGE

__all__ = ["LiveRange", "plan"]


@dataclass(frozen=True)
class LiveRange:
    """When a tensor holds values.

    Attributes
    ----------
    nbytes : int
    first, last : int
        Numbers of steps: that in which it is written, that in which it is read last. Both tensors
        of a step are live in it.
    """

    nbytes: int
    first: int
    last: int


def plan(ranges: Mapping[str, LiveRange]) -> tuple[dict[str, int], int]:
    """An offset for each tensor, and the bytes that all need.

    The largest tensors are placed first, each at the lowest offset that is free in its live range.

    Returns
    -------
    (dict of str to int, int)
    """
    placed: list[tuple[int, int, LiveRange]] = []
    offsets: dict[str, int] = {}
    for name, live in sorted(ranges.items(), key=lambda item: (-item[1].nbytes, item[1].first)):
        size = -(-live.nbytes // PAGE) * PAGE
        start = _lowest([(a, b) for a, b, other in placed if _together(live, other)], size)
        placed.append((start, start + size, live))
        offsets[name] = start
    return offsets, max((end for _, end, _ in placed), default=0)


def _together(one: LiveRange, other: LiveRange) -> bool:
    return one.first <= other.last and other.first <= one.last


def _lowest(taken: Sequence[tuple[int, int]], size: int) -> int:
    start = 0
    for begin, end in sorted(taken):
        if begin - start >= size:
            break
        start = max(start, end)
    return start
