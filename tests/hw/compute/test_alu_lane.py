"""A lane of the ALU: every operation at the edges of its operands, against the slow executor."""

import random
from dataclasses import dataclass
from itertools import cycle, product

import pytest

from tests.support.hwpeers import bench
from tests.support.slow_model import LANE
from vta.hw.compute.alu_lane import EX1_OPERATIONS, WB_OPERATIONS, AluLane
from vta.isa import AluOpcode, Limits, Scale

TOP, BOTTOM = 2**31 - 1, -(2**31)
WIDE = Limits().immediate
EDGES = [0, 1, -1, 2, -2, 31, 32, 33, -31, -32, -33, 63, 64, -64, 65536, -65537, TOP, BOTTOM,
         BOTTOM + 1, 0x12345678, -0x12345678]  # fmt: skip


@dataclass(frozen=True)
class Operation:
    """Stimulus and expected result."""

    opcode: AluOpcode
    x: int
    y: int
    result: int
    imm: int = 0


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
    Operation(AluOpcode.REQUANTISE, 100, Scale(3, 2).word, 75, WIDE),
    Operation(AluOpcode.REQUANTISE, 5, Scale(1, 1).word, 3, WIDE),  # 2.5, halves up
    Operation(AluOpcode.REQUANTISE, -5, Scale(1, 1).word, -2, WIDE),
    Operation(AluOpcode.REQUANTISE, -5, Scale(-1, 1, 10).word, 13, WIDE),
    Operation(AluOpcode.REQUANTISE, BOTTOM, Scale(-(2**15), 47).word, 1, WIDE),
    Operation(AluOpcode.REQUANTISE, BOTTOM, Scale(2**15 - 1, 63, -9).word, -9, WIDE),
    Operation(AluOpcode.REQUANTISE, 300, Scale(1, 0, -100).word, 127, WIDE),
    Operation(AluOpcode.REQUANTISE, -300, Scale(1, 0, -100).word, 0, Limits(0, 127).immediate),
]


PARTS = {
    "": {}, "wide_luts": {"wide_luts": True}, "dsp48": {"dsp48": True, "wide_luts": True},
}  # fmt: skip


@pytest.fixture(params=PARTS)
def part(request):
    """The options of the lane for a kind of parts."""
    return PARTS[request.param]


def compute(operations, part=PARTS[""]):
    """The results in EX1, in EX2 and in WB, one operation a cycle; then a cycle without one."""
    block = bench(AluLane, **part)
    dut = block.dut
    in_ex2, in_wb = [], []

    async def testbench(ctx):
        ctx.set(dut.valid, 1)
        for operation in operations:
            ctx.set(dut.operation, {operation.opcode.name.lower(): 1})
            ctx.set(dut.x, operation.x)
            ctx.set(dut.y, operation.y)
            ex1_result = ctx.get(dut.ex1_result)
            await ctx.tick()
            in_ex2.append((ex1_result, ctx.get(dut.ex2_result)))
            in_wb.append(ctx.get(dut.wb_result))
            ctx.set(dut.limits, operation.imm & 0xFFFF)  # the operation is in EX2 now
            ctx.set(dut.is_requantise, operation.opcode in WB_OPERATIONS)
        ctx.set(dut.valid, 0)
        ctx.set(dut.x, 5)
        await ctx.tick()
        in_wb.append(ctx.get(dut.wb_result))
        assert ctx.get(dut.ex2_result) == in_ex2[-1][1], "the result is held"

    block.run(testbench)
    return [(*pair, wb_result) for pair, wb_result in zip(in_ex2, in_wb[1:], strict=True)]


def check(operations, part):
    assert AluLane.LATENCY == 1
    for operation, results in zip(operations, compute(operations, part), strict=True):
        ex1_result, ex2_result, wb_result = results
        if operation.opcode in WB_OPERATIONS:
            assert wb_result == operation.result, operation
        else:
            assert ex2_result == operation.result, operation
            assert wb_result == 0, operation
        if operation.opcode in EX1_OPERATIONS:
            assert ex1_result == operation.result, operation


def test_operations_by_hand(part):
    check(BY_HAND, part)


@pytest.mark.parametrize("opcode", list(AluOpcode))
def test_operations_at_the_edges(opcode, part):
    rng = random.Random(1)
    operands = list(product(EDGES, EDGES))
    operands += [(rng.randint(BOTTOM, TOP), rng.randint(-40, 40)) for _ in range(200)]
    operands += [(rng.randint(BOTTOM, TOP), rng.randint(BOTTOM, TOP)) for _ in range(200)]
    third = [WIDE, Limits(-3, 100).immediate, 0x7F80 - 2**15, 0] if opcode.is_ternary else [0]
    operations = [
        Operation(opcode, x, y, LANE[opcode](x, y, *([imm] if opcode.is_ternary else [])), imm)
        for (x, y), imm in zip(operands, cycle(third))
    ]
    check(operations, part)


def test_requantise_at_every_shift(part):
    """Products of every size around the limits of 8 bits, and halves, against plain integers."""
    rng, operations = random.Random(2), []
    for shift in range(64):
        for _ in range(40):
            multiplier = rng.choice([1, -1, 2**15 - 1, -(2**15), rng.randint(-(2**15), 2**15 - 1)])
            value = (rng.randint(-600, 600) << shift >> 1) // (multiplier or 1) + rng.randint(-1, 1)
            x = max(BOTTOM, min(TOP, value))
            y = Scale(multiplier, shift, rng.choice([0, -128, 127, rng.randint(-128, 127)])).word
            imm = rng.choice([WIDE, rng.randint(-(2**15), 2**15 - 1)])
            result = LANE[AluOpcode.REQUANTISE](x, y, imm)
            operations.append(Operation(AluOpcode.REQUANTISE, x, y, result, imm))
    check(operations, part)


def test_operations_of_all_kinds_in_turn(part):
    """What an operation leaves in the registers does not reach the result of the next one."""
    rng = random.Random(3)
    operations = []
    for _ in range(1500):
        opcode = rng.choice(list(AluOpcode))
        x, y, imm = rng.choice(EDGES), rng.choice([*EDGES, rng.randint(BOTTOM, TOP)]), WIDE
        result = LANE[opcode](x, y, *([imm] if opcode.is_ternary else []))
        operations.append(Operation(opcode, x, y, result, imm))
    check(operations, part)
