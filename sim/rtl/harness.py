"""The simulator library seen from Python: csrc/tsim.h in ctypes. A few calls for each run, never
one for each cycle; only a driver that is tried on the machine calls once a register access."""

from __future__ import annotations

import ctypes
import dataclasses
from ctypes import POINTER, c_char_p, c_double, c_int32, c_uint8, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vta.errors import BusProtocolError, DeviceError
from vta.memory_timing import MemoryTiming
from vta.sim.rtl.build import readable_registers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["BURST", "BusReport", "Harness", "Injection", "Pulses", "Region"]

_NEVER = (1 << 64) - 1

BURST = np.dtype(
    [(name, "<u8") for name in ("address", "requested", "first", "last", "response")]
    + [("beats", "<u4"), ("id", "u1"), ("write", "u1"), ("", "<u2")]
)
"""A burst of the memory port: its address, the cycles of its address, of its first and last beat
and of its response (of a read: its last beat), its beats, its AXI ID, and whether it is a write."""


class _Region(ctypes.Structure):
    _fields_ = (
        ("base", c_uint64),
        ("size", c_uint64),
        ("data", POINTER(c_uint8)),
        ("read_ids", c_uint32),
        ("writable", c_uint32),
    )


class _Timing(ctypes.Structure):
    _fields_ = (
        *((name, c_uint32) for name in ("read_latency", "write_latency")),
        *((name, c_uint32) for name in ("outstanding_reads", "outstanding_writes")),
        *((name, c_uint32) for name in ("shared_bus", "reorder")),
        *((name, c_double) for name in ("beat_rate", "stall_ar", "stall_r")),
        *((name, c_double) for name in ("stall_aw", "stall_w", "stall_b")),
    )


class _Injection(ctypes.Structure):
    _fields_ = tuple((name, c_uint64) for name in ("read_beat", "write_burst", "low", "high"))


class _Report(ctypes.Structure):
    _fields_ = (
        ("registers", c_uint32 * len(readable_registers())),
        *((name, c_uint64) for name in ("cycles", "read_beats", "write_beats")),
        *((name, c_uint32) for name in ("refused", "refused_write", "refused_id")),
        ("refused_addr", c_uint64),
    )


class _Pulses(ctypes.Structure):
    _fields_ = tuple((name, c_uint32) for name in ("probe", "pulses"))


class _Window(ctypes.Structure):
    _fields_ = (("begin", _Pulses), ("ends", _Pulses * 3))


@dataclass(frozen=True)
class Pulses:
    """So many pulses of a probe of an active core.

    Attributes
    ----------
    probe : int
        The bit of the output of the probes.
    count : int
        How many of its pulses; 0 is reached at once.
    """

    probe: int
    count: int


@dataclass(frozen=True)
class Region:
    """A range of physical addresses that answers.

    Attributes
    ----------
    base : int
        Address of the first byte.
    data : ndarray of uint8, shape (size,)
        The bytes themselves, contiguous; used in place for as long as the run lasts.
    read_ids : int
        Bit ``i``: the AXI read ID ``i`` may read here.
    writable : bool
        Whether the core may write here.
    """

    base: int
    data: npt.NDArray[np.uint8]
    read_ids: int
    writable: bool


@dataclass(frozen=True)
class Injection:
    """Faults on purpose: the memory answers SLVERR.

    Attributes
    ----------
    read_beat : int or None
        To this read beat of each run, counted from 0.
    write_burst : int or None
        To this write burst of each run, counted from 0.
    low, high : int
        To every beat that touches addresses ``low <= a < high``.
    """

    read_beat: int | None = None
    write_burst: int | None = None
    low: int = 0
    high: int = 0


@dataclass(frozen=True)
class BusReport:
    """What a run looked like from outside the core.

    Attributes
    ----------
    registers : dict of str to int
        Every readable control register, by name, as it was at the end.
    cycles : int
        Clock cycles, those in which the host wrote and read registers included.
    read_beats, write_beats : int
        Data beats that crossed the memory port.
    refused : str or None
        The first access that met no region, in words.
    """

    registers: dict[str, int] = field(repr=False)
    cycles: int
    read_beats: int
    write_beats: int
    refused: str | None


class Harness:
    """One simulated machine: a core after power-up, its memory and its host.

    Parameters
    ----------
    library : Path
        What :meth:`vta.sim.rtl.build.Build.library` made.
    timing : MemoryTiming
        How the memory behaves.
    trace : Path or None
        File for the waves; the library must be a traced build.
    windowed : bool
        Waves are written in the windows of :meth:`set_window` only.

    Raises
    ------
    DeviceError
        If the waves cannot be written.
    """

    def __init__(
        self,
        library: Path,
        timing: MemoryTiming,
        trace: Path | None = None,
        *,
        windowed: bool = False,
    ) -> None:
        self._library = _load(library)
        values = dataclasses.asdict(timing)
        if trace is not None:
            try:
                trace.write_bytes(b"")
            except OSError as error:
                raise DeviceError(f"cannot write the waves to {trace}: {error.strerror}") from None
        path = None if trace is None else str(trace).encode()
        self._machine = self._library.tsim_new(ctypes.byref(_Timing(**values)), path, windowed)

    def close(self) -> None:
        """End the simulation and complete the wave file."""
        if self._machine:
            self._library.tsim_delete(self._machine)
            self._machine = None

    def __del__(self) -> None:
        if getattr(self, "_machine", None):
            self.close()

    def start(
        self,
        regions: Sequence[Region],
        insn_addr: int,
        insn_count: int,
        *,
        seed: int = 0,
        injection: Injection | None = None,
    ) -> None:
        """Map the memory and launch; the same seed gives the same stalls.

        Raises
        ------
        BusProtocolError
            If the core breaks a rule of one of its buses. It must be thrown away then.
        """
        memory = self._memory(regions, seed, injection)
        self._check(self._library.tsim_start(self._machine, *memory, insn_addr, insn_count))

    def advance(self, cycles: int) -> bool:
        """Run until the core is done, but no more than ``cycles`` cycles; returns whether it is
        done.

        Raises
        ------
        BusProtocolError
            As :meth:`start`.
        """
        return bool(self._check(self._library.tsim_advance(self._machine, cycles)))

    def finish(self) -> BusReport:
        """Read the registers over the control port, done or not, and acknowledge the end if there
        is one.

        Raises
        ------
        BusProtocolError
            As :meth:`start`; also if the control port does not answer.
        """
        raw = _Report()
        self._check(self._library.tsim_finish(self._machine, ctypes.byref(raw)))
        refused = None
        if raw.refused:
            kind = "write" if raw.refused_write else "read"
            refused = f"{kind} at 0x{raw.refused_addr:x} (AXI ID {raw.refused_id})"
        names = (item.name for item in readable_registers())
        return BusReport(
            dict(zip(names, raw.registers)), raw.cycles, raw.read_beats, raw.write_beats, refused
        )

    def set_window(self, begin: Pulses, ends: Sequence[Pulses]) -> None:
        """Of a windowed harness, of a build with activity probes: write the waves of the next run
        from the cycle in which ``begin`` is reached to a few cycles after all three ``ends`` are.
        """
        raw = _Window(_Pulses(begin.probe, begin.count))
        raw.ends[:] = [_Pulses(end.probe, end.count) for end in ends]
        self._library.tsim_window(self._machine, ctypes.byref(raw))

    # ---- for a driver that launches by itself -------------------------------------------------

    def map(
        self, regions: Sequence[Region], *, seed: int = 0, injection: Injection | None = None
    ) -> None:
        """Map the memory, while nothing is on the bus.

        Raises
        ------
        BusProtocolError
            As :meth:`start`, here and below.
        """
        memory = self._memory(regions, seed, injection)
        self._check(self._library.tsim_map(self._machine, *memory))

    def write_register(self, offset: int, value: int) -> None:
        """One write at the pins of the control port, and the cycles that it takes."""
        self._check(self._library.tsim_write(self._machine, offset, value))

    def read_register(self, offset: int) -> int:
        """One read at the pins of the control port, and the cycles that it takes."""
        value = c_uint32()
        self._check(self._library.tsim_read(self._machine, offset, ctypes.byref(value)))
        return value.value

    def step(self, cycles: int) -> None:
        """Let so many cycles pass."""
        self._check(self._library.tsim_step(self._machine, cycles))

    # ---- for coverage -------------------------------------------------------------------------

    def stalls(self, count: int) -> list[int]:
        """In how many cycles each of the ``count`` stalls of an observed core has happened."""
        counts = (c_uint64 * count)()
        self._library.tsim_stalls(self._machine, counts)
        return list(counts)

    # ---- for profiles -------------------------------------------------------------------------

    def activity(self) -> npt.NDArray[np.uint64]:
        """The changes of the output of an active core since the last launch: rows of a cycle and
        the value from that cycle on, shape (n, 2). Empty for another core."""
        words = POINTER(c_uint64)()
        count = self._library.tsim_activity(self._machine, ctypes.byref(words))
        if not count:
            return np.zeros((0, 2), np.uint64)
        return np.ctypeslib.as_array(words, (count,)).reshape(-1, 2).copy()

    def bursts(self) -> npt.NDArray[np.void]:
        """The bursts of an active core that are complete since the last launch, by their ends,
        shape (n,), with the fields of :data:`BURST`. Empty for another core."""
        words = c_void_p()
        count = self._library.tsim_bursts(self._machine, ctypes.byref(words))
        if not count:
            return np.zeros(0, BURST)
        assert words.value is not None, "an array that is not empty has an address"
        return np.frombuffer(ctypes.string_at(words.value, count * BURST.itemsize), BURST)

    # ---- for benchmarks -----------------------------------------------------------------------

    def record(self, on: bool) -> None:
        """Keep what the core's inputs are in each cycle, for :meth:`replay`."""
        self._library.tsim_record(self._machine, on)

    def replay(self, recorded: Harness) -> tuple[float, int]:
        """Evaluate the core alone with recorded inputs; returns the seconds of CPU time and
        the cycles."""
        cycles = c_uint64()
        seconds = self._library.tsim_replay(self._machine, recorded._machine, ctypes.byref(cycles))
        return seconds, cycles.value

    def _memory(
        self, regions: Sequence[Region], seed: int, injection: Injection | None
    ) -> tuple[object, ...]:
        """The arguments that say what answers on the bus, and how."""
        self._regions = list(regions)  # keeps the arrays alive while C++ has their addresses
        mapped = (_Region * len(regions))(*map(_mapped, regions))
        injected = injection or Injection()
        faults = _Injection(
            _NEVER if injected.read_beat is None else injected.read_beat,
            _NEVER if injected.write_burst is None else injected.write_burst,
            injected.low,
            injected.high,
        )
        return mapped, len(regions), ctypes.byref(faults), seed & _NEVER

    def _check(self, state: int) -> int:
        """Raise if the machine is broken; otherwise 0 running, 1 done."""
        if state not in (0, 1):
            raise BusProtocolError(self._library.tsim_message(self._machine).decode())
        return state


def _mapped(region: Region) -> _Region:
    assert region.data.flags.c_contiguous and region.data.itemsize == 1
    pointer = ctypes.cast(region.data.ctypes.data, POINTER(c_uint8))
    return _Region(region.base, region.data.size, pointer, region.read_ids, region.writable)


def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    memory = (POINTER(_Region), c_uint32, POINTER(_Injection), c_uint64)
    signatures = {
        "tsim_new": (c_void_p, (POINTER(_Timing), c_char_p, c_int32)),
        "tsim_delete": (None, (c_void_p,)),
        "tsim_start": (c_int32, (c_void_p, *memory, c_uint64, c_uint32)),
        "tsim_advance": (c_int32, (c_void_p, c_uint64)),
        "tsim_finish": (c_int32, (c_void_p, POINTER(_Report))),
        "tsim_message": (c_char_p, (c_void_p,)),
        "tsim_map": (c_int32, (c_void_p, *memory)),
        "tsim_write": (c_int32, (c_void_p, c_uint32, c_uint32)),
        "tsim_read": (c_int32, (c_void_p, c_uint32, POINTER(c_uint32))),
        "tsim_step": (c_int32, (c_void_p, c_uint64)),
        "tsim_stalls": (None, (c_void_p, POINTER(c_uint64))),
        "tsim_activity": (c_uint64, (c_void_p, POINTER(POINTER(c_uint64)))),
        "tsim_bursts": (c_uint64, (c_void_p, POINTER(c_void_p))),
        "tsim_window": (None, (c_void_p, POINTER(_Window))),
        "tsim_record": (None, (c_void_p, c_int32)),
        "tsim_replay": (c_double, (c_void_p, c_void_p, POINTER(c_uint64))),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
