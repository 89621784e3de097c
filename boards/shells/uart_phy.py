"""A serial line: bytes to symbols and back. One start bit, eight data bits from the lowest on, one
stop bit; the line is high while idle.

`amaranth-stdio`, which has such blocks, is on the package index in name only.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from vta.errors import ConfigError

__all__ = ["TOLERANCE", "UartReceiver", "UartTransmitter", "clocks_per_bit"]

TOLERANCE = 0.01
"""How far the rate may be off. The last bit is sampled 9.5 bits after the edge that began the byte:
half a bit is 5 %, which both ends and the edge's own uncertainty share."""

FEWEST = 4
"""Clocks in a bit, at least."""


def clocks_per_bit(clock_hz: int, baud: int) -> int:
    """The divisor that gives ``baud`` symbols a second.

    Raises
    ------
    ConfigError
        If the clock has no whole divisor within :data:`TOLERANCE` of the rate, or one of fewer than
        :data:`FEWEST`.
    """
    divisor = round(clock_hz / baud)
    if divisor < FEWEST or abs(clock_hz / divisor / baud - 1) > TOLERANCE:
        raise ConfigError(
            f"a clock of {clock_hz} Hz does not give {baud} baud: the rate must be the clock "
            f"divided by a whole number of at least {FEWEST}, within {TOLERANCE:.0%}"
        )
    return divisor


class UartReceiver(wiring.Component):
    """Symbols to bytes.

    Parameters
    ----------
    divisor : int
        Clocks in a bit, at least :data:`FEWEST`.

    Attributes
    ----------
    rx : in
        The line, asynchronous.
    data : out
        A byte, in the cycle of ``valid``. It cannot be refused.
    valid : out
        One pulse a byte.
    broken : out
        One pulse where a stop bit was low: the byte is lost, and so is the line until it is high.
    """

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor
        super().__init__({"rx": In(1), "data": Out(8), "valid": Out(1), "broken": Out(1)})

    def elaborate(self, platform):
        m = Module()
        line = Signal(init=1)
        m.submodules.synchroniser = FFSynchronizer(self.rx, line, init=1)
        timer = Signal(range(self.divisor))
        number = Signal(range(8))
        sample = Signal()
        m.d.comb += sample.eq(timer == 0)
        m.d.sync += timer.eq(timer - 1)
        with m.If(sample):
            m.d.sync += timer.eq(self.divisor - 1)

        with m.FSM():
            with m.State("idle"):
                m.d.sync += [timer.eq(self.divisor // 2 - 1), number.eq(0)]
                with m.If(~line):
                    m.next = "start"
            with m.State("start"), m.If(sample):  # a pulse shorter than half a bit is none
                with m.If(line):
                    m.next = "idle"
                with m.Else():
                    m.next = "data"
            with m.State("data"), m.If(sample):
                m.d.sync += [self.data.eq(Cat(self.data[1:], line)), number.eq(number + 1)]
                with m.If(number == 7):
                    m.next = "stop"
            with m.State("stop"), m.If(sample):
                m.d.comb += [self.valid.eq(line), self.broken.eq(~line)]
                with m.If(line):
                    m.next = "idle"
                with m.Else():
                    m.next = "break"
            with m.State("break"), m.If(line):
                m.next = "idle"
        return m


class UartTransmitter(wiring.Component):
    """Bytes to symbols.

    Parameters
    ----------
    divisor : int
        Clocks in a bit.

    Attributes
    ----------
    bytes : stream of 8 bits, in
        A byte is accepted when the byte before it has been sent.
    tx : out
        The line, from a register.
    """

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor
        super().__init__({"bytes": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        timer = Signal(range(self.divisor))
        left = Signal(range(11))
        bits = Signal(9, init=0x1FF)
        m.d.comb += self.bytes.ready.eq(left == 0)
        m.d.sync += self.tx.eq(bits[0])
        with m.If(self.bytes.valid & self.bytes.ready):
            m.d.sync += [
                bits.eq(Cat(0, self.bytes.payload)),
                left.eq(10),
                timer.eq(self.divisor - 1),
            ]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Elif(left != 0):
            m.d.sync += [bits.eq(Cat(bits[1:], 1)), left.eq(left - 1), timer.eq(self.divisor - 1)]
        return m
