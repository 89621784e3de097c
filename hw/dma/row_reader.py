"""Row reading: the rows of a store, read from the SRAM, as bus beats.

``beats = sram[i], sram[i + 1], ...``, packed from the row's offset on; a beat, or an element, a
cycle
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.dma.rows import MemoryKind, Row, SramIndex, index_range
from vta.hw.interfaces import ERROR_ADDR_BITS, ErrorLayout, SramReadSignature, WritePortSignature
from vta.hw.lib.down_counter import DownCounter
from vta.memmap import ErrorCode, Source

__all__ = ["RowReader"]


class RowReader(wiring.Component):
    """Turns rows into beats with byte strobes.

    Two stages. Stage 0 reads an element. Stage 1, while the SRAM holds the data, sends the beats of
    the element or, where elements are smaller than a beat, merges the element into a beat.

    Parameters
    ----------
    kind : MemoryKind
        The memory.
    kinds : tuple of MemoryKind
        All memories of the rows' layout.
    addr_bits, data_bits : int
        Widths of the bus.
    waits : bool
        Whether the memory lets the reader wait (``sram_ready``).
    ask_ahead : int
        With ``waits``: how many cycles before the last beat of an element the next element is asked
        for, where an element is a beat or more.
    error_addr_bits : int
        As of :class:`~vta.hw.interfaces.ErrorLayout`.

    Attributes
    ----------
    row : stream of Row (as bits), in
        Rows without zeros.
    sram : SramReadSignature, out
        The memory with the elements. A memory that lets the reader wait is asked, for the same
        element, until ``sram_ready``.
    sram_ready, sram_take : in, out
        With ``waits``. The memory is ready with the element that is asked for. If the reader takes
        the element in this cycle, its data is valid from the next cycle on, until the reader takes
        the next one; otherwise the element is asked for again.
    idle : out
        No row and no element is in the reader.
    beat : stream of data and byte strobes, out
        Beats of the rows in order. Strobes of bytes outside of the row are low.
    read : out
        Strobe. An element is read.
    error : ErrorLayout, out
        SRAM_RANGE, with the index of the first element beyond the SRAM. No read follows.
    """

    def __init__(
        self, kind: MemoryKind, kinds: tuple[MemoryKind, ...], *, addr_bits: int, data_bits: int,
        waits: bool = False, ask_ahead: int = 0, error_addr_bits: int = ERROR_ADDR_BITS,
    ) -> None:  # fmt: skip
        self.kind, self.data_bits = kind, data_bits
        self.waits, self.ask_ahead = waits, ask_ahead
        self.row_layout = Row(kinds, data_bits=data_bits, pads=False)
        self.parts = kind.beats_per_element(data_bits)
        self.lanes = kind.elements_per_beat(data_bits)
        port = WritePortSignature(addr_bits=addr_bits, data_bits=data_bits)
        super().__init__({
            "row": In(stream.Signature(self.row_layout.size)),
            "sram": Out(SramReadSignature(log_depth=kind.log_depth, bits=kind.sram_bits)),
            "beat": port.members["beat"],
            "read": Out(1), "idle": Out(1),
            "error": Out(ErrorLayout(error_addr_bits)),
            **({"sram_ready": In(1), "sram_take": Out(1)} if waits else {}),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        # Stage 1: the element that the SRAM holds, its lane in the beat, the end of its row.
        element = Signal(
            data.StructLayout({"valid": 1, "lane": index_range(self.lanes), "row_end": 1})
        )
        element_ready = Signal()
        ask = Signal()
        """The next element is asked for: with ``element_ready``, or some cycles before."""
        self._read(m, element, element_ready, ask)
        if self.lanes > 1:
            self._pack(m, element, element_ready)
            m.d.comb += ask.eq(element_ready)
        else:
            self._split(m, element, element_ready, ask)
        return m

    def _read(self, m, element, element_ready, ask):
        """Stage 0: read the elements of the row, one whenever stage 1 is ready."""
        next_row = data.View(self.row_layout, self.row.payload)
        row_valid = Signal()
        m.submodules.count = count = DownCounter(len(next_row.count))
        sram_index = SramIndex((self.kind,))
        index = sram_index.value
        lane = Signal(index_range(self.lanes))
        read = Signal()
        row_end = Signal()
        in_range = sram_index.within(self.kind)
        enable = row_valid & (self.error.code == ErrorCode.NONE)
        remaining = enable & count.nonzero
        available = self.sram_ready | ~in_range if self.waits else 1
        m.d.comb += [
            read.eq(remaining & element_ready & available),
            self.idle.eq(~row_valid & ~element.valid),
            row_end.eq(enable & (~count.nonzero | (read & count.is_one))),
            self.row.ready.eq(~row_valid | row_end),
            self.sram.en.eq(remaining & ask & in_range),
            self.sram.addr.eq(index),
            self.read.eq(read & in_range),
            count.load.eq(self.row.ready),
            count.load_value.eq(next_row.count),
            count.step.eq(read),
        ]
        if self.waits:
            m.d.comb += self.sram_take.eq(self.read)
        with m.If(element_ready):
            m.d.sync += [
                element.valid.eq(read & in_range),
                element.lane.eq(lane),
                element.row_end.eq(count.is_one),
            ]
        with m.If(read):
            m.d.sync += [sram_index.step(), lane.eq(lane + 1)]
            with m.If(~in_range):
                m.d.sync += [
                    self.error.code.eq(ErrorCode.SRAM_RANGE),
                    self.error.source.eq(Source.STORE),
                    self.error.addr.eq(index),
                ]
        with m.If(self.row.ready):
            m.d.sync += row_valid.eq(self.row.valid)
            with m.If(self.row.valid):
                m.d.sync += lane.eq(next_row.offset >> self.kind.log_bytes)
                with m.If(next_row.first):
                    m.d.sync += sram_index.load(next_row.sram_base)

    def _split(self, m, element, element_ready, ask):
        """Stage 1 for elements of a beat or more: ``parts`` beats each."""
        part = Signal(index_range(self.parts))
        last_part = part == self.parts - 1
        beat = self.beat.payload
        m.d.comb += [
            beat.data.eq(self.sram.data.word_select(part, self.data_bits)),
            beat.strb.eq(~0),
            self.beat.valid.eq(element.valid),
            element_ready.eq(~element.valid | (self.beat.ready & last_part)),
            ask.eq(element_ready),
        ]
        if self.ask_ahead:
            first_asking = max(0, self.parts - 1 - self.ask_ahead)
            asks = part >= first_asking if first_asking else 1  # no comparison that is constant
            m.d.comb += ask.eq(~element.valid | asks)
        with m.If(self.beat.valid & self.beat.ready):
            m.d.sync += part.eq(Mux(last_part, 0, part + 1))

    def _pack(self, m, element, element_ready):
        """Stage 1 for smaller elements: a beat holds up to ``lanes`` elements of one row."""
        elem_bits = self.kind.elem_bytes * 8
        beat = self.beat.payload
        merged = Signal.like(beat)
        """The earlier elements of the beat."""
        complete = Signal()
        m.d.comb += [
            beat.eq(merged),
            beat.data.word_select(element.lane, elem_bits).eq(self.sram.data),
            beat.strb.word_select(element.lane, elem_bits // 8).eq(~0),
            complete.eq((element.lane == self.lanes - 1) | element.row_end),
            self.beat.valid.eq(element.valid & complete),
            element_ready.eq(~element.valid | ~complete | self.beat.ready),
        ]
        with m.If(element.valid & element_ready):
            m.d.sync += merged.eq(Mux(complete, 0, beat))
