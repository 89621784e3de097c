"""The boards that run Linux beside their FPGA: where things are, and how a driver is opened."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vta.bitstream import Bitstream
from vta.errors import ConfigError, DeviceError
from vta.runtime.drivers.cyclonev import CycloneVFpga
from vta.runtime.drivers.fpga_device import FpgaDevice
from vta.runtime.drivers.linux import DEV_MEM, Linux
from vta.runtime.drivers.pynq_memory import PynqMemory
from vta.runtime.drivers.udmabuf import UDmaBuf, find_udmabuf
from vta.runtime.drivers.zynq import ULTRASCALE, ZYNQ7, ZynqFpga

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vta.config import VTAConfig
    from vta.runtime.drivers.ports import DeviceMemory, Fpga, Registers

__all__ = ["LINUX_BOARDS", "LinuxBoard", "open_board"]

_PAGE = 4096
_UIO = "/sys/class/uio"
_PYNQ_BYTES = 1 << 26
"""Memory that is taken from the package pynq, which has no size of its own."""


@dataclass(frozen=True)
class LinuxBoard:
    """A target: one driver, and the boards that it is for.

    Attributes
    ----------
    target : str
        The configuration's TARGET.
    boards : tuple of str
        The boards, as ``make bitstream BOARD=`` takes them.
    registers : int
        Physical address of the control registers.
    fpga : callable
        ``fpga(linux, boards)``, how the FPGA is configured.
    coherent : bool
        Whether the memory port sees the processor's caches.
    window : int
        What the accelerator adds to physical addresses to reach memory through its port.
    reach : int
        The port reaches physical addresses below this.
    """

    target: str
    boards: tuple[str, ...]
    registers: int
    fpga: Callable[[Linux, tuple[str, ...]], Fpga]
    coherent: bool = False
    window: int = 0
    reach: int = 1 << 32


def _zynq7(linux: Linux, boards: tuple[str, ...]) -> Fpga:
    return ZynqFpga(linux, boards, ZYNQ7)


def _ultrascale(linux: Linux, boards: tuple[str, ...]) -> Fpga:
    return ZynqFpga(linux, boards, ULTRASCALE)


LINUX_BOARDS = {
    board.target: board
    for board in (
        LinuxBoard("pynq", ("pynq_z1", "pynq_z2"), 0x43C0_0000, _zynq7),
        LinuxBoard("ultra96", ("ultra96",), 0xA000_0000, _ultrascale),
        LinuxBoard("zcu104", ("zcu104",), 0xA000_0000, _ultrascale),
        LinuxBoard(
            "de10nano", ("de10_nano",), 0xFF20_0000, CycloneVFpga,
            coherent=True, window=0x8000_0000, reach=0x4000_0000,
        ),
    )
}  # fmt: skip
"""By target. On the Zynqs the memory port is an HP port, which sees no cache. On the DE10-Nano it
is the FPGA-to-HPS bridge: its upper half, one GiB, is the coherent port (ACP) of the processor."""


def open_board(
    cfg: VTAConfig,
    *,
    bitstream: Bitstream | str | Path | None = None,
    memory: str | None = None,
    linux: Linux | None = None,
    timeout: float | None = None,
    on_run: Callable[[Any], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> FpgaDevice:
    """The accelerator of the board that this process runs on.

    Parameters
    ----------
    cfg : VTAConfig
        The machine; its TARGET is a key of :data:`LINUX_BOARDS`.
    bitstream : Bitstream, path or None
        Configure the FPGA with this first. None: it holds the machine already, or waits for
        ``program_fpga``.
    memory : str or None
        Name of a u-dma-buf, or ``pynq`` for memory of that package. None: the u-dma-buf called
        ``vta``, else the only one.
    linux : Linux or None
        The system, for tests.
    timeout, on_run, clock, pause
        As for :class:`~.machine.MappedDevice`.

    Raises
    ------
    ConfigError
        If TARGET is no such board.
    DeviceError
        If this is not the board, a part of the kernel is missing, another process has the device,
        or another machine answers.
    """
    if cfg.target not in LINUX_BOARDS:
        raise ConfigError(f"TARGET is {cfg.target}; must be one of {', '.join(LINUX_BOARDS)}")
    board = LINUX_BOARDS[cfg.target]
    linux = linux or Linux()
    if bitstream is not None and not isinstance(bitstream, Bitstream):
        bitstream = Bitstream.load(bitstream)
    with ExitStack() as stack:
        buffer = _memory(linux, board, memory)
        stack.callback(buffer.close)
        registers = _registers(linux, board)
        stack.callback(registers.close)
        device = FpgaDevice(
            cfg, registers, buffer, board.fpga(linux, board.boards), bitstream=bitstream,
            timeout=timeout, on_run=on_run, clock=clock, pause=pause,
        )  # fmt: skip
        stack.pop_all()
    return device


def _memory(linux: Linux, board: LinuxBoard, name: str | None) -> DeviceMemory:
    buffer: UDmaBuf | PynqMemory
    if name == "pynq":
        buffer = PynqMemory(_PYNQ_BYTES)
    else:
        buffer = UDmaBuf(
            linux, name or find_udmabuf(linux), window=board.window, coherent=board.coherent
        )
    end = buffer.base + buffer.nbytes - board.window
    if end > board.reach:
        buffer.close()
        raise DeviceError(
            f"the buffer ends at the physical address 0x{end:x}; the memory port of {board.target} "
            f"reaches addresses below 0x{board.reach:x}"
        )
    return buffer


def _registers(linux: Linux, board: LinuxBoard) -> Registers:
    """Through a UIO device called ``vta`` if the device tree has one, else /dev/mem."""
    for name in linux.listing(_UIO):
        if linux.read(f"{_UIO}/{name}/name") == "vta":
            where = linux.read_int(f"{_UIO}/{name}/maps/map0/addr")
            if where != board.registers:
                raise DeviceError(
                    f"{_UIO}/{name} is called vta, but is at 0x{where:x}; the registers of "
                    f"{board.target} are at 0x{board.registers:x}: correct the device tree"
                )
            return linux.map_registers(f"/dev/{name}", 0, _PAGE)
    return linux.map_registers(DEV_MEM, board.registers, _PAGE)
