"""Instruction decode: the module that executes an instruction, and its legality.

The rules are those of :meth:`vta.isa.Isa.why_illegal` (docs/hardware/machine.md).
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Module, Mux, ValueLike
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.dma.store import stored_memories
from vta.hw.interfaces import layout_of
from vta.isa import (
    INSN_BITS,
    PAD_VALUE_MEMORIES,
    RUN_OPERATIONS,
    TOKEN_FLAGS,
    Capability,
    Format,
    Isa,
    MemId,
    Opcode,
    PipelineModule,
    alu_operations_of,
)


class InstructionDecoder(wiring.Component):
    """Decodes one instruction. Combinational.

    Attributes
    ----------
    word : in
        The instruction, 128 bits.
    module : out
        The module that executes the instruction (``vta.isa.PipelineModule``).
    illegal : out
        Asserted for a word that :meth:`vta.isa.Isa.decode` or :meth:`vta.isa.Isa.why_illegal`
        rejects.
    """

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        super().__init__({"word": In(INSN_BITS), "module": Out(PipelineModule), "illegal": Out(1)})

    def elaborate(self, platform):
        m = Module()
        memory = data.View(layout_of(self.isa.memory), self.word)
        m.d.comb += self.module.eq(PipelineModule.COMPUTE)
        with m.Switch(memory.opcode):
            with m.Case(Opcode.LOAD):
                to_load = (memory.memory == MemId.INP) | (memory.memory == MemId.WGT)
                m.d.comb += [
                    self.module.eq(Mux(to_load, PipelineModule.LOAD, PipelineModule.COMPUTE)),
                    self.illegal.eq(self._bad_load(memory, to_load)),
                ]
            with m.Case(Opcode.STORE):
                m.d.comb += [
                    self.module.eq(PipelineModule.STORE),
                    self.illegal.eq(self._bad_store(memory)),
                ]
            with m.Case(Opcode.GEMM):
                gemm = data.View(layout_of(self.isa.gemm), self.word)
                m.d.comb += self.illegal.eq(
                    self._reserved(self.isa.gemm) | self._bad_range(gemm) | self._bad_start(gemm)
                )
            with m.Case(Opcode.ALU):
                alu = data.View(layout_of(self.isa.alu), self.word)
                m.d.comb += self.illegal.eq(
                    self._reserved(self.isa.alu) | self._bad_range(alu) | self._bad_operation(alu)
                )
            with m.Case(Opcode.FINISH):
                m.d.comb += self.illegal.eq(self._reserved(self.isa.finish))
            with m.Default():
                m.d.comb += self.illegal.eq(1)
        return m

    def _reserved(self, fmt: Format) -> ValueLike:
        """A bit outside of all fields is set."""
        bits = [self.word[i] for i in range(INSN_BITS) if fmt.reserved_mask >> i & 1]
        return reduce(or_, bits, 0)

    @staticmethod
    def _is_one_of(memory, memories):
        return reduce(or_, (memory == one for one in memories))

    def _bad_memory(self, insn):
        return self._reserved(self.isa.memory) | ~self._is_one_of(insn.memory, MemId)

    @staticmethod
    def _no_neighbour(insn, module):
        """A token for a neighbour that the module does not have."""
        flags = TOKEN_FLAGS[PipelineModule.COMPUTE]  # compute has both neighbours
        return reduce(or_, (insn[flag] for flag in flags if flag not in TOKEN_FLAGS[module]))

    def _bad_load(self, insn, to_load):
        no_neighbour = to_load & self._no_neighbour(insn, PipelineModule.LOAD)
        bad_memory = self._bad_memory(insn) | (insn.memory == MemId.OUT)
        if Capability.PAD_VALUE in self.isa.capabilities:
            # A pad value needs a memory that can be padded with it, and is not 0.
            load = data.View(layout_of(self.isa.pad_load), self.word)
            bad_pad = ~self._is_one_of(load.memory, PAD_VALUE_MEMORIES) | (load.pad_value == 0)
            bad_pad |= self._reserved(self.isa.pad_load)
            bad_memory = Mux(load.has_pad_value, bad_pad, bad_memory)
        return bad_memory | no_neighbour

    def _bad_store(self, insn):
        no_neighbour = self._no_neighbour(insn, PipelineModule.STORE)
        pads = (insn.y_pad_0 | insn.y_pad_1 | insn.x_pad_0 | insn.x_pad_1) != 0
        bad_memory = ~self._is_one_of(insn.memory, stored_memories(self.isa))
        bad_transfer = (insn.x_size != 0) & (bad_memory | pads)
        return self._bad_memory(insn) | no_neighbour | bad_transfer

    def _bad_operation(self, insn):
        """An operation that does not exist, a second operand of one that has one, an immediate in
        place of the second one of an operation that has three, or a run of one that cannot start.
        """

        def is_one_of(operations):
            return reduce(or_, (insn.alu_opcode == operation for operation in operations), 0)

        operations = alu_operations_of(self.isa.cfg)
        is_unary = is_one_of(operation for operation in operations if operation.is_unary)
        is_ternary = is_one_of(operation for operation in operations if operation.is_ternary)
        bad_start = 0
        if Capability.ALU_START in self.isa.capabilities:
            bad_start = insn.start & ~is_one_of(RUN_OPERATIONS)
        return (
            ~is_one_of(operations)
            | (is_unary & (~insn.use_imm | (insn.imm != 0)))
            | (is_ternary & insn.use_imm)
            | bad_start
        )

    def _bad_start(self, insn):
        """A GEMM that starts sums and resets."""
        return insn.start & insn.reset if Capability.GEMM_START in self.isa.capabilities else 0

    def _bad_range(self, insn):
        """A micro-op range that ends before it begins, or beyond the micro-op SRAM."""
        return (insn.uop_end < insn.uop_bgn) | (insn.uop_end > self.isa.cfg.uop_depth)
