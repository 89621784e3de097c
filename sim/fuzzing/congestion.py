"""Congestion: random programs that fill queues and exceed the limits of transfers in flight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vta.config import INSN_QUEUE_DEPTH
from vta.isa import Alu, AluOpcode, Gemm, Load, MemId, PipelineModule, Store
from vta.sim.fuzzing.random_programs import (
    BINARY,
    IMMEDIATES,
    UOP_REGION,
    ProgramWriter,
    RandomProgram,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from vta.config import VTAConfig
    from vta.isa import Instruction

__all__ = ["congested_program"]

MANY = 48
"""Consecutive transfers, or rows of one transfer: more than may be in flight."""
WALK = 16
"""Micro-ops: the buffer of a unit holds eight (:mod:`vta.hw.compute.uop_memory`)."""
BUSY = 4 * INSN_QUEUE_DEPTH
"""Cycles of work in which a queue fills: fetch takes two beats and more for an instruction."""


def congested_program(
    cfg: VTAConfig, rng: random.Random, *, steps: int = 24, max_operations: int = 48
) -> RandomProgram:
    """As :func:`~vta.sim.fuzzing.random_programs.random_program`; some steps are up to 550
    instructions."""
    return _CongestedWriter(cfg, rng, max_operations).write(steps)


class _CongestedWriter(ProgramWriter):
    def kinds(self) -> dict[Callable[[], object], float]:
        congestion: dict[Callable[[], object], float] = {
            self._fill_queue: 1, self._many_rows: 2, self._many_transfers: 3, self._work: 2,
            self._run_side_by_side: 6,
        }  # fmt: skip
        return {**super().kinds(), **congestion}

    def _fill_queue(self) -> None:
        """Keep a module busy, or stalled on a token, until its queue is full."""
        module = self.rng.choice(list(PipelineModule))
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
        if module is not PipelineModule.COMPUTE:
            self.stream.order(
                PipelineModule.COMPUTE, self.stream.count(PipelineModule.COMPUTE), module
            )
        for _ in range(INSN_QUEUE_DEPTH + 8):
            self.stream.emit(self.stream.nop(module))

    def _many_rows(self) -> None:
        self._transfer(self._memory(), MANY)

    def _many_transfers(self) -> None:
        memory = self._memory()
        for _ in range(MANY):
            self._transfer(memory, 1)

    def _work(self) -> None:
        """More instructions for GEMM, or for the ALU, than its queue holds."""
        work = self.rng.choice((self._gemm, self._alu))
        for _ in range(16):
            work()

    def _run_side_by_side(self) -> None:
        """GEMM and the ALU run side by side, in one of two ways.

        Long: each runs over more micro-ops than its buffer holds. The micro-ops of GEMM are zeros,
        those of the ALU are all equal: a unit that gets a word of the other gives a wrong result.
        The loops differ in length, so that both units need their next word in the same cycle at
        some time.

        Short: GEMM makes sums of two products, whose tile is read with the first product and
        written with the second; the ALU reads another tile in each cycle. So both read one bank in
        the same cycle at some time.
        """
        rng, first = self.rng, self._region(MemId.UOP)[0]
        words = self.image[-UOP_REGION:].view("<u4")
        word = rng.randrange(words.size)
        begin = int(self.isa.uop_indices(words[word : word + 1])["dst"][0])
        size = min(WALK, self.cfg.uop_depth // 2)
        if begin == 0:
            return  # on the same accumulators one unit would stall for the other
        for place, source in ((0, 0), (size, word)):
            load = Load(
                memory=MemId.UOP, sram_base=place, dram_base=first + source,
                y_size=size, x_size=1, x_stride=0,
            )  # fmt: skip
            self._emit(load, reads=[], writes=[])
            self.uops[place : place + size] = words[source]
        ends = [size - rng.randrange(min(size, 4)) for _ in range(2)]
        short = rng.random() < 0.5
        tiles = min(self.cfg.acc_depth - begin, 8 if short else 4)
        sums = (self.accesses[MemId.ACC], slice(0, min(begin, 4)))
        gemm = Gemm(
            uop_bgn=0, uop_end=min(2, ends[0]) if short else ends[0],
            iter_out=ends[0] // 2 if short else 1, iter_in=min(begin, 4), dst_factor_in=1,
            start=bool(self.cfg.extension) and rng.random() < 0.3,
        )  # fmt: skip
        values = (self.accesses[MemId.ACC], slice(begin, begin + tiles))
        alu = Alu(
            alu_opcode=rng.choice(BINARY), use_imm=True, imm=rng.choice(IMMEDIATES),
            uop_bgn=size, uop_end=size + (1 if short else ends[1]),
            iter_out=ends[1] if short else 1, iter_in=tiles, dst_factor_in=1,
        )  # fmt: skip
        inp, wgt = (self.accesses[MemId.INP], 0), (self.accesses[MemId.WGT], 0)
        pair: list[tuple[Instruction, list[Any], list[Any]]] = [
            (gemm, [sums, inp, wgt], [sums]), (alu, [values], [values]),
        ]  # fmt: skip
        rng.shuffle(pair)
        for insn, reads, writes in pair:
            self._emit(insn, reads=reads, writes=writes)

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
