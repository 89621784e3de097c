"""What the read and the write side of the AXI4 memory master share: bursts and answers.

A request becomes INCR bursts that end at every multiple of :attr:`BusTraits.burst_beats` beats, so
that none crosses a page of 4 KiB, whatever the width of the bus.
"""

from dataclasses import dataclass

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.errors import ConfigError
from vta.hw.interfaces import BEATS_BITS, AXI4Signature, WriteRequest
from vta.memmap import ErrorCode

BURST_BEATS = 64
"""Most beats of a burst: 4 KiB on the widest bus (512 bits). Longer ones would make the small reads
of micro-ops and instructions wait behind those of weights, and gain nothing."""


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
        burst = self.burst.payload
        beat = Signal(self.addr_bits - log_beat)
        left = Signal(BEATS_BITS)
        last = Signal()

        # ``reach`` is where the request ends, from the last multiple of ``burst_beats`` on.
        reach = Signal(BEATS_BITS + 1)
        block, offset = beat // self.burst_beats, beat % self.burst_beats
        ends, advance = Signal(), Signal()
        m.d.comb += [
            reach.eq(left + offset),
            ends.eq(reach <= self.burst_beats),
            advance.eq(~self.burst.valid | self.burst.ready),
            self.request.ready.eq((left == 0) | (advance & ends)),
        ]
        with m.If(advance):
            m.d.sync += [
                self.burst.valid.eq(left != 0),
                burst.addr.eq(beat << log_beat),
                burst.len.eq(Mux(ends, left, self.burst_beats - offset) - 1),
                burst.last.eq(last & ends),
                beat.eq((block + 1) * self.burst_beats),
                left.eq(Mux(ends, 0, reach - self.burst_beats)),
            ]
        with m.If(self.request.ready):
            m.d.sync += [
                beat.eq(self.request.payload.addr >> log_beat),
                left.eq(Mux(self.request.valid, self.request.payload.beats, 0)),
                last.eq(self.request.payload.last),
            ]
        return m
