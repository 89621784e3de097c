"""What a board is, and which there are: one file a board in this folder, with its :data:`BOARD`."""

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from amaranth.hdl import Elaboratable

from vta.boards.synthesis.parts import PARTS, Part
from vta.config import VTAConfig
from vta.errors import ConfigError

if TYPE_CHECKING:
    from vta.boards.toolchains.toolchain import Toolchain

__all__ = ["Board", "MemoryPort", "board_names", "find_board", "find_part"]

_BOARD = re.compile(r"^BOARD = (?:Board|replace)\(", re.MULTILINE)


@dataclass(frozen=True)
class MemoryPort:
    """The way from the core to the board's memory.

    Attributes
    ----------
    name : str
        The port, as the vendor calls it.
    bits : int
        Its data width; the configuration's bus must be as wide.
    addr_bits : int
        Its address width; the configuration's must not be more.
    coherent : bool
        Whether the port sees the processor's caches. If not, the driver flushes and invalidates.
    why : str
        Why this port and no other.
    offset : int
        What the core must add to a physical address (bytes).
    """

    name: str
    bits: int
    addr_bits: int
    coherent: bool
    why: str
    offset: int = 0


@dataclass(frozen=True)
class Board:
    """One board.

    Attributes
    ----------
    name : str
        As in ``make bitstream BOARD=``, and the name of its file.
    title : str
        What the vendor calls it, with the vendor.
    part : Part
        The FPGA.
    platform : callable
        Gives a new platform of Amaranth: device, package, speed grade and pins.
    config : VTAConfig
        What is built unless told otherwise. Its target is the name of the board's driver.
    clock_hz : int
        The clock of the core unless told otherwise.
    shell : callable
        ``shell(cfg, clock_hz)`` is the whole design: the core and what joins it to the board. Its
        ``elaborate`` requests pins from the platform and makes the domain ``sync``.
    toolchain : Toolchain
        What makes a bitstream of it.
    memory : MemoryPort
        How the core reaches memory.
    registers : int or None
        Physical address of the control registers; None if the host does not map them.
    """

    name: str
    title: str
    part: Part
    platform: Callable[[], Any]
    config: VTAConfig
    clock_hz: int
    shell: Callable[[VTAConfig, int], Elaboratable]
    toolchain: "Toolchain"
    memory: MemoryPort
    registers: int | None = None

    @property
    def driver(self) -> str:
        """The target under which programs reach the board."""
        return self.config.target

    def accept(self, cfg: VTAConfig) -> None:
        """Check that a machine can be joined to the board's memory port.

        Raises
        ------
        ConfigError
            If its bus is not as wide as the port, or its addresses are wider.
        """
        if cfg.bus_bits != self.memory.bits:
            raise ConfigError(
                f"LOG_BUS_WIDTH is {cfg.log_bus_width} ({cfg.bus_bits} bits); {self.memory.name} "
                f"of {self.name} has {self.memory.bits} bits, so it must be "
                f"{self.memory.bits.bit_length() - 1}"
            )
        if cfg.addr_bits > self.memory.addr_bits:
            raise ConfigError(
                f"ADDR_BITS is {cfg.addr_bits}; {self.memory.name} of {self.name} has addresses of "
                f"{self.memory.addr_bits} bits, it must not be more"
            )


@cache
def board_names() -> tuple[str, ...]:
    """The files of this folder that define a board."""
    return tuple(
        sorted(
            path.name.removesuffix(".py")
            for path in resources.files("vta.boards").iterdir()
            if path.name.endswith(".py") and _BOARD.search(path.read_text(encoding="utf-8"))
        )
    )


def find_board(name: str) -> Board:
    """The board of that name.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if name not in board_names():
        raise ConfigError(f"no board {name!r}; there are {', '.join(board_names())}")
    board = importlib.import_module(f"vta.boards.{name}").BOARD
    assert isinstance(board, Board) and board.name == name
    return board


def find_part(name: str) -> Part:
    """The part on the board of that name, or the part of that name.

    Raises
    ------
    ConfigError
        If there is neither.
    """
    if name in PARTS:
        return PARTS[name]
    if name not in board_names():
        raise ConfigError(
            f"no board or part {name!r}; there are the boards {', '.join(board_names())} and the "
            f"parts {', '.join(PARTS)}"
        )
    return find_board(name).part
