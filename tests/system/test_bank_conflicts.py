"""GEMM and ALU side by side on the RTL: the accumulator banks cost little at any row width."""

import numpy as np
import pytest

from tests.support.verilated import verilated
from vta.isa import Alu, AluOpcode, Finish, Gemm, Load, MemId, Uop
from vta.sim.memory import Memory

TILES = 1024
"""Tiles of the ALU instruction; GEMM works on the ones behind them."""
CYCLES_A_TILE = 1.55
"""A bound, for an ALU beside a GEMM that reads and writes an accumulator in each cycle."""


def cycles(machine, uops, *insns):
    """Cycles of a program that loads micro-ops and then executes ``insns``."""
    isa = machine.isa
    words = isa.encode_uops(uops).tobytes()
    load = Load(memory=MemId.UOP, x_size=len(uops), y_size=1, x_stride=len(uops))
    memory = Memory(0, np.frombuffer(words.ljust(4096, b"\0"), np.uint8).copy())
    return machine.run([load, *insns, Finish()], memory).cycle_count


@pytest.mark.parametrize("widths", [range(1, 129)], ids=str)
def test_alu_beside_gemm_of_any_row_width(widths):
    """GEMM walks down eight rows of a width, column by column, as a convolution does. Beside a GEMM
    of CYCLES_A_TILE products for each tile of the ALU, the ALU costs next to nothing."""
    machine = verilated("default")
    alu = Alu(
        alu_opcode=AluOpcode.MAX, use_imm=True, uop_bgn=8, uop_end=9, iter_in=TILES, dst_factor_in=1
    )
    too_slow = {}
    for width in widths:
        uops = [*(Uop(TILES + row * width, 0, 0) for row in range(8)), Uop(0, 0, 0)]
        products_a_column = -(-int(TILES * CYCLES_A_TILE) // width)
        gemm = Gemm(
            uop_bgn=0,
            uop_end=8,
            iter_out=width,
            dst_factor_out=1,
            iter_in=-(-products_a_column // 8),
        )
        cost = cycles(machine, uops, gemm, alu) - cycles(machine, uops, gemm)
        if cost > 60:
            too_slow[width] = cost
    assert not too_slow
