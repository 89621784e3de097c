"""Tang Nano 20K with a Gowin GW2AR-18: the smallest FPGA that has a board file."""

from typing import ClassVar

from amaranth.build import Attrs, Clock, Pins, Resource
from amaranth.vendor import GowinPlatform
from amaranth_boards.resources import ButtonResources, LEDResources, UARTResource

from vta.boards.board import Board
from vta.boards.shells.tang import tang_shell
from vta.boards.shells.uart_shell import BLOCK_RAM
from vta.boards.synthesis.parts import PARTS
from vta.boards.toolchains.gowin import GowinProject, GowinToolchain
from vta.config import VTAConfig

__all__ = ["BOARD", "MEMORY_BYTES"]

OSCILLATOR_HZ = 27_000_000

MEMORY_BYTES = 32 * 1024
"""16 of the 46 block RAMs."""

_PIN = Attrs(IO_TYPE="LVCMOS33")


class TangNano20kPlatform(GowinProject, GowinPlatform):
    """The pins of the board that the shell uses, as LiteX-Boards has them."""

    part, family, device, default_clk = (
        "GW2AR-LV18QN88C8/I7", "GW2AR-18C", "GW2AR-18C", "clk27"
    )  # fmt: skip
    resources: ClassVar = [
        Resource("clk27", 0, Pins("4", dir="i"), Clock(OSCILLATOR_HZ), _PIN),
        *ButtonResources(pins="88 87", attrs=_PIN),
        *LEDResources(pins="15 16 17 18 19 20", invert=True, attrs=_PIN),
        UARTResource(0, rx="70", tx="69", attrs=Attrs(PULL_MODE="UP", IO_TYPE="LVCMOS33")),
    ]
    connectors: ClassVar[tuple[()]] = ()


BOARD = Board(
    name="tang_nano_20k",
    title="Tang Nano 20K with GW2AR-18 (Sipeed)",
    part=PARTS["GW2AR-18C"],
    platform=TangNano20kPlatform,
    config=VTAConfig.preset("tiny_small").replace(
        target="tangnano20k",
        log_block=1,
        log_alu_beats=1,
        log_uop_buff_size=9,
        log_inp_buff_size=9,
        log_wgt_buff_size=10,
        log_acc_buff_size=10,
        load_rows=2,
        read_bursts=2,
        read_queue_depth=2,
    ),
    clock_hz=OSCILLATOR_HZ,
    shell=tang_shell(MEMORY_BYTES, OSCILLATOR_HZ),
    toolchain=GowinToolchain(device=TangNano20kPlatform.part, die="GW2A-18C"),
    memory=BLOCK_RAM,
)
