"""Loop counters and index offsets against nested loops, and the cycles of each micro-op."""

import pytest

from tests.support.hwpeers import StallGenerator, sample, simulate
from vta.config import VTAConfig
from vta.hw.compute.loop_counter import IndexOffset, LoopCounter
from vta.isa import Gemm, Isa

ISA = Isa.of(VTAConfig.preset("tiny"))


def run(insns, *, cycles, advance_probability=1.0):
    """(cycle, u, empty, last) of each micro-op that advances, and the cycle of the first start."""
    dut, advances = LoopCounter(ISA.gemm), StallGenerator(advance_probability, 1)
    layout = dut.insn.payload.shape()
    words = [layout.from_bits(int.from_bytes(ISA.encode(insn), "little")) for insn in insns]
    micro_ops, starts = [], []

    async def testbench(ctx):
        for cycle in range(cycles):
            offered = len(starts) < len(words)
            ctx.set(dut.insn.valid, offered)
            if offered:
                ctx.set(dut.insn.payload, words[len(starts)])
            ctx.set(dut.advance, advances())
            now = await sample(
                ctx, starts=dut.insn.valid & dut.insn.ready, advances=dut.valid & dut.advance,
                u=dut.u, empty=dut.empty, last=dut.last,
            )  # fmt: skip
            if now.starts:
                starts.append(cycle)
            if now.advances:
                micro_ops.append((cycle, None if now.empty else now.u, now.empty, now.last))

    simulate(dut, testbench)
    return micro_ops, starts[0]


INSNS = [
    Gemm(uop_bgn=3, uop_end=6, iter_out=2, iter_in=3),
    Gemm(uop_bgn=3, uop_end=3),
    Gemm(uop_bgn=7, uop_end=8),
    Gemm(uop_bgn=0, uop_end=2, iter_out=0),
    Gemm(uop_bgn=0, uop_end=2, iter_in=4),
]
EXPECTED = [
    *[(u, 0, 0) for u in (3, 4, 5) * 5], (3, 0, 0), (4, 0, 0), (5, 0, 1),
    (None, 1, 1),
    (7, 0, 1),
    (None, 1, 1),
    *[(u, 0, 0) for u in (0, 1) * 3], (0, 0, 0), (1, 0, 1),
]  # fmt: skip
"""(u, empty, last) of each micro-op of ``INSNS``."""


def test_a_micro_op_a_cycle():
    micro_ops, start = run(INSNS, cycles=40)
    assert LoopCounter.LATENCY == 2
    assert [micro_op for _, *micro_op in micro_ops] == [list(one) for one in EXPECTED]
    assert [cycle for cycle, *_ in micro_ops] == list(range(start + 2, start + 2 + len(EXPECTED)))


@pytest.mark.parametrize("advance_probability", [0.5, 0.1])
def test_a_stall_changes_nothing_but_the_cycles(advance_probability):
    micro_ops, _ = run(
        INSNS, cycles=int(45 / advance_probability), advance_probability=advance_probability
    )
    assert [micro_op for _, *micro_op in micro_ops] == [list(one) for one in EXPECTED]


def test_an_offset_follows_the_loops():
    steps = ["step_in", "step_in", "step_out", "step_in", "step_out", "clear", "step_in"]
    values = [0, 3, 6, 10, 13, 20, 0, 3]  # 10 * o + 3 * i
    dut, seen = IndexOffset(4), []

    async def testbench(ctx):
        ctx.set(dut.factor_out, 10)
        ctx.set(dut.factor_in, 3)
        for step in [*steps, None]:
            for port in ("step_in", "step_out", "clear"):
                ctx.set(getattr(dut, port), port == step)
            now = await sample(ctx, value=dut.value)
            seen.append(now.value)

    simulate(dut, testbench)
    assert seen == values
