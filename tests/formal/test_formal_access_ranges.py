"""Access ranges: each access of an instruction lies in the ranges of its issue request."""

from types import SimpleNamespace

import pytest
from amaranth.hdl import Assert, Assume, Cat, Cover, Mux, Signal, Value
from amaranth.lib.data import View

from tests.formal.access_range_registers import AccessRangeRegisters
from tests.formal.mutant import mutant, shrunk
from tests.formal.reference_semantics import ISA, LOG_UOP, SIZE_BITS, Point, ReferenceAccess
from tests.formal.runner import Properties, constant, prove, reach, refute
from tests.formal.transaction_log import keep_log
from vta.hw.compute import access_ranges, range_extent, range_sum, uop_bounds
from vta.hw.compute.issue_request import ExecutionUnit
from vta.hw.compute.uop_memory import log_lanes
from vta.hw.debug.signal_paths import SignalPaths
from vta.hw.interfaces import layout_of
from vta.isa import MemId, Opcode

LOG_LANES = log_lanes(LOG_UOP)
DEPTH, DEPTH_RELOADED = 16, 36
"""Cycles in which any request is offered; and those of a loop, a LOAD and the loop again."""


class RangesContainAccesses(AccessRangeRegisters, Properties):
    """Any instructions are accepted, and each is watched at one point (:class:`Point`). The access
    at the point is in the ranges of the request; an instruction without accesses has no ranges. Of
    a unit that only writes accumulators, ``reads`` are ``writes``. The requests are the accepted
    instructions, in order, each with its unit.

    Of the micro-op SRAM only the micro-op ``u`` is modelled: it has any value at first, and changes
    to any other while a LOAD in flight writes it. The others read as anything at any time, and the
    port may be granted to another reader.

    With ``invariants`` the registers of the block are compared too, for the induction.
    """

    def __init__(self, module=access_ranges, *, invariants=False):
        self.invariants, self.point = invariants, Point()
        self.any_insn, self.any_uop = Signal(ISA.memory.bits), Signal(layout_of(ISA.uop))
        self.any_data = Signal(ISA.uop.bits << LOG_LANES)
        self.any_stall, self.load_done = Signal(), Signal()
        super().__init__(module.AccessRanges(ISA), [
            *vars(self.point).values(), self.any_insn, Value.cast(self.any_uop), self.any_data,
            self.any_stall, self.load_done,
        ])  # fmt: skip

    def elaborate(self, platform):
        block, request = self.block, self.block.request
        registers = SignalPaths(block)
        m = super().elaborate(platform, registers.fragment)
        point = Point(**{name: constant(m, free) for name, free in vars(self.point).items()})
        uop = Signal.like(self.any_uop)
        m.d.comb += [
            block.insn.payload.eq(self.any_insn),
            Assume(ReferenceAccess(m, self.any_insn, point, uop, "new").legal),
        ]
        enters, leaves = block.insn.valid & block.insn.ready, request.valid & request.ready
        log, level = keep_log(m, block.insn.payload, depth=2, enqueue=enters, dequeue=leaves)
        oldest = ReferenceAccess(m, log[0], point, uop, "oldest")
        sram = self._model_sram(m, oldest, point.u, uop, leaves)
        with m.If(request.valid):
            m.d.comb += [
                Assert(level != 0),
                Assert(request.payload.insn == log[0]),
                Assert(request.payload.unit.as_value() == oldest.unit),
            ]
            ranges, is_alu = request.payload.ranges, oldest.unit == ExecutionUnit.ALU.value
            only_read = SimpleNamespace(
                used=ranges.reads.used & is_alu, low=ranges.reads.low, high=ranges.reads.high
            )
            oldest.check({"writes": ranges.writes, "reads": only_read, "uops": ranges.uops})
            same = ranges.reads.as_value() == ranges.writes.as_value()
            m.d.comb += Assert(is_alu | same)
        self._cover(m, oldest, enters, leaves, sram)
        if self.invariants:
            measured = ReferenceAccess(m, registers["decoder.word"], point, uop, "measured")
            load_pending = Signal()
            leaving = request.valid | registers["summed"]
            m.d.comb += load_pending.eq(sram.load_in_flight | (leaving & oldest.loads_uop))
            self.check_order(m, registers, log, level, oldest, measured, sram.load_in_flight)
            self.check_products(m, registers, measured)
            self.check_bounds(m, registers, measured, point, uop, load_pending, sram)
        return m

    def _model_sram(self, m, oldest, u, uop, leaves):
        """The micro-op SRAM, and the LOADs that write ``u``: ``load_in_flight``; ``changed``: the
        micro-op was written; ``arrives``, ``value``: its word is read, with this value."""
        block, read = self.block, self.block.uop_read
        stored, initialized = Signal.like(uop), Signal()
        load_in_flight, changed = Signal(), Signal()
        m.d.comb += uop.eq(Mux(initialized, stored, self.any_uop))
        m.d.sync += [initialized.eq(1), stored.eq(Mux(load_in_flight, self.any_uop, uop))]
        with m.If(load_in_flight & (self.any_uop.as_value() != uop.as_value())):
            m.d.sync += changed.eq(1)
        with m.If(leaves & oldest.loads_uop):
            m.d.sync += load_in_flight.eq(1)
        with m.Elif(self.load_done):
            m.d.sync += load_in_flight.eq(0)

        hazard, arrives, value = Signal(), Signal(), Signal.like(uop)
        required = (block.uops.begin <= u) & (u < block.uops.end)
        load_pending = (block.request.valid & oldest.loads_uop) | load_in_flight
        m.d.sync += [
            hazard.eq((load_pending & required) | self.any_stall),
            arrives.eq(read.en & read.ready & (read.addr == u >> LOG_LANES)),
            value.eq(uop),
        ]
        m.d.comb += [block.uop_hazard.eq(hazard), read.data.eq(self.any_data)]
        with m.If(arrives):
            m.d.comb += read.data.word_select(u[:LOG_LANES], ISA.uop.bits).eq(value)
        return SimpleNamespace(
            load_in_flight=load_in_flight, changed=changed, arrives=arrives, value=value
        )

    def _cover(self, m, oldest, enters, leaves, sram):
        """LOADs and loops of all kinds."""
        writes = self.block.request.payload.ranges.writes
        with m.If(leaves):
            m.d.comb += [
                Cover(
                    oldest.writes_entry & oldest.into_uops & (oldest.rows == 3)
                    & (oldest.entry == 5)
                ),
                Cover(oldest.writes_entry & ~oldest.into_uops & (oldest.load.y_size == 0)),
                Cover(oldest.transfers & writes.used & (oldest.entry > 7) & (writes.low < 7)),
                Cover(oldest.accesses & oldest.reads_src & (oldest.dst == 6) & (writes.low == 1)),
                Cover(oldest.accesses & ~oldest.reads_src & (oldest.dst > 7) & (writes.low < 7)),
                Cover(oldest.is_loop & ~oldest.executes),
            ]  # fmt: skip


class ReloadedUops(RangesContainAccesses):
    """The same, of runs in which a GEMM or ALU instruction of one iteration and a LOAD of one
    micro-op take turns, either first, the former always the same, and nothing stalls but a LOAD in
    flight."""

    def __init__(self, module=access_ranges):
        super().__init__(module)
        self.any_turn, self.any_loop = Signal(), Signal(ISA.memory.bits)
        self.free = (*self.free, self.any_turn, self.any_loop)

    def _cover(self, m, oldest, enters, leaves, sram):
        block, load_turn, executed_before = self.block, Signal(), Signal()
        load, loop = (View(layout_of(one), self.any_insn) for one in (ISA.memory, ISA.alu))
        one_uop = (load[name] == (name in ("x_size", "y_size")) for name in SIZE_BITS)
        is_load = (load.opcode == Opcode.LOAD) & (load.memory == MemId.UOP) & Cat(one_uop).all()
        same_loop = self.any_insn == constant(m, self.any_loop)
        is_loop = (loop.iter_out == 1) & (loop.iter_in == 1) & same_loop
        first_turn = constant(m, self.any_turn)
        with m.If(enters):
            m.d.sync += load_turn.eq(~load_turn)
        with m.If(leaves & oldest.has_uop & ~sram.changed):
            m.d.sync += executed_before.eq(1)
        m.d.comb += [
            Assume(Mux(load_turn ^ first_turn, is_load, is_loop)),
            Assume(block.insn.valid & block.request.ready & block.uop_read.ready),
            Assume(~self.any_stall),
            Cover(leaves & oldest.accesses & sram.changed & executed_before),
        ]


@pytest.mark.formal
def test_ranges_contain_all_accesses():
    prove(RangesContainAccesses(invariants=True), depth=1)


@pytest.mark.formal
def test_instructions_of_all_kinds_happen():
    reach(RangesContainAccesses(), depth=DEPTH)
    reach(ReloadedUops(), depth=DEPTH_RELOADED)


BROKEN = {
    # the kind of access
    "one-row-missed": (access_ranges, "(load.y_size < 2) & ", ""),
    "pads-beside-ignored": (access_ranges, "columns.eq(load.x_size + x_pads)",
                            "columns.eq(load.x_size)"),
    "pads-above-ignored": (access_ranges, "rows.eq(load.y_size + y_pads)", "rows.eq(load.y_size)"),
    "immediate-read": (access_ranges, "& ~loop.use_imm", "& loop.use_imm"),
    # extents
    "products-wrap": (
        range_extent, "Mux(value[bits:].any(), (1 << bits) - 1, value[:bits])", "value[:bits]",
    ),
    "one-sum": (range_extent, "mac.select.eq(step[1])", "mac.select.eq(0)"),
    "product-missed": (range_extent, "Mux(access.two_operands, 3, 1)", "1"),
    "one-iteration-more": (range_extent, "(loop.dst_factor_out, loop.iter_out - 1)",
                           "(loop.dst_factor_out, loop.iter_out)"),
    "one-entry-more": (range_extent, "self.transfer.eq(entries - 1)", "self.transfer.eq(entries)"),
    # sums
    "other-extent": (range_sum, "bounds.src_high + self.src", "bounds.src_high + self.dst"),
    "one-uop-more": (range_sum, "uops.high.eq(loop.uop_end - 1)", "uops.high.eq(loop.uop_end)"),
    "uops-into-accumulators": (range_sum, "(writes, ~loads_uops)", "(writes, 1)"),
    "writes-of-alu-as-reads": (
        access_ranges, "Mux(request.unit == ExecutionUnit.ALU, ranges.reads, ranges.writes)",
        "ranges.writes",
    ),
    "reads-without-writes": (
        access_ranges, "Mux(request.unit == ExecutionUnit.ALU, ranges.reads, ranges.writes)",
        "ranges.reads",
    ),
    # order
    "bounds-not-waited-for": (access_ranges, "extent.done & bounds_ready", "extent.done"),
    "extent-not-waited-for": (access_ranges, "extent.done & bounds_ready", "bounds_ready"),
    # bounds
    "first-word-only": (uop_bounds, "read_pending.eq(next_word != (self.end - 1) >> lanes)",
                        "read_pending.eq(0)"),
    "last-uop-missed": (uop_bounds, "(number < self.end)", "(number < self.end - 1)"),
    "first-uop-missed": (uop_bounds, "(number >= self.begin)", "(number > self.begin)"),
    "word-in-pipeline": (uop_bounds, "~read_pending & ~word_bounds.busy", "~read_pending"),
    "not-granted": (uop_bounds, "granted = self.read.en & self.read.ready",
                    "granted = self.read.en"),
    "second-not-smaller": (uop_bounds, "only_second | second_is_smaller", "only_second"),
    "second-not-larger": (uop_bounds, "only_second | second_is_larger", "only_second"),
    "second-alone-missed": (uop_bounds, "(only_second | second_is_smaller)", "second_is_smaller"),
    "second-outside-taken": (
        uop_bounds, "any_inside[n + 1] & (only_second | second_is_smaller)",
        "(only_second | second_is_smaller)",
    ),
    "smaller-for-larger": (uop_bounds, "return Mux(x < y, y, x)", "return Mux(x < y, x, y)"),
}  # fmt: skip
"""Name: (module, source text, what it becomes)."""
BROKEN_RELOADED = {
    "cache-not-invalidated": (
        access_ranges, "advance & (unit == ExecutionUnit.LOAD) & loads_uops", "0",
    ),
    "read-before-loaded": (
        access_ranges, "uop_bounds.stall_read.eq(self.uop_hazard)", "uop_bounds.stall_read.eq(0)",
    ),
}  # fmt: skip
"""The same, of faults that only :class:`ReloadedUops` finds."""


def with_fault(module, old, new):
    """``access_ranges``, or a copy that uses the broken blocks of ``module``."""
    broken = mutant(module, old, new)
    if module is range_extent:
        sums = shrunk(range_sum, clip=broken.clip)
        return shrunk(access_ranges, RangeExtent=broken.RangeExtent, RangeSum=sums.RangeSum)
    if module is range_sum:
        return shrunk(access_ranges, RangeSum=broken.RangeSum)
    if module is uop_bounds:
        return shrunk(access_ranges, UopBounds=broken.UopBounds)
    return broken


@pytest.mark.formal
@pytest.mark.parametrize("name", BROKEN)
def test_faults_are_found(name):
    refute(RangesContainAccesses(with_fault(*BROKEN[name])), depth=DEPTH)


@pytest.mark.formal
@pytest.mark.parametrize("name", BROKEN_RELOADED)
def test_faults_of_reloaded_micro_ops_are_found(name):
    refute(ReloadedUops(with_fault(*BROKEN_RELOADED[name])), depth=DEPTH_RELOADED)
