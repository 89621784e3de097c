"""VFIO: numbers and layouts as the kernel's header has them, and the steps on a fake kernel."""

import errno
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.support.fake_pcie import CARD, GROUP, FakeKernel
from vta.errors import DeviceError
from vta.runtime.drivers import vfio
from vta.runtime.drivers.vfio import BAR0, CONFIG, HostMemory, Region, Request, VfioDevice

HEADER = Path("/usr/include/linux/vfio.h")

NUMBERS = {
    "VFIO_API_VERSION": vfio.API_VERSION,
    "VFIO_TYPE1v2_IOMMU": vfio.TYPE1V2_IOMMU,
    "VFIO_DMA_CC_IOMMU": vfio.DMA_CC_IOMMU,
    "VFIO_GROUP_FLAGS_VIABLE": vfio.GROUP_VIABLE,
    "VFIO_REGION_INFO_FLAG_READ": vfio.REGION_READ,
    "VFIO_REGION_INFO_FLAG_WRITE": vfio.REGION_WRITE,
    "VFIO_DMA_MAP_FLAG_READ": vfio.DMA_READ,
    "VFIO_DMA_MAP_FLAG_WRITE": vfio.DMA_WRITE,
    "VFIO_PCI_BAR0_REGION_INDEX": vfio.BAR0,
    "VFIO_PCI_CONFIG_REGION_INDEX": vfio.CONFIG,
} | {f"VFIO_{name}": int(value) for name, value in Request.__members__.items()}
LAYOUTS = {
    "vfio_group_status": (vfio.GROUP_STATUS, "argsz flags"),
    "vfio_region_info": (vfio.REGION_INFO, "argsz flags index cap_offset size offset"),
    "vfio_iommu_type1_dma_map": (vfio.DMA_MAP, "argsz flags vaddr iova size"),
    "vfio_iommu_type1_dma_unmap": (vfio.DMA_UNMAP, "argsz flags iova size"),
}


@pytest.fixture
def kernel():
    return FakeKernel()


def opened(kernel, neighbours=""):
    return VfioDevice(kernel, GROUP, CARD, neighbours)


# ---- the header ---------------------------------------------------------------------------------


@pytest.mark.skipif(not HEADER.is_file(), reason=f"no {HEADER}: install linux-libc-dev")
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_numbers_and_layouts_are_those_of_the_header(tmp_path):
    expressions = {name: name for name in NUMBERS}
    expected = dict(NUMBERS)
    for name, (layout, fields) in LAYOUTS.items():
        letters = layout.format.removeprefix("=")
        assert len(letters) == len(fields.split())
        for at, field in enumerate(fields.split()):
            expressions[f"{name}.{field}"] = f"offsetof(struct {name}, {field})"
            expected[f"{name}.{field}"] = struct.calcsize(f"={letters[:at]}")
        expressions[f"sizeof {name}"] = f"sizeof(struct {name})"
        expected[f"sizeof {name}"] = layout.size
    prints = "\n".join(
        f'printf("{name}=%llu\\n", (unsigned long long) ({expression}));'
        for name, expression in expressions.items()
    )
    includes = "#include <linux/vfio.h>\n#include <stddef.h>\n#include <stdio.h>\n"
    (tmp_path / "numbers.c").write_text(f"{includes}int main(void) {{\n{prints}\n}}\n")
    subprocess.run(["cc", "-o", "numbers", "numbers.c"], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "numbers"], capture_output=True, text=True, check=True)
    pairs = (line.split("=") for line in done.stdout.splitlines())
    assert {name: int(value) for name, value in pairs} == expected


# ---- the steps ----------------------------------------------------------------------------------


def test_opening_sharing_and_closing_are_in_order(kernel):
    device = opened(kernel)
    device.share(1 << 16, 0x1000_0000)
    assert kernel.calls == [
        "open container", "open group", "set container", "set iommu", "open device",
        "map 0x10000000",
    ]  # fmt: skip
    kernel.calls.clear()
    device.on_close(lambda: kernel.calls.append("the callback"))
    device.close()
    device.close()
    assert kernel.calls == [
        "the callback", "unmap 0x10000000", "close device", "close group", "close container",
    ]  # fmt: skip
    assert not kernel.files and not kernel.maps and not kernel.memories


def test_nothing_is_done_with_a_closed_device(kernel):
    device = opened(kernel)
    bar = device.region(BAR0)
    device.close()
    for call in (
        lambda: device.region(BAR0),
        lambda: device.read(bar, 0, 4),
        lambda: device.write(bar, 0, 4, 0),
        lambda: device.share(1 << 16, 1 << 28),
        lambda: device.on_close(lambda: None),
    ):
        with pytest.raises(DeviceError, match=f"the device {CARD} is closed"):
            call()


def _set(name, value):
    return lambda kernel: setattr(kernel, name, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("loaded", False), "/dev/vfio/vfio: No such file .*; the kernel module is not loaded"),
        (_set("version", 1), "VFIO of this kernel has version 1; must be 0"),
        (_set("type1", False), "does not know its IOMMU .*`sudo modprobe vfio_iommu_type1`"),
        (_set("busy", True), "/dev/vfio/17: Device or resource busy; another process, or a sess"),
        (_set("forbidden", True), "/dev/vfio/17: Permission denied; .*`sudo chown .USER /dev/vfio"),
        (_set("viable", False), r"group 17 cannot be used: all devices .*; it holds 0000:04:00\.1"),
        (_set("remaps", False), r"\(SET_IOMMU\): Operation not permitted; .* remap interrupts"),
        (_set("arch", "aarch64"), None),
    ],
)
def test_what_the_kernel_refuses_is_told_and_nothing_stays_open(kernel, change, message):
    change(kernel)
    if message is None:
        opened(kernel).close()
    else:
        with pytest.raises(DeviceError, match=message):
            opened(kernel, "0000:04:00.1 (snd_hda_intel)")
    assert not kernel.files


@pytest.mark.parametrize(
    ("arch", "refused"), [("x86_64", False), ("aarch64", True), ("riscv64", True)]
)
def test_an_iommu_without_coherence_is_refused_but_on_x86(kernel, arch, refused):
    kernel.coherent, kernel.arch = False, arch
    if refused:
        with pytest.raises(DeviceError, match=rf"\({arch}\) does not enforce cache coherence"):
            opened(kernel)
    else:
        opened(kernel).close()
    assert not kernel.files


def test_a_group_that_is_taken_between_two_steps(kernel, monkeypatch):
    """A driver is bound to the other device after GET_STATUS."""

    def status(data):
        kernel.viable = False
        return FakeKernel._group_status(kernel, data)

    monkeypatch.setattr(kernel, "_group_status", status)
    with pytest.raises(DeviceError, match=r"cannot be used: all devices of the group must be"):
        opened(kernel)


def test_a_device_that_is_not_in_the_group(kernel):
    with pytest.raises(DeviceError, match=r"0000:05:00\.0 of IOMMU group 17 \(GROUP_GET_DEV.*: No"):
        VfioDevice(kernel, GROUP, "0000:05:00.0")
    assert not kernel.files


# ---- memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nbytes", "base", "limit", "message"),
    [
        (1 << 20, 1 << 28, 1 << 16, r"this process may lock 65536 bytes \(`ulimit -l`.*memory_byt"),
        (1 << 20, 0xFED8_0000, None, r"\(IOMMU_MAP_DMA\): Invalid argument; .*reserved are a to b"),
        (1 << 20, (1 << 28) + (1 << 16), None, "File exists; the IOMMU does not map these"),
    ],
)
def test_memory_that_is_refused(kernel, nbytes, base, limit, message):
    device = opened(kernel)
    device.share(1 << 20, 1 << 28)
    kernel.locked = limit
    if limit is not None:
        base += 1 << 24
    with pytest.raises(DeviceError, match=message):
        device.share(nbytes, base, "a to b")
    assert list(kernel.maps) == [1 << 28] and len(kernel.memories) == 1
    device.close()


def test_a_limit_that_is_none_is_told_as_such(kernel, monkeypatch):
    def fail(data):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    device = opened(kernel)
    kernel.locked = None
    monkeypatch.setattr(kernel, "_map", fail)
    with pytest.raises(DeviceError, match="this process may lock any number of bytes"):
        device.share(1 << 16, 1 << 28)


def test_no_memory_at_all(kernel, monkeypatch):
    def fail(nbytes):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    device = opened(kernel)
    monkeypatch.setattr(kernel, "memory", fail)
    with pytest.raises(DeviceError, match=r"cannot allocate 65536 bytes: .*Cannot allocate memory"):
        device.share(1 << 16, 1 << 28)


def test_host_memory_is_zeros_in_whole_pages():
    memory = HostMemory(1 << 16)
    assert memory.address % 4096 == 0 and memory[0 : 1 << 16] == bytes(1 << 16)
    memory[4095:4098] = b"abc"
    assert memory[4094:4099] == b"\0abc\0"
    memory.close()


# ---- registers ----------------------------------------------------------------------------------


def test_regions(kernel):
    device = opened(kernel)
    assert device.region(BAR0) == Region(0b111, 4096, 0)
    assert device.region(CONFIG).nbytes == 4096
    assert device.region(2).nbytes == 0
    with pytest.raises(DeviceError, match=rf"region 9 of {re.escape(CARD)}.*Invalid argument"):
        device.region(9)


def test_registers_while_the_memory_space_is_off(kernel):
    device = opened(kernel)
    device.share(1 << 16, 1 << 28)
    bar = device.region(BAR0)
    for call in (lambda: device.read(bar, 0x18, 4), lambda: device.write(bar, 0x18, 4, 2)):
        with pytest.raises(DeviceError, match=r"at 0x18 of .*error; its memory space is off"):
            call()


def test_accesses_that_are_cut_short(kernel, monkeypatch):
    device = opened(kernel)
    config = device.region(CONFIG)
    monkeypatch.setattr(kernel, "pread", lambda *_: b"\0")
    monkeypatch.setattr(kernel, "pwrite", lambda *_: 1)
    with pytest.raises(DeviceError, match="gave 1 of 2 bytes at 0x4"):
        device.read(config, 4, 2)
    with pytest.raises(DeviceError, match="took 1 of 2 bytes at 0x4"):
        device.write(config, 4, 2, 6)


def test_the_real_system_calls(tmp_path):
    """On a file: what is passed on, and how."""
    kernel = vfio.Kernel()
    path = tmp_path / "file"
    path.write_bytes(bytes(range(16)))
    descriptor = kernel.open(str(path))
    assert kernel.pread(descriptor, 4, 4) == bytes([4, 5, 6, 7])
    assert kernel.pwrite(descriptor, b"ab", 2) == 2
    assert path.read_bytes()[:5] == b"\0\1ab\4"
    fionread, data = 0x541B, bytearray(4)
    assert kernel.ioctl(descriptor, fionread, data) == 0 and struct.unpack("=i", data) == (16,)
    for request in (Request.GET_API_VERSION, Request.IOMMU_MAP_DMA):
        with pytest.raises(OSError, match=r"\[Errno 25\]"):
            kernel.ioctl(descriptor, request)
    kernel.close(descriptor)
    with pytest.raises(OSError, match=r"\[Errno 9\]"):
        kernel.pread(descriptor, 4, 0)
    limit = kernel.locked_limit()
    assert kernel.machine() and (limit is None or limit > 0)
