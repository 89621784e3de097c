"""The two devices that need no board: ``sim``, the reference model, and ``tsim``, the RTL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from vta.config import INSN_BYTES
from vta.errors import ConfigError, DeviceError
from vta.runtime.allocator import PAGE_BYTES, Allocator
from vta.sim.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from vta.config import VTAConfig
    from vta.run_result import RunResult
    from vta.runtime.device import Device

__all__ = ["SIMULATED", "SimDevice", "TsimDevice", "open_simulated"]

DEFAULT_MEMORY_BYTES = 1 << 28


class _Machine(Protocol):
    """What runs a stream: the reference model and the Verilated machine."""

    def run(self, stream: bytes, memory: Memory) -> RunResult: ...


class _SimulatedDevice:
    """A machine with a DRAM of its own, in this process; implements :class:`~.device.Device`.

    Parameters
    ----------
    cfg : VTAConfig
        The machine.
    memory_bytes : int
        Size of the DRAM, a multiple of 4096; the host gives pages only when they are touched.
    on_run : callable or None
        Called with the result of every run.
    """

    name: str

    def __init__(
        self,
        cfg: VTAConfig,
        machine: _Machine,
        *,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        on_run: Callable[[RunResult], None] | None = None,
    ) -> None:
        self.cfg = cfg
        self._machine: _Machine | None = machine
        self._allocator = Allocator(PAGE_BYTES, memory_bytes)
        self._memory = Memory.zeros(PAGE_BYTES, memory_bytes, restricted=True)
        self._on_run = on_run

    def __repr__(self) -> str:
        return f"{self.name}({self.cfg.fingerprint})"

    def _open(self) -> _Machine:
        if self._machine is None:
            raise DeviceError(f"the device {self.name} is closed")
        return self._machine

    def alloc(self, nbytes: int) -> int:
        self._open()
        addr = self._allocator.alloc(nbytes)
        self._memory.allow(addr, nbytes)
        self._memory.write(addr, bytes(nbytes))
        return addr

    @property
    def free_bytes(self) -> int:
        return self._allocator.free_bytes

    def free(self, addr: int) -> None:
        if self._machine is None:  # all memory went with the device
            return
        self._allocator.free(addr)
        self._memory.forbid(addr)

    def write(self, addr: int, data: bytes) -> None:
        self._open()
        self._allocator.require(addr, len(data))
        self._memory.write(addr, data)

    def read(self, addr: int, nbytes: int) -> bytes:
        self._open()
        self._allocator.require(addr, nbytes)
        return self._memory.read(addr, nbytes)

    def run(self, insn_addr: int, insn_count: int) -> RunResult:
        stream = self.read(insn_addr, insn_count * INSN_BYTES)
        result = self._open().run(stream, self._memory)
        if self._on_run is not None:
            self._on_run(result)
        return result

    def close(self) -> None:
        self._machine = None


class SimDevice(_SimulatedDevice):
    """The reference model as a device."""

    name = "sim"

    def __init__(self, cfg: VTAConfig, **options: Any) -> None:
        from vta.sim.reference.model import ReferenceModel

        super().__init__(cfg, ReferenceModel(cfg), **options)


class TsimDevice(_SimulatedDevice):
    """The simulated RTL as a device. Its first use builds it, which takes minutes.

    Parameters
    ----------
    memory_preset : str
        The timing of the DRAM, a name of :data:`vta.memory_timing.PRESETS`.
    seed : int
        Of the memory's random stalls.
    progress : callable or None
        Told in a few words what is being built.
    """

    name = "tsim"

    def __init__(
        self,
        cfg: VTAConfig,
        *,
        memory_preset: str = "ideal",
        seed: int = 0,
        progress: Callable[[str], None] | None = None,
        **options: Any,
    ) -> None:
        from vta.sim.rtl.machine import VerilatedMachine

        machine = VerilatedMachine(cfg, memory_preset, seed, progress=progress)
        super().__init__(cfg, machine, **options)
        self.memory_preset = memory_preset
        self._close_machine = machine.close

    def close(self) -> None:
        super().close()
        self._close_machine()


SIMULATED: dict[str, type[SimDevice | TsimDevice]] = {"sim": SimDevice, "tsim": TsimDevice}
"""The targets that run in this process."""


def open_simulated(cfg: VTAConfig, **options: Any) -> Device:
    """The simulated device that the configuration's TARGET names.

    Raises
    ------
    ConfigError
        If TARGET is a board.
    """
    if cfg.target not in SIMULATED:
        raise ConfigError(
            f"TARGET is {cfg.target}; in this process there are only {', '.join(SIMULATED)}"
        )
    return SIMULATED[cfg.target](cfg, **options)
