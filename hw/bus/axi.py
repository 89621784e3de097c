"""What the read and the write side of the AXI4 memory master share: bursts and answers.

A request becomes INCR bursts that end at every multiple of :attr:`BusTraits.burst_beats` beats, so
that none crosses a page of 4 KiB, whatever the width of the bus.
"""

from dataclasses import dataclass

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.config import BURST_BEATS
from vta.errors import ConfigError
from vta.hw.interfaces import BEATS_BITS, AXI4Signature, WriteRequest
from vta.memmap import ErrorCode


@dataclass(frozen=True)
class BusTraits:
    """What a memory port asks of its master, beside the widths.

    Attributes
    ----------
    burst_beats : int
        Most beats of a burst, a power of two up to :data:`BURST_BEATS`. AXI3 has at most 16.
    cache : int
        AxCACHE; 0b0011 is normal memory, not cached, may be buffered.
    prot : int
        AxPROT; 0b000 is unprivileged, secure, data.

    Raises
    ------
    ConfigError
        If a value cannot be.
    """

    burst_beats: int = BURST_BEATS
    cache: int = 0b0011
    prot: int = 0b000

    def __post_init__(self) -> None:
        beats = self.burst_beats
        if not 1 <= beats <= BURST_BEATS or beats & (beats - 1):
            raise ConfigError(f"burst_beats is {beats}; must be a power of two, 1 to {BURST_BEATS}")
        for name, bits in (("cache", 4), ("prot", 3)):
            if not 0 <= getattr(self, name) < 1 << bits:
                raise ConfigError(f"{name} is {getattr(self, name)}; must have {bits} bits")


AXI4 = BusTraits()
"""A port that asks for nothing in particular."""

INCR = 0b01
"""AxBURST: addresses rise by a beat."""


class Resp(enum.Enum, shape=2):
    """xRESP."""

    OKAY = 0
    EXOKAY = 1
    SLVERR = 2
    DECERR = 3


def channels(signature: AXI4Signature, *prefixes: str) -> dict:
    """The members of some channels of an AXI4 port: ``channels(axi, "ar", "r")``."""
    known = ("aw", "ar", "w", "b", "r")

    def channel(name: str) -> str:
        return next(prefix for prefix in known if name.startswith(prefix))

    return {name: member for name, member in signature.members.items() if channel(name) in prefixes}


def error_of(resp):
    """The ErrorCode of an xRESP that is an error."""
    return Mux(resp == Resp.DECERR, ErrorCode.AXI_DECERR, ErrorCode.AXI_SLVERR)


class Burst(data.StructLayout):
    """``len + 1`` beats from ``addr`` on; ``last``: the end of a request that had ``last``."""

    def __init__(self, addr_bits: int) -> None:
        super().__init__({"addr": addr_bits, "len": 8, "last": 1})


class BurstSplitter(wiring.Component):
    """Cuts requests into bursts, one a cycle.

    Parameters
    ----------
    addr_bits, data_bits : int
        Of the bus.
    burst_beats : int
        Most beats of a burst, a power of two.

    Attributes
    ----------
    request : stream of WriteRequest, in
    burst : stream of Burst, out
        The first comes two cycles after the request.
    """

    def __init__(self, *, addr_bits: int, data_bits: int, burst_beats: int) -> None:
        self.addr_bits, self.data_bits, self.burst_beats = addr_bits, data_bits, burst_beats
        super().__init__({
            "request": In(stream.Signature(WriteRequest(addr_bits))),
            "burst": Out(stream.Signature(Burst(addr_bits))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        log_beat = (self.data_bits // 8).bit_length() - 1
        burst, size = self.burst.payload, self.burst_beats
        # A request, or what is left of it: ``reach`` is where it ends, from the last multiple of
        # ``burst_beats`` on. A cycle for that sum, then one for each burst.
        rest = data.StructLayout({
            "beat": self.addr_bits - log_beat, "reach": BEATS_BITS + 1, "last": 1
        })  # fmt: skip
        asked, left = Signal(rest, name="asked"), Signal(rest, name="left")
        pending = Signal()
        walks = Signal()
        takes = Signal()
        ends = Signal()  # this is its last burst
        end = Signal(8)  # the last beat of that

        def within(reach, blocks):
            """Whether it ends in the first so many blocks, a power of two."""
            return (reach < blocks * size) | (reach == blocks * size)

        m.d.comb += [
            takes.eq(~walks | (self.burst.ready & ends)),
            self.request.ready.eq(~pending | takes),
            self.burst.valid.eq(walks),
            burst.addr.eq(left.beat << log_beat),
            burst.len.eq((Mux(ends, end, size - 1) - left.beat % size) % size),
            burst.last.eq(left.last & ends),
        ]
        with m.If(self.request.ready):
            new = self.request.payload
            beat = new.addr >> log_beat
            m.d.sync += [
                pending.eq(self.request.valid),
                asked.beat.eq(beat),
                asked.reach.eq(new.beats + beat % size),
                asked.last.eq(new.last),
            ]
        with m.If(takes):
            m.d.sync += [
                walks.eq(pending),
                left.eq(asked),
                ends.eq(within(asked.reach, 1)),
                end.eq((asked.reach - 1) % size),
            ]
        with m.Elif(self.burst.ready):
            m.d.sync += [
                left.beat.eq((left.beat // size + 1) * size),
                left.reach.eq(left.reach - size),
                ends.eq(within(left.reach, 2)),
            ]
        return m
