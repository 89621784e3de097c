"""What an instruction touches, as the hardware finds out, against an enumeration of its loops."""

import random
from functools import partial
from itertools import pairwise

import pytest
from amaranth.sim import Simulator

from tests.support.hwmemories import pack, serve_shared
from tests.support.hwpeers import Pace
from vta.config import VTAConfig
from vta.hw.compute.access_ranges import AccessRanges
from vta.hw.compute.issue_request import ExecutionUnit
from vta.hw.compute.uop_memory import log_lanes
from vta.isa import Alu, Finish, Gemm, Isa, Load, MemId, Uop

CFG = VTAConfig.preset("tiny")
ISA = Isa.of(CFG)
NOTHING = (None, None, None)


def touched(insn, uops):
    """(writes, reads, uops): each the set of entries, or None if there is none."""
    if isinstance(insn, Load):
        rows = insn.y_pad_0 + insn.y_size + insn.y_pad_1
        entries = set(range(rows * (insn.x_pad_0 + insn.x_size + insn.x_pad_1)))
        entries = {insn.sram_base + n for n in entries}
        if not insn.x_size or not entries:
            return NOTHING
        return (None, None, entries) if insn.memory is MemId.UOP else (entries, None, None)
    if isinstance(insn, Finish):
        return NOTHING
    dst, src, used = set(), set(), set()
    for o in range(insn.iter_out):
        for i in range(insn.iter_in):
            for n in range(insn.uop_bgn, insn.uop_end):
                used.add(n)
                dst.add(uops[n].dst + o * insn.dst_factor_out + i * insn.dst_factor_in)
                src.add(uops[n].src + o * insn.src_factor_out + i * insn.src_factor_in)
    two = isinstance(insn, Alu) and not insn.use_imm
    return (dst, src if two else None, used) if used else NOTHING


def bounds(entries, depth):
    """The range of a set of entries; what is beyond the memory counts as its last."""
    return entries and tuple(min(end, depth - 1) for end in (min(entries), max(entries)))


def unit_of(insn):
    if isinstance(insn, Load) and insn.x_size:
        return ExecutionUnit.LOAD
    return {Gemm: ExecutionUnit.GEMM, Alu: ExecutionUnit.ALU}.get(type(insn), ExecutionUnit.NONE)


def run(insns, uops, loads=None, *, pace=1.0, seed=0):
    """What comes out for each instruction: (cycle, unit, (writes, reads, uops)).

    ``loads``: for the number of a LOAD of micro-ops, what it writes, {place: micro-op}. It does so
    some time after it came out; until then these places hold rubbish.
    """
    dut, rng = AccessRanges(ISA), random.Random(seed)
    lanes = 1 << log_lanes(CFG.log_uop_depth)
    words = [0] * (CFG.uop_depth // lanes)
    came, loads = [], loads or {}

    def put(place, word):
        shift = 32 * (place % lanes)
        old = words[place // lanes]
        words[place // lanes] = old & ~((2**32 - 1) << shift) | pack([word], 32) << shift

    for place, uop in enumerate(uops):
        put(place, ISA.encode_uop(uop))

    async def testbench(ctx):
        queue = [int.from_bytes(ISA.encode(insn), "little") for insn in insns]
        loading, ready = [], Pace(pace, seed + 1)  # (places, end) of LOADs on their way
        pending = False
        for cycle in range(200_000):
            if len(came) == len(insns):
                return
            takes, offers = ready(), bool(queue)
            ctx.set(dut.insn.valid, offers)
            ctx.set(dut.insn.payload, queue[0] if queue else 0)
            ctx.set(dut.request.ready, takes)
            work, valid = dut.request.payload, ctx.get(dut.request.valid)
            on_their_way = [places for places, _ in loading]
            if valid:
                assert ctx.get(work.insn) == int.from_bytes(ISA.encode(insns[len(came)]), "little")
                on_their_way.append(loads.get(len(came), {}))
            ctx.set(dut.uop_hazard, pending)  # of the cycle before
            needs = ctx.get(dut.uops)
            places = range(needs.begin, needs.end)
            pending = any(n in there for there in on_their_way for n in places)
            if valid and takes:
                ranges = tuple(
                    (one.low, one.high) if one.used else None
                    for one in (ctx.get(work.ranges[name]) for name in ("writes", "reads", "uops"))
                )
                if there := loads.get(len(came)):
                    loading.append((there, cycle + rng.randrange(40)))
                    for place in there:
                        put(place, rng.getrandbits(32))
                came.append((cycle, ctx.get(work.unit), ranges))
            if ctx.get(dut.insn.ready) and offers:
                queue.pop(0)
            await ctx.tick()
            if loading and loading[0][1] <= cycle:
                for place, uop in loading.pop(0)[0].items():
                    put(place, ISA.encode_uop(uop))
        raise AssertionError("nothing comes any more")

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(
        partial(serve_shared, memory=words, reads=[dut.uop_read], pace=Pace(pace, seed + 2)),
        background=True,
    )
    sim.add_testbench(testbench)
    sim.run()
    return came


def check(insns, uops, loads=None, **options):
    """Runs it and compares all ranges; gives the cycles."""
    came, uops = run(insns, uops, loads, **options), list(uops)
    depths = (CFG.acc_depth, CFG.acc_depth, CFG.uop_depth)
    for number, (insn, (_, unit, ranges)) in enumerate(zip(insns, came, strict=True)):
        expected = (bounds(*pair) for pair in zip(touched(insn, uops), depths))
        assert ranges == tuple(expected), (number, insn)
        assert unit == unit_of(insn)
        for place, uop in (loads or {}).get(number, {}).items():
            uops[place] = uop
    return [cycle for cycle, _, _ in came]


def random_uop(rng):
    return Uop(*(rng.randrange(depth) for depth in (CFG.acc_depth, CFG.inp_depth, CFG.wgt_depth)))


def random_nest(rng):
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


@pytest.mark.parametrize("pace", [1.0, 0.5, 0.2])
def test_random_nests(pace):
    rng = random.Random(1)
    uops = [random_uop(rng) for _ in range(CFG.uop_depth)]
    check([random_nest(rng) for _ in range(250)], uops, pace=pace)


def test_random_transfers():
    rng = random.Random(2)
    check([random_load(rng) for _ in range(250)], [])


def test_every_range_of_micro_ops():
    """Whatever words it begins and ends in."""
    rng = random.Random(3)
    uops = [random_uop(rng) for _ in range(CFG.uop_depth)]
    insns = [Alu(uop_bgn=begin, uop_end=end) for begin in range(9) for end in range(begin, 14)]
    last = CFG.uop_depth
    insns += [Alu(uop_bgn=begin, uop_end=last) for begin in range(last - 6, last)]
    check(insns, uops)


@pytest.mark.parametrize("seed", range(4))
def test_micro_ops_that_are_loaded_in_between(seed):
    """Ranges are remembered, but never those of micro-ops that have been replaced since."""
    rng = random.Random(seed)
    uops = [random_uop(rng) for _ in range(CFG.uop_depth)]
    nests = [random_nest(rng) for _ in range(3)]  # again and again
    insns, loads = [], {}
    for number in range(200):
        insns.append(rng.choice(nests) if rng.random() < 0.7 else random_nest(rng))
        if rng.random() < 0.3:
            base, count = rng.randrange(CFG.uop_depth - 8), rng.randint(1, 8)
            insns[-1] = Load(memory=MemId.UOP, sram_base=base, x_size=count, y_size=1)
            loads[number] = {base + n: random_uop(rng) for n in range(count)}
    check(insns, uops, loads, pace=rng.choice([1.0, 0.6]), seed=seed)


def test_the_largest_loops_and_transfers_reach_the_end():
    """Sums are not enumerated here: they are far beyond every memory."""
    most = {name: 2 ** ISA.alu[name].width - 1 for name in ("iter_out", "iter_in")}
    factors = {
        f"{name}_factor_{loop}": 2 ** ISA.alu[f"{name}_factor_{loop}"].width - 1
        for name in ("dst", "src") for loop in ("out", "in")
    }  # fmt: skip
    uop = Uop(3, 5, 0)
    size = 2 ** ISA.memory["x_size"].width - 1
    pads = {name: 2 ** ISA.memory[name].width - 1
            for name in ("x_pad_0", "x_pad_1", "y_pad_0", "y_pad_1")}  # fmt: skip
    end = CFG.acc_depth - 1
    insns = {
        Alu(uop_end=1, **most, **factors): ((3, end), (5, end), (0, 0)),
        Gemm(uop_end=1, **most, dst_factor_in=1): ((3, end), None, (0, 0)),
        Gemm(uop_end=1, **most): ((3, 3), None, (0, 0)),
        Load(memory=MemId.ACC, sram_base=2, x_size=size, y_size=size, **pads):
            ((2, end), None, None),
        Load(memory=MemId.ACC, sram_base=4, x_size=size, y_size=1): ((4, end), None, None),
    }  # fmt: skip
    assert [ranges for _, _, ranges in run(list(insns), [uop])] == list(insns.values())


def test_words_that_only_carry_tokens_come_every_four_cycles():
    insns = [Load(memory=MemId.UOP), Load(memory=MemId.ACC), Finish()]
    assert check(insns, []) == [5, 9, 13]


def test_a_known_range_is_not_read_again():
    """Four ranges are remembered: a fifth replaces the oldest."""
    uops = [Uop(n, 0, 0) for n in range(40)]
    ranges = [Gemm(uop_bgn=8 * n, uop_end=8 * n + 8) for n in range(5)]

    def gaps(insns):
        cycles = check(insns, uops)
        return [after - before for before, after in pairwise(cycles)]

    first, *_, again = gaps([ranges[0], ranges[1], ranges[2], ranges[3], ranges[0]])
    assert again < first
    *_, forgotten = gaps([*ranges, ranges[0]])
    assert forgotten == first
