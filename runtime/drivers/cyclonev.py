"""The FPGA of a Cyclone V, configured through the registers of its FPGA manager, and the bridges
between it and the processor.

The mainline kernel has a driver for both, but no way to ask it from a program. Registers and the
order of steps: Cyclone V Hard Processor System Technical Reference Manual, chapters FPGA Manager,
Reset Manager and System Interconnect.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np

from vta.errors import BitstreamError, DeviceError
from vta.runtime.drivers.fpga_manager import require_board
from vta.runtime.drivers.linux import DEV_MEM

if TYPE_CHECKING:
    from collections.abc import Callable

    from vta.bitstream import Bitstream
    from vta.runtime.drivers.linux import Linux
    from vta.runtime.drivers.ports import Registers

__all__ = ["CycloneVFpga"]

_PAGE = 4096
MANAGER, DATA = 0xFF70_6000, 0xFFB9_0000
RESETS, INTERCONNECT = 0xFFD0_5000, 0xFF80_0000

_STAT, _CTRL, _DCLKCNT, _DCLKSTAT, _EOI, _PINS = 0x00, 0x04, 0x08, 0x0C, 0x84C, 0x850
_STATE, _RESET, _CONFIG, _USER = 0x7, 0x1, 0x2, 0x4
_MSEL_LOW, _MSEL_BITS = 3, 0x1F
_EN, _NCE, _PULL, _RATIO_LOW, _AXI, _WIDE = 1 << 0, 1 << 1, 1 << 2, 6, 1 << 8, 1 << 9
_N_STATUS, _CONF_DONE, _POWER = 1 << 0, 1 << 1, 1 << 11
_RATIOS = {0: 0, 1: 1, 2: 2, 4: 0, 5: 1, 6: 2, 8: 0, 9: 2, 10: 3, 12: 0, 13: 2, 14: 3}
"""MSEL to the code of the clock-to-data ratio (1, 2, 4, 8); from 8 on data has 32 bits, else 16."""

_BRIDGES = 0x1C
"""In the reset manager, a bit each: HPS-to-FPGA, its lightweight sister, FPGA-to-HPS; 1 is
reset."""
_REMAP = 0x00
_VISIBLE = 0x19
"""In the interconnect, write-only: both HPS-to-FPGA bridges in the processor's address map, and the
on-chip RAM at 0, as Linux and U-Boot set it."""

_WAIT_SECONDS = 1.0
_AFTER_CLOCKS = 4


class CycloneVFpga:
    """The FPGA of a Cyclone V (:class:`~.ports.Fpga`).

    Parameters
    ----------
    linux : Linux
        The system.
    boards : tuple of str
        The boards whose bitstreams are taken.
    clock, pause : callable
        For tests.
    """

    FORMATS = ("rbf",)

    def __init__(
        self,
        linux: Linux,
        boards: tuple[str, ...],
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._linux, self._boards = linux, boards
        self._clock, self._pause = clock, pause

    def is_configured(self) -> bool:
        """In user mode, and the bridges are open: a register behind a bridge in reset would hang
        the processor."""
        with ExitStack() as stack:
            manager, resets = (self._map(stack, page) for page in (MANAGER, RESETS))
            return _state(manager) == _USER and not resets.read(_BRIDGES) & 0b110

    def require(self, bitstream: Bitstream) -> None:
        require_board(bitstream, self._boards, self.FORMATS)
        if len(bitstream.data) < 1024:
            raise BitstreamError(f"an .rbf of {len(bitstream.data)} bytes is cut")

    def configure(self, bitstream: Bitstream) -> None:
        """Close the bridges, load the design, open them again.

        Raises
        ------
        DeviceError
            If the board's switches select no mode for that, or the FPGA does not take the data; it
            is empty then, and the bridges stay closed.
        """
        with ExitStack() as stack:
            manager, data, resets, interconnect = (
                self._map(stack, page) for page in (MANAGER, DATA, RESETS, INTERCONNECT)
            )
            resets.write(_BRIDGES, resets.read(_BRIDGES) | 0b111)
            try:
                self._load(manager, data, bitstream.data)
            finally:
                _change(manager, clear=_AXI | _EN)  # the pins have the FPGA again
            resets.write(_BRIDGES, resets.read(_BRIDGES) & ~0b111)
            interconnect.write(_REMAP, _VISIBLE)

    def _map(self, stack: ExitStack, page: int) -> Registers:
        registers = self._linux.map_registers(DEV_MEM, page, _PAGE)
        stack.callback(registers.close)
        return registers

    def _load(self, manager: Registers, data: Registers, content: bytes) -> None:
        msel = manager.read(_STAT) >> _MSEL_LOW & _MSEL_BITS
        if msel not in _RATIOS:
            raise DeviceError(
                f"the switches MSEL are {msel:05b}; the processor configures the FPGA with 01010 "
                f"(the compressed .rbf that `make bitstream` writes)"
            )
        wide = _WIDE if msel >= 8 else 0
        _change(
            manager, clear=3 << _RATIO_LOW | _WIDE | _NCE, set_=_RATIOS[msel] << _RATIO_LOW | wide
        )
        _change(manager, set_=_EN | _PULL)
        self._until(lambda: _state(manager) == _RESET, "is not in its reset phase")
        _change(manager, clear=_PULL)
        self._until(lambda: _state(manager) == _CONFIG, "is not ready for a configuration")
        manager.write(_EOI, _N_STATUS)
        _change(manager, set_=_AXI)
        padded = content + bytes(-len(content) % 4)
        for word in np.frombuffer(padded, "<u4").tolist():
            data.write(0, word)
        self._until(
            lambda: manager.read(_PINS) & (_CONF_DONE | _N_STATUS) != _N_STATUS,
            "did not take the configuration",
        )
        if not manager.read(_PINS) & _N_STATUS:
            raise DeviceError("the FPGA found an error in the configuration (nSTATUS is low)")
        _change(manager, clear=_AXI)
        manager.write(_DCLKSTAT, 1)
        manager.write(_DCLKCNT, _AFTER_CLOCKS)
        self._until(lambda: bool(manager.read(_DCLKSTAT) & 1), "does not count its clocks")
        manager.write(_DCLKSTAT, 1)
        self._until(lambda: _state(manager) == _USER, "is not in user mode")

    def _until(self, holds: Callable[[], bool], otherwise: str) -> None:
        begin = self._clock()
        while not holds():
            if self._clock() - begin > _WAIT_SECONDS:
                raise DeviceError(
                    f"the FPGA {otherwise} after {_WAIT_SECONDS:.0f} s; it is empty now. Is the "
                    f".rbf for this board and for its MSEL switches?"
                )
            self._pause(1e-3)


def _state(manager: Registers) -> int:
    """The phase; 0 without power."""
    return manager.read(_STAT) & _STATE if manager.read(_PINS) & _POWER else 0


def _change(registers: Registers, *, clear: int = 0, set_: int = 0) -> None:
    registers.write(_CTRL, registers.read(_CTRL) & ~clear | set_)
