"""A program in the memory of a device, ready to run."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from vta.errors import DeviceError
from vta.runtime.buffer import release
from vta.runtime.device import PlacesPrograms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.program import Program
    from vta.run_result import RunResult
    from vta.runtime.device import Device

__all__ = ["LocalPlacement", "Placement", "announce_run", "observe_programs", "place"]

_OBSERVERS: ContextVar[tuple[Callable[[Program, Device], None], ...]] = ContextVar(
    "program observers", default=()
)


@contextmanager
def observe_programs(observer: Callable[[Program, Device], None]) -> Iterator[None]:
    """Call ``observer(program, device)`` before each run of a module or network in the block."""
    token = _OBSERVERS.set((*_OBSERVERS.get(), observer))
    try:
        yield
    finally:
        _OBSERVERS.reset(token)


def announce_run(program: Program, device: Device) -> None:
    """Tell the observers of :func:`observe_programs` that a program runs next on a device."""
    for observer in _OBSERVERS.get():
        observer(program, device)


class Placement(Protocol):
    """A program on one device."""

    def run(self, addresses: Sequence[int]) -> RunResult:
        """Run once, with the arguments' buffers at these addresses."""
        ...

    def measure(self, addresses: Sequence[int], number: int, repeat: int) -> tuple[float, ...]:
        """Seconds of a run, the mean of ``number`` runs, ``repeat`` times."""
        ...


class LocalPlacement:
    """A placement that relocates the program here, and writes it through the device.

    Raises
    ------
    ProgramError
        If the program is for another configuration than the device's.
    DeviceError
        If there is no memory for it.
    """

    def __init__(self, program: Program, device: Device) -> None:
        program.require_machine(device.cfg)
        self.program, self.device = program, device
        self._finalizers: list[weakref.finalize[..., LocalPlacement]] = []
        self._code_addr = self._alloc(len(program.code))
        self._uop_addr = self._alloc(max(len(program.uops), 1))
        if program.uops:
            device.write(self._uop_addr, program.uops)
        self._addresses: list[int] | None = None

    def _alloc(self, nbytes: int) -> int:
        addr = self.device.alloc(nbytes)
        self._finalizers.append(weakref.finalize(self, release, self.device, addr))
        return addr

    def free(self) -> None:
        """Give the memory back now. A later run is a DeviceError; a second ``free()`` does
        nothing."""
        for finalizer in self._finalizers:
            finalizer()

    def run(self, addresses: Sequence[int]) -> RunResult:
        if not self._finalizers[0].alive:
            raise DeviceError(
                f"the placement of program {self.program.name!r} is used after free()"
            )
        if list(addresses) != self._addresses:
            self.device.write(self._code_addr, self.program.relocate(addresses, self._uop_addr))
            self._addresses = list(addresses)
        return self.device.run(self._code_addr, self.program.instruction_count)

    def measure(self, addresses: Sequence[int], number: int, repeat: int) -> tuple[float, ...]:
        results = []
        for _ in range(repeat):
            start = perf_counter()
            for _ in range(number):
                self.run(addresses)
            results.append((perf_counter() - start) / number)
        return tuple(results)


def place(program: Program, device: Device) -> Placement:
    """The program on the device, by the device itself if it can."""
    if isinstance(device, PlacesPrograms):
        return device.place(program)
    return LocalPlacement(program, device)
