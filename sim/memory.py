"""The memory that a machine is given: one range of physical addresses over one NumPy array."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

import numpy as np

from vta.errors import DeviceError, DramRangeError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Memory"]


class Memory:
    """A DRAM image: byte 0 of ``data`` is physical address ``base``.

    Parameters
    ----------
    base : int
        Physical byte address of the first byte, >= 0.
    data : ndarray of uint8, shape (size,)
        The bytes, contiguous and writable. The array is used, not copied: what a machine writes is
        seen in it.
    restricted : bool
        If true, only the ranges given by :meth:`allow` may be touched: a device with an allocator
        finds out when a program strays from one buffer into another.

    Raises
    ------
    DeviceError
        If ``base`` or ``data`` is not as above.
    """

    def __init__(self, base: int, data: npt.NDArray[np.uint8], *, restricted: bool = False) -> None:
        if base < 0:
            raise DeviceError(f"the memory's base address is {base}; must not be negative")
        if data.dtype != np.uint8 or data.ndim != 1:
            raise DeviceError(
                f"the memory must be a one-dimensional uint8 array; "
                f"got {data.dtype} of shape {data.shape}"
            )
        if not (data.flags.c_contiguous and data.flags.writeable):
            raise DeviceError("the memory's array must be contiguous and writable")
        self.base = base
        self.data = data
        self.restricted = restricted
        self._starts: list[int] = []  # of the allowed ranges, ascending
        self._sizes: dict[int, int] = {}

    @classmethod
    def zeros(cls, base: int, size: int, *, restricted: bool = False) -> Memory:
        """A memory of ``size`` zero bytes."""
        return cls(base, np.zeros(size, np.uint8), restricted=restricted)

    @property
    def end(self) -> int:
        """The first address after the memory."""
        return self.base + self.data.size

    def __repr__(self) -> str:
        return f"Memory(0x{self.base:x}..0x{self.end:x})"

    # ---- allowed ranges -----------------------------------------------------------------------

    def allow(self, addr: int, nbytes: int) -> None:
        """Let ``[addr, addr + nbytes)`` be touched; allowed ranges must not overlap."""
        assert self.restricted and self.base <= addr and addr + nbytes <= self.end
        bisect.insort(self._starts, addr)
        self._sizes[addr] = nbytes

    def forbid(self, addr: int) -> None:
        """Take back the range that begins at ``addr``."""
        self._starts.remove(addr)
        del self._sizes[addr]

    def _is_allowed(self, addr: int, nbytes: int) -> bool:
        if not self.restricted:
            return True
        index = bisect.bisect_right(self._starts, addr) - 1
        if index < 0:
            return False
        start = self._starts[index]
        return addr + nbytes <= start + self._sizes[start]

    def ranges(self) -> list[tuple[int, int]]:
        """What may be touched: first address and bytes of each range, by address."""
        if not self.restricted:
            return [(self.base, self.data.size)]
        return [(start, self._sizes[start]) for start in self._starts]

    # ---- access -------------------------------------------------------------------------------

    def require(self, addr: int, nbytes: int) -> None:
        """Check that ``[addr, addr + nbytes)`` may be touched.

        Raises
        ------
        DramRangeError
            If a byte of the range is outside the memory; if the memory is restricted, also if the
            range is not inside one allowed range.
        """
        if not (self.base <= addr and addr + nbytes <= self.end):
            raise DramRangeError(
                f"access to DRAM bytes 0x{addr:x}..0x{addr + nbytes:x}; "
                f"the memory is 0x{self.base:x}..0x{self.end:x}"
            )
        if not self._is_allowed(addr, nbytes):
            raise DramRangeError(
                f"access to DRAM bytes 0x{addr:x}..0x{addr + nbytes:x}, "
                f"which are not all in one allocated buffer"
            )

    def read(self, addr: int, nbytes: int) -> bytes:
        """The bytes ``[addr, addr + nbytes)``."""
        self.require(addr, nbytes)
        return self.data[addr - self.base :][:nbytes].tobytes()

    def write(self, addr: int, data: bytes) -> None:
        """Put ``data`` at ``addr``."""
        self.require(addr, len(data))
        self.data[addr - self.base :][: len(data)] = np.frombuffer(data, np.uint8)

    def read_rows(self, addr: int, rows: int, row_bytes: int, pitch: int) -> npt.NDArray[np.uint8]:
        """A copy of ``rows`` rows of ``row_bytes`` bytes that start ``pitch`` bytes apart.

        The array has shape (rows, row_bytes). No row, or rows of no bytes, may begin anywhere.
        """
        self._require_rows(addr, rows, row_bytes, pitch)
        return self._rows(addr, rows, row_bytes, pitch).copy()

    def write_rows(self, addr: int, data: npt.NDArray[np.uint8], pitch: int) -> None:
        """Put the rows of ``data``, shape (rows, row_bytes), at ``addr`` and ``pitch`` bytes apart.

        Where rows overlap, the last one stays.
        """
        rows, row_bytes = data.shape
        self._require_rows(addr, rows, row_bytes, pitch)
        if pitch >= row_bytes:
            self._rows(addr, rows, row_bytes, pitch)[...] = data
        else:
            for row in range(rows):
                self._rows(addr + row * pitch, 1, row_bytes, pitch)[0] = data[row]

    def _require_rows(self, addr: int, rows: int, row_bytes: int, pitch: int) -> None:
        if rows == 0 or row_bytes == 0:
            return
        if self.restricted and not self._is_allowed(addr, (rows - 1) * pitch + row_bytes):
            for row in range(rows):
                self.require(addr + row * pitch, row_bytes)
        self.require(addr, row_bytes)
        self.require(addr + (rows - 1) * pitch, row_bytes)

    def _rows(self, addr: int, rows: int, row_bytes: int, pitch: int) -> npt.NDArray[np.uint8]:
        if rows == 0 or row_bytes == 0:
            return np.empty((rows, row_bytes), np.uint8)
        return np.ndarray((rows, row_bytes), np.uint8, self.data.data, addr - self.base, (pitch, 1))
