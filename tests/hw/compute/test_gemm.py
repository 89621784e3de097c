"""GEMM against integer arithmetic: hazards at every distance, throughput, degenerate loops."""

import random
from functools import partial

import pytest
from amaranth.sim import Simulator

from tests.support.hwmemories import (
    machine,
    pack,
    serve_sram,
    serve_uops,
    set_uops,
    unpack,
)
from tests.support.hwpeers import Pace, send
from vta.config import VTAConfig
from vta.hw.compute.accumulate import Accumulate
from vta.hw.compute.gemm import Gemm
from vta.hw.compute.lookahead import GEMM_WRITE_LOOKAHEAD
from vta.hw.compute.sequencer import Sequencer
from vta.isa import Gemm as GemmInsn
from vta.isa import Uop
from vta.memmap import ErrorCode, Source

TINY = VTAConfig.preset("tiny")
SQUARE = VTAConfig(
    log_batch=1, log_block=1, log_inp_width=4, log_wgt_width=2, log_uop_buff_size=6,
    log_inp_buff_size=6, log_wgt_buff_size=4, log_acc_buff_size=7,
)  # fmt: skip


def run(model, insns, *, pace=1.0, port_pace=1.0, cycles=None, paired=False):
    """Runs GEMMs on the machine's memories as they are; micro-ops can be read in this share of the
    cycles (``port_pace``).

    Gives the accumulators (lists of lists), the cycles of starts, products, writes and dones, and
    the error.
    """
    cfg, isa = model.cfg, model.isa
    dut = Gemm(isa, paired=paired)
    layout = dut.start.payload.shape()
    words = [layout.from_bits(int.from_bytes(isa.encode(insn), "little")) for insn in insns]
    acc = [pack(row, 32) for row in model.acc]
    if cycles is None:
        cycles = sum(insn.operations for insn in insns) + int(4 * len(insns) / pace) + 40
    seen = {
        "start": [],
        "product": [],
        "write": [],
        "done": [],
        "soon": [],
        "error": (),
        "latency": dut.latency,
    }

    async def watch(ctx):
        signals = {
            "start": dut.start.valid & dut.start.ready, "product": dut.product,
            "write": dut.acc_write.mask, "done": dut.done, "soon": dut.acc_write_lookahead.valid,
        }  # fmt: skip
        announced, to_read = [None] * GEMM_WRITE_LOOKAHEAD, None
        for cycle in range(cycles):
            _, _, *values, code, source, addr = await ctx.tick().sample(
                *signals.values(),
                dut.acc_write_lookahead.addr,
                dut.acc_write.addr,
                dut.acc_read_lookahead.valid,
                dut.acc_read_lookahead.addr,
                dut.acc_read.en,
                dut.acc_read.addr,
                dut.error.code,
                dut.error.source,
                dut.error.addr,
            )
            events, (soon, written, will_read, read_lookahead, reads, read) = values[:5], values[5:]
            for name, value in zip(signals, events):
                if value:
                    seen[name].append(cycle)
            announced.append(soon if events[4] else None)
            assert announced.pop(0) == (written if events[2] else None), cycle
            assert to_read == (read if reads else None), cycle
            to_read = read_lookahead if will_read else None
        seen["error"] = (code, source, addr)

    memories = [
        ([pack(row, cfg.inp_width) for row in model.inp], [dut.inp_read], []),
        ([pack(row, cfg.wgt_width) for row in model.wgt], [dut.wgt_read], []),
        (acc, [dut.acc_read], [dut.acc_write]),
    ]
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    for memory, reads, writes in memories:
        peer = partial(serve_sram, memory=memory, reads=reads, writes=writes)
        sim.add_testbench(peer, background=True)
    uops = [word % 2**32 for word in model.uop]
    sim.add_testbench(
        partial(serve_uops, memory=uops, ports=[dut.uop_read], pace=Pace(port_pace, 7)),
        background=True,
    )
    sim.add_testbench(
        partial(send, stream=dut.start, items=words, pace=Pace(pace, 5)), background=True
    )
    sim.add_testbench(watch)
    sim.run()
    return [unpack(word, 32, cfg.batch * cfg.block_out) for word in acc], seen


def test_latencies():
    assert (Accumulate.ADDEND, Accumulate.LATENCY) == (3, 4)
    model = machine(TINY)
    set_uops(model, [Uop(1, 2, 3)])
    _, seen = run(model, [GemmInsn(uop_bgn=0, uop_end=1)])
    start = seen["start"][0]
    assert seen["product"] == [start + Sequencer.LATENCY]
    assert seen["write"] == [start + seen["latency"]]
    # 7 to the indices, 2 to the operands, 3 in the dot product of 4, 1 to the write
    assert seen["latency"] == 13
    assert seen["done"] == seen["write"]


@pytest.mark.parametrize("distance", range(1, 8))
@pytest.mark.parametrize("reset", [False, True])
def test_the_same_accumulator_again(distance, reset):
    """Every ``distance``-th product goes to one tile; the others to tiles of their own."""
    model = machine(TINY)
    set_uops(model, [Uop(n, n, n) for n in range(distance)])
    insns = [
        GemmInsn(uop_bgn=0, uop_end=distance, iter_in=6, src_factor_in=1, wgt_factor_in=1),
        *([GemmInsn(reset=True, uop_bgn=0, uop_end=1)] if reset else []),
        GemmInsn(uop_bgn=0, uop_end=distance, iter_in=3, src_factor_in=2),
    ]
    got, seen = run(model, insns)
    for insn in insns:
        model.gemm(insn)
    assert got == model.acc
    first = seen["product"][0]
    assert seen["product"] == [first + n for n in range(9 * distance + reset)
                               if not reset or n != 6 * distance]  # no stall  # fmt: skip
    if distance > 1:
        first = seen["write"][0]
        assert seen["write"] == list(range(first, first + 9 * distance + reset))
    else:  # a tile is written when another follows, or nothing: each instruction once
        assert len(seen["write"]) == len(insns)


@pytest.mark.parametrize("paired", [False, True], ids=["", "paired"])
@pytest.mark.parametrize("cfg", [TINY, SQUARE], ids=["tiny", "2x2x2, 16 by 4 bits"])
@pytest.mark.parametrize("pace", [1.0, 0.3])
def test_random_instructions(cfg, pace, paired):
    """Few tiles, so that almost every micro-op depends on one in the pipeline."""
    rng = random.Random(11)
    model = machine(cfg, seed=2)
    tiles = 3
    set_uops(
        model,
        [
            Uop(*(rng.randrange(n) for n in (tiles, cfg.inp_depth // 2, cfg.wgt_depth // 2)))
            for _ in range(10)
        ],
    )  # fmt: skip
    insns = []
    for _ in range(40):
        bgn = rng.randrange(11)
        insns.append(
            GemmInsn(
                reset=rng.random() < 0.15, uop_bgn=bgn, uop_end=rng.randint(bgn, min(bgn + 3, 10)),
                iter_out=rng.choice([0, 1, 1, 2]), iter_in=rng.choice([0, 1, 2, 3]),
                dst_factor_out=rng.randrange(2), dst_factor_in=rng.randrange(2),
                src_factor_in=rng.randrange(2), wgt_factor_out=rng.randrange(2),
            )
        )  # fmt: skip
    got, seen = run(model, insns, pace=pace, paired=paired)
    products = 0
    for insn in insns:
        model.gemm(insn)
        products += 0 if insn.reset else insn.operations
    assert got == model.acc
    assert len(seen["product"]) == products
    assert len(seen["done"]) == len(insns)


@pytest.mark.parametrize("port_pace", [0.5, 0.2])
def test_a_sum_is_written_before_a_pause(port_pace):
    """Each word of micro-ops is waited for; two tiles, so that what a pause looks like is often the
    tile before it."""
    rng = random.Random(12)
    model = machine(TINY, seed=3)
    set_uops(model, [Uop(rng.randrange(2), rng.randrange(8), 0) for _ in range(40)])
    insn = GemmInsn(uop_bgn=0, uop_end=40, iter_in=3, src_factor_in=1)
    got, seen = run(model, [insn], port_pace=port_pace, cycles=int(3 * 40 / port_pace) + 60)
    model.gemm(insn)
    assert len(seen["done"]) == 1
    assert seen["product"][-1] - seen["product"][0] > 3 * 40
    assert got == model.acc


def test_instructions_follow_without_a_gap():
    model = machine(TINY)
    set_uops(model, [Uop(0, 0, 0), Uop(1, 1, 1)])
    insns = [GemmInsn(uop_bgn=0, uop_end=2)] * 4 + [GemmInsn(uop_bgn=1, uop_end=2)] * 4
    _, seen = run(model, insns)
    first = seen["product"][0]
    assert seen["product"] == list(range(first, first + 12))


@pytest.mark.parametrize("nothing", [{"iter_out": 0}, {"iter_in": 0}, {"uop_bgn": 2, "uop_end": 2}])
def test_empty_loops_are_done_and_write_nothing(nothing):
    model = machine(TINY)
    insn = GemmInsn(**{"uop_bgn": 0, "uop_end": 1} | nothing)
    got, seen = run(model, [insn, insn])
    assert got == model.acc
    assert len(seen["done"]) == 2 and not seen["write"] and not seen["product"]


def test_a_reset_does_not_check_src_and_wgt():
    model = machine(TINY)
    src, wgt = TINY.inp_depth - 1, TINY.wgt_depth - 1
    set_uops(model, [Uop(2, src, wgt)])
    insn = GemmInsn(
        reset=True, uop_bgn=0, uop_end=1, iter_in=3, dst_factor_in=1, src_factor_in=src,
        wgt_factor_in=wgt,
    )  # fmt: skip
    got, seen = run(model, [insn])
    model.gemm(insn)
    assert got == model.acc
    assert seen["error"][0] == ErrorCode.NONE and not seen["product"]


def test_accumulation_wraps_at_32_bits():
    model = machine(TINY)
    model.acc[0] = [2**31 - 1, -(2**31), 2**31 - 1, -1]
    model.inp[0] = [1, 0, 0, 0]
    model.wgt[0] = [1, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0, 127, 0, 0, 0]
    set_uops(model, [Uop(0, 0, 0)])
    got, _ = run(model, [GemmInsn(uop_bgn=0, uop_end=1)])
    assert got[0] == [-(2**31), 2**31 - 1, 2**31 - 1, 126]


def test_an_index_beyond_the_end_is_an_error_and_is_not_written():
    model = machine(TINY)
    set_uops(model, [Uop(TINY.acc_depth - 2, 0, 0)])
    insn = GemmInsn(uop_bgn=0, uop_end=1, iter_in=4, dst_factor_in=1)
    got, seen = run(model, [insn])
    model.gemm(GemmInsn(uop_bgn=0, uop_end=1, iter_in=2, dst_factor_in=1))
    assert got == model.acc
    assert seen["error"] == (ErrorCode.SRAM_RANGE, Source.COMPUTE, TINY.acc_depth)
    assert not seen["done"]
