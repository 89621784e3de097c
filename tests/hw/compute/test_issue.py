"""Issue and retirement in the compute module: tokens, order, and who may work beside whom."""

import random
from functools import partial
from itertools import combinations

import pytest
from amaranth.sim import Simulator

from tests.support.hwmemories import serve_uops
from tests.support.hwpeers import Pace
from vta.config import VTAConfig
from vta.hw.compute.issue import Issue
from vta.isa import Alu, AluOpcode, Finish, Gemm, Isa, Load, MemId, Uop
from vta.memmap import ErrorCode, ModuleState, Source

CFG = VTAConfig.preset("tiny")
ISA = Isa.of(CFG)
NOP = Load(memory=MemId.ACC)
LOAD = Load(memory=MemId.UOP, x_size=1, y_size=1)


def unit_of(insn):
    if isinstance(insn, Gemm):
        return "gemm"
    if isinstance(insn, Alu):
        return "alu"
    return "load" if isinstance(insn, Load) and insn.x_size else None


def touched(insn, uops):
    """(written, read): sets of ("acc", n) and ("uop", n), entry by entry."""
    written, read = set(), set()
    if isinstance(insn, Load) and insn.x_size:
        rows = insn.y_pad_0 + insn.y_size + insn.y_pad_1
        columns = insn.x_pad_0 + insn.x_size + insn.x_pad_1
        memory = "uop" if insn.memory is MemId.UOP else "acc"
        written = {(memory, insn.sram_base + n) for n in range(rows * columns)}
    elif isinstance(insn, Gemm | Alu):
        for o in range(insn.iter_out):
            for i in range(insn.iter_in):
                for n in range(insn.uop_bgn, insn.uop_end):
                    dst = uops[n].dst + o * insn.dst_factor_out + i * insn.dst_factor_in
                    src = uops[n].src + o * insn.src_factor_out + i * insn.src_factor_in
                    read.add(("uop", n))
                    written.add(("acc", dst))
                    if isinstance(insn, Alu) and not insn.use_imm:
                        read.add(("acc", src))
    return written, read | written


def must_wait(one, other, uops):
    """Whether the two touch the same entry, and one of them writes it."""
    (written, read), (also_written, also_read) = touched(one, uops), touched(other, uops)
    return bool(written & also_read or also_written & read)


class Bench:
    """The issue logic with units that take instructions and finish them after given times.

    Events are tuples (cycle, kind, ...): ``start`` and ``done`` of a unit, ``retire``, ``push`` and
    ``pop``. ``spans``: for each instruction with a unit, its start and its end.
    """

    def __init__(self, insns, *, duration, uops=(), tokens=(0, 0), arrivals=(), ready=lambda: True):
        self.insns, self.duration, self.ready = insns, duration, ready
        self.uops = [ISA.encode_uop(uop) for uop in uops] + [0] * (CFG.uop_depth - len(uops))
        self.spans = {}
        self.tokens = dict(zip(("prev", "next"), tokens))
        self.arrivals = dict(arrivals)  # cycle: which token arrives
        self.events, self.states = [], []
        self.finished_at = self.error = None

    def run(self, cycles):
        dut = Issue(ISA)

        async def testbench(ctx):
            queue = [int.from_bytes(ISA.encode(insn), "little") for insn in self.insns]
            at_work = {"load": [], "gemm": [], "alu": []}  # ends of what each unit was given
            waiting = [n for n, insn in enumerate(self.insns) if unit_of(insn)]
            for cycle in range(cycles):
                if cycle in self.arrivals:
                    self.tokens[self.arrivals[cycle]] += 1
                ctx.set(dut.insn.valid, bool(queue))
                ctx.set(dut.insn.payload, queue[0] if queue else 0)
                for side, count in self.tokens.items():
                    ctx.set(getattr(dut.tokens, f"{side}_avail"), count > 0)
                for unit, ends in at_work.items():
                    done = bool(ends) and ends[0] <= cycle
                    ctx.set(getattr(dut, f"{unit}_done"), done)
                    ctx.set(getattr(dut, unit).ready, self.ready())
                    if done:
                        ends.pop(0)
                        self.events.append((cycle, "done", unit))
                self.states.append(ctx.get(dut.state))
                if ctx.get(dut.insn.ready) and queue:
                    queue.pop(0)
                started = [
                    u for u in at_work if ctx.get(getattr(dut, u).valid & getattr(dut, u).ready)
                ]
                assert len(started) <= 1
                for unit in started:
                    number = waiting.pop(0)
                    assert unit == unit_of(self.insns[number])
                    self.events.append((cycle, "start", unit))
                    previous = at_work[unit][-1] if at_work[unit] else 0
                    end = max(previous + 1, cycle + self.duration(number))
                    at_work[unit].append(end)
                    self.spans[number] = cycle, end
                for side in ("prev", "next"):
                    if ctx.get(getattr(dut.tokens, f"pop_{side}")):
                        assert self.tokens[side] > 0
                        self.tokens[side] -= 1
                        self.events.append((cycle, "pop", side))
                    if ctx.get(getattr(dut.tokens, f"push_{side}")):
                        self.events.append((cycle, "push", side))
                if ctx.get(dut.retired):
                    self.events.append((cycle, "retire"))
                if ctx.get(dut.finished) and self.finished_at is None:
                    self.finished_at = cycle
                self.error = (ctx.get(dut.error.code), ctx.get(dut.error.source))
                await ctx.tick()

        sim = Simulator(dut)
        sim.add_clock(1e-6)
        sim.add_testbench(
            partial(serve_uops, memory=self.uops, ports=[dut.uop_read], pace=Pace(0.7, 1)),
            background=True,
        )
        sim.add_testbench(testbench)
        sim.run()
        return self

    def cycles_of(self, *what):
        return [event[0] for event in self.events if event[1:] == what]


def test_tokens_are_taken_both_at_once():
    bench = Bench(
        [Gemm(pop_prev=True, pop_next=True)], duration=lambda _: 3, arrivals={4: "prev", 19: "next"}
    ).run(30)
    assert bench.cycles_of("pop", "prev") == bench.cycles_of("pop", "next") == [20]
    assert bench.cycles_of("start", "gemm") == [20]
    assert bench.states[12:20] == [ModuleState.WAITING] * 8
    assert bench.states[20:25] == [ModuleState.RUNNING] * 5
    assert bench.states[25] == ModuleState.IDLE


def test_what_is_not_known_yet_is_not_waiting():
    bench = Bench([Gemm(pop_prev=True)], duration=lambda _: 3).run(30)
    unknown = bench.states.index(ModuleState.WAITING)
    assert 0 < unknown <= Issue.LATENCY
    assert bench.states[:unknown] == [ModuleState.RUNNING] * unknown
    assert set(bench.states[unknown:]) == {ModuleState.WAITING}


def test_a_second_instruction_behind_one_that_waits_does_not_run():
    """Not even if what it touches cannot be found out before the first is done."""
    use = Gemm(uop_bgn=0, uop_end=1)
    bench = Bench([Load(memory=MemId.UOP, x_size=1, y_size=1, pop_prev=True), use],
                  duration=lambda _: 3).run(40)  # fmt: skip
    assert not bench.events
    assert bench.states[20:] == [ModuleState.WAITING] * 20


def test_tokens_are_pushed_when_it_is_done():
    bench = Bench([Alu(push_prev=True, push_next=True)], duration=lambda _: 6).run(30)
    (start,) = bench.cycles_of("start", "alu")
    assert bench.cycles_of("push", "prev") == bench.cycles_of("push", "next") == [start + 7]
    assert bench.cycles_of("retire") == [start + 7]


def test_a_nop_waits_for_its_turn_to_push():
    """A NOP behind a GEMM starts at once, but its token tells that the GEMM is done."""
    nop = Load(memory=MemId.UOP, pop_prev=True, push_next=True)
    bench = Bench([Gemm(), nop, nop], duration=lambda _: 12, tokens=(2, 0)).run(40)
    (start,) = bench.cycles_of("start", "gemm")
    assert all(start < at < start + 12 for at in bench.cycles_of("pop", "prev"))
    assert bench.cycles_of("push", "next") == [start + 14, start + 15]


def test_an_instruction_is_known_in_a_few_cycles():
    assert Issue.LATENCY == 17
    for insn in (Gemm(uop_end=1), Alu(uop_end=1), LOAD, Gemm(iter_out=0)):
        bench = Bench([insn], duration=lambda _: 1).run(20)
        assert bench.cycles_of("start", unit_of(insn))[0] <= Issue.LATENCY


UOPS = [Uop(n, 40 + n) for n in range(8)]
EIGHT = {"uop_bgn": 0, "uop_end": 8}
PAIRS = {
    "same dst": (Gemm(**EIGHT), Alu(**EIGHT, use_imm=True), True),
    "dst beyond": (Gemm(**EIGHT), Alu(**EIGHT, use_imm=True, iter_in=2, dst_factor_in=4), True),
    "iter_out moves": (
        Gemm(**EIGHT, iter_out=5, dst_factor_out=8),
        Load(memory=MemId.ACC, sram_base=39, x_size=1, y_size=1),
        True,
    ),
    "not so far": (
        Gemm(**EIGHT, iter_out=5, dst_factor_out=8),
        Load(memory=MemId.ACC, sram_base=40, x_size=9, y_size=2),
        False,
    ),
    "both loops": (
        Alu(**EIGHT, use_imm=True, iter_out=2, dst_factor_out=20, iter_in=3, dst_factor_in=8),
        Load(memory=MemId.ACC_8BIT, sram_base=43, x_size=1, y_size=1),
        True,
    ),
    "after both loops": (
        Alu(**EIGHT, use_imm=True, iter_out=2, dst_factor_out=20, iter_in=3, dst_factor_in=8),
        Load(memory=MemId.ACC_8BIT, sram_base=44, x_size=1, y_size=1),
        False,
    ),
    "src is read": (Alu(**EIGHT), Load(memory=MemId.ACC, sram_base=47, x_size=1, y_size=1), True),
    "src is loaded": (Load(memory=MemId.ACC, sram_base=47, x_size=1, y_size=1), Alu(**EIGHT), True),
    "src moves": (
        Alu(**EIGHT, iter_in=3, src_factor_in=4, iter_out=2, src_factor_out=3),
        Load(memory=MemId.ACC, sram_base=58, x_size=1, y_size=1),
        True,
    ),
    "after src": (
        Alu(**EIGHT, iter_in=3, src_factor_in=4, iter_out=2, src_factor_out=3),
        Load(memory=MemId.ACC, sram_base=59, x_size=1, y_size=1),
        False,
    ),
    "an immediate does not read src": (
        Alu(**EIGHT, use_imm=True),
        Load(memory=MemId.ACC, sram_base=47, x_size=1, y_size=1),
        False,
    ),
    "GEMM does not read accumulators at src": (
        Gemm(**EIGHT),
        Load(memory=MemId.ACC, sram_base=41, x_size=1, y_size=1),
        False,
    ),
    "pads are written": (
        Load(memory=MemId.ACC, sram_base=20, x_size=3, y_size=2, x_pad_0=1, x_pad_1=2, y_pad_1=1),
        Alu(uop_bgn=7, uop_end=8, use_imm=True, iter_in=2, dst_factor_in=30),
        True,
    ),
    "after the pads": (
        Load(memory=MemId.ACC, sram_base=20, x_size=3, y_size=2, x_pad_0=1, x_pad_1=2, y_pad_1=1),
        Alu(uop_bgn=7, uop_end=8, use_imm=True, iter_in=1, iter_out=1, dst_factor_in=31),
        False,
    ),
    "only pads": (
        Load(memory=MemId.ACC, sram_base=0, x_size=3, y_size=0, y_pad_0=1),
        Gemm(**EIGHT),
        True,
    ),
    "nothing at all": (Load(memory=MemId.ACC, sram_base=0, x_size=3), Gemm(**EIGHT), False),
    "no rounds": (Alu(**EIGHT), Gemm(**EIGHT, iter_in=0), False),
    "the micro-ops are in use": (
        Gemm(**EIGHT),
        Load(memory=MemId.UOP, sram_base=7, x_size=1, y_size=1),
        True,
    ),
    "others are loaded": (
        Gemm(**EIGHT),
        Load(memory=MemId.UOP, sram_base=8, x_size=1, y_size=1),
        False,
    ),
    "the micro-ops are loaded": (
        Load(memory=MemId.UOP, sram_base=0, x_size=1, y_size=1),
        Gemm(**EIGHT),
        True,
    ),
    "others were loaded": (
        Load(memory=MemId.UOP, sram_base=8, x_size=9, y_size=1),
        Gemm(**EIGHT),
        False,
    ),
    "accumulators are no micro-ops": (
        Load(memory=MemId.UOP, sram_base=8, x_size=30, y_size=1),
        Gemm(**EIGHT, iter_in=6, dst_factor_in=8),
        False,
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_two_units(name):
    first, second, waits = PAIRS[name]
    bench = Bench([first, second], uops=UOPS, duration=lambda _: 50).run(130)
    (one, end), (other, _) = bench.spans[0], bench.spans[1]
    assert must_wait(first, second, UOPS) == waits  # the table is right
    if waits:
        assert other >= end
    else:
        assert other - one <= Issue.LATENCY


def test_instructions_of_one_unit_are_not_compared():
    """Three of each at the same accumulators: one after the other on a unit, whole units apart."""
    insns = [Gemm(uop_end=1)] * 3 + [Alu(uop_end=1)] * 3
    bench = Bench(insns, duration=lambda _: 40).run(130)
    ends = bench.cycles_of("done", "gemm")
    assert all(at < ends[0] for at in bench.cycles_of("start", "gemm"))
    # The ALU starts two cycles after the one in which the last GEMM is done.
    assert bench.cycles_of("start", "alu")[0] == ends[-1] + 2
    assert bench.cycles_of("start", "alu")[-1] < bench.cycles_of("done", "alu")[0]


def test_what_is_done_but_not_retired_is_out_of_the_way():
    """The second is done before the first; the third needs only the second's."""
    insns = [
        Gemm(uop_end=1, iter_in=1),
        Load(memory=MemId.ACC, sram_base=5, x_size=1, y_size=1, push_next=True),
        Alu(uop_bgn=5, uop_end=6, use_imm=True),
    ]
    bench = Bench(insns, uops=UOPS, duration=lambda n: (90, 30, 10)[n]).run(130)
    assert bench.spans[1][1] <= bench.spans[2][0] < bench.spans[1][1] + 3
    assert bench.cycles_of("push", "next")[0] > bench.spans[0][1]


def test_no_more_than_depth_are_under_way():
    bench = Bench([NOP, *[Gemm()] * (Issue.DEPTH + 3)], duration=lambda _: 140).run(160)
    starts = bench.cycles_of("start", "gemm")
    assert Issue.DEPTH == 8
    assert starts[7] < bench.cycles_of("retire")[1] < starts[8]


def random_insn(rng, uops):
    flags = ("pop_prev", "pop_next", "push_prev", "push_next")
    given = {flag: rng.random() < 0.2 for flag in flags}
    kind = rng.choice([Gemm, Alu, Alu, Load, Load])
    if kind is Load:
        return Load(
            memory=rng.choice([MemId.UOP, MemId.ACC, MemId.ACC, MemId.ACC_8BIT]),
            sram_base=rng.randrange(20), x_size=rng.choice([0, 1, 1, 2, 4]),
            y_size=rng.randrange(3), x_pad_0=rng.randrange(2), x_pad_1=rng.randrange(2),
            y_pad_0=rng.randrange(2), y_pad_1=rng.randrange(2), **given,
        )  # fmt: skip
    bgn = rng.randrange(len(uops))
    fields = {
        "uop_bgn": bgn, "uop_end": rng.randint(bgn, min(bgn + 4, len(uops))),
        "iter_out": rng.choice([0, 1, 1, 2, 3]), "iter_in": rng.choice([1, 1, 2, 3]),
        **{f"{name}_factor_{loop}": rng.choice([0, 1, 4])
           for name in ("dst", "src") for loop in ("out", "in")},
    }  # fmt: skip
    if kind is Alu:
        fields |= {"use_imm": rng.random() < 0.5, "alu_opcode": rng.choice(list(AluOpcode))}
    return kind(**fields, **given)


@pytest.mark.parametrize("seed", range(6))
def test_random_streams(seed):
    rng = random.Random(seed)
    uops = [Uop(rng.randrange(30), rng.randrange(30)) for _ in range(24)]
    insns = [*(random_insn(rng, uops) for _ in range(60)), Finish(push_next=True)]
    durations = [rng.randint(2, 60) for _ in insns]
    arrivals = {at: rng.choice(["prev", "next"]) for at in range(0, 3500, 5)}
    bench = Bench(
        insns, uops=uops, duration=lambda n: durations[n], arrivals=arrivals,
        ready=lambda: rng.random() < 0.7,
    ).run(3500)  # fmt: skip
    assert len(bench.cycles_of("retire")) == len(insns)
    for side in ("prev", "next"):
        assert len(bench.cycles_of("pop", side)) == sum(getattr(i, f"pop_{side}") for i in insns)

    # The n-th retirement comes with the tokens of the n-th instruction, and after its completion.
    retired = bench.cycles_of("retire")
    for at, insn in zip(retired, insns):
        for side in ("prev", "next"):
            assert (at in bench.cycles_of("push", side)) == getattr(insn, f"push_{side}")
    assert all(retired[number] >= end for number, (_, end) in bench.spans.items())

    # What was at work on two units in the same cycle touches nothing in common; and there was much.
    beside = 0
    for (one, (_, end)), (other, (begin, _)) in combinations(bench.spans.items(), 2):
        if begin < end and unit_of(insns[one]) != unit_of(insns[other]):
            assert not must_wait(insns[one], insns[other], uops), (one, other)
            beside += 1
    assert beside > 5
    assert bench.finished_at == retired[-1] + 1
    assert bench.states[-1] == ModuleState.IDLE


def test_finish_waits_for_all_and_nothing_may_follow():
    bench = Bench([Gemm(), Finish()], duration=lambda _: 19).run(60)
    (start,) = bench.cycles_of("start", "gemm")
    assert bench.finished_at == start + 19 + 3
    assert bench.error == (ErrorCode.NONE, 0)
    bench = Bench([Finish(), Gemm(), NOP], duration=lambda _: 2).run(30)
    assert not bench.cycles_of("start", "gemm")
    assert bench.error == (ErrorCode.AFTER_FINISH, Source.COMPUTE)
