"""Writes the rows of a load into the SRAMs, as the beats come.

``sram[i] = 0`` for the zeros before a row, then ``sram[i] = beats``, one write a cycle
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.interfaces import ErrorLayout, SramWriteSignature
from vta.hw.relay import Relay
from vta.hw.walker import MemoryKind, Row, choice
from vta.memmap import ErrorCode, Source


def write_signature(kind: MemoryKind, data_bits: int) -> SramWriteSignature:
    """The write port that a load of ``kind`` needs: written a beat, or an element, at a time."""
    return SramWriteSignature(
        log_depth=kind.log_depth, bits=kind.sram_bits, granule=min(data_bits, kind.sram_bits)
    )


class _Left:
    """How much of a row is left: counts ``value`` down, and knows a step ahead whether there is
    ``some``, and whether that is the ``last``."""

    def __init__(self, m: Module, value, name: str) -> None:
        self.m, self.value = m, value
        self.some, self.last = Signal(name=f"some_{name}"), Signal(name=f"last_{name}")

    def begin(self, value) -> None:
        """``value`` is loaded at the end of this cycle."""
        self.m.d.sync += [self.some.eq(value != 0), self.last.eq(value == 1)]

    def step(self) -> None:
        """One of them is used up in this cycle."""
        self.m.d.sync += [
            self.value.eq(self.value - 1),
            self.some.eq(~self.last),
            self.last.eq(self.value == 2),
        ]


class RowWriter(wiring.Component):
    """Writes the rows into the SRAMs: zeros, then the beats as they come.

    Two steps: choose what to write (``_choose``); write it a cycle later (``_write``). A write that
    is ``refused`` is offered again in the next cycle; the relay between the steps keeps that from
    reaching the rows and the beats in the same cycle.
    """

    def __init__(
        self, kinds: tuple[MemoryKind, ...], *, addr_bits: int, data_bits: int, source: Source
    ) -> None:
        self.kinds, self.data_bits, self.source = kinds, data_bits, source
        self.row_layout = Row(kinds=len(kinds), addr_bits=addr_bits, data_bits=data_bits)
        members = {
            "row": In(stream.Signature(self.row_layout.size)),
            "beat": In(stream.Signature(data_bits)),
            "refused": In(1),
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
            "zero": 1, "data": 1, "whole": 1, "done": 1, "kind": choice(len(self.kinds)),
            "index": max(kind.log_depth for kind in self.kinds),
            "part": choice(max(self._parts(kind) for kind in self.kinds)),
            "value": self.data_bits,
        })  # fmt: skip
        m.submodules.relay = relay = Relay(chosen)
        self._choose(m, relay.i)
        self._write(m, relay.o)
        return m

    def _parts(self, kind: MemoryKind) -> int:
        """Beats of an element, 1 if it is smaller than a beat."""
        return max(1, kind.elem_bytes * 8 // self.data_bits)

    def _lanes(self, kind: MemoryKind) -> int:
        """Elements of a beat, 1 if they are wider than it."""
        return max(1, self.data_bits // (kind.elem_bytes * 8))

    def _choose(self, m, chosen):
        """Walk zeros and elements of the row at hand, at most one write a cycle."""
        row = Signal(self.row_layout)
        following = data.View(self.row_layout, self.row.payload)
        active = Signal()
        index = Signal(17)
        place = Signal(choice(max(max(self._parts(k), self._lanes(k)) for k in self.kinds)))
        """Which part of the element, or which element of the beat, comes next."""

        parts_end = Array(self._parts(kind) - 1 for kind in self.kinds)[row.kind]
        lanes_end = Array(self._lanes(kind) - 1 for kind in self.kinds)[row.kind]
        narrow = Array(self._lanes(kind) > 1 for kind in self.kinds)[row.kind]
        in_range = Array(index < 2**kind.log_depth for kind in self.kinds)[row.kind]

        well = (self.error.code == ErrorCode.NONE) & chosen.ready
        zero, take, whole = Signal(), Signal(), Signal()
        ends = Signal()
        zeros, count = _Left(m, row.zeros, "zeros"), _Left(m, row.count, "count")
        m.d.comb += [
            zero.eq(active & well & zeros.some),
            take.eq(active & well & ~zeros.some & count.some & self.beat.valid),
            whole.eq(zero | (take & (narrow | (place == parts_end)))),
            ends.eq(
                (active & well & ~zeros.some & ~count.some)
                | (zero & zeros.last & ~count.some)
                | (take & whole & count.last)
            ),
            self.beat.ready.eq(take & (~narrow | (place == lanes_end) | count.last)),
            self.row.ready.eq(~active | ends),
        ]
        with m.If(zero):
            zeros.step()
        with m.If(take):
            m.d.sync += place.eq(Mux(place == Mux(narrow, lanes_end, parts_end), 0, place + 1))
        with m.If(take & whole):
            count.step()
        with m.If(whole):
            m.d.sync += index.eq(index + 1)
        with m.If(self.row.ready):
            m.d.sync += [active.eq(self.row.valid), row.eq(following)]
            zeros.begin(following.zeros)
            count.begin(following.count)
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
        item, writes = chosen.payload, Signal()
        m.d.comb += [
            chosen.ready.eq(~self.refused),
            writes.eq(chosen.valid & ~self.refused),
            self.done.eq(writes & item.done),
        ]
        for sram in dict.fromkeys(kind.sram for kind in self.kinds):
            port = getattr(self, f"write_{sram}")
            loaded = getattr(self, f"loaded_{sram}")
            lanes = len(port.mask)
            m.d.comb += port.addr.eq(item.index)
            for number, kind in enumerate(self.kinds):
                if kind.sram != sram:
                    continue
                parts = self._parts(kind)
                value = item.value[: min(self.data_bits, kind.elem_bytes * 8)]
                if kind.widens:
                    octets = (value[low : low + 8] for low in range(0, len(value), 8))
                    value = Cat(Cat(octet, octet[7].replicate(24)) for octet in octets)
                with m.If(item.kind == number):
                    m.d.comb += [
                        port.data.eq(value.replicate(parts)),
                        loaded.eq(writes & item.whole),
                    ]
                    with m.If(chosen.valid & item.data):
                        wide = lanes // parts
                        m.d.comb += port.mask.eq(
                            ((1 << wide) - 1) << (item.part * wide if parts > 1 else 0)
                        )
                    with m.If(chosen.valid & item.zero):
                        m.d.comb += port.mask.eq(~0)
