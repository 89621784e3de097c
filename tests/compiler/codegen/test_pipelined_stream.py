"""The end of a block behind the first products of the next block, where the data allows it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.compiled import check_orders, run_program
from vta.compiler.codegen.pipelined_stream import HIDING_PRODUCTS, PipelinedStream
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.ops import Requantise, Tiling, conv2d
from vta.config import VTAConfig
from vta.isa import Alu, AluOpcode, Gemm, Isa, Load, MemId, Store, Uop

CFG = VTAConfig.preset("tiny")
ISA = Isa.of(CFG)


def kinds(instructions):
    """A letter an instruction: reset, product, ALU, store."""
    letters = {Gemm: "P", Alu: "A", Store: "S"}
    return "".join(
        "R" if isinstance(insn, Gemm) and insn.reset else letters[type(insn)]
        for insn in instructions
        if type(insn) in letters
    )


@pytest.mark.parametrize(
    ("slots", "extension", "order"),
    [
        (2, 0, "RPRPAAASRPAAASRPAAASAAAS"),
        (1, 0, "RPAAAS" * 4),
        (2, 1, "PPAAASPAAASPAAASAAAS"),
        (1, 1, "PAAAS" * 4),
    ],
)
def test_blocks_of_a_convolution(slots, extension, order):
    """R: reset, P: products, A: ALU, S: store; no resets with the extension."""
    cfg = CFG.replace(extension=extension)
    tiling = Tiling(1, 4, 4, 1, "yo", 1, 2, slots)
    shape = (1, CFG.block_in, 8, 8)
    op = conv2d(
        shape, CFG.block_out, 3, cfg=cfg, requantise=Requantise(0, low=0), padding=1, tiling=tiling
    )
    program = compile_func(lower(op.schedule, op.args), cfg)
    assert kinds(program.instructions) == order
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-9, 9, operand.shape).astype(operand.dtype) for operand in op.operands]
    inputs = op.pack(*arrays)
    (tiles,), _ = run_program(program, inputs)
    np.testing.assert_array_equal(op.unpack(tiles), op.reference(*arrays))
    check_orders(program, inputs, [tiles])


def stream(*uops):
    words = bytearray(ISA.encode_uops(list(uops)).tobytes())
    made = PipelinedStream(ISA, words)
    made.emit(Load(memory=MemId.UOP, y_size=1, x_size=len(uops), x_stride=len(uops)), 9)
    return made


def alu(uop):
    return Alu(alu_opcode=AluOpcode.SHR, use_imm=True, imm=1, uop_bgn=uop, uop_end=uop + 1)


def order_of(made):
    made.finish()
    return kinds(made.instructions())


class TestOrder:
    """Two micro-ops: accumulators 0 and 1."""

    UOPS = (Uop(0, 0, 0), Uop(1, 0, 0))

    def products(self, uop, count=HIDING_PRODUCTS):
        return Gemm(uop_bgn=uop, uop_end=uop + 1, iter_in=count)

    def test_products_of_other_accumulators_pass(self):
        made = stream(*self.UOPS)
        for insn in (alu(0), self.products(1), self.products(1)):
            made.emit(insn)
        assert order_of(made) == "PAP"

    def test_few_products_are_followed_by_more(self):
        made = stream(*self.UOPS)
        for insn in (alu(0), *[self.products(1, 1)] * 3):
            made.emit(insn)
        assert order_of(made) == "PPAP"

    def test_products_of_the_same_accumulators_stay_behind(self):
        made = stream(*self.UOPS)
        for insn in (alu(0), self.products(0)):
            made.emit(insn)
        assert order_of(made) == "AP"

    def test_a_store_stays_behind_its_alu_instructions(self):
        made = stream(*self.UOPS)
        for insn, argument in (
            (alu(0), None),
            (Store(y_size=1, x_size=1, x_stride=1), 0),
            (self.products(1), None),
        ):
            made.emit(insn, argument)
        assert order_of(made) == "PAS"

    def test_a_load_of_a_stored_tensor_stays_behind(self):
        made = stream(*self.UOPS)
        for insn, argument in (
            (alu(0), None),
            (Store(y_size=1, x_size=1, x_stride=1), 0),
            (Load(memory=MemId.INP, y_size=1, x_size=1, x_stride=1), 0),
        ):
            made.emit(insn, argument)
        made.finish()
        made = [type(insn).__name__ for insn in made.instructions()]
        assert made.index("Store") < len(made) - 1 - made[::-1].index("Load")

    def test_micro_ops_of_deferred_instructions_are_not_overwritten(self):
        made = stream(*self.UOPS)
        made.emit(alu(0))
        made.emit(Load(memory=MemId.UOP, y_size=1, x_size=1, x_stride=1, dram_base=1), 9)
        made.emit(self.products(0))
        assert order_of(made) == "AP"
        made = stream(*self.UOPS)
        made.emit(alu(0))
        made.emit(
            Load(memory=MemId.UOP, sram_base=1, y_size=1, x_size=1, x_stride=1, dram_base=1), 9
        )
        made.emit(self.products(1))
        assert order_of(made) == "PA"
