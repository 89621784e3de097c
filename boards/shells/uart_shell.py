"""The shell of boards that a host reaches over a serial line and whose memory is block RAM or an
SDRAM.

rx -> frames -> requests -> control registers (AXI4-Lite) -> core -> memory (AXI4) -> block RAM
tx <- frames <- answers  <- bytes of the memory <----------------------------------------'
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import ClockDomain, Const, Elaboratable, Module, Signal
from amaranth.lib import io, wiring
from amaranth.lib.wiring import In, Out, connect

from vta.boards.board import MemoryPort
from vta.boards.shells.uart_bridge import UartBridge
from vta.boards.shells.uart_memory import OnChipMemory
from vta.boards.shells.uart_phy import clocks_per_bit
from vta.config import VTAConfig
from vta.hw.core import Core
from vta.uartlink import MAX_DATA, Info

__all__ = ["BAUD", "BLOCK_RAM", "MEMORY_BASE", "SDRAM", "UartMachine", "UartPins", "UartShell"]

BAUD = 1_000_000
"""Symbols a second: a whole divisor of every clock in MHz, and of the 3 MHz from which USB bridges
of FTDI make their rates."""

MEMORY_BASE = 0x1000_0000
"""Physical address of the first byte of the memory; not 0, which is no address of a buffer."""


BLOCK_RAM = MemoryPort(
    name="block RAM",
    bits=64,
    addr_bits=32,
    coherent=True,
    why="on the FPGA itself; the host reaches it through the same bridge",
)
"""The memory port of such a board."""

SDRAM = MemoryPort(
    name="SDRAM",
    bits=64,
    addr_bits=32,
    coherent=True,
    why="all that the board has beyond block RAM; the host reaches it through the same controller",
)
"""The memory port of a board whose memory is an SDRAM."""


class UartMachine(wiring.Component):
    """Core, memory and bridge; all but pins and clock.

    Parameters
    ----------
    cfg : VTAConfig
        The machine.
    clock_hz : int
        Frequency of the domain ``sync``.
    memory_bytes : int
        Size of the memory, a power of two of at least 4096.
    baud : int
        Of the line.
    memory : callable
        Gives the memory for ``base``, ``nbytes``, ``addr_bits`` and ``data_bits``, with the ports
        of :class:`~.uart_memory.OnChipMemory`.

    Attributes
    ----------
    rx, tx : in, out
        The line.
    leds : out
        From bit 0: blinks about once a second, a request is being answered, the last
        answer was a refusal, the interrupt of an ended run is pending.
    """

    LEDS = 4

    def __init__(
        self, cfg: VTAConfig, clock_hz: int, *, memory_bytes: int, baud: int = BAUD,
        memory: Callable[..., Any] = OnChipMemory,
    ) -> None:  # fmt: skip
        self.cfg, self.clock_hz = cfg, clock_hz
        self.memory = memory
        self.divisor = clocks_per_bit(clock_hz, baud)
        self.info = Info(MAX_DATA, MEMORY_BASE, memory_bytes, clock_hz, baud)
        super().__init__({"rx": In(1), "tx": Out(1, init=1), "leds": Out(self.LEDS)})

    def elaborate(self, platform):
        m = Module()
        cfg, info = self.cfg, self.info
        m.submodules.core = core = Core(cfg)
        m.submodules.bridge = bridge = UartBridge(self.divisor, info)
        m.submodules.memory = memory = self.memory(
            base=info.memory_base, nbytes=info.memory_bytes,
            addr_bits=cfg.addr_bits, data_bits=cfg.bus_bits,
        )  # fmt: skip
        connect(m, bridge.registers, core.s_axi)
        connect(m, bridge.memory, memory.host)
        connect(m, core.m_axi, memory.bus)
        blink = Signal(range(self.clock_hz))
        m.d.sync += blink.eq(blink + 1)
        m.d.comb += [
            bridge.rx.eq(self.rx),
            self.tx.eq(bridge.tx),
            self.leds[0].eq(blink[-1]),
            self.leds[1].eq(bridge.answered),
            self.leds[2].eq(bridge.refused),
            self.leds[3].eq(core.irq),
        ]
        return m


@dataclass(frozen=True)
class UartPins:
    """The pins of a board, as its platform gives them: ports of ``amaranth.lib.io``, inverted where
    the board does; ``leds`` are :attr:`UartMachine.LEDS`, ``high`` are driven so."""

    clock: io.PortLike
    reset: io.PortLike
    rx: io.PortLike
    tx: io.PortLike
    leds: Sequence[io.PortLike]
    high: Sequence[io.PortLike] = ()


class UartShell(Elaboratable):
    """The whole design: a machine between the pins of its board.

    Parameters
    ----------
    machine : callable
        Gives the :class:`UartMachine`.
    clock : callable
        Gives the component that drives the domain ``sync``, with the inputs ``clock`` and
        ``reset`` from their pins.
    pins : callable
        Gives the :class:`UartPins` of a platform.
    """

    def __init__(
        self,
        machine: Callable[[], UartMachine],
        clock: Callable[[], Any],
        pins: Callable[[Any], UartPins],
    ) -> None:
        self.machine, self.clock, self.pins = machine, clock, pins

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.clock = clock = self.clock()
        m.submodules.machine = machine = self.machine()
        pins = self.pins(platform)
        inputs = {
            "clock": (pins.clock, clock.clock),
            "reset": (pins.reset, clock.reset),
            "rx": (pins.rx, machine.rx),
        }
        outputs = {"tx": (pins.tx, machine.tx)}
        for number, led in enumerate(pins.leds):
            outputs[f"led{number}"] = (led, machine.leds[number])
        for number, port in enumerate(pins.high):
            outputs[f"high{number}"] = (port, Const(1))
        for name, (port, signal) in inputs.items():
            m.submodules[f"pin_{name}"] = buffer = io.Buffer("i", port)
            m.d.comb += signal.eq(buffer.i)
        for name, (port, signal) in outputs.items():
            m.submodules[f"pin_{name}"] = buffer = io.Buffer("o", port)
            m.d.comb += buffer.o.eq(signal)
        return m
