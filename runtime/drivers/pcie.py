"""A PCIe card in this computer: its control registers are BAR 0, and its memory is memory of this
process, which the IOMMU shows to the card and nothing else."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from vta.errors import ConfigError, DeviceError
from vta.memmap import ADDR_BITS, register
from vta.runtime.drivers.linux import Linux
from vta.runtime.drivers.machine import MappedDevice
from vta.runtime.drivers.pcie_bus import (
    find_card,
    neighbours,
    require_bound,
    rescan,
    reserved_ranges,
)
from vta.runtime.drivers.vfio import (
    BAR0,
    CONFIG,
    REGION_READ,
    REGION_WRITE,
    Kernel,
    Region,
    VfioDevice,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from vta.config import VTAConfig

__all__ = ["BASE", "LIMIT", "MEMORY_BYTES", "TARGET", "PcieMemory", "PcieRegisters", "open_pcie"]

TARGET = "pcie"
MEMORY_BYTES = 1 << 26
BASE, LIMIT = 0x1000_0000, 0xFEE0_0000
"""Addresses of the bus for the memory: the first one, and the first one beyond. Writes to the MiB
from LIMIT on are interrupts on x86; below BASE, some hosts have reserved ranges."""

_GRANULE = 1 << 16
"""The largest page of a host: what is shared consists of such."""
_WORD_BYTES = 4
_NOTHING = 0xFFFF_FFFF
"""What a host reads when no device answers."""

_COMMAND = 0x04
_MEMORY_SPACE, _BUS_MASTER = 1 << 1, 1 << 2
"""The register of the configuration space, 16 bits, and its bits: answer reads and writes of the
BARs; make requests."""


class PcieRegisters:
    """The control registers in BAR 0, as :class:`~.ports.Registers`.

    Raises
    ------
    DeviceError
        If the device has no such region, or does not answer.
    """

    def __init__(self, device: VfioDevice) -> None:
        self._device = device
        self._bar = _require_region(device, BAR0, 1 << ADDR_BITS)

    def read(self, offset: int) -> int:
        """All ones are no value of ID: they tell whether the card has gone."""
        value = self._device.read(self._bar, offset, _WORD_BYTES)
        identity = register("ID").offset
        if value == _NOTHING and self._device.read(self._bar, identity, _WORD_BYTES) == _NOTHING:
            raise _no_answer(self._device, f"its register 0x{offset:03x} reads 0x{_NOTHING:08x}")
        return value

    def write(self, offset: int, value: int) -> None:
        self._device.write(self._bar, offset, _WORD_BYTES, value)

    def close(self) -> None:
        self._device.close()


class PcieMemory:
    """Memory of this process that the card reaches, as :class:`~.ports.DeviceMemory`.

    Parameters
    ----------
    device : VfioDevice
        The card; closed with the memory.
    nbytes, base : int
        Checked already.
    reserved : str
        For errors: addresses that the host keeps.
    """

    coherent = True

    def __init__(self, device: VfioDevice, nbytes: int, base: int, reserved: str = "") -> None:
        self.base, self.nbytes = base, nbytes
        self._device = device
        self._bytes = device.share(nbytes, base, reserved)

    def read(self, addr: int, nbytes: int) -> bytes:
        start = addr - self.base
        return self._bytes[start : start + nbytes]

    def write(self, addr: int, data: bytes) -> None:
        start = addr - self.base
        self._bytes[start : start + len(data)] = data

    def flush(self, addr: int, nbytes: int) -> None:
        """Nothing: the card's requests see the caches. That earlier writes are visible before a
        launch, and results after DONE, is the work of the kernel, which puts the architecture's
        barriers around each access of a register (:class:`~.vfio.VfioDevice`)."""

    def invalidate(self, addr: int, nbytes: int) -> None:
        pass

    def close(self) -> None:
        self._device.close()


def open_pcie(
    cfg: VTAConfig,
    *,
    card: str | None = None,
    memory_bytes: int = MEMORY_BYTES,
    base: int = BASE,
    linux: Linux | None = None,
    kernel: Kernel | None = None,
    timeout: float | None = None,
    on_run: Callable[[Any], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> MappedDevice:
    """The accelerator on a PCIe card of this computer.

    Parameters
    ----------
    cfg : VTAConfig
        The machine that is expected in the card; its TARGET is ``pcie``.
    card : str or None
        The card's address on the bus, as ``0000:04:00.0``. None: the only one.
    memory_bytes : int
        Memory for programs and tensors, a multiple of 65,536; it is locked.
    base : int
        Where the card finds it, a multiple of 65,536.
    linux, kernel : Linux, Kernel or None
        The system, for tests.
    timeout, on_run, clock, pause
        As for :class:`~.machine.MappedDevice`.

    Raises
    ------
    ConfigError
        If TARGET is another one.
    DeviceError
        If there is no such card, VFIO or the IOMMU refuses it, another process has it, it does not
        answer, or its machine is another one.
    """
    if cfg.target != TARGET:
        raise ConfigError(f"TARGET is {cfg.target}; must be {TARGET}")
    _require_range(memory_bytes, base)
    linux, kernel = linux or Linux(), kernel or Kernel()
    address = find_card(linux, card)
    group = require_bound(linux, address)
    device = VfioDevice(kernel, group, address, neighbours(linux, group, address))
    try:
        registers = PcieRegisters(device)
        memory = PcieMemory(device, memory_bytes, base, reserved_ranges(linux, group))
        _enable(device)
        return MappedDevice(
            cfg, registers, memory, timeout=timeout, on_run=on_run, clock=clock, pause=pause
        )
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one that matters
            device.close()
        raise


def _require_range(memory_bytes: object, base: object) -> None:
    """The memory lies within :data:`LIMIT`, in whole pages; address 0 is none."""
    for name, value in (("memory_bytes", memory_bytes), ("base", base)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise DeviceError(f"{name} is {value!r}; must be an integer")
        if not 0 < value < LIMIT or value % _GRANULE:
            raise DeviceError(
                f"{name} is {value}; must be a multiple of {_GRANULE} above 0 and below {LIMIT}"
            )
    assert isinstance(memory_bytes, int) and isinstance(base, int)
    if memory_bytes > LIMIT - base:
        raise DeviceError(
            f"memory_bytes is {memory_bytes}; from the address 0x{base:x} on, at most "
            f"{LIMIT - base} bytes are free: writes at 0x{LIMIT:x} are interrupts"
        )


def _require_region(device: VfioDevice, index: int, nbytes: int) -> Region:
    region = device.region(index)
    needed = REGION_READ | REGION_WRITE
    if region.nbytes < nbytes or region.flags & needed != needed:
        raise DeviceError(
            f"region {index} of {device.name} has {region.nbytes} bytes (flags "
            f"0x{region.flags:x}); must have at least {nbytes}, to read and write: the FPGA holds "
            f"another design, or the firmware gave its BAR no addresses: {rescan(device.name)}"
        )
    return region


def _enable(device: VfioDevice) -> None:
    """Let the card answer and make requests: the latter until the device is closed."""
    config = _require_region(device, CONFIG, _COMMAND + 2)
    command = device.read(config, _COMMAND, 2)
    if command == _NOTHING & 0xFFFF:
        raise _no_answer(device, f"its configuration space reads 0x{command:04x}")
    enabled = _MEMORY_SPACE | _BUS_MASTER
    device.write(config, _COMMAND, 2, command | enabled)
    if (found := device.read(config, _COMMAND, 2)) & enabled != enabled:
        raise _no_answer(
            device, f"its command register reads 0x{found:04x} after 0x{enabled:04x} was set"
        )

    def silence() -> None:
        """The kernel does so too when the device is closed, but after the memory has gone."""
        with contextlib.suppress(DeviceError):  # a card that has gone asks for nothing
            command = device.read(config, _COMMAND, 2)
            device.write(config, _COMMAND, 2, command & ~_BUS_MASTER)

    device.on_close(silence)


def _no_answer(device: VfioDevice, what: str) -> DeviceError:
    return DeviceError(
        f"the card {device.name} does not answer: {what}. Its link is down, or its FPGA was "
        f"configured after the bus was scanned: {rescan(device.name)}"
    )
