"""Linux VFIO: a PCI device that belongs to this process alone, and memory that it may reach.

The numbers and structures are those of ``<linux/vfio.h>``. A device is in an IOMMU group; the group
is put into a container, and the container's IOMMU maps the process's memory to addresses of the
bus. Whatever else the device asks for is refused by the IOMMU.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import mmap
import os
import platform
import struct
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from vta.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "BAR0",
    "CONFIG",
    "CONTAINER",
    "HostMemory",
    "Kernel",
    "Region",
    "Request",
    "SharedMemory",
    "VfioDevice",
]

CONTAINER = "/dev/vfio/vfio"
API_VERSION = 0
TYPE1V2_IOMMU, DMA_CC_IOMMU = 3, 4
GROUP_VIABLE = 1 << 0
REGION_READ, REGION_WRITE = 1 << 0, 1 << 1
DMA_READ, DMA_WRITE = 1 << 0, 1 << 1
BAR0, CONFIG = 0, 7
"""Indices of the regions of a PCI device."""

GROUP_STATUS = struct.Struct("=II")  # argsz, flags
REGION_INFO = struct.Struct("=IIIIQQ")  # argsz, flags, index, cap_offset, size, offset
DMA_MAP = struct.Struct("=IIQQQ")  # argsz, flags, vaddr, iova, size
DMA_UNMAP = struct.Struct("=IIQQ")  # argsz, flags, iova, size


class Request(enum.IntEnum):
    """The ioctls that are used here: ``_IO(';', 100 + n)``, as x86, ARM and RISC-V encode it."""

    GET_API_VERSION = 0x3B64
    CHECK_EXTENSION = 0x3B65
    SET_IOMMU = 0x3B66
    GROUP_GET_STATUS = 0x3B67
    GROUP_SET_CONTAINER = 0x3B68
    GROUP_GET_DEVICE_FD = 0x3B6A
    DEVICE_GET_REGION_INFO = 0x3B6C
    IOMMU_MAP_DMA = 0x3B71
    IOMMU_UNMAP_DMA = 0x3B72


class SharedMemory(Protocol):
    """Memory of this process that a device may be given: whole pages, never moved.

    Attributes
    ----------
    address : int
        Of its first byte in this process.
    """

    address: int

    def __getitem__(self, key: slice, /) -> bytes: ...
    def __setitem__(self, key: slice, value: bytes, /) -> None: ...
    def close(self) -> None: ...


class HostMemory:
    """Anonymous memory of ``nbytes`` zeros. It is shared: a fork does not move its pages, which
    the device goes on to use."""

    def __init__(self, nbytes: int) -> None:
        self._mapping = mmap.mmap(-1, nbytes, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
        self.address = int(np.frombuffer(self._mapping, np.uint8).ctypes.data)

    def __getitem__(self, key: slice, /) -> bytes:
        return self._mapping[key]

    def __setitem__(self, key: slice, value: bytes, /) -> None:
        self._mapping[key] = value

    def close(self) -> None:
        self._mapping.close()


class Kernel:
    """The system calls; all raise OSError. Tests have another one."""

    def machine(self) -> str:
        """The architecture, as ``x86_64``."""
        return platform.machine()

    def locked_limit(self) -> int | None:
        """Bytes that the process may lock into memory; None: any number."""
        import resource  # not on Windows

        soft = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
        return None if soft == resource.RLIM_INFINITY else soft

    def open(self, path: str) -> int:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def ioctl(self, descriptor: int, request: int, argument: int | bytearray = 0) -> int:
        """A number is passed as it is, bytes by their address; they hold the answer then."""
        import fcntl  # not on Windows

        return fcntl.ioctl(descriptor, request, argument)

    def pread(self, descriptor: int, nbytes: int, offset: int) -> bytes:
        return os.pread(descriptor, nbytes, offset)

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        return os.pwrite(descriptor, data, offset)

    def memory(self, nbytes: int) -> SharedMemory:
        return HostMemory(nbytes)


@dataclass(frozen=True)
class Region:
    """A part of a device: its flags, its bytes, and where it is in the device's file."""

    flags: int
    nbytes: int
    offset: int


class VfioDevice:
    """A PCI device bound to vfio-pci, opened.

    Its registers are read and written by system calls, not through a mapping: the kernel makes one
    access of each, puts barriers around it, which order it with the memory that the device shares,
    and answers with an error where a mapping would end the process with a bus error.

    There is no VFIO_DEVICE_RESET: opening a device resets it where it can be reset.

    Parameters
    ----------
    kernel : Kernel
        The system calls.
    group : str
        Number of its IOMMU group.
    name : str
        Its address on the bus, as ``0000:04:00.0``.
    neighbours : str
        What else in the group is bound to which driver, for errors; "" if nothing is.

    Raises
    ------
    DeviceError
        With what to do, if one of the steps is refused.
    """

    def __init__(self, kernel: Kernel, group: str, name: str, neighbours: str = "") -> None:
        self.name = name
        self._kernel, self._group, self._neighbours = kernel, group, neighbours
        self._closed = False
        with ExitStack() as stack:
            self._container = self._open(stack, CONTAINER)
            self._require_type1()
            group_file = self._open(stack, f"/dev/vfio/{group}")
            self._join(group_file)
            what = f"cannot open the device {name} of IOMMU group {group}"
            self._device = self._ioctl(
                group_file, Request.GROUP_GET_DEVICE_FD, bytearray(name.encode() + b"\0"), what
            )
            stack.callback(kernel.close, self._device)
            self._opened = stack.pop_all()

    # ---- opening ---------------------------------------------------------------------------------

    def _open(self, stack: ExitStack, path: str) -> int:
        try:
            descriptor = self._kernel.open(path)
        except OSError as error:
            raise _refused(f"cannot open {path}", error, self._hints(path)) from None
        stack.callback(self._kernel.close, descriptor)
        return descriptor

    def _hints(self, path: str) -> dict[int, str]:
        permission = (
            f"the user who runs this must own {path}, as by `sudo chown $USER {path}`, or by a udev"
            f" rule that lasts (docs/boards/pcie.md)"
        )
        module = "the kernel module is not loaded: `sudo modprobe vfio-pci`"
        if path != CONTAINER:
            module = f"the device {self.name} is not bound to vfio-pci, or VFIO runs without IOMMU"
        busy = (
            "another process, or a session of this one, uses the card; end it, or connect to it if "
            "it is a `vta serve`"
        )
        return {
            errno.ENOENT: module,
            errno.ENODEV: module,
            errno.ENXIO: module,
            errno.EACCES: permission,
            errno.EPERM: permission,
            errno.EBUSY: busy,
        }

    def _require_type1(self) -> None:
        what = f"{CONTAINER} does not answer as VFIO"
        if version := self._ioctl(self._container, Request.GET_API_VERSION, 0, what):
            raise DeviceError(f"VFIO of this kernel has version {version}; must be {API_VERSION}")
        if not self._ioctl(self._container, Request.CHECK_EXTENSION, TYPE1V2_IOMMU, what):
            raise DeviceError(
                "VFIO of this kernel does not know its IOMMU (type 1, version 2): `sudo modprobe "
                "vfio_iommu_type1`"
            )

    def _join(self, group: int) -> None:
        """Put the group into the container, and turn the container's IOMMU on."""
        what = f"IOMMU group {self._group} cannot be used"
        shared = (
            f"all devices of the group must be bound to vfio-pci, or to no driver; it holds "
            f"{self._neighbours or 'another one'}. Bind them to vfio-pci too, if this computer can "
            f"do without them, or move the card to another slot"
        )
        status = bytearray(GROUP_STATUS.pack(GROUP_STATUS.size, 0))
        self._ioctl(group, Request.GROUP_GET_STATUS, status, what)
        if not GROUP_STATUS.unpack(status)[1] & GROUP_VIABLE:
            raise DeviceError(f"{what}: {shared}")
        container = bytearray(struct.pack("=i", self._container))
        hints = {errno.EPERM: shared, errno.EBUSY: shared}
        self._ioctl(group, Request.GROUP_SET_CONTAINER, container, what, hints)
        hints = {
            errno.EPERM: "the IOMMU does not remap interrupts; turn that on in the firmware (x2APIC"
            ", interrupt remapping). This card has no interrupts, but VFIO demands it"
        }
        self._ioctl(self._container, Request.SET_IOMMU, TYPE1V2_IOMMU, what, hints)
        self._require_coherent()

    def _require_coherent(self) -> None:
        """The extension says that the IOMMU enforces coherence against requests with the attribute
        No Snoop. This card sends none, and on x86 all others are coherent. Elsewhere that depends
        on the host, and a process can neither find out nor flush caches for a device."""
        what = f"IOMMU group {self._group} does not say whether it is coherent"
        coherent = self._ioctl(self._container, Request.CHECK_EXTENSION, DMA_CC_IOMMU, what)
        machine = self._kernel.machine()
        if not coherent and machine not in ("x86_64", "AMD64", "i686"):
            raise DeviceError(
                f"the IOMMU of this computer ({machine}) does not enforce cache coherence: what the"
                f" card writes may not be what programs read; there is no driver for such a host"
            )

    def _ioctl(
        self,
        descriptor: int,
        request: Request,
        argument: int | bytearray,
        what: str,
        hints: Mapping[int, str] | None = None,
    ) -> int:
        try:
            return self._kernel.ioctl(descriptor, request, argument)
        except OSError as error:
            raise _refused(f"{what} ({request.name})", error, hints or {}) from None

    # ---- the device ------------------------------------------------------------------------------

    def region(self, index: int) -> Region:
        """What a region of the device is: :data:`BAR0` or :data:`CONFIG`. One of no bytes is not
        there."""
        self._require_open()
        info = bytearray(REGION_INFO.pack(REGION_INFO.size, 0, index, 0, 0, 0))
        what = f"region {index} of {self.name}"
        self._ioctl(self._device, Request.DEVICE_GET_REGION_INFO, info, what)
        _, flags, _, _, nbytes, offset = REGION_INFO.unpack(info)
        return Region(flags, nbytes, offset)

    def read(self, region: Region, offset: int, nbytes: int) -> int:
        """A register of 1, 2 or 4 bytes, little endian, by one access."""
        self._require_open()
        try:
            data = self._kernel.pread(self._device, nbytes, region.offset + offset)
        except OSError as error:
            raise self._no_access("read", offset, error) from None
        if len(data) != nbytes:
            raise DeviceError(f"{self.name} gave {len(data)} of {nbytes} bytes at 0x{offset:x}")
        return int.from_bytes(data, "little")

    def write(self, region: Region, offset: int, nbytes: int, value: int) -> None:
        """Put a value into such a register."""
        self._require_open()
        data = value.to_bytes(nbytes, "little")
        try:
            written = self._kernel.pwrite(self._device, data, region.offset + offset)
        except OSError as error:
            raise self._no_access("write", offset, error) from None
        if written != nbytes:
            raise DeviceError(f"{self.name} took {written} of {nbytes} bytes at 0x{offset:x}")

    def _no_access(self, what: str, offset: int, error: OSError) -> DeviceError:
        hints = {errno.EIO: "its memory space is off, or it is asleep"}
        return _refused(f"cannot {what} at 0x{offset:x} of {self.name}", error, hints)

    def share(self, nbytes: int, base: int, reserved: str = "") -> SharedMemory:
        """New memory of this process that the device finds at ``base``, until :meth:`close`.

        Parameters
        ----------
        nbytes, base : int
            Multiples of the host's pages.
        reserved : str
            Ranges of addresses that are not to be had, for errors; "" if they are not known.

        Raises
        ------
        DeviceError
            If there is no memory, it may not be locked, or the addresses are reserved.
        """
        self._require_open()
        what = f"cannot give {nbytes} bytes at 0x{base:x} to the card"
        try:
            memory = self._kernel.memory(nbytes)
        except (OSError, ValueError, OverflowError) as error:
            raise DeviceError(f"cannot allocate {nbytes} bytes: {error}") from None
        with ExitStack() as stack:
            stack.callback(memory.close)
            asked = bytearray(
                DMA_MAP.pack(DMA_MAP.size, DMA_READ | DMA_WRITE, memory.address, base, nbytes)
            )
            hints = self._mapping_hints(reserved)
            self._ioctl(self._container, Request.IOMMU_MAP_DMA, asked, what, hints)
            stack.callback(self._unmap, nbytes, base)
            self._opened.push(stack.pop_all())
        return memory

    def _mapping_hints(self, reserved: str) -> dict[int, str]:
        limit = self._kernel.locked_limit()
        locked = (
            f"the memory is locked, and this process may lock "
            f"{'any number of' if limit is None else limit} bytes (`ulimit -l` prints it in KiB); "
            f"raise the limit (docs/boards/pcie.md), or ask for less (memory_bytes=, --card-memory)"
        )
        taken = (
            f"the IOMMU does not map these addresses; reserved are "
            f"{reserved or 'ranges that the kernel does not tell'}. Choose others (base=)"
        )
        return {
            errno.ENOMEM: locked,
            errno.EPERM: locked,
            errno.EINVAL: taken,
            errno.EEXIST: taken,
        }

    def _unmap(self, nbytes: int, base: int) -> None:
        """Closing the group, which follows, unmaps as well: this only says when."""
        asked = bytearray(DMA_UNMAP.pack(DMA_UNMAP.size, 0, base, nbytes))
        with contextlib.suppress(OSError):
            self._kernel.ioctl(self._container, Request.IOMMU_UNMAP_DMA, asked)

    def _require_open(self) -> None:
        if self._closed:
            raise DeviceError(f"the device {self.name} is closed")

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call this when the device is closed, before the memory is taken from it."""
        self._require_open()
        self._opened.callback(callback)

    def close(self) -> None:
        """Take the memory back, then close the device, its group and the container."""
        if not self._closed:
            try:
                self._opened.close()
            finally:
                self._closed = True


def _refused(what: str, error: OSError, hints: Mapping[int, str]) -> DeviceError:
    hint = hints.get(error.errno or 0)
    return DeviceError(f"{what}: {error.strerror or error}" + (f"; {hint}" if hint else ""))
