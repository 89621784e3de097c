"""Access ranges of instructions against an enumeration of their accesses; latencies."""

import random

import pytest

from tests.support.access_range_bench import (
    NO_RANGES,
    Ranges,
    enumerated,
    run_access_ranges,
    unit_of,
)
from vta.config import VTAConfig
from vta.isa import Alu, Finish, Gemm, Isa, Load, MemId, Uop

CFG = VTAConfig.preset("tiny")
ISA = Isa.of(CFG)
FULL = CFG.acc_depth - 1


UOPS = [Uop(dst, src, 0) for dst, src in ((9, 3), (4, 8), (6, 5), (7, 1))]
SIZES = {"x_size": 3, "y_size": 2}
RANGES = {
    "the bounds of all micro-ops": (Gemm(uop_end=4), Ranges((4, 9), None, (0, 3))),
    "the bounds of two micro-ops": (Gemm(uop_bgn=2, uop_end=4), Ranges((6, 7), None, (2, 3))),
    "both loops": (
        Gemm(uop_end=4, iter_out=3, dst_factor_out=10, iter_in=2, dst_factor_in=1),
        Ranges((4, 9 + 20 + 1), None, (0, 3)),
    ),
    "two operands": (
        Alu(uop_end=4, iter_in=4, dst_factor_in=2, src_factor_in=3),
        Ranges((4, 9 + 6), (1, 8 + 9), (0, 3)),
    ),
    "an immediate": (Alu(uop_end=4, use_imm=True), Ranges((4, 9), None, (0, 3))),
    "no micro-ops": (Gemm(uop_bgn=2, uop_end=2), NO_RANGES),
    "no iterations": (Alu(uop_end=4, iter_out=0), NO_RANGES),
    "a LOAD": (Load(memory=MemId.ACC, sram_base=5, **SIZES), Ranges(writes=(5, 5 + 6 - 1))),
    "padding": (
        Load(memory=MemId.ACC, sram_base=5, x_pad_0=1, x_pad_1=2, y_pad_0=1, y_pad_1=3, **SIZES),
        Ranges(writes=(5, 5 + 6 * 6 - 1)),
    ),
    "a LOAD of micro-ops": (
        Load(memory=MemId.UOP, sram_base=1, **SIZES), Ranges(uops=(1, 1 + 6 - 1)),
    ),
    "a LOAD of no columns": (Load(memory=MemId.ACC, y_size=2), NO_RANGES),
    "a LOAD of no rows": (Load(memory=MemId.ACC, x_size=2), NO_RANGES),
    "FINISH": (Finish(), NO_RANGES),
}  # fmt: skip


@pytest.mark.parametrize("name", RANGES)
def test_ranges(name):
    insn, expected = RANGES[name]
    assert enumerated(CFG, insn, UOPS) == expected  # the enumeration is right
    (request,) = run_access_ranges(ISA, [insn], UOPS)
    assert request.ranges == expected
    assert request.unit == unit_of(insn)


LATENCIES = [
    (Load(memory=MemId.UOP), 5),
    (Finish(), 5),
    (Load(memory=MemId.ACC, x_size=9, y_size=1), 5),
    (Load(memory=MemId.ACC, x_size=9, y_size=2), 8),
    (Gemm(uop_end=4), 13),
    (Gemm(uop_end=5), 14),  # a word more
    (Alu(uop_end=4, use_imm=True), 13),
    (Alu(uop_end=4), 13),
]
CACHED_LATENCIES = [(Gemm(uop_end=4), 9), (Alu(uop_end=4, use_imm=True), 9), (Alu(uop_end=4), 11)]


@pytest.mark.parametrize(("insn", "latency"), LATENCIES)
def test_latency(insn, latency):
    (request,) = run_access_ranges(ISA, [insn], UOPS)
    assert request.cycle == latency


@pytest.mark.parametrize(("insn", "latency"), CACHED_LATENCIES)
def test_latency_with_cached_bounds(insn, latency):
    """The next instruction is accepted in the cycle before the request of the older one."""
    older, younger = run_access_ranges(ISA, [Gemm(uop_end=4), insn], UOPS)
    assert younger.cycle - (older.cycle - 1) == latency


def test_four_ranges_of_micro_ops_are_cached():
    """A fifth range replaces the oldest one."""
    uops = [Uop(n, 0, 0) for n in range(40)]
    loops = [Gemm(uop_bgn=8 * n, uop_end=8 * n + 8) for n in range(5)]

    def last_latency(insns):
        *_, older, younger = run_access_ranges(ISA, insns, uops)
        return younger.cycle - older.cycle

    read = last_latency(loops)
    assert last_latency([*loops[:4], loops[0]]) == read - 5
    assert last_latency([*loops, loops[0]]) == read


def check_enumerated(insns, uops, loads=None, **options):
    """Each request has the ranges and the unit of the enumeration; ``loads`` as in
    :func:`run_access_ranges`."""
    uops = list(uops)
    requests = run_access_ranges(ISA, insns, uops, loads, **options)
    for number, (insn, request) in enumerate(zip(insns, requests, strict=True)):
        assert request.ranges == enumerated(CFG, insn, uops), (number, insn)
        assert request.unit == unit_of(insn)
        for place, uop in (loads or {}).get(number, {}).items():
            uops[place] = uop


def random_uop(rng):
    return Uop(*(rng.randrange(depth) for depth in (CFG.acc_depth, CFG.inp_depth, CFG.wgt_depth)))


def random_loop(rng):
    kind = rng.choice([Gemm, Alu, Alu])
    begin = rng.randrange(CFG.uop_depth)
    factors = [0, 1, 2, 7, CFG.acc_depth - 1]
    fields = {
        "uop_bgn": begin,
        "uop_end": min(begin + rng.choice([0, 1, 2, 3, 5, 8, 17]), CFG.uop_depth),
        "iter_out": rng.choice([0, 1, 2, 3, 9]), "iter_in": rng.choice([0, 1, 1, 2, 5]),
        **{f"{name}_factor_{loop}": rng.choice(factors)
           for name in ("dst", "src") for loop in ("out", "in")},
    }  # fmt: skip
    return kind(**fields, **({"use_imm": rng.random() < 0.4} if kind is Alu else {}))


def random_load(rng):
    return Load(
        memory=rng.choice([MemId.ACC, MemId.ACC_8BIT, MemId.UOP]),
        sram_base=rng.choice([0, 1, rng.randrange(CFG.acc_depth), CFG.acc_depth - 1, 5000]),
        x_size=rng.choice([0, 1, 2, 9]), y_size=rng.choice([0, 1, 1, 3]),
        x_pad_0=rng.randrange(3), x_pad_1=rng.randrange(3),
        y_pad_0=rng.randrange(3), y_pad_1=rng.randrange(3),
    )  # fmt: skip


@pytest.mark.parametrize("probability", [1.0, 0.5, 0.2])
def test_random_loops(probability):
    rng = random.Random(1)
    uops = [random_uop(rng) for _ in range(CFG.uop_depth)]
    check_enumerated([random_loop(rng) for _ in range(250)], uops, probability=probability)


def test_random_transfers():
    rng = random.Random(2)
    check_enumerated([random_load(rng) for _ in range(250)], [])


def test_every_range_of_micro_ops():
    """Ranges that begin and end in any lane of any of the first words, and in the last."""
    rng = random.Random(3)
    uops = [random_uop(rng) for _ in range(CFG.uop_depth)]
    insns = [Alu(uop_bgn=begin, uop_end=end) for begin in range(9) for end in range(begin, 14)]
    last = CFG.uop_depth
    insns += [Alu(uop_bgn=begin, uop_end=last) for begin in range(last - 6, last)]
    check_enumerated(insns, uops)


@pytest.mark.parametrize("seed", range(4))
def test_micro_ops_that_are_loaded_in_between(seed):
    """Ranges are remembered, but never those of micro-ops that have been replaced since."""
    rng = random.Random(seed)
    uops = [random_uop(rng) for _ in range(CFG.uop_depth)]
    loops = [random_loop(rng) for _ in range(3)]  # again and again
    insns, loads = [], {}
    for number in range(200):
        insns.append(rng.choice(loops) if rng.random() < 0.7 else random_loop(rng))
        if rng.random() < 0.3:
            base, count = rng.randrange(CFG.uop_depth - 8), rng.randint(1, 8)
            insns[-1] = Load(memory=MemId.UOP, sram_base=base, x_size=count, y_size=1)
            loads[number] = {base + n: random_uop(rng) for n in range(count)}
    check_enumerated(insns, uops, loads, probability=rng.choice([1.0, 0.6]), seed=seed)


def test_the_largest_loops_and_transfers_reach_the_end():
    """No enumeration: the sums are far beyond all memories."""
    most = {name: 2 ** ISA.alu[name].width - 1 for name in ("iter_out", "iter_in")}
    factors = {
        f"{name}_factor_{loop}": 2 ** ISA.alu[f"{name}_factor_{loop}"].width - 1
        for name in ("dst", "src") for loop in ("out", "in")
    }  # fmt: skip
    size = 2 ** ISA.memory["x_size"].width - 1
    pads = {
        name: 2 ** ISA.memory[name].width - 1
        for name in ("x_pad_0", "x_pad_1", "y_pad_0", "y_pad_1")
    }
    load = {"memory": MemId.ACC, "x_size": size}
    expected = {
        Alu(uop_end=1, **most, **factors): Ranges((3, FULL), (5, FULL), (0, 0)),
        Gemm(uop_end=1, **most, dst_factor_in=1): Ranges((3, FULL), None, (0, 0)),
        Gemm(uop_end=1, **most): Ranges((3, 3), None, (0, 0)),
        Load(sram_base=2, y_size=size, **load, **pads): Ranges(writes=(2, FULL)),
        Load(sram_base=4, y_size=1, **load): Ranges(writes=(4, FULL)),
    }
    requests = run_access_ranges(ISA, list(expected), [Uop(3, 5, 0)])
    assert [request.ranges for request in requests] == list(expected.values())


def test_instructions_without_accesses_are_requested_every_four_cycles():
    insns = [Load(memory=MemId.UOP), Load(memory=MemId.ACC), Finish()]
    requests = run_access_ranges(ISA, insns, [])
    assert [request.cycle for request in requests] == [5, 9, 13]
