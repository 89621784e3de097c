"""ULX3S with an ECP5 85F and its SDRAM as memory: room for whole networks."""

from dataclasses import replace

from vta.boards import ulx3s_85f
from vta.boards.shells.litedram import CORE, Sdram
from vta.boards.shells.uart_shell import SDRAM
from vta.boards.shells.ulx3s import ulx3s_shell
from vta.boards.toolchains.ecp5 import Ecp5Toolchain

__all__ = ["BOARD", "CHIP"]

CHIP = Sdram("MT48LC16M16", "LFE5U-85F-6BG381C", 32 << 20)
"""256 Mbit. Boards with a chip of 512 Mbit work as well: half of it is used."""

BOARD = replace(
    ulx3s_85f.BOARD,
    name="ulx3s_85f_sdram",
    title="ULX3S with LFE5U-85F and its SDRAM (Radiona, Intergalaktik)",
    shell=ulx3s_shell(CHIP.nbytes, CHIP),
    toolchain=Ecp5Toolchain(sources=(f"{CORE}.v",)),
    memory=SDRAM,
)
