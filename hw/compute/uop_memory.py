"""The micro-op SRAM: one copy with one read port for all who read micro-ops.

A word holds :data:`LANES` consecutive micro-ops, so a reader that walks through them needs the port
in one cycle of four. :class:`UopBuffer` is the reader's side: it holds two words, the one at
work and the one that comes next.
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
    """log2 of the micro-ops in a word of an SRAM of ``2**log_depth``: four, but at least two
    words."""
    return min(2, max(log_depth - 1, 0))


class UopReadSignature(SharedReadSignature):
    """Reads words of micro-ops, the first in the lowest bits."""

    def __init__(self, *, log_depth: int, bits: int):
        lanes = log_lanes(log_depth)
        super().__init__(log_depth=log_depth - lanes, bits=bits << lanes)


def uop_ports(*, log_depth: int, bits: int) -> dict:
    """Ports of a block that reads micro-ops and holds some of them."""
    return {
        "uop_read": Out(UopReadSignature(log_depth=log_depth, bits=bits)),
        "uop_written": In(1), "uop_written_addr": In(log_depth - log_lanes(log_depth)),
    }  # fmt: skip


def connect_uops(m: Module, inner, outer) -> None:
    """Connects the :func:`uop_ports` of a submodule to those of the block around it
    (flipped)."""
    wiring.connect(m, inner.uop_read, outer.uop_read)
    m.d.comb += [
        inner.uop_written.eq(outer.uop_written),
        inner.uop_written_addr.eq(outer.uop_written_addr),
    ]


class UopMemory(wiring.Component):
    """``2**log_depth`` micro-ops of ``bits`` bits; the first reader that wants to read does.

    Attributes
    ----------
    write : In(SramWriteSignature)
        A micro-op.
    read : list of In(UopReadSignature)
        The readers, the most urgent first. A read in the cycle of a write gives the old word.
    changed, changed_addr : Out
        A micro-op of this word is written in this cycle.
    """

    def __init__(self, *, log_depth: int, bits: int, readers: int) -> None:
        self.log_depth, self.bits = log_depth, bits
        read = UopReadSignature(log_depth=log_depth, bits=bits)
        super().__init__({
            "write": In(SramWriteSignature(log_depth=log_depth, bits=bits, granule=bits)),
            "read": In(read).array(readers),
            "changed": Out(1), "changed_addr": Out(log_depth - log_lanes(log_depth)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        lanes = log_lanes(self.log_depth)
        m.submodules.words = words = Sram(
            log_depth=self.log_depth - lanes, bits=self.bits << lanes, granule=self.bits
        )
        m.d.comb += [
            self.changed.eq(self.write.mask),
            self.changed_addr.eq(self.write.addr >> lanes),
            words.write.addr.eq(self.changed_addr),
            words.write.mask.eq(self.write.mask << (self.write.addr[:lanes] if lanes else 0)),
            words.write.data.eq(self.write.data.replicate(1 << lanes)),
        ]
        taken = 0
        for port in self.read:
            m.d.comb += [port.ready.eq(~taken), port.data.eq(words.read[0].data)]
            taken |= port.en
        m.d.comb += words.read[0].en.eq(taken)
        for port in reversed(self.read):
            with m.If(port.en):
                m.d.comb += words.read[0].addr.eq(port.addr)
        return m


class UopBuffer(wiring.Component):
    """Two words of micro-ops, read ahead, for a reader that says what it needs next.

    Parameters
    ----------
    log_depth, bits : int
        Of the micro-op SRAM.

    Attributes
    ----------
    want, number : In
        The micro-op that is needed now.
    hit, uop : Out
        It is there, and this is it.
    next_want, next_word : In
        The word that is needed next. What is not there is asked for in the next cycle and comes
        in the one after, unless the port is taken: it should be said :attr:`AHEAD` cycles early.
    read : Out(UopReadSignature)
        The SRAM.
    changed, changed_addr : In
        As of :class:`UopMemory`; a word that changes is forgotten. So the hit can be trusted for
        every micro-op that is not about to be loaded.
    """

    AHEAD = 2

    def __init__(self, *, log_depth: int, bits: int) -> None:
        self.log_depth, self.bits = log_depth, bits
        word = log_depth - log_lanes(log_depth)
        super().__init__({
            "want": In(1), "number": In(log_depth), "hit": Out(1), "uop": Out(bits),
            "next_want": In(1), "next_word": In(word),
            "read": Out(UopReadSignature(log_depth=log_depth, bits=bits)),
            "changed": In(1), "changed_addr": In(word),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        lanes = log_lanes(self.log_depth)
        word, lane = self.number >> lanes, self.number[:lanes]
        places = []
        for n in range(2):
            valid, arrives = Signal(name=f"valid{n}"), Signal(name=f"arrives{n}")
            tag = Signal.like(self.next_word, name=f"tag{n}", reset_less=True)
            stored = Signal.like(self.read.data, name=f"stored{n}", reset_less=True)
            value = Signal.like(stored, name=f"value{n}")
            m.d.comb += value.eq(Mux(arrives, self.read.data, stored))
            with m.If(arrives):
                m.d.sync += stored.eq(self.read.data)
            places.append((valid, arrives, tag, value))

        # The word at work comes from one place; the other is for the next.
        has_now = Cat(valid & (tag == word) for valid, _, tag, _ in places)
        has_next = Cat(valid & (tag == self.next_word) for valid, _, tag, _ in places)
        values = Array(Mux(has_now[1], places[1][3], places[0][3]).word_select(n, self.bits)
                       for n in range(1 << lanes))  # fmt: skip
        missing = Signal()
        m.d.comb += [
            self.hit.eq(has_now.any()),
            self.uop.eq(values[lane] if lanes else values[0]),
            missing.eq(self.want & ~self.hit),
        ]

        # What is read does not go over the word at work.
        granted = self.read.en & self.read.ready
        into_second = self.want & has_now[0]
        fills = Signal(2)
        m.d.comb += fills.eq(Mux(granted, Cat(~into_second, into_second), 0))

        # What is to be read is in registers; what is being read is not asked for again.
        with m.If(missing):
            m.d.sync += [
                self.read.en.eq(~(granted & (self.read.addr == word))),
                self.read.addr.eq(word),
            ]
        with m.Else():
            m.d.sync += [
                self.read.en.eq(
                    self.next_want
                    & ~(has_next & ~fills).any()
                    & ~(granted & (self.read.addr == self.next_word))
                ),
                self.read.addr.eq(self.next_word),
            ]
        for n, (valid, arrives, tag, _) in enumerate(places):
            m.d.sync += arrives.eq(fills[n])
            with m.If(fills[n]):
                m.d.sync += [
                    tag.eq(self.read.addr),
                    valid.eq(~(self.changed & (self.changed_addr == self.read.addr))),
                ]
            with m.Elif(self.changed & (self.changed_addr == tag)):
                m.d.sync += valid.eq(0)
        return m
