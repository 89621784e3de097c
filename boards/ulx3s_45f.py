"""ULX3S with an ECP5 45F: the smallest FPGA of the family that holds a machine."""

from amaranth_boards.ulx3s import ULX3S_45F_Platform

from vta.boards.board import Board
from vta.boards.shells.uart_shell import BLOCK_RAM
from vta.boards.shells.ulx3s import ulx3s_shell
from vta.boards.synthesis.parts import PARTS
from vta.boards.toolchains.ecp5 import Ecp5Project, Ecp5Toolchain
from vta.config import VTAConfig

__all__ = ["BOARD", "MEMORY_BYTES"]

MEMORY_BYTES = 64 * 1024
"""32 of the 108 block RAMs; the machine takes some 20."""


class Ulx3s45fPlatform(Ecp5Project, ULX3S_45F_Platform):
    """The pins of the board."""


BOARD = Board(
    name="ulx3s_45f",
    title="ULX3S with LFE5U-45F (Radiona, Intergalaktik)",
    part=PARTS["LFE5U-45F"],
    platform=Ulx3s45fPlatform,
    config=VTAConfig.preset("tiny").replace(target="ulx3s"),
    clock_hz=40_000_000,
    shell=ulx3s_shell(MEMORY_BYTES),
    toolchain=Ecp5Toolchain(),
    memory=BLOCK_RAM,
)
