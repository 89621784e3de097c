"""Columns of instruction fields against the instructions, one by one."""

from itertools import product

import numpy as np
import pytest

from vta.config import INSN_BYTES, VTAConfig
from vta.isa import TOKEN_QUEUES, Alu, AluOpcode, Finish, Gemm, Isa, Load, MemId, Store, TokenCounts
from vta.sim.timing.constants import Pipeline
from vta.sim.timing.fields import columns, heads

CFG = VTAConfig.preset("default")
ISA = Isa.of(CFG)
QUEUES = [queue.name for queue in TOKEN_QUEUES]


def words(instructions):
    return np.frombuffer(ISA.encode_all(instructions), "<u8").reshape(-1, INSN_BYTES // 8)


@pytest.mark.parametrize("kind", [Load, Store, Gemm, Alu, Finish])
def test_heads(kind):
    """The module, and the tokens, as the instruction says."""
    found = []
    for flags in product((False, True), repeat=4):
        tokens = dict(zip(("pop_prev", "pop_next", "push_prev", "push_next"), flags, strict=True))
        if kind is Load:
            found += [Load(memory=memory, x_size=1, y_size=1, **tokens) for memory in MemId]
        elif kind is Store:
            found += [Store(memory=MemId.OUT, x_size=1, y_size=1, **tokens)]
        elif kind is Alu:
            found += [Alu(alu_opcode=AluOpcode.MAX, imm=-1, use_imm=True, uop_end=1, **tokens)]
        elif kind is Gemm:
            found += [Gemm(uop_bgn=1, uop_end=3, iter_out=5, iter_in=7, **tokens)]
        elif not any(flags):
            found += [Finish()]
    for insn, head in zip(found, heads(CFG, words(found)).T.tolist(), strict=True):
        opcode, is_transfer, memory, module, pops, pushes, decode = head
        assert (opcode, module) == (insn.opcode, insn.module)
        assert is_transfer == isinstance(insn, Load | Store)
        assert memory == (insn.memory if is_transfer else 0)
        assert bits(pops) == set(TokenCounts.popped_by(insn))
        assert bits(pushes) == set(TokenCounts.pushed_by(insn))
        in_compute = insn.module.name == "COMPUTE"
        assert decode == (Pipeline.RANGES_NO_ACCESS if in_compute else 0)


def bits(value):
    return {name for number, name in enumerate(QUEUES) if value >> number & 1}


def test_columns():
    """Of both halves of the word; a sign is cut off."""
    insns = [
        Load(memory=MemId.INP, sram_base=n, dram_base=1000 + n, x_size=2 * n, y_size=3, x_stride=9)
        for n in range(1, 5)
    ]
    names = ("sram_base", "dram_base", "y_size", "x_size", "x_stride")
    found = columns(CFG, words(insns), "memory", names)
    assert found.T.tolist() == [[getattr(insn, name) for name in names] for insn in insns]
    alu = [Alu(alu_opcode=AluOpcode.ADD, use_imm=True, imm=-3, uop_end=1, iter_in=4)]
    width = ISA.alu["imm"].width
    found = columns(CFG, words(alu), "alu", ("iter_in", "use_imm", "imm"))
    assert found[:, 0].tolist() == [4, 1, (1 << width) - 3]
