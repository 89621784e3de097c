"""Configuring the FPGA through the kernel's FPGA manager.

The attribute ``firmware`` is in AMD's kernels (linux-xlnx, the kernel of the PYNQ images), not in
the mainline one, which configures an FPGA only from a device tree overlay.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import numpy as np

from vta.errors import BitstreamError, DeviceError

if TYPE_CHECKING:
    from vta.bitstream import Bitstream
    from vta.runtime.drivers.linux import Linux

__all__ = ["KernelFpgaManager", "require_board", "xilinx_words"]

_MANAGER = "/sys/class/fpga_manager/fpga0"
_FIRMWARE = "/lib/firmware"
_SYNC = bytes.fromhex("aa995566")
"""First word of a Xilinx configuration (UG470, UG570), most significant byte first."""
_BIT_HEADER = re.compile(rb"\x00\x09(?:\x0f\xf0){4}\x00\x00\x01a")
_SEARCHED = 4096


class KernelFpgaManager:
    """A Zynq's FPGA (:class:`~.ports.Fpga`).

    Parameters
    ----------
    linux : Linux
        The system.
    boards : tuple of str
        The boards whose bitstreams are taken.
    """

    FORMATS = ("xilinx-bin", "xilinx-bit")

    def __init__(self, linux: Linux, boards: tuple[str, ...]) -> None:
        self._linux, self._boards = linux, boards

    def is_configured(self) -> bool:
        return self._linux.read(f"{_MANAGER}/state") == "operating"

    def require(self, bitstream: Bitstream) -> None:
        require_board(bitstream, self._boards, self.FORMATS)
        xilinx_words(bitstream)

    def configure(self, bitstream: Bitstream) -> None:
        """Load it as a firmware file.

        Raises
        ------
        DeviceError
            If the kernel has no such attribute, or refuses; the FPGA's contents are unknown then.
        """
        linux = self._linux
        if not linux.exists(f"{_MANAGER}/firmware"):
            raise DeviceError(
                f"{_MANAGER}/firmware is not there: this kernel cannot configure the FPGA on "
                f"request (linux-xlnx can). Configure it while booting, then open the device "
                f"without a bitstream"
            )
        name = f"vta-{os.getpid()}.bin"
        linux.write(f"{_FIRMWARE}/{name}", xilinx_words(bitstream))
        try:
            if linux.exists(f"{_MANAGER}/flags"):
                linux.write(f"{_MANAGER}/flags", "0")  # the whole FPGA
            linux.write(f"{_MANAGER}/firmware", name)
        finally:
            linux.remove(f"{_FIRMWARE}/{name}")
        state = linux.read(f"{_MANAGER}/state")
        if state != "operating":
            raise DeviceError(
                f"the FPGA is not configured: {_MANAGER}/state is {state!r}, must be 'operating'; "
                f"`dmesg` says why"
            )


def require_board(bitstream: Bitstream, boards: tuple[str, ...], formats: tuple[str, ...]) -> None:
    """Refuse a bitstream for another board, or of another kind.

    Raises
    ------
    BitstreamError
        Naming both.
    """
    if bitstream.board not in boards:
        raise BitstreamError(
            f"the bitstream is for the board {bitstream.board}; this is one of {', '.join(boards)}"
        )
    if bitstream.data_format not in formats:
        raise BitstreamError(
            f"the bitstream's data is {bitstream.data_format}; must be {' or '.join(formats)}"
        )


def xilinx_words(bitstream: Bitstream) -> bytes:
    """The configuration as the kernel's drivers take it: words of 32 bits, least significant byte
    first, without the header of a .bit.

    Raises
    ------
    BitstreamError
        If it has no synchronisation word, or is cut.
    """
    data = bitstream.data
    if bitstream.data_format == "xilinx-bit":
        data = _without_header(data)
    at = data.find(_SYNC, 0, _SEARCHED)
    if at < 0 or at % 4 or len(data) % 4:
        where = "no synchronisation word" if at < 0 else f"it at byte {at} of {len(data)}"
        raise BitstreamError(
            f"the bitstream's data is no Xilinx configuration: {where}; must be whole words of 32 "
            f"bits, most significant byte first, with {_SYNC.hex()} among the first {_SEARCHED}"
        )
    return np.frombuffer(data, ">u4").astype("<u4").tobytes()


def _without_header(data: bytes) -> bytes:
    """The configuration in a .bit: fields of a letter, a length and text, the last one ``e``."""
    cut = BitstreamError("the bitstream's .bit header is none, or cut")
    found = _BIT_HEADER.match(data)
    if not found:
        raise cut
    at = found.end() - 1
    while data[at : at + 1] in (b"a", b"b", b"c", b"d"):
        at += 3 + int.from_bytes(data[at + 1 : at + 3], "big")
    size = int.from_bytes(data[at + 1 : at + 5], "big")
    body = data[at + 5 :]
    if data[at : at + 1] != b"e" or len(body) != size:
        raise cut
    return body
