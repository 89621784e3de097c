"""The micro-op SRAM, and the prefetch buffer in front of each reader.

``word[n] = (uop[4*n], uop[4*n + 1], uop[4*n + 2], uop[4*n + 3])``

The SRAM has one read port for three readers (GEMM, ALU, micro-op bounds). A word holds four
micro-ops, so a reader that walks through consecutive micro-ops needs the port in one cycle of four.
A :class:`UopBuffer` holds two words: the word in use and the word that is used next.

=====  =======================================================================
cycle  of a prefetch
=====  =======================================================================
0      ``prefetch_word`` is compared with the tags of both slots
1      on a miss the read request goes to the SRAM; the port may be granted
2      the word arrives and hits; it goes into its slot at the end of the cycle
=====  =======================================================================

A miss of the required micro-op stalls the reader until its word arrives: two cycles, and one more
for each cycle in which a reader of higher priority has the port.

Neither block orders a read after the write of a LOAD. :mod:`vta.hw.compute.issue` does: no
instruction starts while a LOAD is in flight that writes its micro-ops.
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vta.hw.interfaces import SharedReadSignature, SramWriteSignature
from vta.hw.lib.sram import Sram

__all__ = [
    "UopBuffer",
    "UopMemory",
    "UopReadSignature",
    "connect_uops",
    "log_lanes",
    "uop_ports",
]


def log_lanes(log_depth: int) -> int:
    """log2 of the micro-ops in a word of an SRAM of ``2**log_depth`` micro-ops: four, unless the
    SRAM would have fewer than two words."""
    return min(2, max(log_depth - 1, 0))


class UopReadSignature(SharedReadSignature):
    """Reads a word of micro-ops, the first micro-op in the lowest bits."""

    def __init__(self, *, log_depth: int, bits: int):
        lanes = log_lanes(log_depth)
        super().__init__(log_depth=log_depth - lanes, bits=bits << lanes)


def uop_ports(*, log_depth: int, bits: int) -> dict:
    """Ports of a block with a :class:`UopBuffer`: the read port, and the word that is written."""
    return {
        "uop_read": Out(UopReadSignature(log_depth=log_depth, bits=bits)),
        "uop_written": In(1), "uop_written_addr": In(log_depth - log_lanes(log_depth)),
    }  # fmt: skip


def connect_uops(m: Module, inner, outer) -> None:
    """Connects the :func:`uop_ports` of a submodule to those of the block around it (flipped)."""
    wiring.connect(m, inner.uop_read, outer.uop_read)
    m.d.comb += [
        inner.uop_written.eq(outer.uop_written),
        inner.uop_written_addr.eq(outer.uop_written_addr),
    ]


class UopMemory(wiring.Component):
    """``2**log_depth`` micro-ops of ``bits`` bits, with a fixed-priority arbiter at the read port.

    Attributes
    ----------
    write : In(SramWriteSignature)
        Writes one micro-op.
    read : list of In(UopReadSignature)
        The readers, in order of falling priority. ``data`` is valid in the cycle after the grant. A
        read in the cycle of a write to the same word returns the old word.
    written, written_addr : Out
        A micro-op of the word ``written_addr`` is written in this cycle.
    """

    def __init__(self, *, log_depth: int, bits: int, readers: int) -> None:
        self.log_depth, self.bits = log_depth, bits
        read = UopReadSignature(log_depth=log_depth, bits=bits)
        super().__init__({
            "write": In(SramWriteSignature(log_depth=log_depth, bits=bits, granule=bits)),
            "read": In(read).array(readers),
            "written": Out(1), "written_addr": Out(log_depth - log_lanes(log_depth)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        lanes = log_lanes(self.log_depth)
        m.submodules.words = words = Sram(
            log_depth=self.log_depth - lanes, bits=self.bits << lanes, granule=self.bits
        )
        m.d.comb += [
            self.written.eq(self.write.mask),
            self.written_addr.eq(self.write.addr >> lanes),
            words.write.addr.eq(self.written_addr),
            words.write.mask.eq(self.write.mask << (self.write.addr[:lanes] if lanes else 0)),
            words.write.data.eq(self.write.data.replicate(1 << lanes)),
        ]
        higher_priority = 0
        for port in self.read:
            m.d.comb += [port.ready.eq(~higher_priority), port.data.eq(words.read[0].data)]
            higher_priority |= port.en
        m.d.comb += words.read[0].en.eq(higher_priority)
        for port in reversed(self.read):
            with m.If(port.en):
                m.d.comb += words.read[0].addr.eq(port.addr)
        return m


class UopBuffer(wiring.Component):
    """A prefetch buffer of two words, each in a slot with a tag.

    Parameters
    ----------
    log_depth, bits : int
        Of the micro-op SRAM.

    Attributes
    ----------
    required, number : In
        The micro-op ``number`` is required in this cycle.
    hit, uop : Out
        The word of ``number`` is in the buffer, or arrives in this cycle; ``uop`` is the micro-op.
    prefetch, prefetch_word : In
        The word that is required next. A prefetch :attr:`PREFETCH_CYCLES` cycles ahead of its use
        costs no stall, unless another reader has the port.
    read : Out(UopReadSignature)
        The SRAM. A miss of ``number`` goes before a prefetch.
    written, written_addr : In
        As of :class:`UopMemory`. A write to a word invalidates its slot, so a hit returns what the
        SRAM holds, for each micro-op that no LOAD is about to write.
    """

    PREFETCH_CYCLES = 2

    def __init__(self, *, log_depth: int, bits: int) -> None:
        self.log_depth, self.bits = log_depth, bits
        word = log_depth - log_lanes(log_depth)
        super().__init__({
            "required": In(1), "number": In(log_depth), "hit": Out(1), "uop": Out(bits),
            "prefetch": In(1), "prefetch_word": In(word),
            "read": Out(UopReadSignature(log_depth=log_depth, bits=bits)),
            "written": In(1), "written_addr": In(word),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        lanes = log_lanes(self.log_depth)
        word, lane = self.number >> lanes, self.number[:lanes]
        slots = range(2)
        valid = [Signal(name=f"valid{n}") for n in slots]
        arrives = [Signal(name=f"arrives{n}") for n in slots]
        tag = [Signal.like(self.prefetch_word, name=f"tag{n}", reset_less=True) for n in slots]
        stored = [Signal.like(self.read.data, name=f"stored{n}", reset_less=True) for n in slots]
        for n in slots:
            with m.If(arrives[n]):
                m.d.sync += stored[n].eq(self.read.data)

        # Lookup of the required micro-op and of the word to prefetch.
        hits = Cat(valid[n] & (tag[n] == word) for n in slots)
        prefetched = Cat(valid[n] & (tag[n] == self.prefetch_word) for n in slots)

        def selected(data):
            """The micro-op of the lane: first of all, since the hits are known later."""
            uops = Array(data.word_select(n, self.bits) for n in range(1 << lanes))
            return uops[lane] if lanes else uops[0]

        arriving, uops = selected(self.read.data), [selected(data) for data in stored]
        miss = Signal()
        m.d.comb += [
            self.hit.eq(hits.any()),
            self.uop.eq(
                Mux(Mux(hits[1], arrives[1], arrives[0]), arriving, Mux(hits[1], uops[1], uops[0]))
            ),
            miss.eq(self.required & ~self.hit),
        ]

        # A granted read fills the slot that does not hold the required word.
        granted = self.read.en & self.read.ready
        fill_slot1 = self.required & hits[0]
        fill = Signal(2)
        m.d.comb += fill.eq(Mux(granted, Cat(~fill_slot1, fill_slot1), 0))

        # The read request is registered. A word that is being read is not requested again.
        with m.If(miss):
            m.d.sync += [
                self.read.en.eq(~(granted & (self.read.addr == word))),
                self.read.addr.eq(word),
            ]
        with m.Else():
            m.d.sync += [
                self.read.en.eq(
                    self.prefetch
                    & ~(prefetched & ~fill).any()
                    & ~(granted & (self.read.addr == self.prefetch_word))
                ),
                self.read.addr.eq(self.prefetch_word),
            ]
        for n in slots:
            m.d.sync += arrives[n].eq(fill[n])
            with m.If(fill[n]):
                m.d.sync += [
                    tag[n].eq(self.read.addr),
                    valid[n].eq(~(self.written & (self.written_addr == self.read.addr))),
                ]
            with m.Elif(self.written & (self.written_addr == tag[n])):
                m.d.sync += valid[n].eq(0)
        return m
