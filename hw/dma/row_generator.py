"""Row generation: the rows of a LOAD or STORE, each with its bus request and its SRAM elements.

``dram[dram_base + r * x_stride + c] <-> sram[sram_base + zeros + r * pitch + c]``, ``c < x_size``

    request -> DescriptorBuilder -> RowSequencer -> byte addresses -> skid buffer -> row
"""

from collections.abc import Sequence

from amaranth.hdl import Array, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from vta.hw.dma.rows import (
    SRAM_BASE_BITS,
    BusRow,
    MemoryKind,
    count_bits,
    index_range,
    pad_member,
    reported_by,
    saturated,
)
from vta.hw.interfaces import ERROR_ADDR_BITS, ErrorLayout, layout_of
from vta.hw.lib.skid_buffer import SkidBuffer
from vta.isa import Format
from vta.memmap import ErrorCode, Source

__all__ = ["DescriptorBuilder", "ElementRow", "RowGenerator", "RowSequencer", "TransferDescriptor"]

ELEMENT_BITS = 34
"""Width of an element index in DRAM: ``dram_base + y_size * x_stride < 2^34``."""

PAD_ROWS_BITS = 5
"""Width of a number of rows of padding, which is at most 30."""


def _sum(a, b, c):
    """``a + b + c`` of unsigned numbers with one carry chain (a 3:2 compressor and one adder)."""
    return (a ^ b ^ c) + (((a & b) | (b & c) | (c & a)) << 1)


def _times(rows, pitch):
    """``rows * pitch`` for two or three bits of ``rows``, as a sum: no multiplier of the part."""
    terms = [Mux(bit, pitch << n, 0) for n, bit in enumerate(rows)]
    return _sum(*terms) if len(terms) == 3 else terms[0] + terms[1]


class TransferDescriptor(data.StructLayout):
    """A transfer, ready to be split into rows: ``rows`` rows of ``count`` elements.

    ``element`` is the DRAM index of the first element, ``stride`` the distance of rows in DRAM,
    ``sram_base`` the SRAM index of the first element. ``lead`` zeros are before the first row,
    ``between`` before each further row; ``no_trail`` if none are after the last. Without rows
    ``lead`` are all zeros. ``has_columns`` is low for a NOP. ``pad_value`` is the value of the
    zeros' lanes, if there is one. Without ``pads`` there are no zeros, and no members for them.
    ``rows`` and ``count`` saturate (:func:`~vta.hw.dma.rows.count_bits`).
    """

    def __init__(
        self, kinds: tuple[MemoryKind, ...], *, has_pad_value: bool = False, pads: bool = True
    ) -> None:
        bits = count_bits(kinds)
        zeros = {"lead": bits + PAD_ROWS_BITS, "between": 5, "no_trail": 1}
        super().__init__({
            "kind": index_range(len(kinds)), "sram_base": SRAM_BASE_BITS, "element": 32,
            "stride": 16, "rows": bits, "count": bits, "has_columns": 1,
            **(zeros if pads else {}),
            **pad_member(has_pad_value),
        })  # fmt: skip


class ElementRow(data.StructLayout):
    """A row: ``count`` DRAM elements after ``zeros`` zeros, ``size`` bytes from the byte ``begin``
    on. The other fields are those of :class:`~vta.hw.dma.rows.Row`."""

    def __init__(
        self, kinds: tuple[MemoryKind, ...], *, has_pad_value: bool = False, pads: bool = True
    ) -> None:
        bits, log_bytes = count_bits(kinds), max(kind.log_bytes for kind in kinds)
        super().__init__({
            "kind": index_range(len(kinds)), "sram_base": SRAM_BASE_BITS, "first": 1, "last": 1,
            **({"zeros": bits} if pads else {}), "count": bits, "has_columns": 1,
            "begin": ELEMENT_BITS + log_bytes, "size": bits + log_bytes,
            **pad_member(has_pad_value),
        })  # fmt: skip


class DescriptorBuilder(wiring.Component):
    """Turns an instruction into a descriptor: padded pitch, then products, then sums.

    One instruction at a time; rows that are contiguous in DRAM and in the SRAM become one row. The
    zeros before the first row and those after the last are products of the same logic, in
    consecutive cycles.

    Parameters
    ----------
    insn : Format
        The layout of LOAD and STORE (``Isa.memory``).
    kinds : tuple of MemoryKind
        The memories that requests may name.
    pad_load : Format or None
        The layout of a LOAD with a pad value (``Isa.pad_load``), if requests may have one.
    pads : bool
        Whether requests may have padding.

    Attributes
    ----------
    request : stream of the instruction layout, in
        Legal transfers.
    descriptor : stream of TransferDescriptor, out
        Valid :attr:`LATENCY` cycles after the request.
    trail : out
        The zeros after the last row of the descriptor, from the cycle after it is valid until one
        cycle after it is accepted.
    """

    LATENCY = 3

    def __init__(
        self, insn: Format, kinds: tuple[MemoryKind, ...], pad_load: Format | None = None, *,
        pads: bool = True,
    ) -> None:  # fmt: skip
        self.insn, self.kinds, self.pad_load, self.pads = insn, kinds, pad_load, pads
        self.bits = count_bits(kinds)
        descriptor = TransferDescriptor(kinds, has_pad_value=pad_load is not None, pads=pads)
        super().__init__({
            "request": In(stream.Signature(layout_of(insn))),
            "descriptor": Out(stream.Signature(descriptor)),
            **({"trail": Out(self.bits + PAD_ROWS_BITS)} if pads else {}),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        # Cycle 0: the numbers of elements and rows, the pitch of a padded row, and the first rows
        # of zeros. The pitch saturates in the next cycle, if it or ``x_size`` has more than
        # ``bits`` bits.
        pitch_valid = Signal()
        products_valid = Signal()
        insn = Signal(layout_of(self.insn))
        pitch = Signal(range(2**self.bits + 30))
        wide = Signal()
        x_count = Signal(self.bits, reset_less=True)
        y_count = Signal(self.bits, reset_less=True)
        lead_rows = Signal(PAD_ROWS_BITS)
        new = self.request.payload
        m.d.comb += self.request.ready.eq(~pitch_valid)
        with m.If(self.request.ready):
            m.d.sync += [
                pitch_valid.eq(self.request.valid),
                insn.eq(new),
                pitch.eq(_sum(new.x_pad_0, new.x_size[: self.bits], new.x_pad_1)),
                wide.eq(new.x_size[self.bits :].any()),
                x_count.eq(saturated(new.x_size, self.bits)),
                y_count.eq(saturated(new.y_size, self.bits)),
                lead_rows.eq(new.y_pad_0 + Mux(new.y_size == 0, new.y_pad_1, 0)),
            ]
        # Cycle 1: products. Cycle 2: sums, and products of the trail. Cycle 3: its sum.
        m.d.sync += products_valid.eq(pitch_valid)
        overflow = pitch[self.bits :].any() | wide
        saturated_pitch = pitch[: self.bits] | overflow.replicate(self.bits)
        load = Signal()
        out = self.descriptor.payload
        m.d.comb += load.eq(products_valid & ~self.descriptor.valid)
        products = self._products(m, insn, saturated_pitch, lead_rows, load)
        m.d.sync += products.elements.eq(x_count * y_count)
        with m.If(self.descriptor.ready):
            m.d.sync += self.descriptor.valid.eq(0)
        with m.If(load):
            m.d.sync += [self.descriptor.valid.eq(1), pitch_valid.eq(0), products_valid.eq(0)]
            m.d.sync += [out.rows.eq(y_count), out.count.eq(x_count)]
            self._descriptor(m, insn, products)
        if self.pads:
            trail_valid = Signal()
            m.d.sync += trail_valid.eq(load)
            with m.If(trail_valid):
                m.d.sync += self.trail.eq(self._zeros(products))
        return m

    @staticmethod
    def _zeros(products):
        """``rows * pitch + columns`` of zeros."""
        return _sum(products.low, products.high << 2, products.columns)

    def _products(self, m, insn, pitch, lead_rows, trails):
        """The registered products: elements, and rows of zeros times ``pitch``.

        The zeros before the first row, or with ``trails`` those after the last, are the sum of
        three parts: ``low + 4 * high + columns``, where ``columns`` are the zeros in the row of the
        first, or last, element.
        """
        products = Signal(
            data.StructLayout({
                "kind": index_range(len(self.kinds)),
                "has_columns": 1, "contiguous": 1, "elements": 2 * self.bits,
                **({"low": self.bits + 2, "high": self.bits + 3, "columns": 4}
                   if self.pads else {}),
            }),
            reset_less=True,
        )  # fmt: skip
        for index, kind in enumerate(self.kinds):
            with m.If(insn.memory == kind.memory):
                m.d.sync += products.kind.eq(index)
        has_rows = insn.y_size != 0
        gapless = insn.x_stride == insn.x_size
        if self.pads:
            gapless &= (insn.x_pad_0 == 0) & (insn.x_pad_1 == 0)
        m.d.sync += [
            products.has_columns.eq(insn.x_size != 0),
            products.contiguous.eq(has_rows & gapless),
        ]
        if not self.pads:
            return products
        rows = Signal(PAD_ROWS_BITS)
        m.d.comb += rows.eq(Mux(trails, insn.y_pad_1, lead_rows))
        m.d.sync += [
            products.low.eq(_times(rows[:2], pitch)),
            products.high.eq(_times(rows[2:], pitch)),
            products.columns.eq(Mux(trails, insn.x_pad_1, Mux(has_rows, insn.x_pad_0, 0))),
        ]
        return products

    def _descriptor(self, m, insn, products):
        """Load the descriptor register; ``rows`` and ``count`` only where ``products`` say so."""
        out, parts = self.descriptor.payload, products
        m.d.sync += [
            out.kind.eq(parts.kind),
            out.sram_base.eq(insn.sram_base),
            out.element.eq(insn.dram_base),
            out.stride.eq(insn.x_stride),
            out.has_columns.eq(parts.has_columns),
        ]
        if self.pads:
            m.d.sync += [
                out.lead.eq(self._zeros(parts)),
                out.between.eq(insn.x_pad_0 + insn.x_pad_1),
                out.no_trail.eq((insn.y_pad_1 == 0) & (insn.x_pad_1 == 0)),
            ]
        if self.pad_load is not None:
            load = data.View(layout_of(self.pad_load), Value.cast(insn))
            m.d.sync += out.pad_value.eq(Mux(load.has_pad_value, load.pad_value, 0))
            with m.If(load.has_pad_value):
                m.d.sync += out.element.eq(load.dram_base)
        with m.If(~parts.has_columns):
            m.d.sync += out.rows.eq(0)
            if self.pads:
                m.d.sync += out.lead.eq(0)
        with m.Elif(parts.contiguous):
            m.d.sync += [out.rows.eq(1), out.count.eq(saturated(parts.elements, self.bits))]


class RowSequencer(wiring.Component):
    """Splits descriptors into rows, one a cycle, each with its place in DRAM in bytes.

    Parameters
    ----------
    kinds : tuple of MemoryKind
        The memories.
    has_pad_value : bool
        Whether descriptors and rows have the member ``pad_value``.
    pads : bool
        Whether transfers may have padding.

    Attributes
    ----------
    descriptor : stream of TransferDescriptor, in
        Accepted in the cycle of the last row of the previous descriptor.
    trail : in
        As of :class:`DescriptorBuilder`.
    row : stream of ElementRow, out
        The first row is valid :attr:`LATENCY` cycles after its descriptor was accepted. Zeros
        after the last row of elements, and a transfer without elements, are a row of their own.
    """

    LATENCY = 2

    def __init__(
        self, kinds: tuple[MemoryKind, ...], *, has_pad_value: bool = False, pads: bool = True
    ) -> None:
        self.bits, self.shifts = count_bits(kinds), [kind.log_bytes for kind in kinds]
        self.has_pad_value, self.pads = has_pad_value, pads
        self.descriptor_layout = TransferDescriptor(kinds, has_pad_value=has_pad_value, pads=pads)
        row = ElementRow(kinds, has_pad_value=has_pad_value, pads=pads)
        super().__init__({
            "descriptor": In(stream.Signature(self.descriptor_layout)),
            **({"trail": In(self.bits + PAD_ROWS_BITS)} if pads else {}),
            "row": Out(stream.Signature(row)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        row_out, new = self.row.payload, self.descriptor.payload
        current = Signal(self.descriptor_layout)
        """The descriptor; ``rows`` counts down."""
        active = Signal()
        element = Signal(ELEMENT_BITS)
        first = Signal()
        last = Signal()
        advance = Signal()
        no_trail = self._zeros(m, current, first, advance) if self.pads else 1
        m.d.comb += [
            advance.eq(~self.row.valid | self.row.ready),
            last.eq((current.rows == 0) | ((current.rows == 1) & no_trail)),
            self.descriptor.ready.eq(~active | (advance & last)),
        ]
        with m.If(advance):
            m.d.sync += [
                self.row.valid.eq(active),
                row_out.kind.eq(current.kind),
                row_out.sram_base.eq(current.sram_base),
                row_out.first.eq(first),
                row_out.last.eq(last),
                row_out.begin.eq(self._bytes(element, current.kind)),
                row_out.size.eq(self._bytes(current.count, current.kind)),
                first.eq(0),
            ]
            if self.has_pad_value:
                m.d.sync += row_out.pad_value.eq(current.pad_value)
            with m.If(current.rows == 0):
                m.d.sync += [
                    row_out.count.eq(0),
                    row_out.has_columns.eq(0),
                ]
            with m.Else():
                m.d.sync += [
                    row_out.count.eq(current.count),
                    row_out.has_columns.eq(current.has_columns),
                    element.eq(element + current.stride),
                    current.rows.eq(current.rows - 1),
                ]
        with m.If(self.descriptor.ready):
            m.d.sync += [
                active.eq(self.descriptor.valid),
                first.eq(1),
                current.eq(new),
                element.eq(new.element),
            ]
        return m

    def _bytes(self, elements, kind):
        """The bytes that so many elements of ``kind`` take."""
        return Array(elements << shift for shift in self.shifts)[kind]

    def _zeros(self, m, current, first, advance):
        """The zeros of each row; returns whether there are none after the last row."""
        zeros, trail = Signal(self.bits), Signal(self.bits)
        accepted = Signal()
        m.d.sync += accepted.eq(self.descriptor.valid & self.descriptor.ready)
        with m.If(accepted):
            m.d.sync += trail.eq(saturated(self.trail, self.bits))
        with m.If(advance):
            with m.If((current.rows == 0) & ~first):
                m.d.sync += self.row.payload.zeros.eq(trail)
            with m.Else():
                between = saturated(current.between, self.bits)
                m.d.sync += [self.row.payload.zeros.eq(zeros), zeros.eq(between)]
        with m.If(self.descriptor.ready):
            new = self.descriptor.payload
            m.d.sync += zeros.eq(saturated(new.lead, self.bits))
        return current.no_trail


class RowGenerator(wiring.Component):
    """Turns transfers into rows, one a cycle, in order.

    Parameters
    ----------
    insn : Format
        The layout of LOAD and STORE (``Isa.memory``).
    kinds : tuple of MemoryKind
        The memories that requests may name.
    addr_bits, data_bits : int
        Widths of the bus.
    source : Source or sequence of Source
        The reporter of the errors, or that of each memory.
    pad_load : Format or None
        The layout of a LOAD with a pad value (``Isa.pad_load``), if requests may have one.
    pads : bool
        Whether requests may have padding. A STORE has none.
    error_addr_bits : int
        As of :class:`~vta.hw.interfaces.ErrorLayout`.

    Attributes
    ----------
    request : stream of the instruction layout, in
        Legal transfers. A transfer of no columns becomes one row with neither zeros nor elements.
    row : stream of BusRow, out
        The first row is valid :attr:`LATENCY` cycles after its request. A skid buffer drives the
        stream: there is no combinational path from ``row.ready`` to ``request.ready``.
    error : ErrorLayout, out
        ADDRESS, with the byte address of the first row that is not within the address space of
        the bus. No row follows.
    """

    LATENCY = DescriptorBuilder.LATENCY + RowSequencer.LATENCY + SkidBuffer.LATENCY

    def __init__(
        self,
        insn: Format,
        kinds: tuple[MemoryKind, ...],
        *,
        addr_bits: int,
        data_bits: int,
        source: Source | Sequence[Source],
        pad_load: Format | None = None,
        pads: bool = True,
        error_addr_bits: int = ERROR_ADDR_BITS,
    ) -> None:
        self.insn, self.kinds, self.source, self.pads = insn, kinds, source, pads
        self.addr_bits, self.data_bits = addr_bits, data_bits
        self.pad_load, self.has_pad_value = pad_load, pad_load is not None
        row = BusRow(
            kinds, addr_bits=addr_bits, data_bits=data_bits, has_pad_value=self.has_pad_value,
            pads=pads,
        )  # fmt: skip
        super().__init__({
            "request": In(stream.Signature(layout_of(insn))),
            "row": Out(stream.Signature(row)),
            "error": Out(ErrorLayout(error_addr_bits)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.builder = builder = DescriptorBuilder(
            self.insn, self.kinds, self.pad_load, pads=self.pads
        )
        m.submodules.sequencer = sequencer = RowSequencer(
            self.kinds, has_pad_value=self.has_pad_value, pads=self.pads
        )
        m.submodules.skid = skid = SkidBuffer(self.row.payload.shape())
        connect(m, flipped(self.request), builder.request)
        connect(m, builder.descriptor, sequencer.descriptor)
        if self.pads:
            m.d.comb += sequencer.trail.eq(builder.trail)
        connect(m, skid.o, flipped(self.row))
        self._address(m, sequencer.row, skid.i)
        return m

    def _address(self, m, elements, row):
        """From ``elements`` (stream of ElementRow) to ``row`` (stream of BusRow): bus addresses
        and beats, or an error if the row leaves the address space."""
        log_beat = (self.data_bits // 8).bit_length() - 1
        source, bus_row, out = elements.payload, row.payload, row.payload.row
        begin, size = source.begin, source.size
        offset = begin[:log_beat]
        # A row begins beyond the address space, or in its last part, as large as a row can be, and
        # ends beyond.
        part = min(len(size), self.addr_bits)
        in_last_part = begin[part : self.addr_bits].all()
        leaves_part = begin[:part] + size > 1 << part
        beyond = begin[self.addr_bits :].any() | (in_last_part & leaves_part)
        out_of_range = elements.valid & source.has_columns & beyond
        failed = Signal()
        beats = _sum(size, offset, (1 << log_beat) - 1) >> log_beat
        m.d.comb += [
            elements.ready.eq(row.ready),
            row.valid.eq(elements.valid & ~out_of_range & ~failed),
            out.kind.eq(source.kind),
            out.sram_base.eq(source.sram_base),
            out.first.eq(source.first),
            out.last.eq(source.last),
            out.count.eq(source.count),
            bus_row.addr.eq(begin[log_beat:] << log_beat),
            bus_row.beats.eq(Mux(source.has_columns, beats, 0)),
            out.offset.eq(offset),
        ]
        if self.pads:
            m.d.comb += out.zeros.eq(source.zeros)
        if self.has_pad_value:
            m.d.comb += out.pad_value.eq(source.pad_value)
        # The address follows the rows until one fails, so its enable is a register.
        m.d.comb += self.error.code.eq(Mux(failed, ErrorCode.ADDRESS, ErrorCode.NONE))
        with m.If(~failed):
            m.d.sync += [
                failed.eq(out_of_range),
                self.error.source.eq(reported_by(self.source, source.kind)),
                self.error.addr.eq(begin),
            ]
