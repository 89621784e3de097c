"""Memory for the accelerator from the package ``pynq``: its images come without u-dma-buf."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vta.errors import DeviceError
from vta.runtime.allocator import PAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PynqMemory"]


class PynqMemory:
    """One buffer of ``pynq.allocate`` as a driver's memory (:class:`~.ports.DeviceMemory`).

    Parameters
    ----------
    nbytes : int
        Size, a multiple of 4096.
    allocate : callable or None
        ``pynq.allocate``; None imports it.

    Raises
    ------
    DeviceError
        If the package is not installed, or has no such buffer.
    """

    def __init__(self, nbytes: int, allocate: Callable[..., Any] | None = None) -> None:
        if allocate is None:
            try:
                from pynq import allocate  # type: ignore[import-not-found, no-redef]
            except ImportError as error:
                raise DeviceError(
                    f"memory of the package pynq was asked for, which cannot be imported: {error}"
                ) from None
            assert allocate is not None
        try:
            self._buffer = allocate(shape=(nbytes,), dtype=np.uint8)
        except (OSError, RuntimeError, MemoryError) as error:
            raise DeviceError(f"pynq has no buffer of {nbytes} bytes: {error}") from None
        self.base, self.nbytes = int(self._buffer.device_address), nbytes
        self.coherent = bool(self._buffer.coherent)
        if not self.base or self.base % PAGE_BYTES:
            raise DeviceError(f"pynq's buffer is at 0x{self.base:x}; must be a multiple of 4096")

    def _part(self, addr: int, nbytes: int) -> Any:
        start = addr - self.base
        return self._buffer[start : start + nbytes]

    def read(self, addr: int, nbytes: int) -> bytes:
        return bytes(np.asarray(self._part(addr, nbytes)))

    def write(self, addr: int, data: bytes) -> None:
        self._part(addr, len(data))[:] = np.frombuffer(data, np.uint8)

    def flush(self, addr: int, nbytes: int) -> None:
        self._part(addr, nbytes).flush()

    def invalidate(self, addr: int, nbytes: int) -> None:
        self._part(addr, nbytes).invalidate()

    def close(self) -> None:
        self._buffer.freebuffer()
