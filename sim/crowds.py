"""Random programs that give a module more at once than it has room for: full queues, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vta.config import INSN_QUEUE_DEPTH
from vta.isa import Alu, AluOpcode, Load, MemId, Module, Store

from .fuzz import IMMEDIATES, ProgramWriter, RandomProgram

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from vta.config import VTAConfig

__all__ = ["crowded_program"]

MANY = 48
"""Transfers, or rows of one, that follow each other: more than may be under way."""
BUSY = 4 * INSN_QUEUE_DEPTH
"""Cycles of work in which a queue fills: fetch takes two beats and more for an instruction."""


def crowded_program(
    cfg: VTAConfig, rng: random.Random, *, steps: int = 24, max_operations: int = 48
) -> RandomProgram:
    """As :func:`vta.sim.fuzz.random_program`; some of the steps are up to 550 instructions."""
    return _CrowdedWriter(cfg, rng, max_operations).write(steps)


class _CrowdedWriter(ProgramWriter):
    def kinds(self) -> dict[Callable[[], object], float]:
        crowds: dict[Callable[[], object], float] = {
            self._fill_queue: 1, self._many_rows: 2, self._many_transfers: 3, self._work: 2,
        }  # fmt: skip
        return {**super().kinds(), **crowds}

    def _fill_queue(self) -> None:
        """Let a module work, or wait, for so long that its queue fills."""
        module = self.rng.choice(list(Module))
        zero_uop, _ = self._region(MemId.UOP)
        load = Load(memory=MemId.UOP, dram_base=zero_uop, y_size=1, x_size=1, x_stride=1)
        self._emit(load, reads=[], writes=[])
        self.uops[0] = 0
        work = Alu(
            alu_opcode=AluOpcode.ADD, use_imm=True, imm=self.rng.choice(IMMEDIATES),
            uop_bgn=0, uop_end=1, iter_out=BUSY // 64, iter_in=64,
        )  # fmt: skip
        acc = (self.accesses[MemId.ACC], 0)
        self._emit(work, reads=[acc], writes=[acc])
        if module is not Module.COMPUTE:
            self.stream.order(Module.COMPUTE, self.stream.count(Module.COMPUTE), module)
        for _ in range(INSN_QUEUE_DEPTH + 8):
            self.stream.emit(self.stream.nop(module))

    def _many_rows(self) -> None:
        self._transfer(self._memory(), MANY)

    def _many_transfers(self) -> None:
        memory = self._memory()
        for _ in range(MANY):
            self._transfer(memory, 1)

    def _work(self) -> None:
        """More for GEMM, or for the ALU, than their queues hold."""
        work = self.rng.choice((self._gemm, self._alu))
        for _ in range(16):
            work()

    def _memory(self) -> MemId:
        return self.rng.choice([memory for memory in MemId if memory is not MemId.UOP])

    def _transfer(self, memory: MemId, rows: int) -> None:
        """Rows of an element, somewhere, if they fit, with gaps between them or all the same."""
        rng, depth = self.rng, self.depth[memory]
        first, available = self._region(memory)
        rows = min(rows, depth)
        stride = rng.choice((0, min(3, (available - 1) // rows)))
        where: dict[str, Any] = {
            "sram_base": rng.randrange(depth - rows + 1),
            "dram_base": first + rng.randrange(available - (rows - 1) * stride),
            "y_size": rows, "x_size": 1, "x_stride": stride,
        }  # fmt: skip
        if memory is MemId.OUT:
            self._emit_store(Store(**where))
        else:
            self._emit_load(Load(memory=memory, **where))
