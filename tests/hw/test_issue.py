"""Issue and retirement in the compute module: tokens, order, and who may work beside whom."""

import random
from itertools import pairwise

import pytest
from amaranth.sim import Simulator

from vta.config import VTAConfig
from vta.hw.issue import Issue
from vta.isa import Alu, Finish, Gemm, Isa, Load, MemId
from vta.memmap import ErrorCode, ModuleState, Source

ISA = Isa.of(VTAConfig.preset("tiny"))
NOP = Load(memory=MemId.ACC)
LOAD = Load(memory=MemId.UOP, x_size=1, y_size=1)


def unit_of(insn):
    if isinstance(insn, Gemm):
        return "gemm"
    if isinstance(insn, Alu):
        return "alu"
    return "load" if isinstance(insn, Load) and insn.x_size else None


class Bench:
    """The issue logic with units that take instructions and finish them after given times.

    Events are tuples (cycle, kind, ...): ``start`` and ``done`` of a unit, ``nop``, ``retire``,
    ``push`` and ``pop``.
    """

    def __init__(self, insns, *, duration, tokens=(0, 0), arrivals=(), ready=lambda: True):
        self.insns, self.duration, self.ready = insns, duration, ready
        self.tokens = dict(zip(("prev", "next"), tokens))
        self.arrivals = dict(arrivals)  # cycle: which token arrives
        self.events, self.states = [], []
        self.finished_at = self.error = None

    def run(self, cycles):
        dut = Issue(ISA)

        async def testbench(ctx):
            queue = [int.from_bytes(ISA.encode(insn), "little") for insn in self.insns]
            at_work = {"load": [], "gemm": [], "alu": []}  # ends of what each unit was given
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
                taken = ctx.get(dut.insn.ready) and bool(queue)
                started = [
                    u for u in at_work if ctx.get(getattr(dut, u).valid & getattr(dut, u).ready)
                ]
                assert len(started) <= 1 and (taken or not started)
                if taken:
                    number = len(self.insns) - len(queue)
                    want = unit_of(self.insns[number])
                    assert started == ([want] if want else [])
                    self.events.append((cycle, "start" if want else "nop", want))
                    if want:
                        previous = at_work[want][-1] if at_work[want] else 0
                        at_work[want].append(max(previous + 1, cycle + self.duration(number)))
                    queue.pop(0)
                for side in ("prev", "next"):
                    if ctx.get(getattr(dut.tokens, f"pop_{side}")):
                        assert taken and self.tokens[side] > 0
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
        sim.add_testbench(testbench)
        sim.run()
        return self

    def cycles_of(self, *what):
        return [event[0] for event in self.events if event[1:] == what]


def test_tokens_are_taken_both_at_once():
    bench = Bench(
        [Gemm(pop_prev=True, pop_next=True)], duration=lambda _: 3, arrivals={4: "prev", 9: "next"}
    ).run(20)
    assert bench.cycles_of("pop", "prev") == bench.cycles_of("pop", "next") == [9]
    assert bench.cycles_of("start", "gemm") == [9]
    assert bench.states[:9] == [ModuleState.WAITING] * 9
    assert bench.states[9:13] == [ModuleState.RUNNING] * 4
    assert bench.states[13] == ModuleState.IDLE


def test_tokens_are_pushed_when_it_is_done():
    bench = Bench([Alu(push_prev=True, push_next=True)], duration=lambda _: 6).run(20)
    assert bench.cycles_of("push", "prev") == bench.cycles_of("push", "next") == [6]
    assert bench.cycles_of("retire") == [6]


def test_a_nop_waits_for_its_turn_to_push():
    """A NOP behind a GEMM starts at once, but its token tells that the GEMM is done."""
    nop = Load(memory=MemId.UOP, push_next=True)
    bench = Bench([Gemm(), nop, nop], duration=lambda _: 8).run(20)
    assert bench.cycles_of("nop", None) == [1, 2]
    assert bench.cycles_of("push", "next") == [9, 10]


def test_instructions_of_one_unit_overlap_and_those_of_two_do_not():
    insns = [Gemm(), Gemm(), Alu(), Alu(), LOAD, LOAD, Gemm()]
    bench = Bench(insns, duration=lambda _: 10).run(60)
    # Each unit starts in the cycle in which the one before it is done.
    assert bench.cycles_of("start", "gemm") == [0, 1, 33]
    assert bench.cycles_of("start", "alu") == [11, 12]
    assert bench.cycles_of("start", "load") == [22, 23]


def test_no_more_than_depth_are_under_way():
    bench = Bench([NOP, *[Gemm()] * (Issue.DEPTH + 3)], duration=lambda _: 40).run(60)
    assert Issue.DEPTH == 8
    assert bench.cycles_of("start", "gemm")[:9] == [*range(1, 9), 42]


@pytest.mark.parametrize("seed", range(6))
def test_random_streams_keep_order(seed):
    rng = random.Random(seed)
    flags = ("pop_prev", "pop_next", "push_prev", "push_next")
    insns = []
    for _ in range(60):
        given = {flag: rng.random() < 0.3 for flag in flags}
        kind = rng.choice([Gemm, Alu, Load, Load])
        if kind is Load:
            insns.append(Load(memory=rng.choice([MemId.UOP, MemId.ACC, MemId.ACC_8BIT]),
                              x_size=rng.randrange(2), y_size=1, **given))  # fmt: skip
        else:
            insns.append(kind(**given))
    insns.append(Finish(push_next=True))
    durations = [rng.randint(2, 12) for _ in insns]
    arrivals = {at: rng.choice(["prev", "next"]) for at in range(0, 1500, 3)}
    bench = Bench(
        insns, duration=lambda n: durations[n], arrivals=arrivals, ready=lambda: rng.random() < 0.7
    ).run(1500)
    assert len(bench.cycles_of("retire")) == len(insns)
    for side in ("prev", "next"):
        assert len(bench.cycles_of("pop", side)) == sum(getattr(i, f"pop_{side}") for i in insns)

    # The n-th retirement comes with the tokens of the n-th instruction, and after its completion.
    retired = bench.cycles_of("retire")
    for at, insn in zip(retired, insns):
        for side in ("prev", "next"):
            assert (at in bench.cycles_of("push", side)) == getattr(insn, f"push_{side}")
    done = {unit: iter(bench.cycles_of("done", unit)) for unit in ("load", "gemm", "alu")}
    completions = [next(done[unit]) if (unit := unit_of(insn)) else 0 for insn in insns]
    assert all(at >= end for at, end in zip(retired, completions))

    # No two units were at work in the same cycle.
    starts = {unit: iter(bench.cycles_of("start", unit)) for unit in done}
    spans = [
        (unit, next(starts[unit]), end)
        for insn, end in zip(insns, completions)
        if (unit := unit_of(insn))
    ]
    for (one, _, end), (other, begin, _) in pairwise(spans):
        assert one == other or begin >= end
    assert bench.finished_at == retired[-1] + 1
    assert bench.states[-1] == ModuleState.IDLE


def test_finish_waits_for_all_and_nothing_may_follow():
    bench = Bench([Gemm(), Finish()], duration=lambda _: 9).run(20)
    assert bench.finished_at == 11
    assert bench.error == (ErrorCode.NONE, 0)
    bench = Bench([Finish(), Gemm(), NOP], duration=lambda _: 2).run(20)
    assert not bench.cycles_of("start", "gemm")
    assert bench.error == (ErrorCode.AFTER_FINISH, Source.COMPUTE)
