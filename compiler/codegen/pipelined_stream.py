"""Software pipelining of blocks: the ALU instructions of a block follow the next block's products.

The compute module issues in order. An ALU instruction waits for the products of its block, and the
products of the next block wait behind that ALU instruction, although they do not depend on it. The
GEMM core would idle until the last ALU instruction of the block has issued. Therefore the ALU
instructions of a block and the stores of their results are deferred until the GEMM core has
products of the next block, or, in a program without products, until the accumulators of the next
block are being loaded: their loads then overlap with the ALU instructions. An instruction that has
a hazard with a deferred instruction stays behind the deferred instruction. A ring buffer of
accumulators makes blocks independent.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vta.compiler.codegen.dependences import Access, AccessHistory, DataOrderedStream
from vta.compiler.codegen.early_start import Emission, Place, early_start, is_products, loaded_uops
from vta.compiler.tir.ir import EarlyStart
from vta.isa import Alu, Gemm, Instruction, Isa, Load, MemId, Store
from vta.program_sources import InstructionSource

__all__ = ["PipelinedStream"]

HIDING_PRODUCTS = 128
"""Cycles of products in front of deferred instructions that hide the issue of the latter."""
MAX_GEMMS = 2
"""Most GEMM instructions in front of deferred instructions: the queue of the GEMM core is short."""

ACCUMULATOR_LOADS = (MemId.ACC, MemId.ACC_8BIT)

_Deferred = tuple[Instruction, int | None, list[Access], InstructionSource | None]
"""An instruction, its argument, its accesses, and what emitted it."""
_Mask = npt.NDArray[np.bool_]


class _AccessMasks:
    """The entries of memories and tensors that the deferred instructions read and write."""

    def __init__(self) -> None:
        self._reads: dict[AccessHistory, _Mask] = {}
        self._writes: dict[AccessHistory, _Mask] = {}

    def add(self, access: Access) -> None:
        masks = self._writes if access.write else self._reads
        if access.history not in masks:
            masks[access.history] = np.zeros(access.history.size, np.bool_)
        masks[access.history][access.places] = True

    def has_hazard(self, access: Access) -> bool:
        """Whether an access has a hazard with a deferred instruction."""
        against = (self._writes, self._reads) if access.write else (self._writes,)
        return any(
            bool(masks[access.history][access.places].any())
            for masks in against
            if access.history in masks
        )


class PipelinedStream(DataOrderedStream):
    """A stream that defers the ALU instructions and stores at the end of each block.

    Parameters
    ----------
    isa, uops
        As of :class:`DataOrderedStream`.
    start : EarlyStart
        How the program begins; by default, in the order of the instructions that are given.
    place : callable
        Finds a place in the micro-op memory, as of :func:`early_start`; needed if ``start`` has
        parts or rows.
    """

    def __init__(
        self,
        isa: Isa,
        uops: bytearray,
        start: EarlyStart | None = None,
        place: Place | None = None,
    ) -> None:
        super().__init__(isa, uops)
        self._place = place
        self._start = start or EarlyStart()
        self._head: list[Emission] | None = None if self._start == EarlyStart() else []
        self._steps = 0  # GEMM instructions that were given, with products
        self._deferred: list[_Deferred] = []
        self._masks = _AccessMasks()
        self._gemms = self._products = 0
        self._loaded = False  # accumulators, since an instruction was deferred

    def emit(
        self, insn: Instruction, argument: int | None = None, *, takes_pops: bool = True
    ) -> None:
        """Append an instruction, or defer it: an ALU instruction, or a store behind one; or keep
        it until the next products, where the program begins in another order."""
        if self._head is None:
            self._emit_pipelined(insn, argument, takes_pops=takes_pops)
            return
        self._head.append(Emission(insn, argument, takes_pops, self.source))
        if is_products(insn):
            loaded = loaded_uops(self._uops, self._head, self._table)
            assert self._place is not None
            head = early_start(
                self._head, self._start, self._isa, loaded, self._place, first=not self._steps
            )
            self._steps += 1
            self._release_head(head)
            self._head = [] if self._steps < self._start.steps else None

    def _release_head(self, head: list[Emission]) -> None:
        """Append the instructions that were kept."""
        source = self.source
        for each in head:
            self.source = each.source
            self._emit_pipelined(each.insn, each.argument, takes_pops=each.takes_pops)
        self.source = source

    def _emit_pipelined(self, insn: Instruction, argument: int | None, *, takes_pops: bool) -> None:
        accesses = self.accesses(insn, argument)
        if isinstance(insn, Alu) or (isinstance(insn, Store) and self._deferred):
            if isinstance(insn, Alu) and self._loaded:
                self._release()
            self._deferred.append((insn, argument, accesses, self.source))
            for access in accesses:
                self._masks.add(access)
            return
        if self._deferred and self._has_hazard(insn, accesses):
            self._release()
        self._emit(insn, argument, accesses, takes_pops=takes_pops)
        if self._deferred and isinstance(insn, Load) and insn.memory in ACCUMULATOR_LOADS:
            self._loaded = True
        if self._deferred and isinstance(insn, Gemm) and not insn.reset:
            self._gemms += 1
            self._products += insn.operations
            if self._products >= HIDING_PRODUCTS or self._gemms >= MAX_GEMMS:
                self._release()

    def finish(self) -> None:
        """Append the deferred instructions, then FINISH."""
        if self._head is not None:
            self._release_head(self._head)
            self._head = None
        self._release()
        super().finish()

    def _has_hazard(self, insn: Instruction, accesses: list[Access]) -> bool:
        if isinstance(insn, Load) and insn.memory is MemId.UOP:
            end = insn.sram_base + insn.x_size
            return any(
                isinstance(deferred, Alu)
                and deferred.uop_bgn < end
                and insn.sram_base < deferred.uop_end
                for deferred, *_ in self._deferred
            )
        return any(map(self._masks.has_hazard, accesses))

    def _release(self) -> None:
        deferred, self._deferred = self._deferred, []
        self._masks = _AccessMasks()
        self._gemms = self._products = 0
        self._loaded = False
        source = self.source
        for insn, argument, accesses, self.source in deferred:
            self._emit(insn, argument, accesses)
        self.source = source
