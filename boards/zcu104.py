"""ZCU104 (AMD): Zynq UltraScale+ ZU7EV, 2 GiB of DDR4. Pins: the vendor's constraint file."""

from amaranth.build import Attrs
from amaranth.vendor import XilinxPlatform
from amaranth_boards.resources import LEDResources

from vta.boards.board import Board
from vta.boards.shells.zynq import HP0_FPD_MEMORY, ULTRASCALE_REGISTERS, UltraScaleShell
from vta.boards.synthesis.parts import PARTS
from vta.boards.toolchains.vivado import Vivado
from vta.config import VTAConfig


class Zcu104Platform(XilinxPlatform):
    """The pins that the shell uses; its clock comes from the processing system."""

    device = "xczu7ev"
    package = "ffvc1156"
    speed = "2-e"
    resources = LEDResources(pins="D5 D6 A5 B5", attrs=Attrs(IOSTANDARD="LVCMOS33"))
    connectors = ()


BOARD = Board(
    name="zcu104",
    title="ZCU104 (AMD)",
    part=PARTS["XCZU7EV"],
    platform=Zcu104Platform,
    config=VTAConfig.preset("default").replace(target="zcu104", log_bus_width=7),
    clock_hz=100_000_000,
    shell=UltraScaleShell,
    toolchain=Vivado(),
    memory=HP0_FPD_MEMORY,
    registers=ULTRASCALE_REGISTERS,
)
