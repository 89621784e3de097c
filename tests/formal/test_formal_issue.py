"""Issue: instructions retire in order, each pushes its tokens once, and none takes a token that is
not there."""

import pytest
from amaranth.hdl import Assert, Assume, Cover, Mux, Signal
from amaranth.lib.data import StructLayout, View

from tests.formal.mutant import mutant
from tests.formal.runner import Properties, hold, prove, reach, refute
from vta.config import VTAConfig
from vta.hw import issue, load, store
from vta.hw.interfaces import layout_of
from vta.hw.walker import MemoryKind
from vta.isa import Isa, MemId, Opcode

CFG = VTAConfig.preset("tiny")
ISA = Isa.of(CFG)
UNITS = ("load", "gemm", "alu")
UNDER_WAY = 3
"""Instructions that the block has room for here; 8 in the machine."""
DEPTH = 11


def _unit(head):
    """Who executes an instruction of the compute module: its place in UNITS, or 3 for nobody."""
    loads = (head.opcode == Opcode.LOAD) & (head.x_size != 0)
    return Mux(
        head.opcode == Opcode.GEMM, 1, Mux(head.opcode == Opcode.ALU, 2, Mux(loads, 0, 3))
    )  # fmt: skip


class Tokens(Properties):
    """A token is taken only if it is there, and only by an instruction that starts and wants it;
    one is given only by an instruction that retires."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        block, tokens = self.block, self.block.tokens
        head = View(layout_of(ISA.memory), block.insn.payload)
        starts = block.insn.valid & block.insn.ready
        for side in ("prev", "next"):
            pop, push = getattr(tokens, f"pop_{side}"), getattr(tokens, f"push_{side}")
            m.d.comb += [
                Assert(~pop | getattr(tokens, f"{side}_avail")),
                Assert(pop == (starts & getattr(head, f"pop_{side}"))),
                Assert(~push | block.retired),
                Cover(pop & push),
            ]
        return m


class InOrder(Properties):
    """A ledger of the instructions under way, the oldest first: they retire in that order, each as
    soon as its unit has done it and those before, and of two units never both are at work.

    The units of the world do what they were given, in order, each in a cycle after its start.
    """

    def elaborate(self, platform):
        m = super().elaborate(platform)
        block, tokens = self.block, self.block.tokens
        head = View(layout_of(ISA.memory), block.insn.payload)
        starts, unit = Signal(), Signal(2)
        m.d.comb += [starts.eq(block.insn.valid & block.insn.ready), unit.eq(_unit(head))]

        entry = StructLayout({"unit": 2, "done": 1, "finish": 1, "prev": 1, "next": 1})
        ledger = [Signal(entry, name=f"entry{n}") for n in range(UNDER_WAY + 1)]
        level = Signal(range(UNDER_WAY + 1))
        now = [Signal(entry, name=f"now{n}") for n in range(UNDER_WAY + 1)]

        # The world: a unit does the oldest instruction that it was given and has not done.
        working = Signal(len(UNITS))
        for number, name in enumerate(UNITS):
            port, does = getattr(block, name), getattr(block, f"{name}_done")
            left = does
            for n in range(UNDER_WAY):
                mine = (level > n) & (ledger[n].unit == number) & ~ledger[n].done
                hit = Signal(name=f"{name}_does{n}")
                m.d.comb += hit.eq(mine & left)
                with m.If(mine):
                    m.d.comb += working[number].eq(1)
                with m.If(hit):
                    m.d.comb += now[n].done.eq(1)
                left = left & ~mine
            m.d.comb += [
                Assume(~left),
                Assert((port.valid & port.ready) == (starts & (unit == number))),
                Assert(~port.valid | (unit == number)),
                Assert(~port.valid | (port.payload.as_value() == block.insn.payload)),
            ]
        for n in range(UNDER_WAY):
            for field in ("unit", "finish", "prev", "next"):
                m.d.comb += now[n][field].eq(ledger[n][field])
            with m.If(ledger[n].done | (ledger[n].unit == 3)):
                m.d.comb += now[n].done.eq(1)

        # Retirement: of the oldest, when it is done, with its tokens, and never later.
        oldest = now[0]
        m.d.comb += [
            Assert(block.retired == ((level != 0) & oldest.done)),
            Assert(tokens.push_prev == (block.retired & oldest.prev)),
            Assert(tokens.push_next == (block.retired & oldest.next)),
            Assert(level - block.retired + starts <= UNDER_WAY),
        ]
        m.d.sync += level.eq(level - block.retired + starts)
        for n in range(UNDER_WAY):
            m.d.sync += ledger[n].eq(Mux(block.retired, now[n + 1], now[n]))
            with m.If(starts & (level - block.retired == n)):
                m.d.sync += [
                    ledger[n].unit.eq(unit),
                    ledger[n].done.eq(0),
                    ledger[n].finish.eq(head.opcode == Opcode.FINISH),
                    ledger[n].prev.eq(head.push_prev),
                    ledger[n].next.eq(head.push_next),
                ]

        # One unit at a time: what starts may read what all before it wrote.
        m.d.comb += Assert((working & (working - 1)) == 0)

        # FINISH is the end.
        ended, finished = Signal(), Signal()
        with m.If(starts & (head.opcode == Opcode.FINISH)):
            m.d.sync += ended.eq(1)
        with m.If(block.retired & oldest.finish):
            m.d.sync += finished.eq(1)
        m.d.comb += [
            Assert(~(ended & starts)),
            Assert(block.finished == finished),
            Assert((block.error.code != 0) == (finished & block.insn.valid)),
        ]

        # Full, emptied, one unit after another, two done before the first retires.
        retirements, units = Signal(3), Signal(3)
        with m.If(block.retired):
            m.d.sync += retirements.eq(retirements + (retirements != 7))
            m.d.sync += units.eq(units | (1 << oldest.unit))
        m.d.comb += [
            Cover((units == 0b111) & finished),
            Cover(level == UNDER_WAY),
            Cover((retirements == 5) & (level == 0)),
            Cover((level >= 2) & (ledger[0].unit == 3) & now[1].done & block.retired),
            Cover(block.retired & tokens.push_prev & tokens.push_next & (retirements == 2)),
        ]
        return m


class LoadTokens(Properties):
    """The load and the store module take a token only if it is there."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        tokens = self.block.tokens
        m.d.comb += [
            Assert(~tokens.pop_prev | tokens.prev_avail),
            Assert(~tokens.pop_next | tokens.next_avail),
            Cover(tokens.pop_prev | tokens.pop_next),
        ]
        return m


def _load(module=load):
    kinds = [MemoryKind.of(CFG, memory) for memory in (MemId.INP, MemId.WGT)]
    return module.LoadModule(ISA, kinds, addr_bits=32, data_bits=64)


def _store(module=store):
    return module.StoreModule(ISA, MemoryKind.of(CFG, MemId.OUT), addr_bits=32, data_bits=64)


def _issue(module=issue):
    return module.Issue(ISA)


def _small_issue(module=issue):
    block = module.Issue(ISA)
    block.DEPTH = UNDER_WAY
    return block


@pytest.mark.formal
@pytest.mark.parametrize(
    ("properties", "block"), [(Tokens, _issue), (LoadTokens, _load), (LoadTokens, _store)]
)
def test_no_token_is_taken_that_is_not_there(properties, block):
    prove(properties(block()), depth=1)
    reach(properties(block()), depth=5)


@pytest.mark.formal
def test_instructions_retire_in_order():
    hold(InOrder(_small_issue()), depth=DEPTH)


@pytest.mark.formal
def test_streams_of_all_kinds_happen():
    reach(InOrder(_small_issue()), depth=DEPTH)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("properties", "module", "old", "new"),
    [
        (Tokens, issue, "(~head.pop_next | tokens.next_avail)", "1"),
        (Tokens, issue, "tokens.pop_prev.eq(starts & head", "tokens.pop_prev.eq(may_start & head"),
        (Tokens, issue, "tokens.push_prev.eq(retires & oldest", "tokens.push_prev.eq(oldest"),
        (InOrder, issue, "push_next.eq(head.push_next)", "push_next.eq(head.push_prev)"),
        (InOrder, issue, "works.append((unit != which) & (working != done))", "works.append(0)"),
        (InOrder, issue, "(working != done)", "(working > 1)"),
        (InOrder, issue, "((unretired != 0) | done)", "((unretired != 0) | (working == 0))"),
        (InOrder, issue, "((unretired != 0) | done)", "(unretired != 0)"),
        (InOrder, issue, "unretired + done - (retires & (oldest == which))", "unretired + done"),
        (InOrder, issue, "(oldest == Unit.NONE) | Cat(is_done).any()", "Cat(is_done).any()"),
        (InOrder, issue, "& under_way.w_rdy & ~finishing", "& under_way.w_rdy"),
        (InOrder, issue, "& under_way.w_rdy & ~finishing", "& ~finishing"),
        (LoadTokens, load, "insn.pop_next & ~self.tokens.next_avail", "0"),
        (LoadTokens, store, "self.tokens.pop_prev.eq(starts &", "self.tokens.pop_prev.eq("),
    ],
    ids=["no-wait", "popped-before-start", "pushed-too-often", "wrong-side", "two-units",
         "two-units-rarely", "done-too-early", "done-too-late", "done-twice", "nop-stays",
         "after-finish", "too-many", "load-no-wait", "store-popped-early"],
)  # fmt: skip
def test_broken_blocks_are_found(properties, module, old, new):
    make = {issue: _small_issue, load: _load, store: _store}[module]
    refute(properties(make(mutant(module, old, new))), depth=8)
