"""Reads the rows of a store from the SRAM and makes bus beats of them.

``beats = sram[i], sram[i + 1], ...``, packed from the row's offset on, a beat or an element a cycle
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.dma.row_generator import MemoryKind, Row, index_range
from vta.hw.interfaces import ErrorLayout, SramReadSignature, WritePortSignature
from vta.memmap import ErrorCode, Source


class RowReader(wiring.Component):
    """Turns rows into beats with byte strobes.

    A first step reads an element; a second, while the SRAM holds it, sends its beats, or, where
    elements are smaller than a beat, gathers it with its neighbours.

    Attributes
    ----------
    row : stream of Row, in
        Rows without zeros.
    sram : SramReadSignature, out
        Where the elements are.
    beat : stream of data and strobes, out
    read : out
        One pulse for each element.
    error : ErrorLayout, out
        SRAM_RANGE, with the index. The reader stops for good.
    """

    def __init__(self, kind: MemoryKind, *, addr_bits: int, data_bits: int) -> None:
        self.kind, self.data_bits = kind, data_bits
        self.row_layout = Row(kinds=1, addr_bits=addr_bits, data_bits=data_bits)
        port = WritePortSignature(addr_bits=addr_bits, data_bits=data_bits)
        super().__init__({
            "row": In(stream.Signature(self.row_layout.size)),
            "sram": Out(SramReadSignature(log_depth=kind.log_depth, bits=kind.sram_bits)),
            "beat": port.members["beat"],
            "read": Out(1),
            "error": Out(ErrorLayout()),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        elem_bits = self.kind.elem_bytes * 8
        self.parts = max(1, elem_bits // self.data_bits)
        self.lanes = max(1, self.data_bits // elem_bits)
        held = data.StructLayout({"valid": 1, "lane": index_range(self.lanes), "ends": 1})
        element = Signal(held)
        free = Signal()
        self._read(m, element, free)
        if self.lanes > 1:
            self._gather(m, element, free, elem_bits)
        else:
            self._send(m, element, free)
        return m

    def _read(self, m, element, free):
        """Walk the elements of the row; read the next one when there is room for it."""
        row = Signal(self.row_layout)
        following = data.View(self.row_layout, self.row.payload)
        active = Signal()
        index = Signal(17)
        lane = Signal(index_range(self.lanes))
        reads = Signal()
        ends = Signal()
        in_range = index < 2**self.kind.log_depth
        well = self.error.code == ErrorCode.NONE
        m.d.comb += [
            reads.eq(active & well & (row.count != 0) & free),
            ends.eq(active & well & ((row.count == 0) | (reads & (row.count == 1)))),
            self.row.ready.eq(~active | ends),
            self.sram.en.eq(reads & in_range),
            self.sram.addr.eq(index),
            self.read.eq(reads & in_range),
        ]
        with m.If(free):
            m.d.sync += [
                element.valid.eq(reads & in_range),
                element.lane.eq(lane),
                element.ends.eq(row.count == 1),
            ]
        with m.If(reads):
            m.d.sync += [row.count.eq(row.count - 1), index.eq(index + 1), lane.eq(lane + 1)]
            with m.If(~in_range):
                m.d.sync += [
                    self.error.code.eq(ErrorCode.SRAM_RANGE),
                    self.error.source.eq(Source.STORE),
                    self.error.addr.eq(index),
                ]
        with m.If(self.row.ready):
            m.d.sync += [active.eq(self.row.valid), row.eq(following)]
            with m.If(self.row.valid):
                m.d.sync += lane.eq(following.offset >> self.kind.log_bytes)
                with m.If(following.first):
                    m.d.sync += index.eq(following.sram)

    def _send(self, m, element, free):
        """An element is ``parts`` beats."""
        part = Signal(index_range(self.parts))
        beat = self.beat.payload
        m.d.comb += [
            beat.data.eq(self.sram.data.word_select(part, self.data_bits)),
            beat.strb.eq(~0),
            self.beat.valid.eq(element.valid),
            free.eq(~element.valid | (self.beat.ready & (part == self.parts - 1))),
        ]
        with m.If(self.beat.valid & self.beat.ready):
            m.d.sync += part.eq(Mux(part == self.parts - 1, 0, part + 1))

    def _gather(self, m, element, free, elem_bits):
        """A beat is up to ``lanes`` elements: those of the row that lie in it."""
        beat = self.beat.payload
        gathered = Signal.like(beat)
        complete = Signal()
        m.d.comb += [
            beat.eq(gathered),
            beat.data.word_select(element.lane, elem_bits).eq(self.sram.data),
            beat.strb.word_select(element.lane, elem_bits // 8).eq(~0),
            complete.eq((element.lane == self.lanes - 1) | element.ends),
            self.beat.valid.eq(element.valid & complete),
            free.eq(~element.valid | ~complete | self.beat.ready),
        ]
        with m.If(element.valid & free):
            m.d.sync += gathered.eq(Mux(complete, 0, beat))
