"""Ultra96-V2 (Avnet): Zynq UltraScale+ ZU3EG, 2 GiB of LPDDR4."""

from amaranth.vendor import XilinxPlatform

from vta.boards.board import Board
from vta.boards.shells.zynq import HP0_FPD_MEMORY, ULTRASCALE_REGISTERS, UltraScaleShell
from vta.boards.synthesis.parts import PARTS
from vta.boards.toolchains.vivado import Vivado
from vta.config import VTAConfig


class Ultra96Platform(XilinxPlatform):
    """No pin: clock, reset and memory are the processing system's, and no LED is free."""

    device = "xczu3eg"
    package = "sbva484"
    speed = "1-i"
    resources = ()
    connectors = ()


BOARD = Board(
    name="ultra96",
    title="Ultra96-V2 (Avnet)",
    part=PARTS["XCZU3EG"],
    platform=Ultra96Platform,
    config=VTAConfig.preset("default").replace(target="ultra96", log_bus_width=7),
    clock_hz=100_000_000,
    shell=UltraScaleShell,
    toolchain=Vivado(),
    memory=HP0_FPD_MEMORY,
    registers=ULTRASCALE_REGISTERS,
)
