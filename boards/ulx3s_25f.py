"""ULX3S with an ECP5 25F: products of two by two, and every part of the machine at its smallest."""

from amaranth_boards.ulx3s import ULX3S_25F_Platform

from vta.boards.board import Board
from vta.boards.shells.uart_shell import BLOCK_RAM
from vta.boards.shells.ulx3s import ulx3s_shell
from vta.boards.synthesis.parts import PARTS
from vta.boards.toolchains.ecp5 import Ecp5Project, Ecp5Toolchain
from vta.config import VTAConfig

__all__ = ["BOARD", "MEMORY_BYTES"]

MEMORY_BYTES = 32 * 1024
"""16 of the 56 block RAMs; the machine takes some 30."""


class Ulx3s25fPlatform(Ecp5Project, ULX3S_25F_Platform):
    """The pins of the board."""


BOARD = Board(
    name="ulx3s_25f",
    title="ULX3S with LFE5U-25F (Radiona, Intergalaktik)",
    part=PARTS["LFE5U-25F"],
    platform=Ulx3s25fPlatform,
    # Products of 4x4 would need 32 multipliers; there are 28.
    config=VTAConfig.preset("tiny_small").replace(
        target="ulx3s",
        log_block=1,
        log_alu_beats=1,
        log_uop_buff_size=11,
        log_inp_buff_size=11,
        log_wgt_buff_size=12,
        log_acc_buff_size=12,
    ),
    clock_hz=40_000_000,
    shell=ulx3s_shell(MEMORY_BYTES),
    toolchain=Ecp5Toolchain(),
    memory=BLOCK_RAM,
)
