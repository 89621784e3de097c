"""The protocol that every target implements, and what some can do besides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from vta.errors import DeviceError

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.program import Program
    from vta.run_result import RunResult
    from vta.runtime.placement import Placement

__all__ = [
    "Device",
    "Interruptible",
    "Lendable",
    "PlacesPrograms",
    "Programmable",
    "TimesMemory",
    "distinguished",
    "require_device",
]


@runtime_checkable
class Device(Protocol):
    """A VTA with its memory. Addresses are physical byte addresses as the accelerator sees them.

    One object is one machine: on-chip memories keep their contents from one run to the next, and
    zero is never a valid address. All methods raise :class:`vta.errors.DeviceError` (or a child)
    on failure.
    """

    name: str
    """The target's name: ``sim``, ``tsim``, ``pynq`` ..."""
    cfg: VTAConfig

    def alloc(self, nbytes: int) -> int:
        """Allocate ``nbytes`` (> 0) of zeroed device memory, aligned to 4096; returns its
        address."""
        ...

    def free(self, addr: int) -> None:
        """Give back what :meth:`alloc` returned."""
        ...

    def write(self, addr: int, data: bytes) -> None:
        """Copy host bytes into device memory; the range must lie in one allocation."""
        ...

    def read(self, addr: int, nbytes: int) -> bytes:
        """Copy device memory to the host; the range must lie in one allocation."""
        ...

    def run(self, insn_addr: int, insn_count: int) -> RunResult:
        """Execute ``insn_count`` instructions of 16 bytes at ``insn_addr`` and wait for the end."""
        ...

    def close(self) -> None:
        """Free everything; the object cannot be used afterwards."""
        ...


@runtime_checkable
class Programmable(Device, Protocol):
    """A device with an FPGA."""

    def program_fpga(self, bitstream: bytes) -> None:
        """Configure the FPGA with the contents of a ``.vtabit`` file (:mod:`vta.bitstream`). What
        was in the device's memory is lost.

        Raises
        ------
        DeviceError
            If the bitstream is damaged, or of another part or configuration; nothing has changed
            then.
        """
        ...


@runtime_checkable
class Lendable(Device, Protocol):
    """A device of this machine, which a server can divide among clients."""

    @property
    def free_bytes(self) -> int:
        """Bytes of device memory that are not allocated."""
        ...


@runtime_checkable
class Interruptible(Device, Protocol):
    """A device that does not end with this process, and whose runs can be ended early."""

    def interrupt(self) -> None:
        """Make the run in flight, and every later one, end with a DeviceError: soon, and with the
        machine idle. Called from another thread than the one that runs."""
        ...


@runtime_checkable
class PlacesPrograms(Device, Protocol):
    """A device that relocates and runs whole programs itself, as a remote one does."""

    def place(self, program: Program) -> Placement:
        """Put a program into the device's memory; garbage collection of the result frees it."""
        ...


@runtime_checkable
class TimesMemory(Device, Protocol):
    """A device whose DRAM is simulated, with its timing."""

    memory_preset: str
    """The timing of the DRAM, a name of :data:`vta.memory_timing.PRESETS`."""


def require_device(device: object, what: str) -> Device:
    """``device`` itself, if it is one.

    Raises
    ------
    DeviceError
        If it is something else, as a session; the message starts with ``what``.
    """
    if isinstance(device, Device) and not isinstance(device, type):
        return device
    got = "missing" if device is None else f"of type {type(device).__name__}"
    raise DeviceError(f"{what}: the device is {got}; must be that of a session, session.ext_dev(0)")


def distinguished(first: Device, second: Device) -> tuple[str, str]:
    """The texts of two devices that are not the same one; those of equal text are told apart by
    the addresses of their objects."""
    texts = repr(first), repr(second)
    if texts[0] != texts[1]:
        return texts
    return f"{texts[0]}, object 0x{id(first):x}", f"{texts[1]}, object 0x{id(second):x}"
