"""ULX3S with an ECP5 85F: every tool is open, and one USB cable is enough."""

from amaranth_boards.ulx3s import ULX3S_85F_Platform

from vta.boards.board import Board
from vta.boards.shells.uart_shell import BLOCK_RAM
from vta.boards.shells.ulx3s import ulx3s_shell
from vta.boards.synthesis.parts import PARTS
from vta.boards.toolchains.ecp5 import Ecp5Project, Ecp5Toolchain
from vta.config import VTAConfig

__all__ = ["BOARD", "MEMORY_BYTES"]

MEMORY_BYTES = 128 * 1024
"""64 of the 208 block RAMs; the machine takes some 50."""


class Ulx3s85fPlatform(Ecp5Project, ULX3S_85F_Platform):
    """The pins of the board."""


BOARD = Board(
    name="ulx3s_85f",
    title="ULX3S with LFE5U-85F (Radiona, Intergalaktik)",
    part=PARTS["LFE5U-85F"],
    platform=Ulx3s85fPlatform,
    config=VTAConfig.preset("ulx3s_85f"),
    clock_hz=40_000_000,
    shell=ulx3s_shell(MEMORY_BYTES),
    toolchain=Ecp5Toolchain(),
    memory=BLOCK_RAM,
)
