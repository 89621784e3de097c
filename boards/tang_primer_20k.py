"""Tang Primer 20K on its dock: a small FPGA of Gowin, whose tools are all open too."""

from amaranth_boards.tang_primer_20k import TangPrimer20kDockPlatform

from vta.boards.board import Board, MemoryPort
from vta.boards.gowin import GowinProject, gowin_toolchain
from vta.boards.parts import PARTS
from vta.boards.shells.pin_clock import PinClock
from vta.boards.shells.uart_shell import UartMachine, UartPins, UartShell
from vta.config import VTAConfig
from vta.errors import ConfigError

__all__ = ["BOARD", "MEMORY_BYTES", "TangPrimer20kPlatform"]

OSCILLATOR_HZ = 27_000_000
MEMORY_BYTES = 32 * 1024
"""16 of the 46 block RAMs. Buffers are pages of 4 KiB: a program with its tensors takes five or
six."""

CONFIG = VTAConfig.preset("tiny").replace(log_block=1, target="tang_primer_20k")
"""1x2x2: `tiny` would take 95 % of the functions, too many to be placed."""

FIRST_LAMP = 2
"""Lamps 0 and 1 hang on the configuration pins DONE and READY."""


class TangPrimer20kPlatform(GowinProject, TangPrimer20kDockPlatform):
    """The pins of the board and its dock."""

    device = TangPrimer20kDockPlatform.part


def _shell(cfg: VTAConfig, clock_hz: int) -> UartShell:
    if clock_hz != OSCILLATOR_HZ:
        raise ConfigError(
            f"the clock is {clock_hz / 1e6:g} MHz; must be {OSCILLATOR_HZ / 1e6:g} MHz, that of "
            f"the oscillator: the shell of this board has no PLL"
        )
    return UartShell(lambda: UartMachine(cfg, clock_hz, memory_bytes=MEMORY_BYTES), PinClock, _pins)


def _pins(platform: TangPrimer20kPlatform) -> UartPins:
    """The oscillator, the serial line of the dock's debugger, button S0, lamps 2 to 5."""
    uart = platform.request("uart", dir="-")
    lamps = range(FIRST_LAMP, FIRST_LAMP + UartMachine.LAMPS)
    return UartPins(
        clock=platform.request("clk27", dir="-"),
        reset=platform.request("button", 0, dir="-"),
        rx=uart.rx,
        tx=uart.tx,
        lamps=[platform.request("led", number, dir="-") for number in lamps],
    )


BOARD = Board(
    name="tang_primer_20k",
    title="Tang Primer 20K with dock (Sipeed)",
    part=PARTS["GW2A-LV18"],
    platform=TangPrimer20kPlatform,
    config=CONFIG,
    clock_hz=OSCILLATOR_HZ,
    shell=_shell,
    toolchain=gowin_toolchain("GW2A-18C"),
    memory=MemoryPort(
        name="block RAM",
        bits=64,
        addr_bits=32,
        coherent=True,
        why="on the FPGA itself; the host reaches it through the same bridge",
    ),
)
