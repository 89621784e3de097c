"""AccessRanges: whatever an instruction touches lies in the ranges that come out with it."""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Cover, Mux, Signal, Value
from amaranth.lib.data import View

from tests.formal.access_range_registers import FootprintRegisters
from tests.formal.mutant import mutant, shrunk
from tests.formal.reference_semantics import ISA, LOG_UOP, ROUNDS, SIZES, Meaning
from tests.formal.runner import Properties, constant, prove, reach, refute
from tests.formal.transaction_log import keep_ledger
from vta.hw.compute import access_ranges as footprint
from vta.hw.compute import uop_bounds as scan
from vta.hw.compute.uop_memory import log_lanes
from vta.hw.debug.signal_paths import SignalPaths
from vta.hw.interfaces import layout_of
from vta.isa import MemId, Opcode

LOG_LANES = log_lanes(LOG_UOP)
DEPTH, DEPTH_AGAIN = 16, 36
"""Cycles in which any instruction comes out, and a nest, a LOAD and a nest again."""


class Covered(FootprintRegisters, Properties):
    """Any instructions come in. In each that comes out one place is looked at: of a LOAD what it
    writes in row ``r``, column ``c``; of a nest what it touches in round ``o`` of the outer, ``i``
    of the inner loop, with micro-op ``u``. That is in the ranges; an instruction that touches
    nothing has none. The word is the one that came in, in its order, with its unit.

    Of the micro-op SRAM only ``u`` is known: it has any value at first, and takes any other while
    a LOAD that came out and that writes it is under way. The others read as anything at any time,
    and the port may be taken by somebody else.

    With ``looks`` the registers of the block are compared too, for the induction.
    """

    def __init__(self, module=footprint, *, looks=False):
        self.looks = looks
        self.places = [Signal(ROUNDS), Signal(ROUNDS), Signal(LOG_UOP), Signal(4), Signal(4)]
        self.any_insn, self.any_uop = Signal(ISA.memory.bits), Signal(layout_of(ISA.uop))
        self.any_data = Signal(ISA.uop.bits << LOG_LANES)
        self.any_wait, self.load_ends = Signal(), Signal()
        super().__init__(module.AccessRanges(ISA), [
            *self.places, self.any_insn, Value.cast(self.any_uop), self.any_data, self.any_wait,
            self.load_ends,
        ])  # fmt: skip

    def elaborate(self, platform):
        block, work, inside = self.block, self.block.work, SignalPaths(self.block)
        m = super().elaborate(platform, inside.fragment)
        places = [constant(m, one) for one in self.places]
        u, uop, under_way = places[2], Signal.like(self.any_uop), Signal()
        m.d.comb += [
            block.insn.payload.eq(self.any_insn),
            Assume(Meaning(m, self.any_insn, places, uop, "new").legal),
        ]
        enters, leaves = block.insn.valid & block.insn.ready, work.valid & work.ready
        ledger, level = keep_ledger(m, block.insn.payload, depth=2, comes=enters, goes=leaves)
        first = Meaning(m, ledger[0], places, uop, "first")
        changed, came, lane = self._micro_op(m, first, u, uop, under_way, leaves)
        with m.If(work.valid):
            m.d.comb += [
                Assert(level != 0),
                Assert(work.payload.insn == ledger[0]),
                Assert(work.payload.unit.as_value() == first.unit),
            ]
            first.check(m, work.payload.footprint)
        self._cover(m, first, enters, leaves, changed)
        if self.looks:
            at_hand = Meaning(m, inside["word"], places, uop, "at_hand")
            loading = Signal()
            leaving = work.valid | inside["ranged"]
            m.d.comb += loading.eq(under_way | (leaving & first.loads_u))
            self.look_at_order(m, inside, ledger, level, first, at_hand, under_way)
            self.look_at_products(m, inside, at_hand)
            self.look_at_scan(m, inside, at_hand, u, uop, loading, came, lane)
        return m

    def _micro_op(self, m, first, u, uop, under_way, leaves):
        """The SRAM. Gives whether ``u`` was ever changed; whether its word comes, and what it was
        when that was read."""
        block, read = self.block, self.block.uop_read
        kept, begun, changed = Signal.like(uop), Signal(), Signal()
        wanted = (block.uops.low <= u) & (u < block.uops.end)
        m.d.comb += uop.eq(Mux(begun, kept, self.any_uop))
        m.d.sync += [begun.eq(1), kept.eq(Mux(under_way, self.any_uop, uop))]
        with m.If(under_way & (self.any_uop.as_value() != uop.as_value())):
            m.d.sync += changed.eq(1)
        with m.If(leaves & first.loads_u):
            m.d.sync += under_way.eq(1)
        with m.Elif(self.load_ends):
            m.d.sync += under_way.eq(0)

        pending, came, lane = Signal(), Signal(), Signal.like(uop)
        waits = block.work.valid & first.loads_u
        m.d.sync += [
            pending.eq(((waits | under_way) & wanted) | self.any_wait),
            came.eq(read.en & read.ready & (read.addr == u >> LOG_LANES)),
            lane.eq(uop),
        ]
        m.d.comb += [block.uops_pending.eq(pending), read.data.eq(self.any_data)]
        with m.If(came):
            m.d.comb += read.data.word_select(u[:LOG_LANES], ISA.uop.bits).eq(lane)
        return changed, came, lane

    def _cover(self, m, first, enters, leaves, changed):
        """Loads and nests of all kinds."""
        writes = self.block.work.payload.footprint.writes
        with m.If(leaves):
            m.d.comb += [
                Cover(first.writes & first.into_uops & (first.rows == 3) & (first.place == 5)),
                Cover(first.writes & ~first.into_uops & (first.load.y_size == 0)),
                Cover(first.moves & writes.used & (first.place > 7) & (writes.low < 7)),
                Cover(first.looks & first.two & (first.dst == 6) & (writes.low == 1)),
                Cover(first.looks & ~first.two & (first.dst > 7) & (writes.low < 7)),
                Cover(first.is_nest & ~first.runs),
            ]


class CoveredAgain(Covered):
    """The same, of runs in which a nest of one round and a LOAD of one micro-op take turns, either
    first, always the same nest, and only LOADs let others wait."""

    def __init__(self, module=footprint):
        super().__init__(module)
        self.any_turn, self.any_nest = Signal(), Signal(ISA.memory.bits)
        self.free = (*self.free, self.any_turn, self.any_nest)

    def _cover(self, m, first, enters, leaves, changed):
        block, turn, before = self.block, Signal(), Signal()
        load, nest = (View(layout_of(one), self.any_insn) for one in (ISA.memory, ISA.alu))
        sizes = (load[name] == (name in ("x_size", "y_size")) for name in SIZES)
        loads = (load.opcode == Opcode.LOAD) & (load.memory == MemId.UOP) & Cat(sizes).all()
        nests = (
            (nest.iter_out == 1)
            & (nest.iter_in == 1)
            & (self.any_insn == constant(m, self.any_nest))
        )
        first_turn = constant(m, self.any_turn)
        with m.If(enters):
            m.d.sync += turn.eq(~turn)
        with m.If(leaves & first.has_u & ~changed):
            m.d.sync += before.eq(1)
        m.d.comb += [
            Assume(Mux(turn ^ first_turn, loads, nests)),
            Assume(block.insn.valid & block.work.ready & block.uop_read.ready),
            Assume(~self.any_wait),
            Cover(leaves & first.looks & changed & before),
        ]


@pytest.mark.formal
def test_ranges_hold_what_an_instruction_touches():
    prove(Covered(footprint, looks=True), depth=1)


@pytest.mark.formal
def test_instructions_of_all_kinds_happen():
    reach(Covered(), depth=DEPTH)
    reach(CoveredAgain(), depth=DEPTH_AGAIN)


BROKEN = {
    "products-wrap": (footprint, Covered, "Mux(value[bits:].any(), (1 << bits) - 1, value[:bits])",
                      "value[:bits]"),
    "other-sum": (footprint, Covered, "bounds.src_high + sums[1]", "bounds.src_high + sums[0]"),
    "one-sum": (footprint, Covered, "span.second.eq(step[1])", "span.second.eq(0)"),
    "not-all-products": (footprint, Covered, "Mux(two, 3, 1)", "1"),
    "rows-are-one": (footprint, Covered, "(load.y_size < 2) & ", ""),
    "pads-beside-ignored": (footprint, Covered, "columns.eq(load.x_size + x_pads)",
                            "columns.eq(load.x_size)"),
    "pads-above-ignored": (footprint, Covered, "rows.eq(load.y_size + y_pads)",
                           "rows.eq(load.y_size)"),
    "one-round-more": (footprint, Covered, "(nest.dst_factor_out, nest.iter_out - 1)",
                       "(nest.dst_factor_out, nest.iter_out)"),
    "one-place-more": (footprint, Covered, "span.sums[0]) - 1)", "span.sums[0]))"),
    "one-micro-op-more": (footprint, Covered, "nest.uop_bgn, nest.uop_end - 1)",
                          "nest.uop_bgn, nest.uop_end)"),
    "micro-ops-into-accumulators": (footprint, Covered, ".set(~into_uops, *", ".set(1, *"),
    "immediate-read": (footprint, Covered, "& ~nest.use_imm", "& nest.use_imm"),
    "before-the-scan": (footprint, Covered, "(is_load | scan.done)", "1"),
    "before-the-sum": (footprint, Covered, "(summed & (is_load", "((is_load"),
    "forgets-nothing": (
        footprint, CoveredAgain, "moves & (unit == ExecutionUnit.LOAD) & into_uops", "0",
    ),
    "read-before-loaded": (footprint, CoveredAgain, "scan.wait.eq(self.uops_pending)",
                           "scan.wait.eq(0)"),
    "first-word-only": (scan, Covered, "asks.eq(wanted != (self.end - 1) >> lanes)", "asks.eq(0)"),
    "last-micro-op-missed": (scan, Covered, "(place < self.end)", "(place < self.end - 1)"),
    "first-micro-op-missed": (scan, Covered, "(place >= self.low)", "(place > self.low)"),
    "word-on-its-way": (scan, Covered, "m.Elif(~asks & ~on_its_way)", "m.Elif(~asks)"),
    "not-granted": (scan, Covered, "m.If(self.read.en & self.read.ready)", "m.If(self.read.en)"),
    "smaller-for-larger": (scan, Covered, "return Mux(x < y, y, x)", "return Mux(x < y, x, y)"),
}  # fmt: skip
"""What is broken in which block, and in which runs it shows."""


@pytest.mark.formal
@pytest.mark.parametrize("name", BROKEN)
def test_broken_blocks_are_found(name):
    module, properties, old, new = BROKEN[name]
    broken = mutant(module, old, new)
    if module is scan:
        broken = shrunk(footprint, UopBounds=broken.UopBounds)
    refute(properties(broken), depth=DEPTH_AGAIN if properties is CoveredAgain else DEPTH)
