"""Bank conflicts of GEMM and the ALU: the banks that GEMM reserves, and the stalls of the ALU."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from vta.sim.timing.constants import Constants
    from vta.sim.timing.work import Work

__all__ = ["BankTraffic"]

HISTORY = 64
"""GEMM instructions that are remembered: those that an instruction of the ALU can overlap."""


class BankTraffic:
    """The accumulator banks that GEMM reads and writes, cycle by cycle."""

    def __init__(self, constants: Constants) -> None:
        self.constants = constants
        self.recent: deque[tuple[int, int, Work]] = deque(maxlen=HISTORY)
        self.masks: dict[
            tuple[int, bool], tuple[object, tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]]
        ] = {}

    def add(self, work: Work, first: int) -> None:
        """GEMM executes ``work`` from its first micro-op in cycle ``first`` on."""
        if work.dst is not None:
            self.recent.append((first, first + len(work.dst), work))

    def _masks_of(self, work: Work) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
        """For each micro-op: the bank that it reads and the bank that it writes, as a bit."""
        dst = work.dst
        assert dst is not None
        key = id(dst), work.overwrites
        found = self.masks.get(key)
        if found is not None:
            return found[1]
        bits = (1 << self.constants.banks[dst]).astype(np.int8)
        reads, writes = bits.copy(), bits.copy()
        if work.overwrites:
            reads[:] = 0
        for distance in range(1, self.constants.forwarded + 1):
            reads[distance:][dst[distance:] == dst[:-distance]] = 0
        writes[:-1][dst[1:] == dst[:-1]] = 0  # deferred
        self.masks[key] = dst, (reads, writes)
        return reads, writes

    def stalls(self, work: Work, first: int, length: int) -> int:
        """Cycles that an ALU instruction stalls, whose first micro-op is offered in ``first`` and
        which takes ``length`` cycles without these stalls."""
        dst = work.dst
        if dst is None or not self.recent:
            return 0
        limits = self.constants
        begin = first + limits.alu_read
        span = 2 * length + 16
        overlapping = [
            one
            for one in self.recent
            if one[1] + limits.gemm_write >= begin and one[0] + limits.gemm_read <= begin + span
        ]
        if not overlapping:
            return 0
        source = np.zeros(span, np.int8)
        target = np.zeros(span, np.int8)
        for start, _, gemm in overlapping:
            reads, writes = self._masks_of(gemm)
            _place(source, reads, start + limits.gemm_read - begin)
            _place(target, writes, start + limits.gemm_write - limits.alu_write - begin)
        target |= source
        if not target.any():
            return 0
        dst_bits = (1 << limits.banks[dst]).tolist()
        both = target.tolist()
        cycle = stalled = 0
        if work.src is None:
            for bit in dst_bits:
                while cycle < span and both[cycle] & bit:
                    cycle += 1
                    stalled += 1
                cycle += 1
            return stalled
        reserved = source.tolist()
        for bit, other in zip(dst_bits, (1 << limits.banks[work.src]).tolist(), strict=True):
            while cycle < span and (both[cycle] & bit or reserved[cycle] & other):
                cycle += 1
                stalled += 1
            cycle += 1
        return stalled


def _place(target: npt.NDArray[np.int8], values: npt.NDArray[np.int8], offset: int) -> None:
    """``target[offset + i] |= values[i]`` where that is inside."""
    low, high = max(offset, 0), min(offset + len(values), len(target))
    if low < high:
        target[low:high] |= values[low - offset : high - offset]
