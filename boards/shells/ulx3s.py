"""The pins of the ULX3S, whatever FPGA is on it, and the machine between them."""

from collections.abc import Callable
from functools import partial
from typing import Any

from amaranth.hdl import Elaboratable

from vta.boards.shells.ecp5_pll import Ecp5Clock, Ecp5PllSettings
from vta.boards.shells.litedram import Sdram, generate
from vta.boards.shells.sdram_memory import SdramMemory
from vta.boards.shells.uart_memory import OnChipMemory
from vta.boards.shells.uart_phy import clocks_per_bit
from vta.boards.shells.uart_shell import BAUD, UartMachine, UartPins, UartShell
from vta.config import VTAConfig

__all__ = ["ulx3s_shell"]

OSCILLATOR_HZ = 25_000_000


def ulx3s_shell(
    memory_bytes: int, sdram: Sdram | None = None, baud: int = BAUD
) -> Callable[[VTAConfig, int], Elaboratable]:
    """The shell of a board with so much memory, for :class:`~vta.boards.board.Board`: block RAM, or
    the SDRAM if one is given."""

    def shell(cfg: VTAConfig, clock_hz: int) -> Elaboratable:
        # A clock that does not do is refused here, before anything is made.
        settings = Ecp5PllSettings.find(OSCILLATOR_HZ, clock_hz)
        clocks_per_bit(clock_hz, baud)
        memory: Callable[..., Any] = OnChipMemory
        if sdram is not None:
            memory = partial(SdramMemory, generate(sdram, clock_hz))
        return UartShell(
            lambda: UartMachine(cfg, clock_hz, memory_bytes=memory_bytes, baud=baud, memory=memory),
            lambda: Ecp5Clock(settings),
            _pins,
        )

    return shell


def _pins(platform) -> UartPins:
    """The oscillator, the serial line of the USB bridge, button F1, LEDs D0 to D3.

    GPIO0 of the board's ESP32 is held high: its first firmware takes a low for the wish to have
    the board to itself, and configures the FPGA anew.
    """
    uart = platform.request("uart", dir="-")
    return UartPins(
        clock=platform.request("clk25", dir="-"),
        reset=platform.request("button_fire", 0, dir="-"),
        rx=uart.rx,
        tx=uart.tx,
        leds=[platform.request("led", number, dir="-") for number in range(UartMachine.LEDS)],
        high=[platform.request("esp32", dir="-").gpio0],
    )
