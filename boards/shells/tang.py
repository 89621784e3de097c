"""The pins of Sipeed's Tang boards, and the machine between them."""

from collections.abc import Callable

from amaranth.hdl import Elaboratable

from vta.boards.shells.pin_clock import PinClock
from vta.boards.shells.uart_phy import clocks_per_bit
from vta.boards.shells.uart_shell import BAUD, UartMachine, UartPins, UartShell
from vta.config import VTAConfig
from vta.errors import ConfigError

__all__ = ["tang_shell"]


def tang_shell(memory_bytes: int, oscillator_hz: int) -> Callable[[VTAConfig, int], Elaboratable]:
    """The shell of a board with so much memory and a crystal of that frequency (Hz), for
    :class:`~vta.boards.board.Board`."""

    def shell(cfg: VTAConfig, clock_hz: int) -> Elaboratable:
        # A clock that does not do is refused here, before anything is made.
        if clock_hz != oscillator_hz:
            raise ConfigError(
                f"the clock is {clock_hz / 1e6:g} MHz; must be that of the board's crystal, "
                f"{oscillator_hz / 1e6:g} MHz: the shell has no PLL"
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
        clock=platform.request(platform.default_clk, dir="-"),
        reset=platform.request("button", 0, dir="-"),
        rx=uart.rx,
        tx=uart.tx,
        leds=[platform.request("led", number, dir="-") for number in range(UartMachine.LEDS)],
    )
