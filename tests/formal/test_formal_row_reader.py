"""The row reader: every element of the rows is read once, in order, into the right bytes of the
right beats, and no other strobe is asserted."""

import pytest
from amaranth.hdl import Array, Assert, Assume, Cover, Mux, Signal
from amaranth.lib import data

from tests.formal.mutant import mutant
from tests.formal.runner import Properties, constant, prove, reach, refute
from vta.hw.debug.signal_paths import SignalPaths
from vta.hw.dma import row_reader
from vta.hw.dma.rows import MemoryKind, Row, index_range
from vta.isa import MemId
from vta.memmap import ErrorCode, Source

ADDR_BITS, DATA_BITS = 16, 32
BEAT = DATA_BITS // 8
DEPTHS = {1: 16, 2: 8, 4: 4, 8: 4, 16: 4}
"""Entries of the SRAM for each size of an element: smaller than a beat, as wide, wider."""


class ExactlyTheRows(Properties):
    """Beside the block: the row whose elements are read; the element that was read last, its row,
    and how many beats of that have been sent. The SRAM holds any bytes, always the same. With
    ``waits`` it may let the reader wait for any time, and ``ask_ahead`` beats before the last one
    of an element the next element is asked for."""

    def __init__(self, module=row_reader, elem_bytes=1, *, waits=False, ask_ahead=0):
        self.elem_bytes, self.depth = elem_bytes, DEPTHS[elem_bytes]
        kind = MemoryKind(
            memory=MemId.OUT, sram="out", elem_bytes=elem_bytes, sram_bits=elem_bytes * 8,
            log_depth=self.depth.bit_length() - 1,
        )  # fmt: skip
        self.log_bytes = kind.log_bytes
        self.layout = Row((kind,), data_bits=DATA_BITS, pads=False)
        self.reading = Signal(
            data.StructLayout({"active": 1, "row": self.layout, "base": 24, "reads": 18})
        )
        self.held = Signal(
            data.StructLayout({
                "valid": 1, "row": self.layout, "base": 24, "number": 18, "sent": 20,
            })
        )  # fmt: skip
        self.any_contents, self.contents = Signal(self.depth * elem_bytes * 8), None
        self.waits, self.ask_ahead = waits, ask_ahead
        block = module.RowReader(
            kind, (kind,), addr_bits=ADDR_BITS, data_bits=DATA_BITS, waits=waits,
            ask_ahead=ask_ahead,
        )  # fmt: skip
        super().__init__(block, [self.any_contents])

    def elaborate(self, platform):
        paths = SignalPaths(self.block)
        m = super().elaborate(platform, paths.fragment)
        self.contents = constant(m, self.any_contents)
        self.no_error = self.block.error.code == ErrorCode.NONE
        self._world(m)
        element_leaves = self._beats(m)
        self._reads(m, element_leaves)
        self._belongs(m, paths)
        return m

    def octet(self, base, position):
        """The byte of the SRAM that is ``position`` bytes behind the element ``base``."""
        octets = [self.contents.word_select(n, 8) for n in range(self.depth * self.elem_bytes)]
        return Array(octets)[(base << self.log_bytes) + position]

    def well_formed(self, row):
        """The guarantees of the row generator for a row (``test_formal_row_generator.py``)."""
        return [row.offset & (min(self.elem_bytes, BEAT) - 1) == 0]

    def beats(self, row):
        """The beats that a row occupies, as the row generator requests them."""
        size = row.count << self.log_bytes
        return Mux(row.count == 0, 0, (size + row.offset + BEAT - 1) // BEAT)

    def _world(self, m):
        """Rows are well formed; the data of the SRAM is valid in the next cycle and held."""
        row = data.View(self.layout, self.block.row.payload)
        sram, sram_data = self.block.sram, Signal.like(self.block.sram.data)
        with m.If(self.block.read):
            m.d.sync += sram_data.eq(self.contents.word_select(sram.addr, self.elem_bytes * 8))
        m.d.comb += sram.data.eq(sram_data)
        m.d.comb += [Assume(~self.block.row.valid | fact) for fact in self.well_formed(row)]

    def _beats(self, m):
        """A beat has all bytes of its row that lie in it, and is offered when the last of them is
        there. Gives whether the element that is held makes room for the next."""
        beat, held = self.block.beat, self.held
        row = held.row
        last, beat_complete, beat_accepted, element_leaves = Signal(), Signal(), Signal(), Signal()
        end, after = Signal(28), Signal(28)  # of the row, of the element; from its first beat on
        m.d.comb += [
            end.eq(row.offset + (row.count << self.log_bytes)),
            after.eq(row.offset + ((held.number + 1) << self.log_bytes)),
            last.eq(after == end),
            beat_complete.eq(last | (after % BEAT == 0)),
            beat_accepted.eq(beat.valid & beat.ready),
            element_leaves.eq(
                held.valid & (~beat_complete | (beat_accepted & ((held.sent + 1) * BEAT >= after)))
            ),
            Assert(beat.valid == (held.valid & beat_complete)),
            Assert(~(element_leaves & last) | (held.sent + beat_accepted == self.beats(row))),
        ]
        m.d.sync += held.sent.eq(held.sent + beat_accepted)
        for lane in range(BEAT):
            position = Signal(28, name=f"position{lane}")
            m.d.comb += position.eq(held.sent * BEAT + lane)
            mine = (position >= row.offset) & (position < end)
            right = beat.payload.data.word_select(lane, 8) == self.octet(
                held.base, position - row.offset
            )
            with m.If(beat.valid):
                m.d.comb += Assert(beat.payload.strb[lane] == mine)
            with m.If(beat.valid & mine):
                m.d.comb += Assert(right)
        inside_a_beat = max(0, BEAT - self.elem_bytes)
        m.d.comb += [
            Cover(beat_accepted & last & (self.beats(row) >= 3) & (row.offset == inside_a_beat)),
            Cover(beat_accepted & last & (self.beats(row) >= 3) & (row.offset == 0)),
            Cover(beat.valid & ~beat.ready & ~last),
        ]
        return element_leaves

    def _reads(self, m, element_leaves):
        """Elements are read in order, each as soon as there is room, none beyond the SRAM."""
        block, reading, held = self.block, self.reading, self.held
        row, reads, en = reading.row, reading.reads, Signal()
        index, remaining, room, beyond = Signal(24), Signal(), Signal(), Signal()
        after = held.row.offset + ((held.number + 1) << self.log_bytes)
        ask = room
        if self.ask_ahead:
            ask = ~held.valid | ((held.sent + 1 + self.ask_ahead) * BEAT >= after)
        m.d.comb += [
            index.eq(reading.base + reads),
            remaining.eq(reading.active & self.no_error & (reads != row.count)),
            room.eq(~held.valid | element_leaves),
            beyond.eq(remaining & room & (index >= self.depth)),
            en.eq(remaining & room & ~beyond & (block.sram_ready if self.waits else 1)),
            Assert(block.sram.en == (remaining & ask & (index < self.depth))),
            Assert(block.idle == (~reading.active & ~held.valid)),
            Assert(~block.sram.en | (block.sram.addr == index)),
            Assert(block.read == en),
        ]
        if self.waits:
            asked, addr = Signal(), Signal.like(block.sram.addr, name="asked_addr")
            m.d.sync += [asked.eq(block.sram.en & ~block.sram_ready), addr.eq(block.sram.addr)]
            m.d.comb += [
                Assert(block.sram_take == en),
                Assert(~asked | (block.sram.en & (block.sram.addr == addr))),  # held until ready
                Assert(~asked | (self.no_error & reading.active & (addr == index))),
            ]
        with m.If(room):
            m.d.sync += held.valid.eq(en)
        with m.If(en):
            m.d.sync += [
                held.row.eq(row),
                held.base.eq(reading.base),
                held.number.eq(reads),
                reads.eq(reads + 1),
            ]
        with m.If(en & (reads == 0)):
            m.d.sync += held.sent.eq(0)

        next_row = data.View(self.layout, block.row.payload)
        with m.If(self.no_error & ~beyond):
            m.d.comb += Assert(block.row.ready == (~reading.active | (reads + en == row.count)))
        with m.If(block.row.ready):
            m.d.sync += [reading.active.eq(block.row.valid), row.eq(next_row), reads.eq(0)]
            with m.If(block.row.valid & next_row.first):
                m.d.sync += reading.base.eq(next_row.sram_base)
            with m.Elif(reading.active):
                m.d.sync += reading.base.eq(reading.base + row.count)

        code, addr = Signal.like(block.error.code), Signal.like(block.error.addr)
        with m.If(beyond):
            m.d.sync += [code.eq(ErrorCode.SRAM_RANGE), addr.eq(index)]
        m.d.comb += [
            Assert(block.error.code == code),
            Assert(
                self.no_error | ((block.error.source == Source.STORE) & (block.error.addr == addr))
            ),
            Cover(en & (reads == 0) & held.valid & ~row.first),
            Cover(beyond & (reads == 1)),
            Cover(reading.active & (row.count == 0) & held.valid),
        ]

    def _belongs(self, m, paths):
        """The registers of the block in these terms, for the induction."""
        reading, held = self.reading, self.held
        count, lanes = paths["count.value"], max(1, BEAT // self.elem_bytes)
        m.d.comb += Assert(self.no_error | ~held.valid)
        with m.If(self.no_error):
            m.d.comb += [
                Assert(paths["row_valid"] == reading.active),
                Assert(paths["index"] == reading.base + reading.reads),
            ]
        with m.If(self.no_error & reading.active):
            m.d.comb += [
                *map(Assert, self.well_formed(reading.row)),
                Assert((reading.reads < reading.row.count) | (reading.row.count == 0)),
                Assert(count == reading.row.count - reading.reads),
                Assert(paths["count.nonzero"] == (count != 0)),
                Assert(paths["count.is_one"] == (count == 1)),
            ]
        with m.Elif(self.no_error):
            m.d.comb += Assert(reading.reads == 0)

        byte = held.row.offset + (held.number << self.log_bytes)
        element = data.StructLayout({"valid": 1, "lane": index_range(lanes), "row_end": 1})
        element = data.View(element, paths["element"])
        m.d.comb += Assert(element.valid == held.valid)
        with m.If(held.valid):
            m.d.comb += [
                *map(Assert, self.well_formed(held.row)),
                Assert(held.number < held.row.count),
                Assert(held.base + held.number < self.depth),
                Assert(
                    self.block.sram.data
                    == self.contents.word_select(held.base + held.number, self.elem_bytes * 8)
                ),
                Assert(element.row_end == (held.number + 1 == held.row.count)),
            ]
            with m.If(reading.reads == 0):
                m.d.comb += Assert(held.number + 1 == held.row.count)
        with m.If((held.valid | self.no_error) & (reading.reads != 0)):
            m.d.comb += [
                Assert(held.row == reading.row),
                Assert(held.base == reading.base),
                Assert(held.number + 1 == reading.reads),
            ]
        # Inside a row the next element is read when one leaves, unless the SRAM is not ready.
        between = Signal()
        m.d.comb += between.eq(~held.valid & self.no_error & (reading.reads != 0))
        if not self.waits:
            m.d.comb += Assert(~between)
        if lanes == 1:
            self._belongs_to_sending(m, paths, byte, between)
        else:
            self._belongs_to_gathering(m, paths, element, byte, between)

    def _belongs_to_sending(self, m, paths, byte, between):
        """``part`` beats of the element have been sent."""
        part = paths["part"]
        with m.If(between):
            m.d.comb += Assert(self.held.sent * BEAT == byte + self.elem_bytes)
        with m.If(self.held.valid):
            m.d.comb += [
                Assert(self.held.sent * BEAT == byte + part * BEAT),
                Assert(part < self.elem_bytes // BEAT),
            ]
        with m.Else():
            m.d.comb += Assert(part == 0)

    def _belongs_to_gathering(self, m, paths, element, byte, between):
        """The elements of the row before this one, as far as they are in the same beat, have been
        gathered."""
        held = self.held
        gathered = data.View(self.block.beat.payload.shape(), paths["merged"])
        with m.If(held.valid):
            m.d.comb += [
                Assert(held.sent == byte // BEAT),
                Assert(element.lane == byte % BEAT >> self.log_bytes),
            ]
        end = byte + Mux(between, self.elem_bytes, 0)
        with m.If(between):
            m.d.comb += Assert(held.sent == end // BEAT)
        for number in range(BEAT):
            position = held.sent * BEAT + number
            on = gathered.strb[number]
            with m.If(held.valid | between):
                m.d.comb += Assert(on == ((position >= held.row.offset) & (position < end)))
            with m.Elif(self.no_error):
                m.d.comb += Assert(~on)
            with m.If((held.valid | between) & on):
                m.d.comb += Assert(
                    gathered.data.word_select(number, 8)
                    == self.octet(held.base, position - held.row.offset)
                )
        with m.If(self.no_error & self.reading.active):
            here = self.reading.row.offset + (self.reading.reads << self.log_bytes)
            m.d.comb += Assert(paths["lane"] == here % BEAT >> self.log_bytes)


@pytest.mark.formal
@pytest.mark.parametrize("waits", [False, True], ids=["", "waits"])
@pytest.mark.parametrize("elem_bytes", DEPTHS)
def test_beats_are_exactly_the_rows(elem_bytes, waits):
    prove(ExactlyTheRows(elem_bytes=elem_bytes, waits=waits), depth=1)


@pytest.mark.formal
@pytest.mark.parametrize(("elem_bytes", "ask_ahead"), [(4, 3), (8, 3), (16, 1), (16, 2)])
def test_a_reader_that_asks_ahead_sends_the_same_beats(elem_bytes, ask_ahead):
    prove(ExactlyTheRows(elem_bytes=elem_bytes, waits=True, ask_ahead=ask_ahead), depth=1)


@pytest.mark.formal
@pytest.mark.parametrize("elem_bytes", DEPTHS)
def test_rows_of_all_kinds_happen(elem_bytes):
    reach(ExactlyTheRows(elem_bytes=elem_bytes), depth=20)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("elem_bytes", "old", "new"),
    [
        (1, "(read & count.is_one)", "(read & (count.value <= 2))"),
        (1, "with m.If(next_row.first):", "with m.If(1):"),
        (1, "enable = row_valid & (self.error.code == ErrorCode.NONE)", "enable = row_valid"),
        (1, "self.sram.en.eq(remaining & ask & in_range)", "self.sram.en.eq(remaining & ask)"),
        (1, "lane.eq(next_row.offset >> self.kind.log_bytes)", "lane.eq(0)"),
        (1, "beat.strb.word_select(element.lane, elem_bits // 8)", "beat.strb"),
        (1, "merged.eq(Mux(complete, 0, beat))", "merged.eq(beat)"),
        (1, "(element.lane == self.lanes - 1) | element.row_end", "element.lane == self.lanes - 1"),
        (1, "(element.lane == self.lanes - 1) | element.row_end", "element.row_end"),
        (1, "element.row_end.eq(count.is_one)",
         "element.row_end.eq(count.is_one & ~lane[0])"),
        (1, "~complete | self.beat.ready", "1"),
        (8, "(self.beat.ready & last_part)", "self.beat.ready"),
        (8, "self.sram.data.word_select(part, self.data_bits)",
         "self.sram.data.word_select(~part, self.data_bits)"),
    ],
    ids=["an-element-lost", "rows-begin-anew", "goes-on-after-error", "beyond-the-sram",
         "offset-ignored", "whole-beats", "strobes-stay", "last-beat-kept", "full-beat-kept",
         "rows-in-one-beat", "beat-overwritten", "half-an-element", "halves-swapped"],
)  # fmt: skip
def test_broken_readers_are_found(elem_bytes, old, new):
    refute(ExactlyTheRows(mutant(row_reader, old, new), elem_bytes), depth=12)


@pytest.mark.formal
def test_a_reader_that_does_not_wait_is_found():
    broken = mutant(row_reader, "available = self.sram_ready | ~in_range", "available = self.waits")
    refute(ExactlyTheRows(broken, 4, waits=True), depth=10)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("self.sram_take.eq(self.read)", "self.sram_take.eq(self.sram_ready)"),
        ("part >= first_asking", "part == first_asking"),
        ("read.eq(remaining & element_ready & available)", "read.eq(remaining & ask & available)"),
    ],
    ids=["taken-too-early", "asked-for-a-cycle", "overwritten"],
)
def test_broken_readers_that_ask_ahead_are_found(old, new):
    refute(ExactlyTheRows(mutant(row_reader, old, new), 16, waits=True, ask_ahead=2), depth=12)
