"""Row writing: the rows of a load and their bus beats, as writes to the SRAMs.

``sram[i] = 0``, or the pad value, for the zeros before a row, then ``sram[i] = beats``, at most one
write a cycle

    rows, beats -> WriteSequencer -> skid buffer -> WriteFormatter -> SRAM write ports
"""

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from vta.hw.dma.rows import MemoryKind, Row, SramIndex, index_range, reported_by
from vta.hw.interfaces import ERROR_ADDR_BITS, ErrorLayout, SramWriteSignature
from vta.hw.lib.down_counter import DownCounter
from vta.hw.lib.skid_buffer import SkidBuffer
from vta.isa import PAD_VALUE_MEMORIES
from vta.memmap import ErrorCode, Source

__all__ = ["RowWriter", "WriteFormatter", "WriteOperation", "WriteSequencer"]


def write_signature(kind: MemoryKind, data_bits: int) -> SramWriteSignature:
    """The write port that a load of ``kind`` needs: a beat, or an element, is written at a time."""
    return SramWriteSignature(
        log_depth=kind.log_depth, bits=kind.sram_bits, granule=min(data_bits, kind.sram_bits)
    )


class WriteOperation(data.StructLayout):
    """One step of the row writer.

    ``zero``: the element ``index`` is padding, ``value`` in each of its beats; ``data``: ``value``
    is written to part ``part`` of that element (at most one of the two is set; neither for a row of
    no elements). ``element_end``: an element of DRAM is complete. ``load_end``: the instruction is
    complete.
    """

    def __init__(self, kinds: tuple[MemoryKind, ...], data_bits: int) -> None:
        super().__init__({
            "zero": 1, "data": 1, "element_end": 1, "load_end": 1,
            "kind": index_range(len(kinds)),
            "index": max(kind.log_depth for kind in kinds),
            "part": index_range(max(kind.beats_per_element(data_bits) for kind in kinds)),
            "value": data_bits,
        })  # fmt: skip


class WriteSequencer(wiring.Component):
    """Turns rows and beats into write operations, at most one a cycle, in order.

    Parameters
    ----------
    kinds : tuple of MemoryKind
        The memories; ``Row.kind`` is an index into them.
    data_bits : int
        Width of the bus.
    source : Source or sequence of Source
        The reporter of the errors, or that of each memory.
    has_pad_value : bool
        Whether rows have the member ``pad_value``.
    error_addr_bits : int
        As of :class:`~vta.hw.interfaces.ErrorLayout`.

    Attributes
    ----------
    row : stream of Row (as bits), in
        Accepted in the cycle of the last operation of the previous row.
    beat : stream of data_bits, in
        Beats of the rows in order. A beat is consumed with the last of its bytes.
    op : stream of WriteOperation, out
        A zero a cycle; a beat, or an element smaller than a beat, a cycle. A row without elements
        takes one cycle.
    error : ErrorLayout, out
        SRAM_RANGE, with the index of the first element beyond the SRAM. No operation follows.
    """

    def __init__(
        self, kinds: tuple[MemoryKind, ...], *, data_bits: int, source: Source | Sequence[Source],
        has_pad_value: bool = False, error_addr_bits: int = ERROR_ADDR_BITS,
    ) -> None:  # fmt: skip
        self.kinds, self.data_bits, self.source = kinds, data_bits, source
        self.has_pad_value = has_pad_value
        self.row_layout = Row(kinds, data_bits=data_bits, has_pad_value=has_pad_value)
        super().__init__({
            "row": In(stream.Signature(self.row_layout.size)),
            "beat": In(stream.Signature(data_bits)),
            "op": Out(stream.Signature(WriteOperation(kinds, data_bits))),
            "error": Out(ErrorLayout(error_addr_bits)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        row_valid = Signal()
        row = Signal(self.row_layout)
        next_row = data.View(self.row_layout, self.row.payload)
        m.submodules.zeros = zeros = DownCounter(len(next_row.zeros))
        m.submodules.count = count = DownCounter(len(next_row.count))

        enable = Signal()
        write_zero = Signal()
        write_data = Signal()
        element_end = Signal()
        row_end = Signal()
        position, packed, last_position = self._position(m, row, next_row, write_data)
        failed = Signal()  # an error is reported
        m.d.comb += [
            enable.eq(row_valid & ~failed & self.op.ready),
            write_zero.eq(enable & zeros.nonzero),
            write_data.eq(enable & ~zeros.nonzero & count.nonzero & self.beat.valid),
            element_end.eq(write_zero | (write_data & (packed | last_position))),
            row_end.eq(
                (enable & ~zeros.nonzero & ~count.nonzero)
                | (write_zero & zeros.is_one & ~count.nonzero)
                | (write_data & element_end & count.is_one)
            ),
            self.beat.ready.eq(write_data & (~packed | last_position | count.is_one)),
            self.row.ready.eq(~row_valid | row_end),
            zeros.step.eq(write_zero),
            count.step.eq(write_data & element_end),
            *(counter.load.eq(self.row.ready) for counter in (zeros, count)),
            zeros.load_value.eq(next_row.zeros),
            count.load_value.eq(next_row.count),
        ]
        with m.If(self.row.ready):
            m.d.sync += [row_valid.eq(self.row.valid), row.eq(next_row)]

        index, in_range = self._index(m, row, next_row, element_end)
        with m.If((write_zero | write_data) & ~in_range):
            m.d.sync += [
                failed.eq(1),
                self.error.code.eq(ErrorCode.SRAM_RANGE),
                self.error.source.eq(reported_by(self.source, row.kind)),
                self.error.addr.eq(index),
            ]
        op = self.op.payload
        m.d.comb += [
            self.op.valid.eq(write_zero | write_data | row_end),
            op.zero.eq(write_zero & in_range),
            op.data.eq(write_data & in_range),
            op.element_end.eq(write_data & element_end & in_range),
            op.load_end.eq(row_end & row.last & (in_range | ~(write_zero | write_data))),
            op.kind.eq(row.kind),
            op.index.eq(index),
            op.part.eq(position),
            op.value.eq(Mux(write_zero, self._padding(row), self._selected(row, position))),
        ]
        return m

    def _of_kind(self, number, function):
        """``function`` of the memory with this number, which is a signal."""
        return Array(function(kind) for kind in self.kinds)[number]

    def _position(self, m, row, next_row, write_data):
        """The position within an element that spans beats, or within a beat that packs elements.

        Returns ``(position, packed, last_position)``: the register; whether a beat holds several
        elements; a register: whether the position is the last of its element, or of its beat.
        """
        beats = [kind.beats_per_element(self.data_bits) for kind in self.kinds]
        elements = [kind.elements_per_beat(self.data_bits) for kind in self.kinds]
        position = Signal(index_range(max(*beats, *elements)))
        packed = Array(number > 1 for number in elements)[row.kind]
        positions = [max(pair) for pair in zip(beats, elements, strict=True)]
        last_position = Signal()
        before_last = Array(max(number - 2, 0) for number in positions)[row.kind]
        with m.If(write_data):
            has_one = Array(number == 1 for number in positions)[row.kind]
            m.d.sync += [
                position.eq(Mux(last_position, 0, position + 1)),
                last_position.eq(Mux(last_position, has_one, position == before_last)),
            ]
        with m.If(self.row.ready & self.row.valid):
            first_element = self._of_kind(
                next_row.kind,
                lambda kind: (
                    next_row.offset >> kind.log_bytes
                    if kind.elements_per_beat(self.data_bits) > 1
                    else 0
                ),
            )
            last = Array(number - 1 for number in positions)[next_row.kind]
            m.d.sync += [position.eq(first_element), last_position.eq(first_element == last)]
        return position, packed, last_position

    def _index(self, m, row, next_row, element_end):
        """The SRAM index of the current element, a register that continues from row to row of an
        instruction, and whether the SRAM has that element."""
        index = SramIndex(self.kinds)
        with m.If(element_end):
            m.d.sync += index.step()
        with m.If(self.row.ready & self.row.valid & next_row.first):
            m.d.sync += index.load(next_row.sram_base)
        return index.value, self._of_kind(row.kind, index.within)

    def _padding(self, row):
        """A beat of padding: the pad value in each lane of the memory. Narrower lanes have its low
        bits; weights and micro-ops have no pad value."""
        if not self.has_pad_value:
            return 0

        def beat(kind):
            lane = row.pad_value[:4] if kind.lane_bits == 4 else row.pad_value
            copies = self.data_bits // kind.lane_bits
            return Cat(extended(lane, kind.lane_bits) for _ in range(copies))

        def extended(lane, bits):
            return Cat(lane, lane[-1].replicate(bits - len(lane)))

        return self._of_kind(
            row.kind, lambda kind: beat(kind) if kind.memory in PAD_VALUE_MEMORIES else 0
        )

    def _selected(self, row, position):
        """The bits of the beat to write: the element at ``position``, or the whole beat."""
        beat = self.beat.payload
        return self._of_kind(
            row.kind,
            lambda kind: (
                beat.word_select(position, kind.elem_bytes * 8)
                if kind.elements_per_beat(self.data_bits) > 1
                else beat
            ),
        )


class WriteFormatter(wiring.Component):
    """Drives the write port of the SRAM that an operation names: address, lanes, sign extension.

    Combinational.

    Parameters
    ----------
    kinds : tuple of MemoryKind
        The memories; ``WriteOperation.kind`` is an index into them.
    data_bits : int
        Width of the bus.

    Attributes
    ----------
    op : stream of WriteOperation, in
        Accepted unless ``stall`` is asserted.
    stall, done, done_kind, write_<sram>, loaded_<sram>
        As of :class:`RowWriter`.
    """

    def __init__(self, kinds: tuple[MemoryKind, ...], data_bits: int) -> None:
        self.kinds, self.data_bits = kinds, data_bits
        super().__init__({
            "op": In(stream.Signature(WriteOperation(kinds, data_bits))),
            **_write_ports(kinds, data_bits),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        accepted = Signal()
        m.d.comb += [
            self.op.ready.eq(~self.stall),
            accepted.eq(self.op.valid & self.op.ready),
            self.done.eq(accepted & self.op.payload.load_end),
            self.done_kind.eq(self.op.payload.kind),
        ]
        for sram in dict.fromkeys(kind.sram for kind in self.kinds):
            self._drive(m, sram, accepted)
        return m

    def _drive(self, m, sram, accepted):
        """The write port of one SRAM. The data is repeated over the word; the mask selects."""
        op = self.op.payload
        port, loaded = getattr(self, f"write_{sram}"), getattr(self, f"loaded_{sram}")
        lanes = len(port.mask)
        numbered = [(number, kind) for number, kind in enumerate(self.kinds) if kind.sram == sram]
        # A signal of its own: Verilog text that repeats an expression grows with each repetition.
        width = max(kind.chunk_bits(self.data_bits) for _, kind in numbered)
        chunk = Signal(width, name=f"chunk_{sram}")
        m.d.comb += [
            port.addr.eq(op.index),
            port.data.eq(chunk.replicate(len(port.data) // len(chunk))),
        ]
        for number, kind in numbered:
            value = op.value[: min(self.data_bits, kind.elem_bytes * 8)]
            if kind.widens:
                octets = (value[low : low + 8] for low in range(0, len(value), 8))
                value = Cat(Cat(octet, octet[7].replicate(24)) for octet in octets)
            parts = kind.beats_per_element(self.data_bits)
            lanes_of_part = lanes // parts
            with m.If(op.kind == number):
                m.d.comb += [
                    chunk.eq(value.replicate(len(chunk) // len(value))),
                    loaded.eq(accepted & op.element_end),
                ]
                with m.If(self.op.valid & op.data):
                    m.d.comb += port.mask.eq(
                        ((1 << lanes_of_part) - 1) << (op.part * lanes_of_part if parts > 1 else 0)
                    )
                with m.If(self.op.valid & op.zero):
                    m.d.comb += port.mask.eq(~0)


def _write_ports(kinds: tuple[MemoryKind, ...], data_bits: int) -> dict:
    """The ports towards the SRAMs and the load engine, see :class:`RowWriter`."""
    ports = {"stall": In(1), "done": Out(1), "done_kind": Out(index_range(len(kinds)))}
    for kind in kinds:
        ports[f"write_{kind.sram}"] = Out(write_signature(kind, data_bits))
        ports[f"loaded_{kind.sram}"] = Out(1)
    return ports


class RowWriter(wiring.Component):
    """Writes the rows of loads into the SRAMs: zeros, then beats as they arrive.

    An operation is written a cycle after it is chosen. The skid buffer between the two steps
    isolates the rows and the beats from ``stall``.

    Parameters
    ----------
    kinds : tuple of MemoryKind
        The memories; those with the same ``sram`` share a write port.
    data_bits : int
        Width of the bus.
    source : Source or sequence of Source
        The reporter of the errors, or that of each memory.
    has_pad_value : bool
        Whether rows have the member ``pad_value``.
    error_addr_bits : int
        As of :class:`~vta.hw.interfaces.ErrorLayout`.

    Attributes
    ----------
    row, beat, error
        As of :class:`WriteSequencer`.
    stall : in
        Asserted: the write of this cycle is not performed (the SRAM must ignore it) and is offered
        again in the next cycle.
    done : out
        Strobe. The last write of an instruction is on its port.
    done_kind : out
        With ``done``: the memory of the instruction, an index into ``kinds``.
    write_<sram> : SramWriteSignature, out
        One for each SRAM.
    loaded_<sram> : out
        Strobe. The write of this cycle completes an element of DRAM.
    """

    def __init__(
        self, kinds: tuple[MemoryKind, ...], *, data_bits: int, source: Source | Sequence[Source],
        has_pad_value: bool = False, error_addr_bits: int = ERROR_ADDR_BITS,
    ) -> None:  # fmt: skip
        self.sequencer = WriteSequencer(
            kinds, data_bits=data_bits, source=source,
            has_pad_value=has_pad_value, error_addr_bits=error_addr_bits,
        )  # fmt: skip
        self.formatter = WriteFormatter(kinds, data_bits)
        members = self.sequencer.signature.members
        super().__init__({
            **{name: members[name] for name in ("row", "beat", "error")},
            **_write_ports(kinds, data_bits),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.sequencer = sequencer = self.sequencer
        m.submodules.skid = skid = SkidBuffer(sequencer.op.payload.shape())
        m.submodules.formatter = formatter = self.formatter
        connect(m, flipped(self.row), sequencer.row)
        connect(m, flipped(self.beat), sequencer.beat)
        connect(m, sequencer.op, skid.i)
        connect(m, skid.o, formatter.op)
        m.d.comb += [
            self.error.eq(sequencer.error),
            formatter.stall.eq(self.stall),
            self.done.eq(formatter.done),
            self.done_kind.eq(formatter.done_kind),
        ]
        for name in self.signature.members:
            if name.startswith("write_"):
                connect(m, getattr(formatter, name), flipped(getattr(self, name)))
            elif name.startswith("loaded_"):
                m.d.comb += getattr(self, name).eq(getattr(formatter, name))
        return m
