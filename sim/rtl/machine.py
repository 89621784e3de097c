"""The simulated RTL, ``tsim``: the Verilated core with a DRAM and a host, run like the reference
model."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vta.cache import make_writable
from vta.config import INSN_BYTES
from vta.cycle_bound import cycle_bound
from vta.diagnosis import Diagnosis, wide
from vta.errors import DeviceError, EncodingError, TimeoutError
from vta.extras import importing
from vta.isa import Instruction, Isa, PipelineModule
from vta.memmap import COUNTERS, IDENTITY, STATUS_DONE, STATUS_ERROR, Source, config_words
from vta.memory_timing import MemoryTiming
from vta.run_result import Counters, RunResult
from vta.sim.rtl.build import Build, builds_folder
from vta.sim.rtl.building import building
from vta.sim.rtl.compiler import find_compiler
from vta.sim.rtl.harness import BURST, BusReport, Harness, Injection, Pulses, Region

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from vta.config import VTAConfig
    from vta.sim.memory import Memory

__all__ = ["VerilatedMachine"]

_PAGE = 4096
_SLICE = 1_000_000
"""Cycles between two checks for an interrupt from the keyboard."""

_EVERYONE_BUT_FETCH = (1 << Source.LOAD) | (1 << Source.COMPUTE)


class VerilatedMachine:
    """One machine: the RTL of a configuration, simulated clock by clock.

    The on-chip memories keep their contents between runs, and are zero at first. The first machine
    of a configuration is built with Verilator and the C++ compiler (minutes); the build is kept in
    the user's cache folder.

    Parameters
    ----------
    cfg : VTAConfig
        The machine.
    memory_preset : str or MemoryTiming
        The timing of the DRAM: a name of :data:`vta.memory_timing.PRESETS`, or the timing itself.
    seed : int
        Of the memory's random stalls: the same seed gives the same run, cycle by cycle. It also
        moves the instruction stream within its page.
    trace : str or Path or None
        A file for the waves of all runs (FST). A traced machine is another build, and several times
        slower.
    cycle_limit : int or None
        Cycles that a run may take; None derives a generous limit from the work in the stream.
    progress : callable or None
        Told in a few words what is being built, if something has to be built. None: stderr shows
        it, as a status line on a terminal, else as a line for each step.
    verilator : str or Path or None
        An installed Verilator to build with, instead of the one of the Python package.
    observed : bool
        Count the stalls inside the core. An observed machine is another build.
    active : bool
        Record what each unit does in each cycle, see :meth:`activity`. An active machine is another
        build; it cannot be observed, too.
    trace_window : range or None
        Of a machine with ``trace``: indices of instructions. The waves of each run begin when the
        first of them is dispatched and end when all have retired, or with a run that fails. The
        machine is active.

    Attributes
    ----------
    bus : BusReport or None
        The last run as seen from outside the core.

    Raises
    ------
    ToolError
        If a tool that the build needs is missing, or fails.
    DeviceError
        If there is no such preset, or the waves cannot be written.
    """

    def __init__(
        self,
        cfg: VTAConfig,
        memory_preset: str | MemoryTiming = "ideal",
        seed: int = 0,
        trace: str | Path | None = None,
        cycle_limit: int | None = None,
        *,
        progress: Callable[[str], None] | None = None,
        verilator: str | Path | None = None,
        observed: bool = False,
        active: bool = False,
        trace_window: range | None = None,
    ) -> None:
        self.cfg = cfg
        self.isa = Isa.of(cfg)
        self.timing = (
            MemoryTiming.of(memory_preset) if isinstance(memory_preset, str) else memory_preset
        )
        self.seed = seed
        self.trace = None if trace is None else Path(trace)
        self.trace_window = None if trace is None else trace_window
        active = active or self.trace_window is not None
        self.cycle_limit = cycle_limit
        self.bus: BusReport | None = None
        self._stalled = dict.fromkeys(_stall_names() if observed else (), 0)
        probes = _Probes(len(self._stalled), len(_activity_names()) if active else 0)
        self._library = _build(cfg, self.trace is not None, probes, progress, verilator)
        self._harness: Harness | None = None
        self._stopped: str | None = None  # why the next run cannot begin
        self.reset()

    def reset(self) -> None:
        """The state after power-up: all on-chip memories are zero. A wave file begins anew."""
        self.close()
        self._harness = Harness(
            self._library, self.timing, self.trace, windowed=self.trace_window is not None
        )
        self._stopped = None

    def close(self) -> None:
        """End the simulation and complete the wave file; :meth:`reset` starts another."""
        if self._harness is not None:
            self._stalled = self.stalls
            self._harness.close()
            self._harness = None
        self._stopped = "it is closed"

    def run(
        self,
        stream: bytes | Sequence[Instruction],
        memory: Memory,
        *,
        injection: Injection | None = None,
    ) -> RunResult:
        """Execute a stream from launch to done, as a driver would: through the control registers.

        Parameters
        ----------
        stream : bytes or sequence of Instruction
            Encoded, or typed. It is put outside the memory, where only fetch can read it.
        memory : Memory
            Read and written in place; what is outside answers with an error. After an error its
            contents are not defined.
        injection : Injection or None
            Faults of the memory, for tests.

        Raises
        ------
        ExecutionError
            A child that says what is wrong: IllegalInstructionError, SramRangeError,
            DramRangeError, DeadlockError, MissingFinishError, or TimeoutError beyond the cycle
            limit.
        BusProtocolError
            If the RTL breaks a rule of its bus.
        EncodingError
            If a field of a typed instruction does not fit.
        DeviceError
            If the stream is cut in the middle of an instruction or ends before the window of the
            waves, the memory is beyond the reach of the address bus, or an earlier run did not end
            (:meth:`reset` helps).
        """
        if not isinstance(stream, bytes):
            stream = self.isa.encode_all(stream)
        if len(stream) % INSN_BYTES:
            raise DeviceError(
                f"an instruction stream is a multiple of {INSN_BYTES} bytes; got {len(stream)}"
            )
        if self._harness is None or self._stopped:
            raise DeviceError(f"the machine cannot run, {self._stopped}; reset() it")
        insn_addr = self._place(stream, memory)
        limit = self.cycle_limit or cycle_bound(self.isa, stream, self.timing)

        if self.trace_window is not None:
            self._harness.set_window(*_window_pulses(self.isa, stream, self.trace_window))
        self._stopped = "its last run did not end"
        self._harness.start(
            _regions(stream, insn_addr, memory),
            insn_addr,
            len(stream) // INSN_BYTES,
            seed=self.seed,
            injection=injection,
        )
        done = False
        for begin in range(0, limit, _SLICE):
            done = self._harness.advance(min(_SLICE, limit - begin))
            if done:
                break
        self.bus = self._harness.finish()
        diagnosis = Diagnosis(self.isa, stream, insn_addr, self.bus.registers)
        if not done:
            raise diagnosis.error(TimeoutError, f"the run passed its limit of {limit} cycles")
        self._stopped = None
        return self._result(diagnosis)

    def activity(self) -> npt.NDArray[np.uint64]:
        """Of an active machine: what its units did in the last run, as rows of a cycle and the
        value of the probes from that cycle on, shape (n, 2). Bit ``i`` of a value is probe ``i`` of
        :data:`vta.hw.debug.activity_probes.ACTIVITY`. Of another machine: no row."""
        if self._harness is None:
            return np.zeros((0, 2), np.uint64)
        return self._harness.activity()

    def bursts(self) -> npt.NDArray[np.void]:
        """Of an active machine: the complete bursts of the last run, by their ends, shape (n,),
        with the fields of :data:`vta.sim.rtl.harness.BURST`; the IDs of reads are members of
        :class:`vta.memmap.Source`. Of another machine: none."""
        if self._harness is None:
            return np.zeros(0, BURST)
        return self._harness.bursts()

    @property
    def stalls(self) -> dict[str, int]:
        """Of an observed machine: in how many cycles each of
        :data:`vta.hw.debug.stall_probes.STALLS` has happened, by "group: name", in all runs so
        far. Of another: nothing."""
        if self._harness is None:
            return dict(self._stalled)
        now = self._harness.stalls(len(self._stalled))
        return {name: past + n for (name, past), n in zip(self._stalled.items(), now)}

    def time_core_alone(self, stream: bytes | Sequence[Instruction], memory: Memory) -> float:
        """Seconds of CPU time that the bare core needs for what it does in a run from power-up.

        The run is recorded and then replayed with nothing but evaluations. For benchmarks.
        """
        self.reset()
        assert self._harness is not None
        self._harness.record(True)
        self.run(stream, memory)
        alone = Harness(self._library, self.timing)
        seconds, _ = alone.replay(self._harness)
        self.reset()
        return seconds

    def _place(self, stream: bytes, memory: Memory) -> int:
        """An address for the stream, at least a page away from the memory."""
        top = 1 << self.cfg.addr_bits
        if memory.end > top:
            raise DeviceError(
                f"the memory ends at 0x{memory.end:x}; "
                f"the machine's addresses have {self.cfg.addr_bits} bits"
            )
        offset = self.seed * INSN_BYTES % _PAGE
        size = offset + len(stream)
        above = (memory.end + 2 * _PAGE - 1) // _PAGE * _PAGE
        below = (memory.base - _PAGE - size) // _PAGE * _PAGE
        for page in (above, below):
            if page > 0 and page + size <= top:
                return page + offset
        raise DeviceError(
            f"no room for {len(stream)} bytes of instructions beside the memory "
            f"0x{memory.base:x}..0x{memory.end:x} in {self.cfg.addr_bits} bits of address"
        )

    def _result(self, diagnosis: Diagnosis) -> RunResult:
        registers = diagnosis.registers
        found = (registers["ID"], registers["CONFIG0"], registers["CONFIG1"])
        if found != (IDENTITY, *config_words(self.cfg)):
            raise DeviceError(
                "the machine is another one: ID, CONFIG0 and CONFIG1 must read "
                f"{_hex(IDENTITY, *config_words(self.cfg))}; got {_hex(*found)}"
            )
        if not registers["STATUS"] & STATUS_DONE:
            raise DeviceError(f"the interrupt came, but STATUS reads 0x{registers['STATUS']:x}")
        if registers["STATUS"] & STATUS_ERROR or registers["ERROR"]:
            raise diagnosis.reported_error()
        counters = Counters(**{name: wide(registers, name.upper()) for name in COUNTERS})
        return RunResult(counters, wide(registers, "CYCLES"), diagnosis.tokens.as_dict())


def _window_pulses(isa: Isa, stream: bytes, window: range) -> tuple[Pulses, list[Pulses]]:
    """The dispatches up to the first instruction of the window, and the retirements of each module
    up to the last."""
    count = len(stream) // INSN_BYTES
    if not window or window.start < 0 or window.stop > count:
        raise DeviceError(
            f"waves of instructions {window.start} to {window.stop - 1}: must be a range of the "
            f"{count} instructions of the stream, 0 to {count - 1}"
        )
    begin, retirements = window.start + 1, dict.fromkeys(PipelineModule, 0)
    for index in range(window.stop):
        try:
            insn = isa.decode(stream[index * INSN_BYTES : (index + 1) * INSN_BYTES])
        except EncodingError:
            # The run ends there with an error, and the waves with the run: no module reaches its
            # number of retirements. No dispatch follows that of the instruction before.
            begin = min(begin, index)
            retirements = {module: number + 1 for module, number in retirements.items()}
            break
        retirements[insn.module] += 1
    names = _activity_names()
    ends = [
        Pulses(names.index(f"{module.name.lower()} retired"), number)
        for module, number in retirements.items()
    ]
    return Pulses(names.index("dispatched"), begin), ends


def _regions(stream: bytes, insn_addr: int, memory: Memory) -> list[Region]:
    """The regions of the bus: the stream, for fetch only, and the memory, for all other readers; by
    address."""
    code = Region(insn_addr, np.frombuffer(stream, np.uint8), 1 << Source.FETCH, False)
    data = [
        Region(addr, memory.data[addr - memory.base :][:size], _EVERYONE_BUT_FETCH, True)
        for addr, size in memory.ranges()
    ]
    return sorted([code, *data], key=lambda region: region.base)


def _hex(*words: int) -> str:
    return ", ".join(f"0x{word:08x}" for word in words)


@dataclass(frozen=True)
class _Probes:
    """Bits of the outputs of a core with probes; a plain core has none."""

    stalls: int = 0
    activity: int = 0


def _activity_names() -> Sequence[str]:
    """What an active core records, in the order of its bits."""
    with importing("the simulated RTL", "rtl"):
        from vta.hw.debug.activity_probes import ActiveCore

    return ActiveCore.NAMES


def _stall_names() -> Sequence[str]:
    """What an observed core counts, in the order of its bits."""
    with importing("the simulated RTL", "rtl"):
        from vta.hw.debug.stall_probes import ObservedCore

    return ObservedCore.NAMES


def _build(
    cfg: VTAConfig,
    traced: bool,
    probes: _Probes,
    progress: Callable[[str], None] | None,
    verilator: str | Path | None,
) -> Path:
    """The simulator library of a configuration."""
    with building(cfg.fingerprint, progress) as report:
        verilog = _verilog(cfg, probes, traced, report)
        return Build(
            verilog, cfg.bus_bytes, traced, probes.stalls, probes.activity, verilator
        ).library(report)


_WRITTEN: dict[tuple[VTAConfig, _Probes, bool, bool], str] = {}
"""What :func:`_verilog` gave in this process."""


def _verilog(cfg: VTAConfig, probes: _Probes, traced: bool, report: Callable[[str], None]) -> str:
    """The RTL of a configuration, as one flat module unless its waves are to be seen by name."""
    words = find_compiler().sums_in_words
    key = (cfg, probes, traced, words)
    if key not in _WRITTEN:
        _WRITTEN[key] = _kept_verilog(cfg, probes, traced, words, report)
    return _WRITTEN[key]


def _kept_verilog(
    cfg: VTAConfig, probes: _Probes, traced: bool, words: bool, report: Callable[[str], None]
) -> str:
    """The same, kept in the cache folder by a hash of the sources that write it, because
    elaboration takes seconds."""
    with importing("the simulated RTL", "rtl"):
        amaranth = metadata.version("amaranth")
    digest = hashlib.sha256(repr((cfg, probes, traced, words, sys.version, amaranth)).encode())
    edited = 0.0
    for package, pattern in (("vta", "*.py"), ("vta", "isa/*.py"), ("vta.hw", "**/*.py")):
        folder = Path(str(resources.files(package)))
        for source in sorted(folder.glob(pattern)):
            digest.update(source.read_bytes())
            edited = max(edited, source.stat().st_mtime)
    kept = builds_folder() / f"{digest.hexdigest()[:24]}.v"
    if os.path.exists(kept):
        return kept.read_text(encoding="utf-8")
    make_writable(kept.parent)
    report("Amaranth: writing the RTL")
    from vta.hw.emit import emit_flat, emit_verilog
    from vta.hw.lib.simulated import SimulatorPlatform

    ports = {"observed": probes.stalls > 0, "active": probes.activity > 0}
    if traced:
        verilog, _ = emit_verilog(cfg, **ports)
    else:
        verilog = emit_flat(cfg, **ports, platform=SimulatorPlatform() if words else None)
    if edited > _process_start():  # this process may have read the sources before they changed
        return verilog
    fresh = kept.with_suffix(f".{os.getpid()}")
    fresh.write_text(verilog, encoding="utf-8")
    fresh.replace(kept)
    return verilog


def _process_start() -> float:
    """When this process began, in seconds since the epoch; 0 where that is not known."""
    try:
        return os.stat("/proc/self").st_ctime
    except OSError:
        return 0.0
