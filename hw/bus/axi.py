"""AXI4: bursts, responses and the traits of a port, for the read master and the write master.

A request becomes INCR bursts that end at every multiple of :attr:`BusTraits.burst_beats` beats, so
that no burst crosses a page of 4 KiB, whatever the width of the bus.
"""

from dataclasses import dataclass

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.config import BURST_BEATS
from vta.errors import ConfigError
from vta.hw.interfaces import BEATS_BITS, AXISignature, WriteRequest
from vta.memmap import ErrorCode


@dataclass(frozen=True)
class BusTraits:
    """Requirements of a memory port on its master, beside the widths.

    Attributes
    ----------
    burst_beats : int
        Largest number of beats of a burst, a power of two up to
        :data:`~vta.config.BURST_BEATS`. AXI3 has at most 16.
    cache : int
        AxCACHE; 0b0011 is normal memory, non-cacheable, bufferable.
    prot : int
        AxPROT; 0b000 is unprivileged, secure, data.

    Raises
    ------
    ConfigError
        If a value is out of range.
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
"""A port without requirements of its own."""

INCR = 0b01
"""AxBURST: incrementing."""


class Resp(enum.Enum, shape=2):
    """xRESP."""

    OKAY = 0
    EXOKAY = 1
    SLVERR = 2
    DECERR = 3


def channels(signature: AXISignature, *prefixes: str) -> dict:
    """The members of some channels of an AXI4 port: ``channels(axi, "ar", "r")``."""
    names = ("aw", "ar", "w", "b", "r")

    def channel(name: str) -> str:
        return next(prefix for prefix in names if name.startswith(prefix))

    return {name: member for name, member in signature.members.items() if channel(name) in prefixes}


def error_of(resp):
    """The ErrorCode of an xRESP that reports an error."""
    return Mux(resp == Resp.DECERR, ErrorCode.AXI_DECERR, ErrorCode.AXI_SLVERR)


class Burst(data.StructLayout):
    """``len + 1`` beats from ``addr`` on; ``marked`` is set in each burst of a request that had
    ``last`` set, ``last`` in the last one of them."""

    def __init__(self, addr_bits: int) -> None:
        super().__init__({"addr": addr_bits, "len": 8, "last": 1, "marked": 1})


class BurstSplitter(wiring.Component):
    """Splits requests into bursts, one a cycle.

    Parameters
    ----------
    addr_bits, data_bits : int
        Widths of the bus.
    burst_beats : int
        Largest number of beats of a burst, a power of two.
    beats_bits : int or None
        Requests have fewer than ``2 ** beats_bits`` beats; None: any number.

    Attributes
    ----------
    request : stream of WriteRequest, in
        Requests of up to that many beats.
    burst : stream of Burst, out
        The first burst is valid :attr:`LATENCY` cycles after its request.
    """

    LATENCY = 2

    def __init__(
        self, *, addr_bits: int, data_bits: int, burst_beats: int, beats_bits: int | None = None
    ) -> None:
        self.addr_bits, self.data_bits, self.burst_beats = addr_bits, data_bits, burst_beats
        self.beats_bits = BEATS_BITS if beats_bits is None else beats_bits
        super().__init__({
            "request": In(stream.Signature(WriteRequest(addr_bits))),
            "burst": Out(stream.Signature(Burst(addr_bits))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        log_beat = (self.data_bits // 8).bit_length() - 1
        burst, size = self.burst.payload, self.burst_beats
        # The beats from ``beat`` on. ``reach`` is their end, counted from the last multiple of
        # ``burst_beats``. The sum takes a cycle, then each burst takes a cycle.
        reach_bits = (2**self.beats_bits - 1 + size - 1).bit_length()
        beats = data.StructLayout({
            "beat": self.addr_bits - log_beat, "reach": reach_bits, "last": 1
        })  # fmt: skip
        accepted = Signal(beats)
        """The next request."""
        accepted_valid = Signal()
        remaining = Signal(beats)
        """The current request, without the bursts that were issued."""
        last_burst = Signal()
        """``remaining`` is one burst, and ``last_beat`` its last beat within the block."""
        last_beat = Signal(8)
        load = Signal()

        def ends_within(reach, blocks):
            """Whether beats end within this number, a power of two, of blocks of ``size``."""
            return (reach < blocks * size) | (reach == blocks * size)

        m.d.comb += [
            load.eq(~self.burst.valid | (self.burst.ready & last_burst)),
            self.request.ready.eq(~accepted_valid | load),
            burst.addr.eq(remaining.beat << log_beat),
            burst.len.eq((Mux(last_burst, last_beat, size - 1) - remaining.beat % size) % size),
            burst.last.eq(remaining.last & last_burst),
            burst.marked.eq(remaining.last),
        ]
        with m.If(self.request.ready):
            new = self.request.payload
            beat = new.addr >> log_beat
            m.d.sync += [
                accepted_valid.eq(self.request.valid),
                accepted.beat.eq(beat),
                accepted.reach.eq(new.beats[: self.beats_bits] + beat % size),
                accepted.last.eq(new.last),
            ]
        with m.If(load):
            m.d.sync += [
                self.burst.valid.eq(accepted_valid),
                remaining.eq(accepted),
                last_burst.eq(ends_within(accepted.reach, 1)),
                last_beat.eq((accepted.reach - 1) % size),
            ]
        with m.Elif(self.burst.ready):
            m.d.sync += [
                remaining.beat.eq((remaining.beat // size + 1) * size),
                remaining.reach.eq(remaining.reach - size),
                last_burst.eq(ends_within(remaining.reach, 2)),
            ]
        return m
