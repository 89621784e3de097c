"""Tang Mega 138K Pro with a Gowin GW5AST-138C: every tool is open."""

from typing import ClassVar

from amaranth.build import Attrs
from amaranth_boards.resources import UARTResource
from amaranth_boards.tang_mega_138k_pro_dock import TangMega138kProDockPlatform

from vta.boards.board import Board
from vta.boards.shells.tang import tang_shell
from vta.boards.shells.uart_shell import BLOCK_RAM
from vta.boards.synthesis.parts import PARTS
from vta.boards.toolchains.gowin import GowinProject, GowinToolchain
from vta.config import VTAConfig

__all__ = ["BOARD", "MEMORY_BYTES"]

OSCILLATOR_HZ = 50_000_000

MEMORY_BYTES = 64 * 1024
"""32 of the 340 block RAMs."""


class TangMega138kPlatform(GowinProject, TangMega138kProDockPlatform):
    """The pins of the board. In amaranth-boards the two wires of the serial line are exchanged: the
    boards' files of LiteX and of others who have the board receive at N16."""

    device = "GW5AST-138C"
    resources: ClassVar = [
        *(pin for pin in TangMega138kProDockPlatform.resources if pin.name != "uart"),
        UARTResource(0, rx="N16", tx="P15", attrs=Attrs(PULL_MODE="UP", IO_TYPE="LVCMOS33")),
    ]


BOARD = Board(
    name="tang_mega_138k",
    title="Tang Mega 138K Pro with GW5AST-138C (Sipeed)",
    part=PARTS["GW5AST-138C"],
    platform=TangMega138kPlatform,
    config=VTAConfig.preset("tiny_small").replace(
        target="tangmega138k",
        log_block=1,
        log_alu_beats=1,
        log_uop_buff_size=11,
        log_inp_buff_size=11,
        log_wgt_buff_size=12,
        log_acc_buff_size=12,
    ),
    clock_hz=OSCILLATOR_HZ,
    shell=tang_shell(MEMORY_BYTES, OSCILLATOR_HZ),
    toolchain=GowinToolchain(device=TangMega138kPlatform.part, die="GW5AST-138C"),
    memory=BLOCK_RAM,
)
