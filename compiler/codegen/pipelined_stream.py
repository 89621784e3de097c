"""The ALU instructions of a block behind the first products of the next block.

The compute module issues in order: an ALU instruction waits for the products of its block, and the
products of the next block wait behind it although they need nothing of it. The GEMM core then
idles until the last ALU instruction of the block has issued. Here the ALU instructions of a block,
and the stores of their results, are held back until the next block has products for the GEMM core
to work on. An instruction that depends on what is held back, or that something held back depends
on, comes after it as before; a ring of accumulators makes the blocks independent.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vta.compiler.codegen.dependences import Access, History, OrderedStream
from vta.isa import Alu, Gemm, Instruction, Isa, Load, MemId, Store

__all__ = ["PipelinedStream"]

PRODUCTS = 128
"""Cycles of products that hide the issue of the ALU instructions of a block."""
KERNELS = 2
"""Instructions of products in front of held ones at most: the queue of the GEMM core is short."""

_Held = tuple[Instruction, int | None]
_Mask = npt.NDArray[np.bool_]


class _Footprint:
    """The entries of memories and tensors that the held instructions read and write."""

    def __init__(self) -> None:
        self._reads: dict[History, _Mask] = {}
        self._writes: dict[History, _Mask] = {}

    def add(self, access: Access) -> None:
        masks = self._writes if access.write else self._reads
        if access.history not in masks:
            masks[access.history] = np.zeros(access.history.size, np.bool_)
        masks[access.history][access.places] = True

    def conflicts(self, access: Access) -> bool:
        """Whether an access must not pass the held instructions."""
        against = (self._writes, self._reads) if access.write else (self._writes,)
        return any(
            bool(masks[access.history][access.places].any())
            for masks in against
            if access.history in masks
        )


class PipelinedStream(OrderedStream):
    """An ordered stream that holds back the end of each block.

    Parameters
    ----------
    isa, uops
        As of :class:`OrderedStream`.
    """

    def __init__(self, isa: Isa, uops: bytearray) -> None:
        super().__init__(isa, uops)
        self._held: list[_Held] = []
        self._footprint = _Footprint()
        self._kernels = self._products = 0

    def emit(self, insn: Instruction, argument: int | None = None, *, waits: bool = True) -> None:
        """Append an instruction, or hold it back if it ends a block."""
        if isinstance(insn, Alu) or (isinstance(insn, Store) and self._held):
            self._held.append((insn, argument))
            for access in self.accesses(insn, argument):
                self._footprint.add(access)
            return
        if self._held and self._conflicts(insn, argument):
            self._release()
        super().emit(insn, argument, waits=waits)
        if self._held and isinstance(insn, Gemm) and not insn.reset:
            self._kernels += 1
            self._products += insn.operations
            if self._products >= PRODUCTS or self._kernels >= KERNELS:
                self._release()

    def finish(self) -> None:
        """Append what is still held back, then FINISH."""
        self._release()
        super().finish()

    def _conflicts(self, insn: Instruction, argument: int | None) -> bool:
        if isinstance(insn, Load) and insn.memory is MemId.UOP:
            end = insn.sram_base + insn.x_size
            return any(
                isinstance(held, Alu) and held.uop_bgn < end and insn.sram_base < held.uop_end
                for held, _ in self._held
            )
        return any(map(self._footprint.conflicts, self.accesses(insn, argument)))

    def _release(self) -> None:
        held, self._held = self._held, []
        self._footprint = _Footprint()
        self._kernels = self._products = 0
        for insn, argument in held:
            super().emit(insn, argument)
