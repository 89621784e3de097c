"""Writes the rows of a load into the SRAMs, as the beats come.

``sram[i] = 0`` for the zeros before a row, then ``sram[i] = beats``, one write a cycle
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.dma.row_generator import MemoryKind, Row, index_range
from vta.hw.interfaces import ErrorLayout, SramWriteSignature
from vta.hw.lib.skid_buffer import SkidBuffer
from vta.memmap import ErrorCode, Source


def write_signature(kind: MemoryKind, data_bits: int) -> SramWriteSignature:
    """The write port that a load of ``kind`` needs: written a beat, or an element, at a time."""
    return SramWriteSignature(
        log_depth=kind.log_depth, bits=kind.sram_bits, granule=min(data_bits, kind.sram_bits)
    )


class _Left:
    """Counts ``number`` down, and knows a step ahead, in registers, whether ``some`` is left, and
    whether it is just ``one``."""

    def __init__(self, number, name: str) -> None:
        self.number = number
        self.some, self.one = Signal(name=f"some_{name}"), Signal(name=f"one_{name}")

    def begin(self, number) -> list:
        """What goes with ``number`` when it is loaded."""
        return [self.some.eq(number != 0), self.one.eq(number == 1)]

    def step(self) -> list:
        """One less."""
        left = self.number
        return [left.eq(left - 1), self.some.eq(~self.one), self.one.eq(left == 2)]


class RowWriter(wiring.Component):
    """Writes the rows into the SRAMs: zeros, then the beats as they come.

    Two steps: choose what to write (``_choose``); write it a cycle later (``_write``). A stalled
    write is offered again in the next cycle; the skid buffer between the steps isolates the rows
    and the beats from the stall. How much of a row is left is known a step ahead.
    """

    def __init__(
        self, kinds: tuple[MemoryKind, ...], *, addr_bits: int, data_bits: int, source: Source
    ) -> None:
        self.kinds, self.data_bits, self.source = kinds, data_bits, source
        self.row_layout = Row(kinds=len(kinds), addr_bits=addr_bits, data_bits=data_bits)
        members = {
            "row": In(stream.Signature(self.row_layout.size)),
            "beat": In(stream.Signature(data_bits)),
            "stall": In(1),
            "done": Out(1),
            "error": Out(ErrorLayout()),
        }
        for kind in kinds:
            members[f"write_{kind.sram}"] = Out(write_signature(kind, data_bits))
            members[f"loaded_{kind.sram}"] = Out(1)
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        chosen = data.StructLayout({
            "zero": 1, "data": 1, "whole": 1, "done": 1, "kind": index_range(len(self.kinds)),
            "index": max(kind.log_depth for kind in self.kinds),
            "part": index_range(max(self._parts(kind) for kind in self.kinds)),
            "value": self.data_bits,
        })  # fmt: skip
        m.submodules.skid = skid = SkidBuffer(chosen)
        self._choose(m, skid.i)
        self._write(m, skid.o)
        return m

    def _parts(self, kind: MemoryKind) -> int:
        """Beats of an element, 1 if it is smaller than a beat."""
        return max(1, kind.elem_bytes * 8 // self.data_bits)

    def _lanes(self, kind: MemoryKind) -> int:
        """Elements of a beat, 1 if they are wider than it."""
        return max(1, self.data_bits // (kind.elem_bytes * 8))

    def _chunk_bits(self, kind: MemoryKind) -> int:
        """Bits of the SRAM that a beat, or an element smaller than it, fills."""
        return min(self.data_bits, kind.elem_bytes * 8) * (4 if kind.widens else 1)

    def _choose(self, m, chosen):
        """Walk zeros and elements of the row at hand, at most one write a cycle."""
        row = Signal(self.row_layout)
        following = data.View(self.row_layout, self.row.payload)
        active = Signal()
        index = Signal(17)
        place = Signal(index_range(max(max(self._parts(k), self._lanes(k)) for k in self.kinds)))
        """Which part of the element, or which element of the beat, comes next."""

        parts_end = Array(self._parts(kind) - 1 for kind in self.kinds)[row.kind]
        lanes_end = Array(self._lanes(kind) - 1 for kind in self.kinds)[row.kind]
        narrow = Array(self._lanes(kind) > 1 for kind in self.kinds)[row.kind]
        in_range = Array(index < 2**kind.log_depth for kind in self.kinds)[row.kind]

        well = (self.error.code == ErrorCode.NONE) & chosen.ready
        zeros, count = _Left(row.zeros, "zeros"), _Left(row.count, "count")
        zero = Signal()
        take = Signal()
        whole = Signal()
        ends = Signal()
        m.d.comb += [
            zero.eq(active & well & zeros.some),
            take.eq(active & well & ~zeros.some & count.some & self.beat.valid),
            whole.eq(zero | (take & (narrow | (place == parts_end)))),
            ends.eq(
                (active & well & ~zeros.some & ~count.some)
                | (zero & zeros.one & ~count.some)
                | (take & whole & count.one)
            ),
            self.beat.ready.eq(take & (~narrow | (place == lanes_end) | count.one)),
            self.row.ready.eq(~active | ends),
        ]
        with m.If(zero):
            m.d.sync += zeros.step()
        with m.If(take):
            m.d.sync += place.eq(Mux(place == Mux(narrow, lanes_end, parts_end), 0, place + 1))
        with m.If(take & whole):
            m.d.sync += count.step()
        with m.If(whole):
            m.d.sync += index.eq(index + 1)
        with m.If(self.row.ready):
            m.d.sync += [
                active.eq(self.row.valid),
                row.eq(following),
                *zeros.begin(following.zeros),
                *count.begin(following.count),
            ]
            with m.If(self.row.valid):
                begins = Array(
                    following.offset >> kind.log_bytes if self._lanes(kind) > 1 else 0
                    for kind in self.kinds
                )[following.kind]
                m.d.sync += place.eq(begins)
                with m.If(following.first):
                    m.d.sync += index.eq(following.sram)
        with m.If((zero | take) & ~in_range):
            m.d.sync += [
                self.error.code.eq(ErrorCode.SRAM_RANGE),
                self.error.source.eq(self.source),
                self.error.addr.eq(index),
            ]

        picked = Array(
            self.beat.payload.word_select(place, kind.elem_bytes * 8)
            if self._lanes(kind) > 1
            else self.beat.payload
            for kind in self.kinds
        )[row.kind]
        item = chosen.payload
        m.d.comb += [
            chosen.valid.eq(zero | take | ends),
            item.zero.eq(zero & in_range),
            item.data.eq(take & in_range),
            item.whole.eq(take & whole & in_range),
            item.done.eq(ends & row.last & (in_range | ~(zero | take))),
            item.kind.eq(row.kind),
            item.index.eq(index),
            item.part.eq(place),
            item.value.eq(Mux(zero, 0, picked)),
        ]

    def _write(self, m, chosen):
        """Drive the write port of the SRAM of the chosen kind."""
        item = chosen.payload
        taken = Signal()
        m.d.comb += [
            chosen.ready.eq(~self.stall),
            taken.eq(chosen.valid & chosen.ready),
            self.done.eq(taken & item.done),
        ]
        for sram in dict.fromkeys(kind.sram for kind in self.kinds):
            port = getattr(self, f"write_{sram}")
            loaded = getattr(self, f"loaded_{sram}")
            lanes = len(port.mask)
            mine = [(n, kind) for n, kind in enumerate(self.kinds) if kind.sram == sram]
            # Repeated over the word, the mask chooses; a wire, or Verilog spells each bit out.
            chunk = Signal(max(self._chunk_bits(kind) for _, kind in mine), name=f"chunk_{sram}")
            m.d.comb += [
                port.addr.eq(item.index),
                port.data.eq(chunk.replicate(len(port.data) // len(chunk))),
            ]
            for number, kind in mine:
                parts = self._parts(kind)
                value = item.value[: min(self.data_bits, kind.elem_bytes * 8)]
                if kind.widens:
                    octets = (value[low : low + 8] for low in range(0, len(value), 8))
                    value = Cat(Cat(octet, octet[7].replicate(24)) for octet in octets)
                with m.If(item.kind == number):
                    m.d.comb += [
                        chunk.eq(value.replicate(len(chunk) // len(value))),
                        loaded.eq(taken & item.whole),
                    ]
                    with m.If(chosen.valid & item.data):
                        wide = lanes // parts
                        m.d.comb += port.mask.eq(
                            ((1 << wide) - 1) << (item.part * wide if parts > 1 else 0)
                        )
                    with m.If(chosen.valid & item.zero):
                        m.d.comb += port.mask.eq(~0)
