"""The micro-op sequencer against nested loops: order, gaps, stalls, indices out of range."""

import random
from dataclasses import astuple

import pytest

from tests.support.hwpeers import READY_PROBABILITIES
from tests.support.sequencer_bench import expand, run_sequencer
from vta.config import VTAConfig
from vta.hw.compute.sequencer import Sequencer
from vta.isa import Gemm, Isa, Uop
from vta.memmap import ErrorCode, Source

CFG = VTAConfig.preset("tiny")
ISA = Isa.of(CFG)
DEPTHS = {"dst": CFG.acc_depth, "src": CFG.inp_depth, "wgt": CFG.wgt_depth}
NO_ERROR = (ErrorCode.NONE, 0, 0)


def expand_all(insns, uops):
    return [item for insn in insns for item in expand(insn, uops)]


def without_gap(first, count):
    return list(range(first, first + count))


def test_one_micro_op_a_cycle_without_gaps():
    uops = [Uop(d, 0, 0) for d in range(4)]
    insns = [
        Gemm(uop_bgn=0, uop_end=1, iter_out=3, iter_in=3, dst_factor_in=1),
        Gemm(uop_bgn=1, uop_end=4, iter_out=2, iter_in=1),
        Gemm(uop_bgn=2, uop_end=3),
        Gemm(uop_bgn=2, uop_end=2),  # without micro-ops: one cycle
        Gemm(uop_bgn=0, uop_end=4, iter_in=2),
    ]
    run = run_sequencer(ISA, insns, uops, cycles=60)
    assert Sequencer.LATENCY == 7
    assert run.items == expand_all(insns, uops)
    assert run.cycles == without_gap(run.starts[0] + 7, len(run.items))


@pytest.mark.parametrize(("begin", "end"), [(3, 9), (2, 15), (7, 9)])
def test_no_gap_whatever_words_the_micro_ops_are_in(begin, end):
    """One micro-op of the first and of the last word; three words in turn."""
    uops = [Uop(d, 0, 0) for d in range(16)]
    insn = Gemm(uop_bgn=begin, uop_end=end, iter_out=2, iter_in=5)
    expected = expand_all([insn, insn], uops)
    run = run_sequencer(ISA, [insn, insn], uops, cycles=len(expected) + 20)
    assert run.items == expected
    assert run.cycles == without_gap(run.starts[0] + Sequencer.LATENCY, len(expected))


@pytest.mark.parametrize("probability", [0.75, 0.4])
@pytest.mark.parametrize(("begin", "end"), [(0, 16), (3, 9), (7, 9)])
def test_a_stall_leaves_no_gap(begin, end, probability):
    """While a stalled micro-op is the last of its word, the word of the next one is not evicted."""
    uops = [Uop(d, 0, 0) for d in range(16)]
    insn = Gemm(uop_bgn=begin, uop_end=end, iter_out=2, iter_in=8)
    expected = expand_all([insn, insn], uops)
    cycles = int(len(expected) / probability * 1.2) + 60
    run = run_sequencer(ISA, [insn, insn], uops, op_probability=probability, cycles=cycles)
    assert run.items == expected
    assert [cycle for cycle in run.idle if run.cycles[0] < cycle < run.cycles[-1]] == []


@pytest.mark.parametrize(("begin", "end"), [(0, 23), (3, 8)])
def test_half_of_the_cycles_of_the_port_are_enough(begin, end):
    """Many micro-ops need the port in one cycle of four, those of two words only at first."""
    uops = [Uop(d, 0, 0) for d in range(23)]
    insn = Gemm(uop_bgn=begin, uop_end=end, iter_out=3, iter_in=7)
    expected = expand(insn, uops)
    run = run_sequencer(ISA, [insn], uops, port_probability=0.5, cycles=2 * len(expected))
    assert run.items == expected
    assert run.cycles[-1] - run.cycles[0] + 1 < 1.1 * len(expected) + 4


def random_insn(rng, uops):
    """A GEMM with all indices inside their memories."""
    bgn = rng.randrange(len(uops) + 1)
    end = rng.randint(bgn, len(uops))
    iter_out, iter_in = rng.choice([0, 1, 1, 2, 3]), rng.choice([0, 1, 2, 5])
    factors = {}
    for name, depth in DEPTHS.items():
        room = depth // 2 - 1
        factors[f"{name}_factor_out"] = rng.randint(0, room // max(2 * (iter_out - 1), 1)) % depth
        factors[f"{name}_factor_in"] = rng.randint(0, room // max(2 * (iter_in - 1), 1)) % depth
    return Gemm(
        reset=rng.random() < 0.2, uop_bgn=bgn, uop_end=end, iter_out=iter_out, iter_in=iter_in,
        **factors,
    )  # fmt: skip


def random_uops(rng, count):
    """Micro-ops with indices in the lower halves of the memories."""
    return [Uop(*(rng.randrange(depth // 2) for depth in DEPTHS.values())) for _ in range(count)]


@pytest.mark.parametrize(
    "probability", READY_PROBABILITIES.values(), ids=READY_PROBABILITIES.keys()
)
def test_random_loops(probability):
    rng = random.Random(7)
    uops = random_uops(rng, 9)
    insns = [random_insn(rng, uops) for _ in range(25)]
    expected = expand_all(insns, uops)
    cycles = int(len(expected) / probability * 1.3) + 50
    run = run_sequencer(ISA, insns, uops, op_probability=probability, cycles=cycles)
    assert run.items == expected
    assert len(run.starts) == len(insns)
    assert run.error == NO_ERROR


@pytest.mark.parametrize("port_probability", [0.5, 0.2])
def test_a_busy_port_only_costs_cycles(port_probability):
    rng = random.Random(8)
    uops = random_uops(rng, 23)
    insns = [random_insn(rng, uops) for _ in range(40)]
    expected = expand_all(insns, uops)
    run = run_sequencer(
        ISA, insns, uops, port_probability=port_probability, cycles=6 * len(expected) + 100
    )
    assert run.items == expected
    assert run.error == NO_ERROR


@pytest.mark.parametrize("loop", ["out", "in"])
@pytest.mark.parametrize("name", list(DEPTHS))
def test_the_largest_factor_from_the_last_element(name, loop):
    """The first iteration is inside; the second index is the largest that can occur."""
    top = DEPTHS[name] - 1
    uops = [Uop(**{name: top})]
    insn = Gemm(uop_end=1, **{f"iter_{loop}": 2, f"{name}_factor_{loop}": top})
    run = run_sequencer(ISA, [insn], uops, cycles=30)
    assert run.items == expand(insn, uops)[:1]
    assert run.error == (ErrorCode.SRAM_RANGE, Source.COMPUTE, 2 * top)


@pytest.mark.parametrize(
    ("factor_out", "factor_in", "inside"),
    [
        (0, 1, 4),  # 0, top, 0, top
        (1, 0, 4),  # 0, 0, top, top
        (1, 1, 3),  # 0, top, top, 2 * top
    ],
)
@pytest.mark.parametrize("name", list(DEPTHS))
def test_offsets_of_both_loops(name, factor_out, factor_in, inside):
    """Factors are 0 or the last element; two iterations of each loop."""
    top = DEPTHS[name] - 1
    factors = {f"{name}_factor_out": factor_out * top, f"{name}_factor_in": factor_in * top}
    insn = Gemm(uop_end=1, iter_out=2, iter_in=2, **factors)
    run = run_sequencer(ISA, [insn], [Uop(0, 0, 0)], cycles=30)
    assert run.items == expand(insn, [Uop(0, 0, 0)])[:inside]
    out_of_range = (ErrorCode.SRAM_RANGE, Source.COMPUTE, 2 * top)
    assert run.error == (NO_ERROR if inside == 4 else out_of_range)


@pytest.mark.parametrize("name", list(DEPTHS))
@pytest.mark.parametrize("probability", [1.0, 0.4])
def test_an_index_out_of_range_stops_the_sequencer(name, probability):
    """Micro-ops 0 and ``depth - 2 + i``, in turn: the sixth item is out of range."""
    depth = DEPTHS[name]
    uops = [Uop(0, 0, 0), Uop(**{name: depth - 2})]
    insn = Gemm(uop_bgn=0, uop_end=2, iter_in=4, **{f"{name}_factor_in": 1})
    run = run_sequencer(ISA, [insn, insn], uops, op_probability=probability, cycles=80)
    assert run.items == expand(insn, uops)[:5]
    assert depth in astuple(expand(insn, uops)[5])
    assert run.error == (ErrorCode.SRAM_RANGE, Source.COMPUTE, depth)


def test_a_reset_does_not_check_the_indices_that_it_does_not_use():
    last_src, last_wgt = CFG.inp_depth - 1, CFG.wgt_depth - 1
    insn = Gemm(
        reset=True, uop_bgn=0, uop_end=1, iter_in=5, src_factor_in=last_src, wgt_factor_in=last_wgt
    )
    run = run_sequencer(ISA, [insn], [Uop(1, last_src, last_wgt)], cycles=30)
    assert [item.dst for item in run.items] == [1] * 5
    assert run.error == NO_ERROR
