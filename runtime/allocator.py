"""Where device buffers lie: page-aligned ranges of one window of physical addresses."""

from __future__ import annotations

import bisect

from vta.errors import DeviceError

__all__ = ["PAGE_BYTES", "Allocator"]

PAGE_BYTES = 4096
"""Alignment of every buffer; no element is larger, so every element in a buffer is aligned too."""


class Allocator:
    """Best fit over ``[base, base + size)``; neighbours that are free are joined.

    Parameters
    ----------
    base, size : int
        The window in bytes, both multiples of 4096. Address 0 is never handed out: it means "no
        buffer".
    """

    def __init__(self, base: int, size: int) -> None:
        if base <= 0 or base % PAGE_BYTES or size <= 0 or size % PAGE_BYTES:
            raise DeviceError(
                f"device memory 0x{base:x}, {size} bytes; base and size must be positive multiples "
                f"of {PAGE_BYTES}"
            )
        self.base, self.size = base, size
        self._free: list[tuple[int, int]] = [(base, size)]  # (address, bytes), ascending
        self._used: dict[int, tuple[int, int]] = {}  # address: (bytes asked for, bytes taken)
        self._starts: list[int] = []  # of the used ranges, ascending

    @property
    def free_bytes(self) -> int:
        """Bytes that are free in all."""
        return sum(size for _, size in self._free)

    def alloc(self, nbytes: int) -> int:
        """The address of ``nbytes`` that no other buffer has, a multiple of 4096.

        Raises
        ------
        DeviceError
            If ``nbytes`` is not positive, or no free range is large enough.
        """
        if nbytes <= 0:
            raise DeviceError(f"cannot allocate {nbytes} bytes; must be positive")
        taken = -(-nbytes // PAGE_BYTES) * PAGE_BYTES
        fits = [(size, addr) for addr, size in self._free if size >= taken]
        if not fits:
            largest = max((size for _, size in self._free), default=0)
            raise DeviceError(
                f"no device memory for {nbytes} bytes: {self.free_bytes} of {self.size} are free, "
                f"the largest range has {largest}"
            )
        size, addr = min(fits)
        self._free.remove((addr, size))
        if size > taken:
            bisect.insort(self._free, (addr + taken, size - taken))
        self._used[addr] = (nbytes, taken)
        bisect.insort(self._starts, addr)
        return addr

    def free(self, addr: int) -> int:
        """Take back what :meth:`alloc` gave; returns how many bytes that was.

        Raises
        ------
        DeviceError
            If nothing is allocated at that address.
        """
        if addr not in self._used:
            raise DeviceError(f"nothing is allocated at 0x{addr:x}; cannot free it")
        nbytes, size = self._used.pop(addr)
        self._starts.remove(addr)
        at = bisect.bisect(self._free, (addr, 0))
        if at < len(self._free) and addr + size == self._free[at][0]:
            size += self._free.pop(at)[1]
        if at > 0 and sum(self._free[at - 1]) == addr:
            at -= 1
            before, extra = self._free.pop(at)
            addr, size = before, size + extra
        self._free.insert(at, (addr, size))
        return nbytes

    def require(self, addr: int, nbytes: int) -> None:
        """Check that ``[addr, addr + nbytes)`` lies in one allocation.

        Raises
        ------
        DeviceError
            If it does not.
        """
        at = bisect.bisect_right(self._starts, addr) - 1
        if at >= 0:
            start = self._starts[at]
            if addr + nbytes <= start + self._used[start][0]:
                return
        raise DeviceError(f"bytes 0x{addr:x}..0x{addr + nbytes:x} are not in one allocated buffer")
