"""The row writer: every element of the rows is written once, in order, with padding or with the
bytes of the right beats, and no other bit."""

import pytest
from amaranth.hdl import Array, Assert, Assume, Cat, Const, Cover, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tests.formal.mutant import mutant, shrunk
from tests.formal.runner import Properties, prove, reach, refute
from vta.hw.debug.signal_paths import SignalPaths
from vta.hw.dma import row_writer
from vta.hw.dma.rows import MemoryKind, Row
from vta.hw.lib import down_counter
from vta.isa import MemId
from vta.memmap import ErrorCode, Source

DATA_BITS = 32
BEAT = DATA_BITS // 8


def _kind(memory, sram, elem_bytes, log_depth, widening=1, lane_bits=8):
    return MemoryKind(
        memory=memory, sram=sram, elem_bytes=elem_bytes, sram_bits=elem_bytes * 8 * widening,
        log_depth=log_depth, lane_bits=lane_bits,
    )  # fmt: skip


LOADS = (_kind(MemId.INP, "inp", 1, 3), _kind(MemId.WGT, "wgt", 8, 2))
"""Elements of a quarter of a beat, elements of two beats."""
WIDENED = (
    _kind(MemId.UOP, "uop", 4, 4), _kind(MemId.ACC, "acc", 8, 3, lane_bits=32),
    _kind(MemId.ACC_8BIT, "acc", 2, 3, widening=4),
)  # fmt: skip
"""Elements of one beat, and two kinds that share an SRAM: two beats, or half of one, widened."""
WIDE = (
    _kind(MemId.ACC, "acc", 32, 3, lane_bits=32), _kind(MemId.ACC_8BIT, "acc", 8, 3, widening=4)
)  # fmt: skip
"""Elements of many beats, with and without widening."""
NARROW = (_kind(MemId.INP, "inp", 2, 3, lane_bits=4), _kind(MemId.WGT, "wgt", 4, 2))
"""Lanes of half a byte."""
DEEP = (_kind(MemId.INP, "inp", 8, 3, lane_bits=16), _kind(MemId.WGT, "wgt", 4, 2))
"""Lanes of two bytes."""


class AnySkidBuffer(wiring.Component):
    """In place of :class:`~vta.hw.lib.skid_buffer.SkidBuffer`, which is proved by itself: it
    stalls at any time, and holds one item."""

    skid_ready = Signal()

    def __init__(self, shape):
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(self.skid_ready & (~self.o.valid | self.o.ready))
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(self.i.payload)]
        return m


SMALL = {"SkidBuffer": AnySkidBuffer}


class ExactlyTheRows(Properties):
    """A row is a number of steps: one for each zero, one for each beat or smaller part of its
    elements. ``steps`` of the current row are done. The write of the next step must be on the write
    port in the cycle after the step is possible, until it is not stalled; no other write occurs."""

    def __init__(self, module=None, kinds=LOADS):
        self.kinds = kinds
        self.layout = Row(kinds, data_bits=DATA_BITS, has_pad_value=True)
        super().__init__(
            (module or shrunk(row_writer, **SMALL)).RowWriter(
                kinds,
                data_bits=DATA_BITS,
                source=Source.LOAD,
                has_pad_value=True,
            ),
            [AnySkidBuffer.skid_ready],
        )

    def of(self, kind, fact):
        """``fact`` of the memory with this number."""
        return Array(fact(each) for each in self.kinds)[kind]

    def log_parts(self, kind):
        return self.of(kind, lambda each: max(1, each.elem_bytes // BEAT).bit_length() - 1)

    def elaborate(self, platform):
        block, paths = self.block, SignalPaths(self.block)
        m = super().elaborate(platform, paths.fragment)
        row, active, next_is_first = Signal(self.layout), Signal(), Signal(init=1)
        base = Signal(18)  # place of its first step
        steps, beats = Signal(10), Signal(10)
        no_error = block.error.code == ErrorCode.NONE
        op_pending = Signal()  # a step that is yet to be written, or the end of a row
        room = AnySkidBuffer.skid_ready & (~op_pending | ~block.stall)
        enable = no_error & room

        # The next step.
        log_parts = self.log_parts(row.kind)
        log_chunk = self.of(row.kind, lambda each: min(each.elem_bytes, BEAT).bit_length() - 1)
        total, number, byte, place = Signal(10), Signal(10), Signal(12), Signal(18)
        write_zero, write_data, element_end, row_end = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            total.eq(row.zeros + (row.count << log_parts)),
            write_zero.eq(active & enable & (steps < row.zeros)),
            write_data.eq(
                active & enable & (steps >= row.zeros) & (steps < total) & block.beat.valid
            ),
            number.eq(Mux(steps < row.zeros, 0, steps - row.zeros)),
            byte.eq(row.offset + (number << log_chunk)),
            place.eq(base + Mux(steps < row.zeros, steps, row.zeros + (number >> log_parts))),
            element_end.eq((number + 1) & ((1 << log_parts) - 1) == 0),
            row_end.eq(active & enable & (steps + (write_zero | write_data) == total)),
        ]
        in_range = place < self.of(row.kind, lambda each: 1 << each.log_depth)
        narrow, last_part = (1 << log_chunk) < BEAT, (1 << log_parts) - 1
        is_last_position = Mux(
            narrow,
            byte % BEAT >> log_chunk == (Const(BEAT) >> log_chunk) - 1,
            number & last_part == last_part,
        )

        # The step uses the right beat, and consumes it with its last byte.
        beat_accepted = Signal()
        m.d.comb += [
            beat_accepted.eq(block.beat.valid & block.beat.ready),
            Assert(
                beat_accepted == (write_data & (row_end | ((byte + (1 << log_chunk)) % BEAT == 0)))
            ),
            Assert(~write_data | (beats == byte // BEAT)),
            Assert(~row_end | (beats + beat_accepted == self.beats(row))),
            Assert(block.row.ready == (~active | row_end)),
        ]
        with m.If(~block.stall):
            m.d.sync += op_pending.eq(0)
        with m.If(write_zero | write_data | row_end):
            m.d.sync += op_pending.eq(1)
        m.d.sync += [steps.eq(steps + (write_zero | write_data)), beats.eq(beats + beat_accepted)]
        next_row = data.View(self.layout, block.row.payload)
        with m.If(block.row.ready):
            m.d.sync += [active.eq(block.row.valid), row.eq(next_row), steps.eq(0), beats.eq(0)]
            with m.If(block.row.valid):
                m.d.sync += next_is_first.eq(next_row.last)
            with m.If(block.row.valid & next_row.first):
                m.d.sync += base.eq(next_row.sram_base)
            with m.Elif(active):
                m.d.sync += base.eq(base + row.zeros + row.count)

        self._world(m, next_row, next_is_first)
        loads = self._writes(
            m, row, write_zero & in_range, write_data & in_range, element_end, place, number, byte
        )
        done = Signal()
        with m.If(~block.stall):
            m.d.sync += done.eq(0)
        with m.If(write_zero | write_data | row_end):
            m.d.sync += done.eq(row_end & row.last & (in_range | ~(write_zero | write_data)))
        m.d.comb += Assert(block.done == (done & ~block.stall))
        self._error(m, (write_zero | write_data) & ~in_range, place)

        # The registers of the block in these terms, for the induction.
        zeros, count = paths["sequencer.zeros.value"], paths["sequencer.count.value"]
        block_row = data.View(self.layout, paths["sequencer.row"])
        chosen = data.View(
            data.StructLayout({"zero": 1, "data": 1, "element_end": 1, "load_end": 1}),
            paths["skid.o__payload"][:4],
        )
        m.d.comb += [
            Assert(paths["sequencer.row_valid"] == active),
            Assert(paths["skid.o__valid"] == op_pending),
            Assert(paths["sequencer.failed"] == ~no_error),
            Assert(op_pending | ~(done | loads)),
            Assert(~op_pending | (chosen.load_end == done)),
            Assert(~op_pending | (chosen.element_end == loads)),
            *(
                Assert(~active | (paths[f"sequencer.{name}.{flag}"] == fact))
                for name, value in (("zeros", zeros), ("count", count))
                for flag, fact in (("nonzero", value != 0), ("is_one", value == 1))
            ),
        ]
        with m.If(no_error & active):
            m.d.comb += [
                *map(Assert, self.well_formed(row)),
                Assert((steps < total) | ((steps == 0) & (total == 0))),
                Assert(block_row.kind == row.kind),
                Assert(block_row.last == row.last),
                Assert(block_row.pad_value == row.pad_value),
                Assert(zeros == Mux(steps < row.zeros, row.zeros - steps, 0)),
                Assert(count == row.count - (number >> log_parts)),
                Assert(paths["sequencer.index"] == place),
                Assert(beats == Mux(total == row.zeros, 0, byte // BEAT)),
                Assert(
                    paths["sequencer.position"]
                    == Mux(narrow, byte % BEAT >> log_chunk, number & ((1 << log_parts) - 1))
                ),
                Assert(paths["sequencer.last_position"] == is_last_position),
            ]
        with m.Elif(no_error):
            m.d.comb += Assert(paths["sequencer.index"] == base)
        self._cover(m, row, write_zero, write_data, element_end, row_end, number, in_range)
        return m

    def well_formed(self, row):
        """The guarantees of the row generator for a row (``test_formal_row_generator.py``)."""
        aligned = self.of(row.kind, lambda each: min(each.elem_bytes, BEAT) - 1)
        return [
            row.kind < len(self.kinds),
            row.offset & aligned == 0,
        ]

    def beats(self, row):
        """The beats that a row occupies, as the row generator requests them."""
        size = row.count << self.of(row.kind, lambda each: each.log_bytes)
        return Mux(row.count == 0, 0, (size + row.offset + BEAT - 1) // BEAT)

    def _world(self, m, row, next_is_first):
        """Rows are well formed; a valid beat is stable until accepted."""
        beat = self.block.beat
        waited, before = Signal(), Signal.like(beat.payload)
        m.d.sync += [waited.eq(beat.valid & ~beat.ready), before.eq(beat.payload)]
        m.d.comb += [
            Assume(~waited | (beat.valid & (beat.payload == before))),
            *(Assume(~self.block.row.valid | fact) for fact in self.well_formed(row)),
            Assume(~self.block.row.valid | (row.first == next_is_first)),
        ]

    def _writes(self, m, row, write_zero, write_data, element_end, place, number, byte):
        """A cycle after a step exactly its bits are on the write port. Returns whether the step
        completes an element of DRAM."""
        loads = []
        for sram in dict.fromkeys(kind.sram for kind in self.kinds):
            port = getattr(self.block, f"write_{sram}")
            granule = len(port.data) // len(port.mask)
            bits, value = Signal.like(port.data), Signal.like(port.data)  # which, and what
            addr, loaded = Signal.like(port.addr), Signal()
            with m.If(~self.block.stall | write_zero | write_data):
                m.d.sync += [bits.eq(0), value.eq(0), addr.eq(place), loaded.eq(0)]
            for which, kind in enumerate(self.kinds):
                if kind.sram != sram:
                    continue
                with m.If(write_zero & (row.kind == which)):
                    m.d.sync += [bits.eq(~0), value.eq(self._padding(kind, row.pad_value))]
                with m.If(write_data & (row.kind == which)):
                    octets = self._octets(m, kind, byte)
                    shift = number % max(1, kind.elem_bytes // BEAT) * len(octets)
                    m.d.sync += [
                        loaded.eq(element_end),
                        bits.eq(((1 << len(octets)) - 1) << shift),
                        value.eq(octets << shift),
                    ]
            loads.append(loaded)
            written = Signal.like(bits)
            m.d.comb += [
                *(written[n * granule : (n + 1) * granule].eq(on.replicate(granule))
                  for n, on in enumerate(port.mask)),
                Assert(written == bits),
                Assert((port.data ^ value) & bits == 0),
                Assert((bits == 0) | (port.addr == addr)),
                Assert((bits != 0) | ~loaded),
                Assert(getattr(self.block, f"loaded_{sram}") == (loaded & ~self.block.stall)),
            ]  # fmt: skip
        return Cat(loads).any()

    def _padding(self, kind, pad_value):
        """An element of padding as the SRAM holds it: the int8 in lanes of the width there."""
        if kind.memory in (MemId.WGT, MemId.UOP):
            return Const(0, kind.sram_bits)
        width = 32 if kind.widens else kind.lane_bits
        lane = Cat(pad_value, pad_value[-1].replicate(24))[:width]
        return lane.replicate(kind.sram_bits // width)

    def _octets(self, m, kind, byte):
        """The bytes of a step as the SRAM holds them: int32 of int8, or as they are."""
        octets = []
        for n in range(min(kind.elem_bytes, BEAT)):
            octet = self.block.beat.payload.word_select((byte + n) % BEAT, 8)
            op_pending = Signal(32 if kind.widens else 8, name=f"{kind.memory.name}_{n}")
            m.d.comb += op_pending.eq((octet ^ 0x80) - 0x80)
            octets.append(op_pending)
        return Cat(octets)

    def _error(self, m, beyond, place):
        """The first step beyond the SRAM is reported, with its place."""
        error = self.block.error
        code, addr = Signal.like(error.code), Signal.like(error.addr)
        with m.If(beyond):
            m.d.sync += [code.eq(ErrorCode.SRAM_RANGE), addr.eq(place)]
        m.d.comb += [
            Assert(error.code == code),
            Assert((code == 0) | ((error.source == Source.LOAD) & (error.addr == addr))),
        ]

    def _cover(self, m, row, write_zero, write_data, element_end, row_end, number, in_range):
        """Rows with zeros and elements, rows of either, rows that follow each other at once, every
        kind of memory, an element in the middle of which a row could be thought to end, errors."""
        for which, kind in enumerate(self.kinds):
            mine = row.kind == which
            m.d.comb += [
                Cover(
                    mine
                    & row_end
                    & write_data
                    & (row.zeros == 2)
                    & (number > kind.elem_bytes // BEAT)
                ),
                Cover(mine & row_end & write_zero & (row.count == 0) & (row.zeros == 3)),
                Cover(mine & (write_zero | write_data) & ~in_range),
                Cover(mine & element_end & write_data & row_end & self.block.row.valid),
            ]
        m.d.comb += [
            Cover(row_end & ~row.last & self.block.row.valid),
            Cover(row_end & ~(write_zero | write_data) & row.last),
        ]


SETS = {"loads": LOADS, "widened": WIDENED, "wide": WIDE, "narrow": NARROW, "deep": DEEP}


@pytest.mark.formal
@pytest.mark.parametrize("kinds", SETS)
def test_writes_are_exactly_the_rows(kinds):
    prove(ExactlyTheRows(kinds=SETS[kinds]), depth=1)


@pytest.mark.formal
@pytest.mark.parametrize("kinds", SETS)
def test_rows_of_all_kinds_happen(kinds):
    reach(ExactlyTheRows(kinds=SETS[kinds]), depth=24)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("kinds", "old", "new"),
    [
        ("loads", "write_zero.eq(enable & zeros.nonzero)",
         "write_zero.eq(enable & (zeros.value > 1))"),
        ("loads", "(write_zero & zeros.is_one & ~count.nonzero)", "(write_zero & zeros.is_one)"),
        ("loads", "Mux(write_zero, self._padding(row), self._selected(row, position))",
         "self._selected(row, position)"),
        ("loads", "port.mask.eq(~0)", "port.mask.eq(1)"),
        ("loads", "(write_data & (packed | last_position))", "write_data"),
        ("loads", "self.row.ready & self.row.valid & next_row.first",
         "self.row.ready & self.row.valid"),
        ("loads", "position.eq(first_element)", "position.eq(0)"),
        ("loads", "(~packed | last_position | count.is_one)", "(~packed | last_position)"),
        ("loads", "(~packed | last_position | count.is_one)", "(~packed | count.is_one)"),
        ("loads", "Mux(last_position, 0, position + 1)", "Mux(position == 0, 0, position + 1)"),
        ("loads", "op.data.eq(write_data & in_range)", "op.data.eq(write_data)"),
        ("loads", "op.load_end.eq(row_end & row.last &", "op.load_end.eq(row_end &"),
        ("loads", "loaded.eq(accepted & op.element_end)", "loaded.eq(accepted & op.data)"),
        ("loads", "~failed & self.op.ready", "~failed"),
        ("loads", "failed.eq(1),", "failed.eq(0),"),
        ("deep", "Mux(last_position, has_one,", "Mux(last_position, 0,"),
        ("loads", "(accepted & self.op.payload.load_end)",
         "(self.op.valid & self.op.payload.load_end)"),
        ("loads", "self.op.ready.eq(~self.stall)", "self.op.ready.eq(1)"),
        ("widened", "octet[7].replicate(24)", "octet[6].replicate(24)"),
        ("wide", "(op.part * lanes_of_part if parts > 1 else 0)",
         "(op.part if parts > 1 else 0)"),
        ("widened", "if kind.memory in PAD_VALUE_MEMORIES else 0", "if 1 else 0"),
        ("wide", "lane[-1].replicate(bits - len(lane))", "lane[0].replicate(bits - len(lane))"),
        ("narrow", "row.pad_value[:4]", "row.pad_value[4:]"),
    ],
    ids=["a-zero-lost", "elements-after-zeros-lost", "zeros-are-data", "zeros-in-part",
         "part-is-element", "rows-begin-anew", "offset-ignored", "last-beat-kept",
         "full-beat-kept", "position-stays", "beyond-the-sram",
         "done-each-row", "counted-twice", "goes-on-when-stalled", "goes-on-after-error",
         "one-position-passes", "done-when-stalled",
         "stall-lost", "wrong-sign", "wrong-mask", "micro-ops-padded", "pad-value-sign",
         "pad-value-high"],
)  # fmt: skip
def test_broken_writers_are_found(kinds, old, new):
    broken = mutant(row_writer, old, new, **SMALL)
    refute(ExactlyTheRows(broken, SETS[kinds]), depth=10)


def test_a_counter_with_a_late_flag_is_found():
    counter = mutant(down_counter, "is_one.eq(self.value == 2)", "is_one.eq(self.value == 3)")
    broken = shrunk(row_writer, DownCounter=counter.DownCounter, **SMALL)
    refute(ExactlyTheRows(broken, SETS["loads"]), depth=10)
