"""PYNQ-Z1 (Digilent): Zynq-7020, 512 MiB of DDR3. Pins: the vendor's constraint file."""

from amaranth.build import Attrs
from amaranth.vendor import XilinxPlatform
from amaranth_boards.resources import LEDResources

from vta.boards.board import Board
from vta.boards.shells.zynq import HP0_MEMORY, ZYNQ_REGISTERS, ZynqShell
from vta.boards.synthesis.parts import PARTS
from vta.boards.toolchains.vivado import Vivado
from vta.config import VTAConfig


class PynqZ1Platform(XilinxPlatform):
    """The pins that the shell uses; its clock comes from the processing system."""

    device = "xc7z020"
    package = "clg400"
    speed = "1"
    resources = LEDResources(pins="R14 P14 N16 M14", attrs=Attrs(IOSTANDARD="LVCMOS33"))
    connectors = ()


BOARD = Board(
    name="pynq_z1",
    title="PYNQ-Z1 (Digilent)",
    part=PARTS["XC7Z020"],
    platform=PynqZ1Platform,
    config=VTAConfig.preset("default").replace(target="pynq"),
    clock_hz=100_000_000,
    shell=ZynqShell,
    toolchain=Vivado(),
    memory=HP0_MEMORY,
    registers=ZYNQ_REGISTERS,
)
