"""The micro-op sequencer against nested Python loops."""

import random

import pytest
from amaranth.sim import Simulator

from tests.support.hwmemories import serve_uops
from tests.support.hwpeers import PACES, Pace, send
from vta.config import VTAConfig
from vta.hw.compute.sequencer import Index, Sequencer
from vta.isa import Gemm, Isa, Uop
from vta.memmap import ErrorCode, Source

CFG = VTAConfig.preset("tiny")
ISA = Isa.of(CFG)
DEPTHS = {"dst": CFG.acc_depth, "src": CFG.inp_depth, "wgt": CFG.wgt_depth}


def expand(insn, uops):
    """(dst, src, wgt, reset, empty, last) of every item that is to come out."""
    items = []
    for o in range(insn.iter_out):
        for i in range(insn.iter_in):
            for uop in uops[insn.uop_bgn : insn.uop_end]:
                d = uop.dst + o * insn.dst_factor_out + i * insn.dst_factor_in
                s = uop.src + o * insn.src_factor_out + i * insn.src_factor_in
                w = uop.wgt + o * insn.wgt_factor_out + i * insn.wgt_factor_in
                items.append([d, s, w, insn.reset, False, False])
    if not items:
        return [[None, None, None, insn.reset, True, True]]
    items[-1][-1] = True
    return items


def run(insns, uops, *, pace=1.0, port_pace=1.0, cycles):
    """Items that came out, with the cycle of each; the cycles of starts; and the error."""
    dut = Sequencer(
        ISA.gemm,
        ISA.uop,
        (
            Index("dst", CFG.log_acc_depth),
            Index("src", CFG.log_inp_depth, unused_if="reset"),
            Index("wgt", CFG.log_wgt_depth, unused_if="reset"),
        ),
        ("reset",),
        log_depth=CFG.log_uop_depth,
    )
    memory = [ISA.encode_uop(uop) for uop in uops] + [0] * (CFG.uop_depth - len(uops))
    layout = dut.start.payload.shape()
    words = [layout.from_bits(int.from_bytes(ISA.encode(insn), "little")) for insn in insns]
    came, starts, error = [], [], []
    willing = Pace(pace, seed=3)

    async def peer(ctx):
        await serve_uops(ctx, memory, [dut.uop_read], pace=Pace(port_pace, 4))

    async def starter(ctx):
        await send(ctx, dut.start, words, Pace())

    async def watch(ctx):
        op = dut.op.payload
        for cycle in range(cycles):
            ctx.set(dut.op.ready, ready := willing())
            _, _, valid, started, *item, code, source, addr = await ctx.tick().sample(
                dut.op.valid, dut.start.valid & dut.start.ready,
                op.dst, op.src, op.wgt, op.insn.reset, op.empty, op.last,
                dut.error.code, dut.error.source, dut.error.addr,
            )  # fmt: skip
            if valid and ready:
                came.append((cycle, item))
            if started:
                starts.append(cycle)
        error.extend((code, source, addr))

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(peer, background=True)
    sim.add_testbench(starter, background=True)
    sim.add_testbench(watch)
    sim.run()
    return came, starts, error


def check(came, expected):
    assert len(came) == len(expected)
    for (_, item), want in zip(came, expected):
        assert bool(item[4]) == want[4] and bool(item[5]) == want[5], (item, want)
        if not want[4]:
            unused = 2 if want[3] else 0  # a reset uses neither src nor wgt
            assert item[: 3 - unused] == want[: 3 - unused]
            assert bool(item[3]) == want[3]


def random_insn(rng, uops):
    """A GEMM whose indices stay inside, by drawing factors that fit the extents."""
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


@pytest.mark.parametrize("pace", PACES.values(), ids=PACES.keys())
def test_random_nests(pace):
    rng = random.Random(7)
    uops = [
        Uop(*(rng.randrange(depth // 2) for depth in DEPTHS.values())) for _ in range(9)
    ]  # fmt: skip
    insns = [random_insn(rng, uops) for _ in range(25)]
    expected = [item for insn in insns for item in expand(insn, uops)]
    came, starts, error = run(insns, uops, pace=pace, cycles=int(len(expected) / pace * 1.3) + 50)
    check(came, expected)
    assert len(starts) == len(insns)
    assert error == [0, 0, 0]


def test_a_busy_port_only_costs_time():
    rng = random.Random(8)
    uops = [Uop(*(rng.randrange(depth // 2) for depth in DEPTHS.values())) for _ in range(23)]
    insns = [random_insn(rng, uops) for _ in range(40)]
    expected = [item for insn in insns for item in expand(insn, uops)]
    for port_pace in (0.5, 0.2):
        came, _, error = run(insns, uops, port_pace=port_pace, cycles=6 * len(expected) + 100)
        check(came, expected)
        assert error == [0, 0, 0]


def test_one_port_is_enough_for_two():
    """A long walk through the micro-ops needs the port in every fourth cycle, a short one never
    again."""
    uops = [Uop(d, 0, 0) for d in range(23)]
    for begin, end in ((0, 23), (3, 8)):
        insn = Gemm(uop_bgn=begin, uop_end=end, iter_out=3, iter_in=7)
        expected = expand(insn, uops)
        came, _, _ = run([insn], uops, port_pace=0.5, cycles=2 * len(expected))
        check(came, expected)
        took = came[-1][0] - came[0][0] + 1
        assert took < 1.1 * len(expected) + 4, (begin, end)


@pytest.mark.parametrize(("begin", "end"), [(3, 9), (2, 15), (7, 9)])
def test_a_walk_through_any_words_has_no_gaps(begin, end):
    """Also with one micro-op of the first and the last word, and three words in turn."""
    uops = [Uop(d, 0, 0) for d in range(16)]
    insn = Gemm(uop_bgn=begin, uop_end=end, iter_out=2, iter_in=5)
    expected = expand(insn, uops) * 2
    came, starts, _ = run([insn, insn], uops, cycles=len(expected) + 20)
    check(came, expected)
    first = starts[0] + Sequencer.LATENCY
    assert [cycle for cycle, _ in came] == list(range(first, first + len(expected)))


def test_one_micro_op_a_cycle_without_gaps():
    uops = [Uop(d, 0, 0) for d in range(4)]
    insns = [
        Gemm(uop_bgn=0, uop_end=1, iter_out=3, iter_in=3, dst_factor_in=1),
        Gemm(uop_bgn=1, uop_end=4, iter_out=2, iter_in=1),
        Gemm(uop_bgn=2, uop_end=3),
        Gemm(uop_bgn=2, uop_end=2),
        Gemm(uop_bgn=0, uop_end=4, iter_in=2),
    ]
    expected = [item for insn in insns for item in expand(insn, uops)]
    came, starts, _ = run(insns, uops, cycles=60)
    check(came, expected)
    first = starts[0] + Sequencer.LATENCY
    assert Sequencer.LATENCY == 7
    assert [cycle for cycle, _ in came] == list(range(first, first + len(expected)))


@pytest.mark.parametrize("loop", ["out", "in"])
@pytest.mark.parametrize("name", list(DEPTHS))
def test_the_largest_step_beyond_the_end(name, loop):
    """From the last element by the largest factor, to the largest index that can be met."""
    top = DEPTHS[name] - 1
    uops = [Uop(0, 0, 0), Uop(**{name: top})]
    insn = Gemm(
        uop_bgn=0, uop_end=1, iter_out=2, iter_in=2,
        **{f"{name}_factor_out": top, f"{name}_factor_in": 0} | {f"{name}_factor_{loop}": top},
    )  # fmt: skip
    second = Gemm(uop_bgn=1, uop_end=2, **{f"iter_{loop}": 2, f"{name}_factor_{loop}": top})
    came, _, error = run([second], uops, cycles=30)
    check(came, expand(second, uops)[:1])
    assert error == [ErrorCode.SRAM_RANGE, Source.COMPUTE, 2 * top]
    came, _, error = run([insn], uops, cycles=30)
    inside = [item for item in expand(insn, uops) if max(item[:3]) <= top]
    if loop == "in":  # (0, 0), (0, top), (1, 0), then twice top
        check(came, inside[:3])
        assert error == [ErrorCode.SRAM_RANGE, Source.COMPUTE, 2 * top]
    else:  # (0, 0), (0, 0), (1, top), (1, top): all inside
        check(came, expand(insn, uops))
        assert error == [0, 0, 0]


@pytest.mark.parametrize("name", list(DEPTHS))
@pytest.mark.parametrize("pace", [1.0, 0.4])
def test_an_index_beyond_the_memory_stops_the_sequencer(name, pace):
    depth = DEPTHS[name]
    number = list(DEPTHS).index(name)
    base = [0, 0, 0]
    base[number] = depth - 2
    uops = [Uop(0, 0, 0), Uop(*base)]
    insn = Gemm(
        uop_bgn=0, uop_end=2, iter_out=1, iter_in=4, **{f"{name}_factor_in": 1}
    )  # fmt: skip
    good = expand(insn, uops)
    stop = next(at for at, item in enumerate(good) if item[number] >= depth)
    came, _, error = run([insn, insn], uops, pace=pace, cycles=80)
    check(came, good[:stop])
    assert error == [ErrorCode.SRAM_RANGE, Source.COMPUTE, good[stop][number]]


def test_a_reset_does_not_check_what_it_does_not_use():
    insn = Gemm(
        reset=True, uop_bgn=0, uop_end=1, iter_in=5,
        src_factor_in=CFG.inp_depth - 1, wgt_factor_in=CFG.wgt_depth - 1,
    )  # fmt: skip
    came, _, error = run([insn], [Uop(1, CFG.inp_depth - 1, CFG.wgt_depth - 1)], cycles=30)
    assert [item[0] for _, item in came] == [1] * 5
    assert error == [0, 0, 0]
