"""ULX3S with an ECP5 85F: every tool is open, and one USB cable is enough."""

from amaranth_boards.ulx3s import ULX3S_85F_Platform

from vta.boards.board import Board, MemoryPort
from vta.boards.ecp5 import ECP5_TOOLCHAIN, Ecp5Project
from vta.boards.parts import PARTS
from vta.boards.shells.ecp5_pll import Ecp5Clock, Ecp5PllSettings
from vta.boards.shells.uart_phy import clocks_per_bit
from vta.boards.shells.uart_shell import BAUD, UartMachine, UartPins, UartShell
from vta.config import VTAConfig

__all__ = ["BOARD", "MEMORY_BYTES", "Ulx3sPlatform"]

OSCILLATOR_HZ = 25_000_000
MEMORY_BYTES = 128 * 1024
"""64 of the 208 block RAMs; the machine takes some 55."""


class Ulx3sPlatform(Ecp5Project, ULX3S_85F_Platform):
    """The pins of the board."""


def _shell(cfg: VTAConfig, clock_hz: int) -> UartShell:
    settings = Ecp5PllSettings.find(OSCILLATOR_HZ, clock_hz)
    clocks_per_bit(clock_hz, BAUD)  # a clock that does not do is refused before anything is made
    return UartShell(
        lambda: UartMachine(cfg, clock_hz, memory_bytes=MEMORY_BYTES),
        lambda: Ecp5Clock(settings),
        _pins,
    )


def _pins(platform: Ulx3sPlatform) -> UartPins:
    """The oscillator, the serial line of the USB bridge, button F1, lamps D0 to D3.

    GPIO0 of the board's ESP32 is held high: its first firmware takes a low for the wish to have
    the board to itself, and configures the FPGA anew.
    """
    uart = platform.request("uart", dir="-")
    return UartPins(
        clock=platform.request("clk25", dir="-"),
        reset=platform.request("button_fire", 0, dir="-"),
        rx=uart.rx,
        tx=uart.tx,
        lamps=[platform.request("led", number, dir="-") for number in range(UartMachine.LAMPS)],
        high=[platform.request("esp32", dir="-").gpio0],
    )


BOARD = Board(
    name="ulx3s_85f",
    title="ULX3S with LFE5U-85F (Radiona, Intergalaktik)",
    part=PARTS["LFE5U-85F"],
    platform=Ulx3sPlatform,
    config=VTAConfig.preset("ulx3s_85f"),
    clock_hz=40_000_000,
    shell=_shell,
    toolchain=ECP5_TOOLCHAIN,
    memory=MemoryPort(
        name="block RAM",
        bits=64,
        addr_bits=32,
        coherent=True,
        why="on the FPGA itself; the host reaches it through the same bridge",
    ),
)
