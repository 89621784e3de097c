"""What a driver is made of: registers, memory and, on some boards, a way to configure the FPGA.

One driver (:class:`~.machine.MappedDevice`) serves every board; the board gives it these three.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from vta.bitstream import Bitstream

__all__ = ["LINE_BYTES", "DeviceMemory", "Fpga", "Registers"]

LINE_BYTES = 64
"""The largest cache line of a host. Buffers are pages: no line belongs to two of them."""


class Registers(Protocol):
    """The control registers of :mod:`vta.memmap`. All methods raise DeviceError on failure."""

    def read(self, offset: int) -> int:
        """The 32 bits at this byte offset, by one access."""
        ...

    def write(self, offset: int, value: int) -> None:
        """Put 32 bits there, by one access."""
        ...

    def close(self) -> None:
        """Give the mapping back; it cannot be used afterwards."""
        ...


class DeviceMemory(Protocol):
    """Memory that host and accelerator share. All methods raise DeviceError on failure.

    Addresses are the accelerator's; the driver has checked that they are in the range.

    Attributes
    ----------
    base : int
        Address of the first byte as the accelerator must say it, a multiple of 4096, not 0.
    nbytes : int
        Size, a multiple of 4096.
    coherent : bool
        Whether the accelerator's writes are seen by the host without :meth:`invalidate`.
    """

    base: int
    nbytes: int
    coherent: bool

    def read(self, addr: int, nbytes: int) -> bytes:
        """What the host sees there."""
        ...

    def write(self, addr: int, data: bytes) -> None:
        """Put bytes there, as far as the host sees."""
        ...

    def flush(self, addr: int, nbytes: int) -> None:
        """Let the accelerator see what the host has written there; the driver does so before
        every launch, for memory that is coherent too."""
        ...

    def invalidate(self, addr: int, nbytes: int) -> None:
        """Let the host see what the accelerator has written there. The driver does so when nothing
        there is unflushed, and never for memory that is coherent."""
        ...

    def close(self) -> None:
        """Give the memory back; it cannot be used afterwards."""
        ...


class Fpga(Protocol):
    """An FPGA that the host can configure. All methods raise DeviceError on failure."""

    def is_configured(self) -> bool:
        """Whether it holds a design: the registers of one that does not must not be touched."""
        ...

    def require(self, bitstream: Bitstream) -> None:
        """Refuse, with a BitstreamError, a bitstream for another board or of a format that cannot
        be used here; changes nothing."""
        ...

    def configure(self, bitstream: Bitstream) -> None:
        """Put the design into the FPGA, and give it its clock."""
        ...
