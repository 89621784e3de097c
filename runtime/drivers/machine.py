"""The driver: one accelerator behind registers and memory, whatever board it is on."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from vta.config import INSN_BYTES
from vta.cycle_bound import cycle_bound
from vta.diagnosis import Diagnosis, wide
from vta.errors import DeviceError, TimeoutError
from vta.isa import TOKEN_QUEUES, Isa
from vta.memmap import (
    CONTROL_LAUNCH,
    CONTROL_RESET,
    COUNTERS,
    REGISTERS,
    STATUS_BUSY,
    STATUS_DONE,
    STATUS_ERROR,
    register,
)
from vta.memory_timing import MemoryTiming
from vta.run_result import Counters, RunResult
from vta.runtime.allocator import Allocator
from vta.runtime.drivers.identity import require_identity
from vta.runtime.drivers.ports import LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from vta.config import VTAConfig
    from vta.runtime.drivers.ports import DeviceMemory, Registers

__all__ = ["MappedDevice"]

_SHORTEST_SLEEP, _LONGEST_SLEEP = 20e-6, 2e-3
"""Seconds between two polls of STATUS: a tenth of the time that has passed, within these."""
_SETTLE_SECONDS = 1.0
"""How long a machine may take to finish its bus transfers and be idle; it takes microseconds."""
_SOONEST_TIMEOUT = 1.0
"""Seconds before which no run is given up, and before which its length is not estimated."""
SLOWEST_CLOCK_HZ = 10_000_000
"""What time-outs reckon with where the clock is not known."""

_OFFSETS = {item.name: item.offset for item in REGISTERS if item.access != "wo"}
_RESULTS = (
    *(f"{name.upper()}{half}" for name in ("cycles", *COUNTERS) for half in ("", "_HI")),
    *(f"TOKENS_{queue.name.upper()}" for queue in TOKEN_QUEUES),
)


class MappedDevice:
    """An accelerator behind its registers; implements :class:`vta.runtime.device.Device`.

    What the host writes is flushed at once, so that at no launch, and at no read, anything of the
    host's is only in a cache; what it reads is invalidated first. Not thread-safe.

    Parameters
    ----------
    cfg : VTAConfig
        The machine that is expected. Bus and address widths are taken from the hardware.
    registers, memory : Registers, DeviceMemory
        See :mod:`.ports`; closed with the device.
    name : str or None
        The target's name; None: the configuration's TARGET.
    clock_hz : int or None
        The accelerator's clock in Hz, for time-outs; None: some 10 MHz or more.
    timeout : float or None
        Seconds after which a run is given up. None: a generous bound derived from the work in the
        stream, at least one second.
    on_run : callable or None
        Called with the result of every run.
    clock, pause : callable
        Seconds now, and wait so many seconds: for tests, where time is the simulation's.

    Raises
    ------
    DeviceError
        If another machine answers, or the memory is beyond the reach of its addresses.
    """

    def __init__(
        self,
        cfg: VTAConfig,
        registers: Registers,
        memory: DeviceMemory,
        *,
        name: str | None = None,
        clock_hz: int | None = None,
        timeout: float | None = None,
        on_run: Callable[[RunResult], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.cfg = cfg
        self.name = name or cfg.target
        self.clock_hz = clock_hz
        self.timeout = timeout
        self.on_run = on_run
        self._registers, self._memory = registers, memory
        self._clock, self._pause = clock, pause
        self._isa = Isa.of(cfg)
        self._closed = False
        self._interrupted = False
        self._unusable: str | None = None  # why nothing can run
        self._allocator = Allocator(memory.base, memory.nbytes)
        self._identify()

    def __repr__(self) -> str:
        return f"{self.name}({self.cfg.fingerprint})"

    def _identify(self) -> None:
        """Make sure that the machine is ours, and idle."""
        machine = require_identity(self._registers, self.cfg)
        end = self._memory.base + self._memory.nbytes
        if end > 1 << machine.addr_bits:
            raise DeviceError(
                f"the device memory ends at 0x{end:x}; the machine's addresses have "
                f"{machine.addr_bits} bits"
            )
        self._reset()

    # ---- memory ----------------------------------------------------------------------------------

    def alloc(self, nbytes: int) -> int:
        self._require_open()
        addr = self._allocator.alloc(nbytes)
        self.write(addr, bytes(nbytes))
        return addr

    @property
    def free_bytes(self) -> int:
        return self._allocator.free_bytes

    def free(self, addr: int) -> None:
        if not self._closed:  # all memory went with the device
            self._allocator.free(addr)

    def write(self, addr: int, data: bytes) -> None:
        self._require_open()
        self._allocator.require(addr, len(data))
        if not data:
            return
        end = addr + len(data)
        if not self._memory.coherent:
            # Lines that are written in part go to memory as a whole: the rest of them must be what
            # the accelerator has left there.
            for edge in (addr, end):
                if edge % LINE_BYTES:
                    self._memory.invalidate(edge - edge % LINE_BYTES, LINE_BYTES)
        self._memory.write(addr, data)
        self._memory.flush(addr, len(data))

    def read(self, addr: int, nbytes: int) -> bytes:
        self._require_open()
        self._allocator.require(addr, nbytes)
        if not nbytes:
            return b""
        if not self._memory.coherent:
            self._memory.invalidate(addr, nbytes)
        return self._memory.read(addr, nbytes)

    # ---- runs ------------------------------------------------------------------------------------

    def run(self, insn_addr: int, insn_count: int) -> RunResult:
        """Execute ``insn_count`` instructions of 16 bytes at ``insn_addr`` and wait for the end.

        Raises
        ------
        ExecutionError
            A child that says what is wrong with the stream, as the simulated devices do; or
            TimeoutError, after which the machine has been reset.
        DeviceError
            If the stream is not in one buffer or not aligned, or the machine cannot run.
        """
        self._require_open()
        self._require_uninterrupted()
        if self._unusable:
            raise DeviceError(f"{self.name} cannot run: {self._unusable}")
        self._allocator.require(insn_addr, insn_count * INSN_BYTES)
        if insn_addr % INSN_BYTES:
            raise DeviceError(
                f"the stream is at 0x{insn_addr:x}; must be a multiple of {INSN_BYTES}"
            )
        self._prepare(insn_addr, insn_count)
        try:
            self._put("CONTROL", CONTROL_LAUNCH)
            done = self._wait(insn_addr, insn_count)
        except BaseException:  # Ctrl-C too: no caller would wait for the end of this run
            with contextlib.suppress(DeviceError):  # the first error is the one that matters
                self._reset()
            raise
        if not done:
            raise self._timed_out(insn_addr, insn_count)
        result = self._result(insn_addr, insn_count)
        if self.on_run is not None:
            self.on_run(result)
        return result

    def interrupt(self) -> None:
        """End the run in flight, and every later one, with a DeviceError; the machine is reset.
        May be called from any thread, and from a signal handler."""
        self._interrupted = True

    def close(self) -> None:
        """Free everything; the object cannot be used afterwards."""
        if not self._closed:
            self._closed = True
            self._registers.close()
            self._memory.close()

    def _require_open(self) -> None:
        if self._closed:
            raise DeviceError(f"the device {self.name} is closed")

    def _require_uninterrupted(self) -> None:
        if self._interrupted:
            raise DeviceError(f"the run on {self.name} was interrupted")

    def _get(self, name: str) -> int:
        return self._registers.read(_OFFSETS[name])

    def _put(self, name: str, value: int) -> None:
        self._registers.write(register(name).offset, value & 0xFFFF_FFFF)

    def _prepare(self, insn_addr: int, insn_count: int) -> None:
        """All but the launch itself."""
        if self._get("STATUS") & STATUS_BUSY:
            raise DeviceError(
                f"{self.name} is busy with a run that is not this driver's; does another process "
                f"use it?"
            )
        self._put("STATUS", STATUS_DONE)  # write 1 to clear
        status = self._get("STATUS")
        if status & (STATUS_BUSY | STATUS_DONE):
            raise DeviceError(
                f"{self.name} is not ready: STATUS reads 0x{status:x} after DONE was cleared; busy "
                f"and done must be 0"
            )
        self._put("INSN_COUNT", insn_count)
        self._put("INSN_ADDR", insn_addr)
        self._put("INSN_ADDR_HI", insn_addr >> 32)

    def _wait(self, insn_addr: int, insn_count: int) -> bool:
        """Whether the run has ended, rather than passed its time."""
        begin = self._clock()
        estimated = self.timeout is not None
        limit = _SOONEST_TIMEOUT if self.timeout is None else self.timeout
        while True:
            late = self._clock() - begin > limit  # before the poll below
            if self._get("STATUS") & STATUS_DONE:
                return True
            self._require_uninterrupted()
            if late and estimated:
                return False
            if late:
                limit, estimated = self._timeout_bound(insn_addr, insn_count), True
            self._poll_sleep(begin)

    def _poll_sleep(self, begin: float) -> None:
        """Sleep between two polls of a wait that began at ``begin``: a tenth of its length."""
        passed = self._clock() - begin
        self._pause(min(max(passed / 10, _SHORTEST_SLEEP), _LONGEST_SLEEP))

    def _timeout_bound(self, insn_addr: int, insn_count: int) -> float:
        """Time-out bound in seconds: a run that takes longer hangs."""
        stream = self.read(insn_addr, insn_count * INSN_BYTES)
        cycles = cycle_bound(self._isa, stream, MemoryTiming.of("ddr"))
        return max(_SOONEST_TIMEOUT, cycles / (self.clock_hz or SLOWEST_CLOCK_HZ))

    def _diagnosis(self, insn_addr: int, insn_count: int) -> Diagnosis:
        stream = self.read(insn_addr, insn_count * INSN_BYTES)
        registers = {name: self._get(name) for name in _OFFSETS}
        return Diagnosis(self._isa, stream, insn_addr, registers)

    def _timed_out(self, insn_addr: int, insn_count: int) -> DeviceError:
        """Why a run did not end; the machine is idle then, or unusable."""
        error = self._diagnosis(insn_addr, insn_count).error
        what = "the run did not end in time"
        if not self._reset():
            what += f", and a reset does not help: {self._unusable}"
        return error(TimeoutError, what)

    def _reset(self) -> bool:
        """Reset the machine; whether it is idle then. It waits for its bus transfers first."""
        self._put("CONTROL", CONTROL_RESET)
        begin = self._clock()
        while self._get("STATUS") & STATUS_BUSY:
            if self._clock() - begin > _SETTLE_SECONDS:
                self._unusable = (
                    "the memory does not answer, and the machine waits for it; check that the "
                    "memory port is clocked and the addresses lie in memory, then configure the "
                    "FPGA anew (on some boards only a power cycle frees the bus)"
                )
                return False
            self._poll_sleep(begin)
        self._unusable = None
        return True

    def _result(self, insn_addr: int, insn_count: int) -> RunResult:
        status = self._get("STATUS")
        if status & STATUS_ERROR or self._get("ERROR"):
            raise self._diagnosis(insn_addr, insn_count).reported_error()
        registers = {name: self._get(name) for name in _RESULTS}
        counters = Counters(**{name: wide(registers, name.upper()) for name in COUNTERS})
        tokens = {queue.name: registers[f"TOKENS_{queue.name.upper()}"] for queue in TOKEN_QUEUES}
        return RunResult(counters, wide(registers, "CYCLES"), tokens)
