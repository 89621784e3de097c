"""Terasic DE10-Nano: a Cyclone V SE with two Cortex-A9 and 1 GiB of DDR3, of the processor's."""

from amaranth_boards.de10_nano import DE10NanoPlatform

from vta.boards.board import Board, MemoryPort
from vta.boards.shells.cyclonev import FPGA2HPS, REGISTERS, CycloneVShell
from vta.boards.synthesis.parts import PARTS
from vta.boards.toolchains.quartus import COMMANDS, Quartus
from vta.config import VTAConfig

__all__ = ["BOARD"]


class Platform(DE10NanoPlatform):
    """The board's pins, with the flow script of :mod:`vta.boards.toolchains.quartus`."""

    quartus_required_tools = ("quartus_sh",)
    quartus_command_templates = COMMANDS


BOARD = Board(
    name="de10_nano",
    title="Terasic DE10-Nano",
    part=PARTS["5CSEBA6"],
    platform=Platform,
    config=VTAConfig.preset("default").replace(target="de10nano"),
    clock_hz=50_000_000,
    shell=CycloneVShell,
    toolchain=Quartus(),
    memory=MemoryPort(
        name="FPGA-to-HPS bridge",
        bits=FPGA2HPS.data_bits,
        addr_bits=FPGA2HPS.addr_bits,
        coherent=True,
        why="sees the processor's caches, and needs nothing of the boot loader",
        offset=0x8000_0000,
    ),
    registers=REGISTERS,
)
