"""Memory for the accelerator from the kernel module u-dma-buf: one contiguous buffer, cached by the
processor, with its physical address and cache maintenance in sysfs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.errors import DeviceError
from vta.runtime.drivers.linux import Linux
from vta.runtime.drivers.ports import LINE_BYTES

if TYPE_CHECKING:
    from vta.runtime.drivers.linux import Bytes

__all__ = ["CLASS", "UDmaBuf", "find_udmabuf"]

CLASS = "/sys/class/u-dma-buf"
_TO_DEVICE, _FROM_DEVICE = 1, 2
_LARGEST = 1 << 28
"""Bytes of one synchronisation: a part of a longer range at a time."""


class UDmaBuf:
    """One u-dma-buf as a driver's memory (:class:`~.ports.DeviceMemory`).

    Parameters
    ----------
    linux : Linux
        The system.
    name : str
        Of the buffer, as ``udmabuf0``.
    window : int
        What the accelerator adds to physical addresses.
    coherent : bool
        Whether the accelerator's port sees the processor's caches. The host's writes are flushed in
        any case, which orders them before the launch; only invalidating would do harm.

    Raises
    ------
    DeviceError
        If there is no such buffer, or another process has it.
    """

    def __init__(self, linux: Linux, name: str, *, window: int = 0, coherent: bool) -> None:
        self.name, self.coherent = name, coherent
        self._linux, self._folder = linux, f"{CLASS}/{name}"
        self.base = linux.read_int(f"{self._folder}/phys_addr") + window
        self.nbytes = linux.read_int(f"{self._folder}/size")
        self._lock = linux.lock(f"/dev/{name}")
        try:
            self._bytes: Bytes = linux.map_bytes(f"/dev/{name}", self.nbytes)
        except BaseException:
            linux.unlock(self._lock)
            raise

    def __repr__(self) -> str:
        return f"UDmaBuf({self.name}, 0x{self.base:x}, {self.nbytes} bytes)"

    def read(self, addr: int, nbytes: int) -> bytes:
        start = addr - self.base
        return self._bytes[start : start + nbytes]

    def write(self, addr: int, data: bytes) -> None:
        start = addr - self.base
        self._bytes[start : start + len(data)] = data

    def flush(self, addr: int, nbytes: int) -> None:
        self._sync("sync_for_device", _TO_DEVICE, addr, nbytes)

    def invalidate(self, addr: int, nbytes: int) -> None:
        self._sync("sync_for_cpu", _FROM_DEVICE, addr, nbytes)

    def close(self) -> None:
        self._bytes.close()
        self._linux.unlock(self._lock)

    def _sync(self, attribute: str, direction: int, addr: int, nbytes: int) -> None:
        """One write says all: offset, size (a multiple of 16), direction, and 1 for "do it"."""
        begin = (addr - self.base) // LINE_BYTES * LINE_BYTES
        end = -(-(addr - self.base + nbytes) // LINE_BYTES) * LINE_BYTES
        for start in range(begin, end, _LARGEST):
            low = min(end - start, _LARGEST) | direction << 2 | 1
            self._linux.write(f"{self._folder}/{attribute}", f"0x{start:08X}{low:08X}")


def find_udmabuf(linux: Linux) -> str:
    """The name of the buffer to use: ``vta`` if there is one, else the only one.

    Raises
    ------
    DeviceError
        If there is none, or several.
    """
    names = linux.listing(CLASS)
    if "vta" in names:
        return "vta"
    if not names:
        raise DeviceError(
            f"there is no {CLASS}: the kernel module u-dma-buf is not loaded, or this machine is "
            f"not the board. On the board, load it (`modprobe u-dma-buf udmabuf0=67108864`), or on "
            f"a PYNQ image take memory of the package pynq (memory='pynq', --buffer pynq): see "
            f"docs/boards/drivers.md. From elsewhere, start `vta serve` on the board and use "
            f"rpc.connect"
        )
    if len(names) > 1:
        raise DeviceError(
            f"there are several buffers in {CLASS}: {', '.join(names)}; say which one is for the "
            f"accelerator (memory=), or name it vta"
        )
    return names[0]
