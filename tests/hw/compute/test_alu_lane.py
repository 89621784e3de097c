"""A lane of the ALU: every operation at the edges of its operands, against the slow executor."""

import random
from dataclasses import dataclass
from itertools import product

import pytest

from tests.support.hwpeers import simulate
from tests.support.slow_model import LANE
from vta.hw.compute.alu_lane import EX1_OPERATIONS, AluLane
from vta.isa import AluOpcode

TOP, BOTTOM = 2**31 - 1, -(2**31)
EDGES = [0, 1, -1, 2, -2, 31, 32, 33, -31, -32, -33, 63, 64, -64, 65536, -65537, TOP, BOTTOM,
         BOTTOM + 1, 0x12345678, -0x12345678]  # fmt: skip


@dataclass(frozen=True)
class Operation:
    """Stimulus and expected result."""

    opcode: AluOpcode
    x: int
    y: int
    result: int


BY_HAND = [
    Operation(AluOpcode.MIN, -1, 1, -1),
    Operation(AluOpcode.MAX, -1, 1, 1),
    Operation(AluOpcode.ADD, 40, 2, 42),
    Operation(AluOpcode.ADD, TOP, 1, BOTTOM),
    Operation(AluOpcode.MUL, -6, 7, -42),
    Operation(AluOpcode.MUL, 65536, 65536, 0),
    Operation(AluOpcode.MUL, 65537, 65537, 131073),
    Operation(AluOpcode.SHR, 84, 1, 42),
    Operation(AluOpcode.SHR, -85, 1, -43),
    Operation(AluOpcode.SHR, -1, 1000, -1),
    Operation(AluOpcode.SHR, 21, -1, 42),
    Operation(AluOpcode.SHR, 1, -31, BOTTOM),
    Operation(AluOpcode.SHR, -1, -32, 0),
]


def compute(operations):
    """Pairs of the results in EX1 and in EX2, one operation a cycle; then a cycle without one."""
    dut = AluLane()
    results = []

    async def testbench(ctx):
        ctx.set(dut.valid, 1)
        for operation in operations:
            ctx.set(dut.opcode, operation.opcode)
            ctx.set(dut.x, operation.x)
            ctx.set(dut.y, operation.y)
            ex1_result = ctx.get(dut.ex1_result)
            await ctx.tick()
            results.append((ex1_result, ctx.get(dut.ex2_result)))
        ctx.set(dut.valid, 0)
        ctx.set(dut.x, 5)
        await ctx.tick()
        assert ctx.get(dut.ex2_result) == results[-1][1], "the result is held"

    simulate(dut, testbench)
    return results


def check(operations):
    assert AluLane.LATENCY == 1
    for operation, (ex1_result, ex2_result) in zip(operations, compute(operations), strict=True):
        assert ex2_result == operation.result, operation
        if operation.opcode in EX1_OPERATIONS:
            assert ex1_result == operation.result, operation


def test_operations_by_hand():
    check(BY_HAND)


@pytest.mark.parametrize("opcode", list(AluOpcode))
def test_operations_at_the_edges(opcode):
    rng = random.Random(1)
    operands = list(product(EDGES, EDGES))
    operands += [(rng.randint(BOTTOM, TOP), rng.randint(-40, 40)) for _ in range(200)]
    operands += [(rng.randint(BOTTOM, TOP), rng.randint(BOTTOM, TOP)) for _ in range(200)]
    check([Operation(opcode, x, y, LANE[opcode](x, y)) for x, y in operands])
