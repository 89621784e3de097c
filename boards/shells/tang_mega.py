"""The pins of the Tang Mega 138K Pro, and the machine between them."""

from collections.abc import Callable

from amaranth.hdl import Elaboratable

from vta.boards.shells.pin_clock import PinClock
from vta.boards.shells.uart_phy import clocks_per_bit
from vta.boards.shells.uart_shell import BAUD, UartMachine, UartPins, UartShell
from vta.config import VTAConfig
from vta.errors import ConfigError

__all__ = ["OSCILLATOR_HZ", "tang_mega_shell"]

OSCILLATOR_HZ = 50_000_000


def tang_mega_shell(memory_bytes: int) -> Callable[[VTAConfig, int], Elaboratable]:
    """The shell of a board with so much memory, for :class:`~vta.boards.board.Board`."""

    def shell(cfg: VTAConfig, clock_hz: int) -> Elaboratable:
        # A clock that does not do is refused here, before anything is made.
        if clock_hz != OSCILLATOR_HZ:
            raise ConfigError(
                f"the clock is {clock_hz / 1e6:g} MHz; must be that of the board's crystal, "
                f"{OSCILLATOR_HZ / 1e6:g} MHz: the shell has no PLL"
            )
        clocks_per_bit(clock_hz, BAUD)
        return UartShell(
            lambda: UartMachine(cfg, clock_hz, memory_bytes=memory_bytes), PinClock, _pins
        )

    return shell


def _pins(platform) -> UartPins:
    """The crystal, the serial line of the USB bridge, button 0, LEDs 0 to 3."""
    uart = platform.request("uart", dir="-")
    return UartPins(
        clock=platform.request("clk50", dir="-"),
        reset=platform.request("button", 0, dir="-"),
        rx=uart.rx,
        tx=uart.tx,
        leds=[platform.request("led", number, dir="-") for number in range(UartMachine.LEDS)],
    )
