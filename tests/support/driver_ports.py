"""What a driver talks to in tests: the real RTL behind its control port, and memory with a cache
that keeps nothing coherent by itself."""

from __future__ import annotations

import numpy as np

from vta.memmap import CONTROL_LAUNCH, STATUS_DONE, register
from vta.memory_timing import MemoryTiming
from vta.sim.rtl.harness import Harness, Region

__all__ = ["CLOCK_HZ", "CachedDram", "PlainDram", "PortMemory", "RtlBoard", "RtlRegisters"]

CLOCK_HZ = 200_000
"""Slow, so that the seconds of a time-out are few cycles."""
ANY_ID = 0b111


class RtlBoard:
    """A machine after power-up, with memory on its bus and a clock of its own.

    Parameters
    ----------
    library : Path
        The Verilated machine.
    dram : PlainDram or CachedDram
        What is on the bus.
    base : int
        Where the accelerator sees the memory's first byte.
    timing : MemoryTiming
        Of the memory.
    clock_hz : int
        The accelerator's clock, as the host's clock goes.
    """

    def __init__(self, library, dram, base, timing=None, clock_hz=CLOCK_HZ):
        self.library, self.dram, self.base, self.clock_hz = library, dram, base, clock_hz
        self.timing = timing or MemoryTiming()
        self.seconds = 0.0
        self.accesses = []  # (offset, value written or None)
        self.power_up()

    def power_up(self):
        """As after configuring the FPGA: everything on chip is as at first."""
        self.harness = Harness(self.library, self.timing)
        self.harness.map([Region(self.base, self.dram.data, ANY_ID, True)])

    def clock(self):
        return self.seconds

    def pause(self, seconds):
        cycles = max(1, round(seconds * self.clock_hz))
        self.harness.step(cycles)
        self.seconds += cycles / self.clock_hz

    def read(self, offset):
        self.accesses.append((offset, None))
        value = self.harness.read_register(offset)
        if offset == register("STATUS").offset and value & STATUS_DONE:
            self.dram.after_run()
        return value

    def write(self, offset, value):
        self.accesses.append((offset, value))
        if offset == register("CONTROL").offset and value & CONTROL_LAUNCH:
            self.dram.before_run()
        self.harness.write_register(offset, value)

    def written(self, name):
        """What was written to a register, in order."""
        offset = register(name).offset
        return [value for at, value in self.accesses if at == offset and value is not None]


class RtlRegisters:
    """The control port as a driver's registers."""

    def __init__(self, board):
        self.board = board
        self.closed = False

    def read(self, offset):
        assert not self.closed
        return self.board.read(offset)

    def write(self, offset, value):
        assert not self.closed
        self.board.write(offset, value)

    def close(self):
        self.closed = True


class PlainDram:
    """Memory that host and accelerator see alike: a coherent port. Slices are what the host sees.

    What is in it at first is not zero.
    """

    def __init__(self, nbytes, seed=1):
        self.data = np.random.default_rng(seed).integers(0, 256, nbytes, np.uint8)

    def __getitem__(self, key):
        return self.data[key].tobytes()

    def __setitem__(self, key, data):
        self.data[key] = np.frombuffer(data, np.uint8)

    def before_run(self):
        pass

    def after_run(self):
        pass


class CachedDram(PlainDram):
    """Memory behind a write-back cache of the host that the accelerator's port does not see.

    The cache is as unkind as one may be: before a run it holds every line (it reads ahead), so that
    later reads are stale until a line is invalidated; after a run it writes back every line that
    is still dirty, over what the accelerator wrote.

    Attributes
    ----------
    data : ndarray of uint8
        The memory, as the accelerator sees it.
    lost : int
        Dirty lines that were invalidated: what the host wrote there is gone.
    """

    LINE = 32

    def __init__(self, nbytes, seed=1):
        super().__init__(nbytes, seed)
        self.cached = self.data.copy()
        lines = nbytes // self.LINE
        self.valid, self.dirty = np.ones(lines, bool), np.zeros(lines, bool)
        self.lost = 0

    def _lines(self, key):
        return slice(key.start // self.LINE, -(-key.stop // self.LINE))

    def _bytes(self, lines):
        return self.cached.reshape(-1, self.LINE)[lines], self.data.reshape(-1, self.LINE)[lines]

    def _fill(self, lines):
        cached, data = self._bytes(lines)
        missing = ~self.valid[lines]
        cached[missing] = data[missing]
        self.valid[lines] = True

    def __getitem__(self, key):
        self._fill(self._lines(key))
        return self.cached[key].tobytes()

    def __setitem__(self, key, data):
        lines = self._lines(key)
        self._fill(lines)  # the lines at both ends are written in part
        self.cached[key] = np.frombuffer(data, np.uint8)
        self.dirty[lines] = True

    def clean(self, start, stop):
        """Write the dirty lines of a range back; they stay valid."""
        lines = self._lines(slice(start, stop))
        cached, data = self._bytes(lines)
        data[self.dirty[lines]] = cached[self.dirty[lines]]
        self.dirty[lines] = False

    def drop(self, start, stop):
        """Invalidate a range."""
        lines = self._lines(slice(start, stop))
        self.lost += int(self.dirty[lines].sum())
        self.valid[lines] = self.dirty[lines] = False

    def before_run(self):
        self._fill(slice(0, len(self.valid)))

    def after_run(self):
        self.clean(0, self.data.size)


class PortMemory:
    """A memory as a driver's: slices, with `clean` and `drop` for flush and invalidate.

    Parameters
    ----------
    dram : PlainDram or CachedDram
        Coherent if it is plain.
    base : int
        Address of its first byte for the accelerator.
    """

    def __init__(self, dram, base):
        self.dram, self.base, self.nbytes = dram, base, dram.data.size
        self.coherent = not isinstance(dram, CachedDram)
        self.closed = False

    def _slice(self, addr, nbytes):
        assert not self.closed and self.base <= addr <= addr + nbytes <= self.base + self.nbytes
        return slice(addr - self.base, addr - self.base + nbytes)

    def read(self, addr, nbytes):
        return self.dram[self._slice(addr, nbytes)]

    def write(self, addr, data):
        self.dram[self._slice(addr, len(data))] = data

    def flush(self, addr, nbytes):
        key = self._slice(addr, nbytes)
        if not self.coherent:
            self.dram.clean(key.start, key.stop)

    def invalidate(self, addr, nbytes):
        assert not self.coherent, "the accelerator's data may be in the cache only"
        key = self._slice(addr, nbytes)
        self.dram.drop(key.start, key.stop)

    def close(self):
        self.closed = True
