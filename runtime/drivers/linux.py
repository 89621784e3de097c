"""What the drivers ask of Linux: small files of the kernel, and memory mappings.

All file names are absolute, as on the board; :class:`Linux` puts its root before them, which is
elsewhere in tests.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Protocol

import numpy as np

from vta.errors import DeviceError
from vta.runtime.drivers.ports import Registers

__all__ = ["DEV_MEM", "Bytes", "Linux", "MappedRegisters"]

DEV_MEM = "/dev/mem"
_WORD_BYTES = 4


class Bytes(Protocol):
    """A mapping of plain memory, as :class:`mmap.mmap` is one."""

    def __getitem__(self, key: slice, /) -> bytes: ...
    def __setitem__(self, key: slice, value: bytes, /) -> None: ...
    def close(self) -> None: ...


class MappedRegisters:
    """Registers in a mapping; each access is one of 32 bits.

    Elements of a NumPy array are read and written as a whole; slices of the mapping would be copied
    in pieces of any size.
    """

    def __init__(self, mapping: mmap.mmap, name: str) -> None:
        self.name = name
        self._mapping = mapping
        self._words = np.frombuffer(mapping, "<u4")

    def _index(self, offset: int) -> int:
        if offset % _WORD_BYTES or not 0 <= offset < self._words.nbytes:
            raise DeviceError(
                f"register offset 0x{offset:x} of {self.name}; must be a multiple of {_WORD_BYTES} "
                f"below 0x{self._words.nbytes:x}"
            )
        return offset // _WORD_BYTES

    def read(self, offset: int) -> int:
        """The 32 bits at this byte offset."""
        return int(self._words[self._index(offset)])

    def write(self, offset: int, value: int) -> None:
        """Put 32 bits there."""
        self._words[self._index(offset)] = value

    def close(self) -> None:
        """Unmap."""
        self._words = np.zeros(0, "<u4")  # the array must go before its mapping
        self._mapping.close()


class Linux:
    """The board's system.

    All methods raise DeviceError, with what to do about it, if a file is missing or refuses.

    Parameters
    ----------
    root : str or Path
        Where its files are.
    """

    def __init__(self, root: str | Path = "/") -> None:
        self.root = Path(root)

    def path(self, name: str) -> Path:
        """Where an absolute file name is."""
        return self.root / name.lstrip("/")

    def exists(self, name: str) -> bool:
        return self.path(name).exists()

    def listing(self, name: str) -> list[str]:
        """What is in a folder, sorted; nothing if there is none."""
        try:
            return sorted(entry.name for entry in self.path(name).iterdir())
        except OSError:
            return []

    def link(self, name: str) -> str | None:
        """The last part of what a symbolic link points to, as the name of a device's driver; None
        if there is no such link."""
        try:
            return os.readlink(self.path(name)).rpartition("/")[2]
        except OSError:
            return None

    def read(self, name: str) -> str:
        """The text in a file, without the newline at its end."""
        try:
            return self.path(name).read_text(encoding="ascii", errors="replace").strip()
        except OSError as error:
            raise _refused("read", name, error) from None

    def read_int(self, name: str) -> int:
        """The number in a file, decimal or with 0x."""
        text = self.read(name)
        try:
            return int(text, 0)
        except ValueError:
            raise DeviceError(f"{name} holds {text!r}; must be a number") from None

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file, in one call: attributes of the kernel take nothing else."""
        data = content.encode() if isinstance(content, str) else content
        try:
            with open(self.path(name), "wb", buffering=0) as file:
                written = file.write(data)
        except OSError as error:
            raise _refused("write", name, error) from None
        if written != len(data):
            raise DeviceError(f"{name} took {written} of {len(data)} bytes")

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            self.path(name).unlink(missing_ok=True)
        except OSError as error:
            raise _refused("remove", name, error) from None

    def map_registers(self, name: str, offset: int, nbytes: int) -> Registers:
        """Registers at ``offset`` of a file as ``/dev/mem``; both numbers are multiples of 4096."""
        return MappedRegisters(self._map(name, offset, nbytes, os.O_SYNC), f"{name}+0x{offset:x}")

    def map_bytes(self, name: str, nbytes: int) -> Bytes:
        """The memory behind a device file, cached by the processor."""
        return self._map(name, 0, nbytes, 0)

    def _map(self, name: str, offset: int, nbytes: int, flags: int) -> mmap.mmap:
        try:
            descriptor = os.open(self.path(name), os.O_RDWR | os.O_CLOEXEC | flags)
            try:
                return mmap.mmap(descriptor, nbytes, offset=offset)
            finally:
                os.close(descriptor)
        except (OSError, ValueError) as error:
            raise _refused("map", name, error) from None

    def lock(self, name: str) -> int:
        """Take a file for this process alone, until :meth:`unlock` with what is returned.

        Raises
        ------
        DeviceError
            If another process has it.
        """
        import fcntl  # not on Windows, where boards at serial lines are driven from

        try:
            descriptor = os.open(self.path(name), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise _refused("open", name, error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise DeviceError(
                f"another process uses {name}; end it, or connect to it if it is a `vta serve`"
            ) from None
        return descriptor

    def unlock(self, descriptor: int) -> None:
        os.close(descriptor)


def _refused(what: str, name: str, error: Exception) -> DeviceError:
    if isinstance(error, PermissionError):
        relaxed = (
            ", on a kernel booted with `iomem=relaxed` if it protects the registers that it knows"
            if name == DEV_MEM
            else ""
        )
        return DeviceError(
            f"cannot {what} {name}: {error.strerror}; drivers of boards run as root{relaxed}"
        )
    reason = error.strerror if isinstance(error, OSError) else error
    return DeviceError(f"cannot {what} {name}: {reason}")
