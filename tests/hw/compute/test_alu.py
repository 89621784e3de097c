"""The ALU against integer arithmetic: every operation at its edges, hazards at every distance."""

import random
from functools import partial
from itertools import product

import pytest
from amaranth.sim import Simulator

from tests.support.hwmemories import (
    machine,
    pack,
    serve_banks,
    serve_uops,
    set_uops,
    unpack,
)
from tests.support.hwpeers import Pace, send
from tests.support.slow_model import LANE
from vta.config import VTAConfig
from vta.hw.compute.alu import Alu
from vta.hw.compute.alu_lane import AluLane
from vta.hw.compute.alu_pipeline import AluPipeline
from vta.hw.compute.sequencer import Sequencer
from vta.isa import Alu as AluInsn
from vta.isa import AluOpcode, Uop
from vta.memmap import ErrorCode, Source

TINY = VTAConfig.preset("tiny")
TOP, BOTTOM = 2**31 - 1, -(2**31)
EDGES = [0, 1, -1, 2, -2, 31, 32, 33, -31, -32, -33, 63, 64, -64, 65536, -65537, TOP, BOTTOM,
         BOTTOM + 1, 0x12345678, -0x12345678]  # fmt: skip
LONG = (AluOpcode.SHR, AluOpcode.MUL)


@pytest.mark.parametrize("opcode", list(AluOpcode))
def test_lane(opcode):
    dut = AluLane()
    rng = random.Random(1)
    cases = list(product(EDGES, EDGES))
    cases += [(rng.randint(BOTTOM, TOP), rng.randint(-40, 40)) for _ in range(200)]
    cases += [(rng.randint(BOTTOM, TOP), rng.randint(BOTTOM, TOP)) for _ in range(200)]

    async def testbench(ctx):
        assert AluLane.LATENCY == 1
        ctx.set(dut.valid, 1)
        ctx.set(dut.opcode, opcode)
        for x, y in cases:
            ctx.set(dut.x, x)
            ctx.set(dut.y, y)
            if opcode not in LONG:
                assert ctx.get(dut.ex1_result) == LANE[opcode](x, y), (x, y)
            await ctx.tick()
            assert ctx.get(dut.ex2_result) == LANE[opcode](x, y), (x, y)
        ctx.set(dut.valid, 0)
        ctx.set(dut.x, 5)
        await ctx.tick()
        assert ctx.get(dut.ex2_result) == LANE[opcode](*cases[-1])

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()


def run(model, insns, *, pace=1.0, grants=1.0):
    """Runs ALU instructions, with each bank free in this share of the cycles; gives the
    accumulators, the cycles of events, and the error."""
    cfg, isa = model.cfg, model.isa
    dut = Alu(isa)
    layout = dut.start.payload.shape()
    words = [layout.from_bits(int.from_bytes(isa.encode(insn), "little")) for insn in insns]
    acc = [pack(row, 32) for row in model.acc]
    operations = sum(insn.operations for insn in insns)
    cycles = int(2 * operations / grants**2) + int(4 * len(insns) / pace) + 40
    seen = {"start": [], "tile": [], "write": [], "done": [], "error": ()}

    async def watch(ctx):
        signals = {
            "start": dut.start.valid & dut.start.ready, "tile": dut.tile,
            "write": dut.acc_write.mask, "done": dut.done,
        }  # fmt: skip
        signals |= {
            "both": dut.dst_read.en & dut.src_read.en, "dst": dut.dst_read.addr,
            "src": dut.src_read.addr, "busy": dut.dst_reserved, "at": dut.acc_write.addr,
            "soon": dut.acc_write_lookahead.valid, "soon_at": dut.acc_write_lookahead.addr,
        }  # fmt: skip
        announced, busy = None, [0] * AluPipeline.LATENCY
        for cycle in range(cycles):
            _, _, *values, code, source, addr = await ctx.tick().sample(
                *signals.values(), dut.error.code, dut.error.source, dut.error.addr
            )
            now = dict(zip(signals, values))
            dst, src, at = now["dst"], now["src"], now["at"]
            assert not now["both"] or dst == src or dst % 4 != src % 4, "one bank, two tiles"
            assert announced == (at if now["write"] else None), cycle
            announced = now["soon_at"] if now["soon"] else None
            busy.append(now["busy"])
            began = busy.pop(0)
            assert not (now["write"] and began >> at % 4 & 1), "dst went to a busy bank"
            for name in seen.keys() & now.keys():
                if now[name]:
                    seen[name].append(cycle)
        seen["error"] = (code, source, addr)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    uops = [word % 2**32 for word in model.uop]
    for peer in (
        partial(serve_uops, memory=uops, ports=[dut.uop_read]),
        partial(
            serve_banks, memory=acc,
            reads=[(dut.dst_read, dut.dst_reserved), (dut.src_read, dut.src_reserved)],
            writes=[dut.acc_write], pace=Pace(grants, 6),
        ),
    ):  # fmt: skip
        sim.add_testbench(peer, background=True)
    sim.add_testbench(
        partial(send, stream=dut.start, items=words, pace=Pace(pace, 5)), background=True
    )
    sim.add_testbench(watch)
    sim.run()
    return [unpack(word, 32, cfg.batch * cfg.block_out) for word in acc], seen


def check(model, insns, **options):
    got, seen = run(model, insns, **options)
    for insn in insns:
        model.alu(insn)
    assert got == model.acc
    assert len(seen["tile"]) == sum(insn.operations for insn in insns)
    assert len(seen["done"]) == len(insns)
    return seen


def test_latencies():
    assert (AluPipeline.LATENCY, Alu.LATENCY) == (4, 12)
    model = machine(TINY)
    seen = check(model, [AluInsn(uop_bgn=0, uop_end=1, use_imm=True, imm=3)])
    assert seen["write"] == seen["done"] == [seen["start"][0] + Alu.LATENCY]


@pytest.mark.parametrize("use_imm", [True, False])
@pytest.mark.parametrize("opcode", list(AluOpcode))
def test_independent_tiles_run_at_one_a_cycle(opcode, use_imm):
    model = machine(TINY)
    half = TINY.acc_depth // 2
    set_uops(model, [Uop(0, half, 0)])
    insn = AluInsn(
        alu_opcode=opcode, use_imm=use_imm, imm=-3, uop_bgn=0, uop_end=1, iter_in=half,
        dst_factor_in=1, src_factor_in=1,
    )  # fmt: skip
    seen = check(model, [insn, insn])
    # Both walk through the same banks: once, src goes a cycle ahead.
    assert seen["tile"] == list(range(seen["tile"][0], seen["tile"][0] + 2 * half))
    assert seen["tile"][0] - seen["start"][0] == Sequencer.LATENCY + 1 + (not use_imm)


@pytest.mark.parametrize("offset", range(4))
def test_operands_in_any_banks_run_at_one_a_cycle(offset):
    model = machine(TINY)
    half = TINY.acc_depth // 2
    set_uops(model, [Uop(0, half + offset, 0)])
    insn = AluInsn(
        alu_opcode=AluOpcode.ADD, uop_bgn=0, uop_end=1, iter_in=half - 4, dst_factor_in=1,
        src_factor_in=1,
    )  # fmt: skip
    seen = check(model, [insn, insn])
    assert seen["tile"][-1] - seen["tile"][0] <= 1.05 * 2 * (half - 4)


def test_operands_that_stay_in_one_bank_take_two_cycles():
    model = machine(TINY)
    half, tiles = TINY.acc_depth // 2, TINY.acc_depth // 8
    set_uops(model, [Uop(0, half, 0)])
    insn = AluInsn(
        alu_opcode=AluOpcode.ADD, uop_bgn=0, uop_end=1, iter_in=tiles, dst_factor_in=4,
        src_factor_in=4,
    )  # fmt: skip
    seen = check(model, [insn])
    assert seen["tile"][-1] - seen["tile"][0] == 2 * (tiles - 1)


@pytest.mark.parametrize("distance", range(1, 8))
@pytest.mark.parametrize("opcode", list(AluOpcode))
@pytest.mark.parametrize("operand", ["dst", "src"])
def test_a_tile_written_right_before(operand, opcode, distance):
    """Each micro-op reads, as dst or as src, what the micro-op ``distance`` before it wrote."""
    model = machine(TINY, seed=3)
    if operand == "dst":
        uops = [Uop(n, 21 + n, 0) for n in range(distance)]  # in different banks
        insn = AluInsn(alu_opcode=opcode, uop_bgn=0, uop_end=distance, iter_in=6, src_factor_in=4)
    else:
        uops = [Uop(distance, 0, 0)]
        insn = AluInsn(
            alu_opcode=opcode, uop_bgn=0, uop_end=1, iter_in=20, dst_factor_in=1, src_factor_in=1
        )
    set_uops(model, uops)
    seen = check(model, [insn])
    stalls = seen["tile"][-1] - seen["tile"][0] + 1 - len(seen["tile"])
    waits = distance == 1 and opcode in LONG
    assert stalls == (len(seen["tile"]) - 1 if waits else 0)


def test_dst_and_src_are_the_same_new_tile():
    model = machine(TINY)
    set_uops(model, [Uop(1, 1, 0)])
    for opcode in AluOpcode:
        check(model, [AluInsn(alu_opcode=opcode, uop_bgn=0, uop_end=1, iter_in=7)])


@pytest.mark.parametrize("grants", [1.0, 0.7, 0.3])
@pytest.mark.parametrize("pace", [1.0, 0.3])
def test_random_instructions(pace, grants):
    rng = random.Random(5)
    model = machine(TINY, seed=4)
    tiles = 5
    for row in model.acc[:tiles:2]:  # amounts that shift by less than everything
        row[:] = [rng.randint(-35, 35) for _ in row]
    set_uops(model, [Uop(rng.randrange(tiles), rng.randrange(tiles), 0) for _ in range(10)])
    insns = []
    for _ in range(80):
        bgn = rng.randrange(11)
        insns.append(
            AluInsn(
                alu_opcode=rng.choice(list(AluOpcode)), use_imm=rng.random() < 0.5,
                imm=rng.choice([0, 1, -1, 7, -8, 31, -31, 32, -32, 2**15 - 1, -(2**15)]),
                reset=rng.random() < 0.2, uop_bgn=bgn, uop_end=rng.randint(bgn, min(bgn + 3, 10)),
                iter_out=rng.choice([0, 1, 1, 2]), iter_in=rng.choice([0, 1, 2, 3]),
                dst_factor_out=rng.randrange(2), dst_factor_in=rng.randrange(2),
                src_factor_out=rng.randrange(2), src_factor_in=rng.randrange(2),
            )
        )  # fmt: skip
    check(model, insns, pace=pace, grants=grants)


def test_an_immediate_does_not_wait_for_src():
    model = machine(TINY)
    set_uops(model, [Uop(1, 0, 0)])
    insn = AluInsn(
        alu_opcode=AluOpcode.SHR, use_imm=True, imm=1, uop_bgn=0, uop_end=1, iter_in=9,
        dst_factor_in=1, src_factor_in=1,
    )  # fmt: skip
    seen = check(model, [insn])
    assert seen["tile"] == list(range(seen["tile"][0], seen["tile"][0] + 9))


def test_an_immediate_does_not_check_src():
    model = machine(TINY)
    top = TINY.acc_depth - 1
    set_uops(model, [Uop(0, top, 0)])
    insn = AluInsn(
        alu_opcode=AluOpcode.ADD, use_imm=True, imm=-5, uop_bgn=0, uop_end=1, iter_in=3,
        src_factor_in=top,
    )  # fmt: skip
    check(model, [insn])


@pytest.mark.parametrize("operand", ["dst", "src"])
def test_an_index_beyond_the_end_is_an_error_and_is_not_written(operand):
    model = machine(TINY)
    set_uops(model, [Uop(**{operand: TINY.acc_depth - 2})])
    factor = {f"{operand}_factor_in": 1}
    got, seen = run(model, [AluInsn(uop_bgn=0, uop_end=1, iter_in=4, **factor)])
    model.alu(AluInsn(uop_bgn=0, uop_end=1, iter_in=2, **factor))
    assert got == model.acc
    assert seen["error"] == (ErrorCode.SRAM_RANGE, Source.COMPUTE, TINY.acc_depth)
    assert not seen["done"]
