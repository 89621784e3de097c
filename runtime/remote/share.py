"""The part of the device memory that one session has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.runtime.allocator import Allocator

if TYPE_CHECKING:
    from vta.run_result import RunResult
    from vta.runtime.device import Device

__all__ = ["Share"]


class Share:
    """A device whose memory is one window of another device's; implements
    :class:`vta.runtime.device.Device`.

    The window is one allocation of the device, made with the first buffer: buffers of other
    sessions cannot lie in it, so that a session that scatters its buffers takes room from itself
    only. Not thread-safe.

    Parameters
    ----------
    device : Device
        Shared with other sessions.
    nbytes : int
        Size of the window in bytes, a multiple of 4096.
    """

    def __init__(self, device: Device, nbytes: int) -> None:
        self.name, self.cfg, self.nbytes = device.name, device.cfg, nbytes
        self._device = device
        self._window: Allocator | None = None

    @property
    def taken_bytes(self) -> int:
        """Bytes of the window that are allocated, in whole pages."""
        return 0 if self._window is None else self.nbytes - self._window.free_bytes

    def alloc(self, nbytes: int) -> int:
        if self._window is None:
            self._window = Allocator(self._device.alloc(self.nbytes), self.nbytes)
        addr = self._window.alloc(nbytes)
        self._device.write(addr, bytes(nbytes))
        return addr

    def free(self, addr: int) -> None:
        if self._window is not None:
            self._window.free(addr)

    def write(self, addr: int, data: bytes) -> None:
        self._device.write(addr, data)

    def read(self, addr: int, nbytes: int) -> bytes:
        return self._device.read(addr, nbytes)

    def run(self, insn_addr: int, insn_count: int) -> RunResult:
        return self._device.run(insn_addr, insn_count)

    def close(self) -> None:
        """Give the whole window back; the device stays open for others."""
        if self._window is not None:
            base, self._window = self._window.base, None
            self._device.free(base)
