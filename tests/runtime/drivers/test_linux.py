"""What drivers ask of Linux, on real files and mappings."""

import numpy as np
import pytest

from tests.support.driver_ports import CachedDram
from vta.errors import DeviceError
from vta.runtime.drivers.linux import Linux
from vta.runtime.drivers.pynq_memory import PynqMemory


@pytest.fixture
def linux(tmp_path):
    (tmp_path / "dev").mkdir()
    return Linux(tmp_path)


def test_registers_are_where_their_address_says(linux):
    """A sparse file stands for /dev/mem."""
    with open(linux.path("/dev/mem"), "wb") as file:
        file.truncate(0x43C0_1000)
    registers = linux.map_registers("/dev/mem", 0x43C0_0000, 4096)
    registers.write(0x1C, 0xFEDC_BA98)
    assert registers.read(0x1C) == 0xFEDC_BA98
    assert registers.read(0x18) == 0
    registers.close()
    with open(linux.path("/dev/mem"), "rb") as file:
        file.seek(0x43C0_001C)
        assert file.read(4) == bytes.fromhex("98badcfe")


@pytest.mark.parametrize("offset", [2, -4, 4096])
def test_offsets_are_checked(linux, offset):
    linux.path("/dev/uio0").write_bytes(bytes(4096))
    registers = linux.map_registers("/dev/uio0", 0, 4096)
    for access in (registers.read, lambda at: registers.write(at, 0)):
        with pytest.raises(
            DeviceError, match=r"/dev/uio0\+0x0; must be a multiple of 4 below 0x100"
        ):
            access(offset)
    registers.close()


def test_memory_is_bytes(linux):
    linux.path("/dev/udmabuf0").write_bytes(bytes(8192))
    memory = linux.map_bytes("/dev/udmabuf0", 8192)
    memory[4000:4004] = b"abcd"
    assert memory[3999:4005] == b"\0abcd\0"
    memory.close()


def test_missing_and_forbidden_files_are_told(linux):
    for call in (
        lambda: linux.read("/x"),
        lambda: linux.lock("/x"),
        lambda: linux.map_bytes("/x", 4096),
    ):
        with pytest.raises(DeviceError, match="/x: No such file"):
            call()
    with pytest.raises(DeviceError, match="cannot write /no/x: No such file"):
        linux.write("/no/x", "1")
    linux.path("/text").write_text("many\n")
    with pytest.raises(DeviceError, match="/text holds 'many'; must be a number"):
        linux.read_int("/text")
    linux.path("/empty").write_bytes(b"")
    with pytest.raises(DeviceError, match="cannot map /empty"):
        linux.map_bytes("/empty", 4096)
    assert linux.listing("/nothing") == []


def test_permission_is_told_with_its_remedy(linux, monkeypatch):
    def forbid(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", forbid)
    with pytest.raises(
        DeviceError,
        match="Permission denied; drivers of boards run as root, on a kernel booted with `iomem",
    ):
        linux.map_registers("/dev/mem", 0, 4096)


def test_numbers_are_decimal_or_hexadecimal(linux):
    linux.write("/a", "0x1e900000\n")
    linux.write("/b", "1048576\n")
    assert (linux.read_int("/a"), linux.read_int("/b")) == (0x1E90_0000, 1 << 20)


def test_a_lock_is_for_one(linux):
    linux.path("/dev/x").touch()
    held = linux.lock("/dev/x")
    with pytest.raises(DeviceError, match="another process uses /dev/x"):
        linux.lock("/dev/x")
    linux.unlock(held)
    linux.unlock(linux.lock("/dev/x"))


# ---- the package pynq ---------------------------------------------------------------------------


class Buffer(np.ndarray):
    """As ``pynq.buffer.PynqBuffer``: slices know where they are and can be flushed."""

    def __array_finalize__(self, parent):
        self.dram, self.at = getattr(parent, "dram", None), 0
        if isinstance(parent, Buffer) and parent.dram is not None:
            self.at = parent.at + self.ctypes.data - parent.ctypes.data
        self.device_address = 0x1000_0000 + self.at
        self.coherent = False

    def flush(self):
        self.dram.append(("flush", self.at, self.nbytes))

    def invalidate(self):
        self.dram.append(("invalidate", self.at, self.nbytes))

    def freebuffer(self):
        self.dram.append("free")


def allocate(shape, dtype):
    buffer = np.zeros(shape, dtype).view(Buffer)
    buffer.dram = []
    return buffer


def test_memory_of_pynq():
    memory = PynqMemory(8192, allocate)
    base = 0x1000_0000
    assert (memory.base, memory.nbytes, memory.coherent) == (base, 8192, False)
    memory.write(base + 100, b"abc")
    memory.flush(base + 100, 3)
    memory.invalidate(base + 4096, 4096)
    assert memory.read(base + 99, 5) == b"\0abc\0"
    assert memory._buffer.dram == [("flush", 100, 3), ("invalidate", 4096, 4096)]
    memory.close()


def test_pynq_without_memory_or_package():
    def fail(shape, dtype):
        raise RuntimeError("Allocation failed")

    with pytest.raises(DeviceError, match="pynq has no buffer of 4096 bytes: Allocation failed"):
        PynqMemory(4096, fail)
    with pytest.raises(DeviceError, match="the package pynq was asked for, which cannot be import"):
        PynqMemory(4096)


def test_the_cache_of_these_tests():
    """A line is stale until it is invalidated, the memory is until it is flushed."""
    dram = CachedDram(4096)
    dram[0:4] = b"host"
    assert dram.data[:4].tobytes() != b"host"
    dram.clean(0, 4)
    assert dram.data[:4].tobytes() == b"host"
    dram.data[:4] = 0
    assert dram[0:4] == b"host"
    dram.drop(0, 4)
    assert dram[0:4] == bytes(4) and dram.lost == 0
    dram[0:4] = b"lost"
    dram.drop(0, 4)
    assert dram.lost == 1
