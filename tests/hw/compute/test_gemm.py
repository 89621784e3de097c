"""GEMM against integer arithmetic: hazards at every distance, throughput, degenerate loops."""

import random

import pytest

from tests.support.gemm_bench import run_gemm
from tests.support.hwmemories import machine, set_uops
from vta.config import VTAConfig
from vta.hw.compute.accumulate import Accumulate
from vta.hw.compute.gemm import TileProduct
from vta.hw.compute.sequencer import Sequencer
from vta.isa import Gemm as GemmInsn
from vta.isa import Uop
from vta.memmap import ErrorCode, Source

TINY = VTAConfig.preset("tiny")
SQUARE = VTAConfig(
    log_batch=1, log_block=1, log_inp_width=4, log_wgt_width=2, log_uop_buff_size=6,
    log_inp_buff_size=6, log_wgt_buff_size=4, log_acc_buff_size=7,
)  # fmt: skip


def test_latencies():
    """7 cycles to the indices, 2 to the operands, 3 to the sums, 2 to the write."""
    assert Sequencer.LATENCY == 7
    assert TileProduct.latency(TINY) == 2 + 3
    assert (Accumulate.ADDEND, Accumulate.LATENCY) == (3, 5)
    model = machine(TINY)
    set_uops(model, [Uop(1, 2, 3)])
    ran = run_gemm(model, [GemmInsn(uop_bgn=0, uop_end=1)])
    (start,) = ran.starts
    assert ran.latency == 14
    assert ran.products == [start + 7]
    assert ran.dones == [start + 13]
    assert ran.writes == [start + 14]


@pytest.mark.parametrize("distance", range(1, 8))
@pytest.mark.parametrize("reset", [False, True])
def test_raw_hazards_do_not_stall(distance, reset):
    """Each ``distance``-th product accumulates into the same tile; the others into other tiles."""
    model = machine(TINY)
    set_uops(model, [Uop(n, n, n) for n in range(distance)])
    insns = [
        GemmInsn(uop_bgn=0, uop_end=distance, iter_in=6, src_factor_in=1, wgt_factor_in=1),
        *([GemmInsn(reset=True, uop_bgn=0, uop_end=1)] if reset else []),
        GemmInsn(uop_bgn=0, uop_end=distance, iter_in=3, src_factor_in=2),
    ]
    ran = run_gemm(model, insns)
    for insn in insns:
        model.gemm(insn)
    assert ran.accumulators == model.acc

    # An operation a cycle; the reset, after the first six rounds, is no product.
    first, operations = ran.products[0], 9 * distance + reset
    issued = [first + n for n in range(operations)]
    if reset:
        del issued[6 * distance]
    assert ran.products == issued


@pytest.mark.parametrize(
    ("distance", "writes"),
    [(1, 1), (2, 12), (3, 18)],  # in place: one write an instruction
)
def test_only_the_last_of_consecutive_sums_is_written(distance, writes):
    model = machine(TINY)
    set_uops(model, [Uop(n, n, n) for n in range(distance)])
    ran = run_gemm(model, [GemmInsn(uop_bgn=0, uop_end=distance, iter_in=6)])
    assert len(ran.writes) == writes
    assert ran.writes[-1] == ran.products[-1] + ran.latency - Sequencer.LATENCY


@pytest.mark.parametrize("dsp48", [False, True], ids=["", "dsp48"])
@pytest.mark.parametrize(
    "cfg",
    [TINY, SQUARE, TINY.replace(extension=0)],
    ids=["tiny", "2x2x2, 16 by 4 bits", "no extension"],
)
@pytest.mark.parametrize("probability", [1.0, 0.3])
def test_random_instructions(cfg, probability, dsp48):
    """Few tiles: almost each micro-op has a RAW hazard with an older one in the pipeline."""
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
        reset = rng.random() < 0.15
        insns.append(
            GemmInsn(
                start=bool(cfg.extension) and not reset and rng.random() < 0.4,
                reset=reset, uop_bgn=bgn, uop_end=rng.randint(bgn, min(bgn + 3, 10)),
                iter_out=rng.choice([0, 1, 1, 2]), iter_in=rng.choice([0, 1, 2, 3]),
                dst_factor_out=rng.randrange(2), dst_factor_in=rng.randrange(2),
                src_factor_in=rng.randrange(2), wgt_factor_out=rng.randrange(2),
            )
        )  # fmt: skip
    ran = run_gemm(model, insns, start_probability=probability, dsp48=dsp48)
    products = 0
    for insn in insns:
        model.gemm(insn)
        products += 0 if insn.reset else insn.operations
    assert ran.accumulators == model.acc
    assert len(ran.products) == products
    assert len(ran.dones) == len(insns)


@pytest.mark.parametrize("start", [False, True], ids=["", "start"])
@pytest.mark.parametrize("port_probability", [0.5, 0.2])
def test_a_sum_is_written_before_a_gap(port_probability, start):
    """Each word of micro-ops stalls the sequencer. There are two tiles, so the address in a gap is
    often that of the tile in front of the gap, which must be written all the same."""
    rng = random.Random(12)
    model = machine(TINY, seed=3)
    set_uops(model, [Uop(rng.randrange(2), rng.randrange(8), 0) for _ in range(40)])
    insn = GemmInsn(start=start, uop_bgn=0, uop_end=40, iter_in=3, src_factor_in=1)
    ran = run_gemm(
        model, [insn], port_probability=port_probability, cycles=int(3 * 40 / port_probability) + 60
    )
    model.gemm(insn)
    assert len(ran.dones) == 1
    assert ran.products[-1] - ran.products[0] > 3 * 40
    assert ran.accumulators == model.acc


@pytest.mark.parametrize(
    ("dsts", "reads"),
    [
        ([0, 0, 0, 1, 1, 1], 0),  # two runs, each in place
        ([0, 1, 0, 1, 0, 1], 0),  # each product is a run of its own
        ([0, 0, 1, 0, 0, 0], 0),  # the second run of tile 0 forgets the first
    ],
)
def test_a_started_sum_overwrites_and_reads_nothing(dsts, reads):
    model = machine(TINY, seed=4)
    assert any(model.acc[0]) and any(model.acc[1])
    set_uops(model, [Uop(dst, n, n) for n, dst in enumerate(dsts)])
    insn = GemmInsn(start=True, uop_bgn=0, uop_end=len(dsts))
    ran = run_gemm(model, [insn])
    for dst in set(dsts):
        last_run = len(dsts) - 1 - dsts[::-1].index(dst)
        while last_run and dsts[last_run - 1] == dst:
            last_run -= 1
        run = [n for n in range(last_run, len(dsts)) if set(dsts[last_run : n + 1]) == {dst}]
        model.acc[dst] = [
            sum(
                model.inp[n][k] * model.wgt[n][c * TINY.block_in + k]
                for n in run
                for k in range(TINY.block_in)
            )
            for c in range(TINY.block_out)
        ]
    assert ran.accumulators == model.acc
    assert len(ran.reads) == reads
    first = ran.products[0]
    assert ran.products == list(range(first, first + len(dsts)))


def test_a_started_sum_ends_with_its_instruction():
    """The next instruction starts anew, or adds, also where it continues with the same tile."""
    model = machine(TINY, seed=5)
    set_uops(model, [Uop(3, 1, 2)])
    start, add = (GemmInsn(start=flag, uop_bgn=0, uop_end=1) for flag in (True, False))
    empty = GemmInsn(uop_bgn=1, uop_end=1)
    product = [
        sum(model.inp[1][k] * model.wgt[2][c * TINY.block_in + k] for k in range(TINY.block_in))
        for c in range(TINY.block_out)
    ]
    for insns, sums in (([start, start], 1), ([start, add], 2), ([start, empty, start, add], 2)):
        assert run_gemm(model, insns).accumulators[3] == [sums * value for value in product]


def test_instructions_follow_without_a_gap():
    model = machine(TINY)
    set_uops(model, [Uop(0, 0, 0), Uop(1, 1, 1)])
    insns = [GemmInsn(uop_bgn=0, uop_end=2)] * 4 + [GemmInsn(uop_bgn=1, uop_end=2)] * 4
    ran = run_gemm(model, insns)
    first = ran.products[0]
    assert ran.products == list(range(first, first + 12))


@pytest.mark.parametrize("nothing", [{"iter_out": 0}, {"iter_in": 0}, {"uop_bgn": 2, "uop_end": 2}])
def test_empty_loops_are_done_and_write_nothing(nothing):
    model = machine(TINY)
    insn = GemmInsn(**{"uop_bgn": 0, "uop_end": 1} | nothing)
    ran = run_gemm(model, [insn, insn])
    assert ran.accumulators == model.acc
    assert len(ran.dones) == 2 and not ran.writes and not ran.products


def test_a_reset_does_not_check_src_and_wgt():
    model = machine(TINY)
    src, wgt = TINY.inp_depth - 1, TINY.wgt_depth - 1
    set_uops(model, [Uop(2, src, wgt)])
    insn = GemmInsn(
        reset=True, uop_bgn=0, uop_end=1, iter_in=3, dst_factor_in=1, src_factor_in=src,
        wgt_factor_in=wgt,
    )  # fmt: skip
    ran = run_gemm(model, [insn])
    model.gemm(insn)
    assert ran.accumulators == model.acc
    assert ran.error[0] == ErrorCode.NONE and not ran.products


def test_accumulation_wraps_at_32_bits():
    model = machine(TINY)
    model.acc[0] = [2**31 - 1, -(2**31), 2**31 - 1, -1]
    model.inp[0] = [1, 0, 0, 0]
    model.wgt[0] = [1, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0, 127, 0, 0, 0]
    set_uops(model, [Uop(0, 0, 0)])
    ran = run_gemm(model, [GemmInsn(uop_bgn=0, uop_end=1)])
    assert ran.accumulators[0] == [-(2**31), 2**31 - 1, 2**31 - 1, 126]


def test_an_index_beyond_the_end_is_an_error_and_is_not_written():
    model = machine(TINY)
    set_uops(model, [Uop(TINY.acc_depth - 2, 0, 0)])
    insn = GemmInsn(uop_bgn=0, uop_end=1, iter_in=4, dst_factor_in=1)
    ran = run_gemm(model, [insn])
    model.gemm(GemmInsn(uop_bgn=0, uop_end=1, iter_in=2, dst_factor_in=1))
    assert ran.accumulators == model.acc
    assert ran.error == (ErrorCode.SRAM_RANGE, Source.COMPUTE, TINY.acc_depth)
    assert not ran.dones
