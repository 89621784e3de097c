"""Boards for tests: a tree of the kernel's files whose attributes do what the kernel's do, the
registers of the processing system, and the RTL where the FPGA is.

Whatever would hang a processor, or be undefined, is an assertion here.
"""

from __future__ import annotations

import numpy as np

from tests.support.driver_ports import (
    CLOCK_HZ,
    CachedDram,
    PlainDram,
    RtlBoard,
    RtlRegisters,
)
from tests.support.small_vadd import TINY
from tests.support.verilated import verilated
from vta.bitstream import Bitstream
from vta.errors import DeviceError
from vta.runtime.drivers.linux import DEV_MEM, Linux

__all__ = ["FakeDe10Nano", "FakeLinux", "FakePynq", "Page", "de10_bitstream", "pynq_bitstream"]

NBYTES = 1 << 20
PHYSICAL = 0x1E90_0000
_UDMABUF = "/sys/class/u-dma-buf/udmabuf0"
_MANAGER = "/sys/class/fpga_manager/fpga0"

XILINX_DATA = b"\xff" * 32 + bytes.fromhex("aa995566") + bytes(range(1, 253))
RBF_DATA = np.random.default_rng(7).integers(0, 256, 4098, np.uint8).tobytes()


def pynq_bitstream(**changes):
    values = {
        "board": "pynq_z1", "part": "xc7z020clg400-1", "cfg": TINY, "clock_hz": 100_000_000,
        "data_format": "xilinx-bin", "data": XILINX_DATA,
    }  # fmt: skip
    return Bitstream(**values | changes)


def de10_bitstream(**changes):
    values = {
        "board": "de10_nano", "part": "5CSEBA6U23I7", "cfg": TINY, "clock_hz": 50_000_000,
        "data_format": "rbf", "data": RBF_DATA,
    }  # fmt: skip
    return Bitstream(**values | changes)


class FakeLinux(Linux):
    """The kernel's files in a folder.

    Attributes
    ----------
    pages : dict of (str, int) to callable
        What is mapped at an offset of a device file: gives its registers.
    memories : dict of str to object
        What is mapped for plain memory.
    hooks : dict of str to callable
        Called with the bytes that were written to a file.
    """

    def __init__(self, root):
        super().__init__(root)
        self.pages, self.memories, self.hooks = {}, {}, {}

    def put(self, name, text=""):
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")

    def write(self, name, content):
        super().write(name, content)
        if name in self.hooks:
            self.hooks[name](content if isinstance(content, bytes) else content.encode())

    def map_registers(self, name, offset, nbytes):
        assert nbytes == 4096
        if (name, offset) not in self.pages:
            raise AssertionError(f"nothing is at {name}+0x{offset:x}: a bus error")
        return self.pages[name, offset]()

    def map_bytes(self, name, nbytes):
        memory = self.memories[name]
        assert nbytes == memory.data.size
        return memory


class Page:
    """Registers that hold what is written, some only while a lock is open."""

    def __init__(self, **values):
        self.words = {int(key.removeprefix("at_"), 16): value for key, value in values.items()}
        self.log = []
        self.locked = None  # offset and key

    def __call__(self):
        return self

    def read(self, offset):
        return self.words.get(offset, 0)

    def write(self, offset, value):
        self.log.append((offset, value))
        if self.locked and offset == self.locked[0]:
            self.locked = None if value == self.locked[1] else self.locked
        elif not self.locked:
            self.words[offset] = value

    def close(self):
        pass


class _Board:
    """What the two have in common: a u-dma-buf, and the RTL once the FPGA is configured."""

    def __init__(self, root, dram, window, preset, clock_hz):
        self.linux = FakeLinux(root)
        self.preset, self.clock_hz = preset, clock_hz
        self.dram, self.window = dram, window
        self.rtl = None
        self.syncs, self.windows = [], []
        linux = self.linux
        linux.put(f"{_UDMABUF}/phys_addr", f"0x{PHYSICAL:08x}")
        linux.put(f"{_UDMABUF}/size", str(dram.data.size))
        linux.put("/dev/udmabuf0")
        linux.put("/dev/mem")
        linux.memories["/dev/udmabuf0"] = dram
        dram.close = lambda: None
        for name in ("sync_for_cpu", "sync_for_device"):
            linux.put(f"{_UDMABUF}/{name}")
            linux.hooks[f"{_UDMABUF}/{name}"] = lambda text, name=name: self._sync(name, text)

    def _sync(self, name, text):
        word = int(text, 16)
        offset, size = word >> 32, word & 0xFFFF_FFF0
        direction, do = word >> 2 & 3, word & 1
        assert do and offset + size <= self.dram.data.size and not word & 2
        assert direction == {"sync_for_device": 1, "sync_for_cpu": 2}[name]
        self.syncs.append((name, offset, size))
        if isinstance(self.dram, CachedDram):
            (self.dram.clean if name == "sync_for_device" else self.dram.drop)(
                offset, offset + size
            )

    def configured(self):
        """The design is in the FPGA now: a machine after power-up."""
        self.rtl = RtlBoard(
            verilated(self.preset)._library, self.dram, PHYSICAL + self.window,
            clock_hz=self.clock_hz,
        )  # fmt: skip

    def clock(self):
        return self.rtl.clock() if self.rtl else 0.0

    def pause(self, seconds):
        self.rtl.pause(seconds)

    def options(self, **others):
        """How a test opens the driver."""
        return {"linux": self.linux, "clock": self.clock, "pause": self.pause} | others


class FakePynq(_Board):
    """A PYNQ-Z1: caches that the memory port does not see, AMD's FPGA manager, an SLCR.

    Attributes
    ----------
    slcr, afi : Page
        Registers of the processing system; the SLCR is locked.
    loaded : list of bytes
        What the kernel put into the FPGA.
    """

    REGISTERS = 0x43C0_0000

    def __init__(self, root, *, nbytes=NBYTES, preset="tiny", clock_hz=CLOCK_HZ):
        super().__init__(root, CachedDram(nbytes), 0, preset, clock_hz)
        linux = self.linux
        self.slcr = Page(at_108=0x0001_4008, at_170=0x0050_0800)  # 20 * 50 MHz, / 8 / 5
        self.slcr.locked = (0x008, 0xDF0D)
        self.afi = Page(at_0=1, at_14=0xF01)
        linux.pages |= {
            (DEV_MEM, 0xF800_0000): self.slcr,
            (DEV_MEM, 0xF800_8000): self.afi,
            (DEV_MEM, self.REGISTERS): self._registers,
        }
        linux.put(f"{_MANAGER}/state", "unknown")
        linux.put(f"{_MANAGER}/flags", "1")
        linux.put(f"{_MANAGER}/firmware")
        linux.path("/lib/firmware").mkdir(parents=True)
        linux.hooks[f"{_MANAGER}/firmware"] = self._load
        self.loaded = []

    def _load(self, name):
        assert self.linux.read(f"{_MANAGER}/flags") == "0"
        data = self.linux.path(f"/lib/firmware/{name.decode()}").read_bytes()
        if bytes.fromhex("665599aa") not in data:  # the kernel's driver looks for just this
            self.linux.put(f"{_MANAGER}/state", "write init error")
            raise DeviceError(f"cannot write {_MANAGER}/firmware: Invalid argument")
        self.loaded.append(data)
        self.linux.put(f"{_MANAGER}/state", "operating")
        self.configured()

    def _registers(self):
        return _Guarded(self)

    def check_reachable(self):
        assert self.rtl, "a register of an empty FPGA is touched: the processor hangs"


class _Guarded(RtlRegisters):
    """Registers that must not be touched while the FPGA is empty or behind a closed bridge."""

    def __init__(self, fake):
        super().__init__(None)
        self.fake = fake
        fake.windows.append(self)

    def read(self, offset):
        self.fake.check_reachable()
        self.board = self.fake.rtl
        return super().read(offset)

    def write(self, offset, value):
        self.fake.check_reachable()
        self.board = self.fake.rtl
        super().write(offset, value)


class FakeDe10Nano(_Board):
    """A DE10-Nano: a coherent memory port behind a window, the FPGA manager's registers, bridges.

    Attributes
    ----------
    manager : FpgaManagerModel
        Takes configurations.
    """

    REGISTERS = 0xFF20_0000

    def __init__(self, root, msel=0b01010, *, nbytes=NBYTES, preset="tiny", clock_hz=CLOCK_HZ):
        super().__init__(root, PlainDram(nbytes), 0x8000_0000, preset, clock_hz)
        self.manager = FpgaManagerModel(self, msel)
        self.resets = Page(at_1c=0b111)
        self.interconnect = Page()
        self.linux.pages |= {
            (DEV_MEM, 0xFF70_6000): lambda: self.manager,
            (DEV_MEM, 0xFFB9_0000): lambda: self.manager.data,
            (DEV_MEM, 0xFFD0_5000): self.resets,
            (DEV_MEM, 0xFF80_0000): self.interconnect,
            (DEV_MEM, self.REGISTERS): lambda: _Guarded(self),
        }

    def check_reachable(self):
        assert self.rtl, "a register of an empty FPGA is touched: the processor hangs"
        assert not self.resets.read(0x1C) & 0b110, "a bridge is in reset: the processor hangs"
        assert self.interconnect.read(0) & 0x10, "the lightweight bridge is not in the address map"


class FpgaManagerModel:
    """The FPGA manager of a Cyclone V, as its manual tells: phases, data, clocks.

    Attributes
    ----------
    takes : bytes
        The configuration for this FPGA; any other one is an error.
    """

    OFF, RESET, CONFIG, INIT, USER = range(5)

    def __init__(self, fake, msel):
        self.fake, self.msel = fake, msel
        self.takes = RBF_DATA + bytes(-len(RBF_DATA) % 4)
        self.control, self.phase = 0x2, self.CONFIG
        self.dclk_done = 1  # the boot loader's clocks are counted
        self.acknowledged = False
        self.got = bytearray()
        self.data = self.Data(self)
        self.deaf = False

    class Data:
        def __init__(self, manager):
            self.manager = manager

        def write(self, offset, value):
            manager = self.manager
            assert offset == 0 and manager.control & 0x101 == 0x101, "data without AXICFGEN and EN"
            assert manager.fake.resets.read(0x1C) & 0b111 == 0b111, "configured with open bridges"
            assert manager.acknowledged, "the edge of nSTATUS is not acknowledged"
            if manager.phase == manager.CONFIG:
                manager.got += value.to_bytes(4, "little")

        def close(self):
            pass

    @property
    def accepted(self):
        return self.phase in (self.INIT, self.USER) or bytes(self.got) == self.takes

    def read(self, offset):
        done = self.accepted and not self.deaf
        broken = len(self.got) >= len(self.takes) and not self.accepted
        return {
            0x00: self.msel << 3 | self.phase,
            0x04: self.control,
            0x0C: self.dclk_done,
            0x850: 0x800 | (0 if broken else 1) | (2 if done else 0),
        }[offset]

    def write(self, offset, value):
        if offset == 0x04:
            self.control = value
            if value & 1 and value & 4:
                assert not value & 2, "nCE is high"
                width, ratio = value >> 9 & 1, value >> 6 & 3
                assert (width, ratio) == {0b01010: (1, 3), 0: (0, 0)}[self.msel]
                self.phase, self.got, self.acknowledged = self.RESET, bytearray(), False
                self.fake.rtl = None
            elif self.phase == self.RESET:
                self.phase = self.CONFIG
        elif offset == 0x08:
            assert value == 4 and not self.control & 0x100
            assert not self.dclk_done, "clocks that were counted before are taken for these"
            self.dclk_done = 1
            if self.accepted:
                self.phase = self.USER
                self.fake.configured()
        elif offset == 0x0C:
            self.dclk_done &= ~value
        else:
            assert offset == 0x84C and value == 1, f"write at {offset:x}"
            self.acknowledged = self.phase == self.CONFIG

    def close(self):
        pass
