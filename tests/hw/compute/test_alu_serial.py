"""The ALU without multipliers: the same results, and the cycles of each operation."""

import random

import pytest

from tests.hw.compute.test_alu import check
from tests.hw.compute.test_alu_lane import BOTTOM, BY_HAND, EDGES, TOP, WIDE, Operation
from tests.support.alu_programs import random_alu_program
from tests.support.hwmemories import machine, set_uops
from tests.support.hwpeers import bench
from tests.support.slow_model import LANE
from vta.config import VTAConfig
from vta.hw.compute.alu_lane import EX1_OPERATIONS, WB_OPERATIONS, AluLane
from vta.hw.compute.alu_serial import DIGITS, FACTOR_DIGITS, product_period
from vta.isa import Alu as AluInsn
from vta.isa import AluOpcode, Scale, Uop

TINY = VTAConfig.preset("tiny").replace(alu_multiplier=0)
MACHINES = {
    "all-lanes": TINY,
    "a-lane": TINY.replace(log_alu_beats=2),
    "one-bank": TINY.replace(log_acc_banks=0),
    "base-set": TINY.replace(extension=0),
    "a-lane-of-one-bank-in-base-set": TINY.replace(log_alu_beats=2, log_acc_banks=0, extension=0),
}
PRODUCTS = [opcode for opcode in AluOpcode if opcode not in EX1_OPERATIONS]


def results(operations):
    """The results in EX2 and in WB of operations with a product, one after the other."""
    block = bench(lambda: AluLane(multiplies=False))
    dut, out = block.dut, []

    async def testbench(ctx):
        for operation in operations:
            ctx.set(dut.operation, {operation.opcode.name.lower(): 1})
            ctx.set(dut.x, operation.x)
            ctx.set(dut.y, operation.y)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.step, 1)
            digits = DIGITS if operation.opcode is AluOpcode.MUL else FACTOR_DIGITS
            await ctx.tick().repeat(digits)
            ctx.set(dut.step, 0)
            ctx.set(dut.valid, 1)
            await ctx.tick()
            ctx.set(dut.valid, 0)
            ctx.set(dut.limits, operation.imm & 0xFFFF)
            ctx.set(dut.is_requantise, operation.opcode in WB_OPERATIONS)
            in_ex2 = ctx.get(dut.ex2_result)
            await ctx.tick()
            out.append(ctx.get(dut.wb_result) if operation.opcode in WB_OPERATIONS else in_ex2)

    block.run(testbench)
    return out


def test_operations_by_hand():
    operations = [one for one in BY_HAND if one.opcode in PRODUCTS]
    assert len(operations) > 12
    assert results(operations) == [one.result for one in operations]


@pytest.mark.parametrize("opcode", PRODUCTS)
def test_operations_at_the_edges(opcode):
    rng = random.Random(1)
    operands = [(x, y) for x in EDGES[::2] for y in EDGES]
    operands += [(rng.randint(BOTTOM, TOP), rng.randint(-40, 40)) for _ in range(100)]
    operands += [(rng.randint(BOTTOM, TOP), rng.randint(BOTTOM, TOP)) for _ in range(100)]
    if opcode is AluOpcode.REQUANTISE:
        operands += [
            (rng.randint(-(2**20), 2**20),
             Scale(rng.choice([1, -1, 2**15 - 1, -(2**15), 77]), shift, rng.randint(-9, 9)).word)
            for shift in range(64) for _ in range(3)
        ]  # fmt: skip
    third = [WIDE] if opcode.is_ternary else []
    operations = [
        Operation(opcode, x, y, LANE[opcode](x, y, *third), sum(third)) for x, y in operands
    ]
    assert results(operations) == [one.result for one in operations]


@pytest.mark.parametrize("name", ["all-lanes", "a-lane"])
@pytest.mark.parametrize("opcode", AluOpcode)
def test_cycles_of_an_instruction(opcode, name):
    """And that operations without a product take no more than with multipliers."""
    cfg = MACHINES[name]
    model = machine(cfg)
    set_uops(model, [Uop(0, 32, 0)])
    insn = AluInsn(
        alu_opcode=opcode, uop_bgn=0, uop_end=1, iter_in=9, dst_factor_in=1, src_factor_in=1
    )
    trace = check(model, [insn])
    period = product_period(opcode) if opcode in PRODUCTS else 1
    assert trace.issue_span == 8 * cfg.alu_beats * period + 1
    assert {AluOpcode.MUL: 22, AluOpcode.SHR: 15, AluOpcode.REQUANTISE: 15}.get(opcode, 1) == period


@pytest.mark.parametrize("opcode", PRODUCTS)
def test_a_chain_of_micro_ops_on_one_tile(opcode):
    for both in (False, True):
        model = machine(TINY, seed=2)
        set_uops(model, [Uop(0, 0 if both else 32, 0)])
        check(model, [AluInsn(alu_opcode=opcode, uop_bgn=0, uop_end=1, iter_in=6)])


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize(
    ("start_probability", "bank_probability"), [(1.0, 1.0), (0.3, 0.7), (1.0, 0.3)]
)
def test_random_instructions(start_probability, bank_probability, name):
    """Writes are announced, and only into banks that were free when they were promised."""
    model, insns = random_alu_program(MACHINES[name], 40)
    check(model, insns, start_probability=start_probability, bank_probability=bank_probability)
