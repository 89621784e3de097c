"""A computer with a PCIe card, for tests: the kernel's files, VFIO with an IOMMU, and the RTL
behind BAR 0.

The system calls refuse what the kernel refuses, in its order of checks (drivers/vfio: group.c,
container.c, vfio_iommu_type1.c, vfio_pci_core.c); whatever would hang or reach memory that is not
the card's is an assertion. Layouts and numbers are written down here again, from <linux/vfio.h>.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

import numpy as np

from tests.support.driver_ports import CLOCK_HZ, RtlBoard
from tests.support.verilated import verilated
from vta.memmap import CONTROL_LAUNCH, register
from vta.runtime.drivers.linux import Linux
from vta.runtime.drivers.vfio import HostMemory, Kernel
from vta.sim.rtl.harness import Region

__all__ = ["CARD", "IDS", "FakeComputer", "FakeKernel"]

CARD = "0000:04:00.0"
GROUP = "17"
PAGE = 4096
IDS = {
    "vendor": 0x10EE, "device": 0x7A1A, "subsystem_vendor": 0x10EE, "subsystem_device": 0x5654,
}  # fmt: skip
_REGION_SHIFT = 40
_CONFIG_BYTES = 4096
_COMMAND = 4
_ANY_ID = 0b111


class FakeComputer:
    """The files of a computer with one card, bound to vfio-pci.

    Attributes
    ----------
    linux : Linux
        Its files.
    kernel : FakeKernel
        Its system calls.
    """

    def __init__(self, root, **options):
        self.linux = Linux(root)
        self.kernel = FakeKernel(**options)
        self.add("0000:00:00.0", {**IDS, "vendor": 0x8086}, group="0")
        self.add(CARD)
        self.bind(CARD, "vfio-pci")
        self.put(
            f"/sys/kernel/iommu_groups/{GROUP}/reserved_regions",
            "0x00000000fee00000 0x00000000feefffff msi\n0x000000fd00000000 0x000000ffffffffff "
            "reserved",
        )

    def put(self, name, text):
        path = self.linux.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")

    def link(self, name, target):
        path = self.linux.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if target is not None:
            path.symlink_to(target)

    def add(self, address, ids=IDS, group=GROUP):
        """A device on the bus."""
        folder = f"/sys/bus/pci/devices/{address}"
        for name, value in ids.items():
            self.put(f"{folder}/{name}", f"0x{value:04x}")
        self.set_group(address, group)

    def set_group(self, address, group):
        target = None if group is None else f"../../../../kernel/iommu_groups/{group}"
        self.link(f"/sys/bus/pci/devices/{address}/iommu_group", target)
        if group is not None:
            self.put(f"/sys/kernel/iommu_groups/{group}/devices/{address}", "")

    def bind(self, address, driver):
        target = None if driver is None else f"../../../../bus/pci/drivers/{driver}"
        self.link(f"/sys/bus/pci/devices/{address}/driver", target)

    def clock(self):
        return self.kernel.clock()

    def options(self, **others):
        """How a test opens the driver."""
        return {
            "linux": self.linux, "kernel": self.kernel, "clock": self.kernel.clock,
            "pause": self.kernel.pause,
        } | others  # fmt: skip


class _Dram:
    """The memory of the process as the card sees it."""

    def __init__(self, address, nbytes):
        kind = ctypes.c_uint8 * nbytes
        self.data = np.frombuffer(kind.from_address(address), np.uint8)

    def before_run(self):
        pass

    def after_run(self):
        pass


class FakeKernel(Kernel):
    """VFIO and the card.

    Parameters
    ----------
    preset : str
        The machine in the card.
    locked : int or None
        RLIMIT_MEMLOCK in bytes.

    Attributes
    ----------
    calls : list of str
        The system calls that changed something, in order.
    dead : bool
        The card's link is down: all reads give ones.
    viable, busy, forbidden : bool
        Of the group: whether VFIO may have it, whether somebody else has it open, whether this user
        may not open it.
    coherent, remaps : bool
        Of the IOMMU: whether it enforces coherence, whether it remaps interrupts.
    arch : str
        The architecture.
    bar_bytes, bar_flags, config_writable
        Of the card.
    reserved : list of (int, int)
        Ranges of addresses that cannot be mapped, the last one included.
    rtl : RtlBoard or None
        The machine, from the first access of a register on.
    """

    def __init__(self, preset="tiny", locked=1 << 30, clock_hz=CLOCK_HZ):
        self.preset, self.locked, self.clock_hz = preset, locked, clock_hz
        self.calls = []
        self.dead, self.viable, self.busy, self.forbidden = False, True, False, False
        self.coherent, self.remaps, self.arch = True, True, "x86_64"
        self.version, self.type1, self.loaded = 0, True, True
        self.bar_bytes, self.bar_flags, self.config_writable = 4096, 0b111, True
        self.reserved = [(0xFEE0_0000, 0xFEEF_FFFF)]
        self.command = 0
        self.files = {}  # descriptor to "container", "group" or "device"
        self.container_set = self.iommu_set = False
        self.maps = {}  # iova to (size, vaddr)
        self.memories = []  # those of this process that are not freed
        self.rtl = None
        self._next = 100

    # ---- what the driver calls -------------------------------------------------------------------

    def machine(self):
        return self.arch

    def locked_limit(self):
        return self.locked

    def memory(self, nbytes):
        memory = _Tracked(self, nbytes)
        self.memories.append(memory)
        return memory

    def open(self, path):
        if path == "/dev/vfio/vfio":
            self._require(self.loaded, errno.ENOENT)
            return self._new("container")
        assert path == f"/dev/vfio/{GROUP}", path
        self._require(not self.forbidden, errno.EACCES)
        self._require(not self.busy and "group" not in self.files.values(), errno.EBUSY)
        return self._new("group")

    def _new(self, kind):
        self._next += 1
        self.files[self._next] = kind
        self.calls.append(f"open {kind}")
        return self._next

    def close(self, descriptor):
        kind = self.files.pop(descriptor)
        self.calls.append(f"close {kind}")
        if kind == "device":
            self.command &= ~0b100  # pci_clear_master
        elif kind == "group":
            assert "device" not in self.files.values(), "the group would stay open"
            assert not self.command & 0b100, "a bus master without an IOMMU mapping"
            self.container_set = self.iommu_set = False
            self.maps.clear()

    def ioctl(self, descriptor, request, argument=0):
        kind = self.files[descriptor]
        handler = {
            ("container", 0x3B64): lambda _: self.version,
            ("container", 0x3B65): self._check_extension,
            ("container", 0x3B66): self._set_iommu,
            ("group", 0x3B67): self._group_status,
            ("group", 0x3B68): self._set_container,
            ("group", 0x3B6A): self._get_device,
            ("device", 0x3B6C): self._region_info,
            ("container", 0x3B71): self._map,
            ("container", 0x3B72): self._unmap,
        }.get((kind, int(request)))
        self._require(handler is not None, errno.ENOTTY)
        return handler(argument)

    def pread(self, descriptor, nbytes, offset):
        region, at = self._where(descriptor, nbytes, offset)
        if self.dead:
            return b"\xff" * nbytes
        if region == 7:
            assert (at, nbytes) == (_COMMAND, 2)
            return self.command.to_bytes(2, "little")
        assert nbytes == 4 and at % 4 == 0, "the card has registers of 32 bits only"
        self._require(self.command & 0b10, errno.EIO)
        return self._machine().read(at).to_bytes(4, "little")

    def pwrite(self, descriptor, data, offset):
        region, at = self._where(descriptor, len(data), offset)
        value = int.from_bytes(data, "little")
        if self.dead:
            return len(data)
        if region == 7:
            assert (at, len(data)) == (_COMMAND, 2)
            self.command = value if self.config_writable else self.command
            self.calls.append(f"command 0x{value:04x}")
            return 2
        assert len(data) == 4 and at % 4 == 0, "the card has registers of 32 bits only"
        self._require(self.command & 0b10, errno.EIO)
        if at == register("CONTROL").offset and value & CONTROL_LAUNCH:
            assert self.command & 0b100, "the card may not make requests"
        self._machine().write(at, value)
        return 4

    # ---- the kernel ------------------------------------------------------------------------------

    @staticmethod
    def _require(condition, number):
        if not condition:
            raise OSError(number, os.strerror(number))

    def _check_extension(self, extension):
        known = {3: self.type1, 4: self.iommu_set and self.coherent}
        return int(known.get(extension, False))

    def _group_status(self, data):
        (argsz,) = struct.unpack_from("=I", data)
        self._require(argsz >= 8, errno.EINVAL)
        struct.pack_into("=I", data, 4, int(self.viable) | 2 * self.container_set)
        return 0

    def _set_container(self, data):
        (container,) = struct.unpack("=i", data)
        self._require(container in self.files, errno.EBADF)
        self._require(not self.container_set, errno.EINVAL)
        self._require(self.files[container] == "container", errno.EBADFD)
        self._require(self.viable, errno.EPERM)
        self.container_set = True
        self.calls.append("set container")
        return 0

    def _set_iommu(self, kind):
        self._require(self.container_set and not self.iommu_set, errno.EINVAL)
        self._require(kind == 3, errno.ENODEV)
        self._require(self.remaps, errno.EPERM)
        self.iommu_set = True
        self.calls.append("set iommu")
        return 0

    def _get_device(self, data):
        name, end, _ = bytes(data).partition(b"\0")
        assert end, "the kernel reads on beyond the name"
        self._require(self.container_set and self.iommu_set, errno.EINVAL)
        self._require(name.decode() == CARD, errno.ENODEV)
        return self._new("device")

    def _region_info(self, data):
        argsz, _, index = struct.unpack_from("=III", data)
        self._require(argsz >= 32 and index < 9, errno.EINVAL)
        flags, size = {0: (self.bar_flags, self.bar_bytes), 7: (0b11, _CONFIG_BYTES)}.get(
            index, (0, 0)
        )
        struct.pack_into("=IIIIQQ", data, 0, argsz, flags, index, 0, size, index << _REGION_SHIFT)
        return 0

    def _map(self, data):
        argsz, flags, vaddr, iova, size = struct.unpack_from("=IIQQQ", data)
        self._require(self.iommu_set, errno.EINVAL)
        self._require(argsz >= 32 and not flags & ~0b111, errno.EINVAL)
        self._require(flags & 0b11 and size and not (size | iova | vaddr) % PAGE, errno.EINVAL)
        for low, nbytes in ((low, nbytes) for low, (nbytes, _) in self.maps.items()):
            self._require(iova + size <= low or low + nbytes <= iova, errno.EEXIST)
        for low, last in self.reserved:
            self._require(iova + size <= low or last < iova, errno.EINVAL)
        self._require(self.locked is None or size <= self.locked, errno.ENOMEM)
        memory = [item for item in self.memories if item.address == vaddr]
        self._require(memory and memory[0].nbytes >= size, errno.EFAULT)
        self.maps[iova] = size, vaddr
        self.calls.append(f"map 0x{iova:x}")
        self._show()
        return 0

    def _unmap(self, data):
        argsz, flags, iova, size = struct.unpack_from("=IIQQ", data)
        self._require(argsz >= 24 and not flags & ~0b111, errno.EINVAL)
        assert not self.command & 0b100 or self.dead, "the card may still ask for this memory"
        assert self.maps.pop(iova)[0] == size
        self.calls.append(f"unmap 0x{iova:x}")
        self._show()
        return 0

    def _where(self, descriptor, nbytes, offset):
        assert self.files[descriptor] == "device"
        region, at = offset >> _REGION_SHIFT, offset % (1 << _REGION_SHIFT)
        assert at + nbytes <= {0: self.bar_bytes, 7: _CONFIG_BYTES}[region]
        return region, at

    # ---- the card --------------------------------------------------------------------------------

    def _machine(self):
        """The RTL; it sees what the IOMMU maps and nothing else."""
        if self.rtl is None:
            ((iova, (size, vaddr)),) = self.maps.items()
            library = verilated(self.preset)._library
            self.rtl = RtlBoard(library, _Dram(vaddr, size), iova, clock_hz=self.clock_hz)
        return self.rtl

    def _show(self):
        if self.rtl is not None:
            regions = [
                Region(iova, _Dram(vaddr, size).data, _ANY_ID, True)
                for iova, (size, vaddr) in self.maps.items()
            ]
            self.rtl.harness.map(regions)

    def clock(self):
        return self.rtl.clock() if self.rtl else 0.0

    def pause(self, seconds):
        self._machine().pause(seconds)


class _Tracked(HostMemory):
    """Memory of the process; freeing what the IOMMU still maps is an assertion."""

    def __init__(self, kernel, nbytes):
        super().__init__(nbytes)
        self.nbytes, self._kernel = nbytes, kernel

    def close(self):
        mapped = [vaddr for _, vaddr in self._kernel.maps.values()]
        assert self.address not in mapped, "the card still reaches this memory"
        self._kernel.memories.remove(self)
        super().close()
