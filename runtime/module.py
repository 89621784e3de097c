"""A compiled program that can be called."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, median, pstdev
from typing import TYPE_CHECKING

from vta.errors import DeviceError
from vta.program import Program
from vta.runtime.buffer import DeviceArray
from vta.runtime.device import distinguished
from vta.runtime.placement import announce_run, place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vta.run_result import RunResult
    from vta.runtime.device import Device
    from vta.runtime.placement import Placement

__all__ = ["BenchmarkResult", "CompiledModule", "load_module"]


class CompiledModule:
    """A program, and the places on devices where it has run.

    Parameters
    ----------
    program : Program
        What is run.
    device : Device or None
        Where :meth:`__call__` expects its arrays; None: on the device of the first one.
    """

    def __init__(self, program: Program, device: Device | None = None) -> None:
        if device is not None:
            program.require_machine(device.cfg)
        self.program = program
        self.device = device
        self._placements: dict[int, Placement] = {}

    def __repr__(self) -> str:
        return f"CompiledModule({self.program.name}, {self.program.instruction_count} instructions)"

    @property
    def entry_name(self) -> str:
        """The name of the function in the module."""
        return self.program.name

    def save(self, path: str | Path) -> None:
        """Write the program file (docs/tools/program-format.md)."""
        self.program.save(path)

    def __call__(self, *arrays: DeviceArray, **named: object) -> RunResult:
        """Run once and wait for the end.

        Parameters
        ----------
        *arrays : DeviceArray
            The arguments, in the order of the program's tensors; results are written into them.
        **named
            None: arguments have no names at a call.

        Returns
        -------
        RunResult
            The counters of this run.

        Raises
        ------
        DeviceError
            If arrays are given by name, do not fit the tensors, lie elsewhere, or share memory
            with a result; if the run fails or leaves tokens behind.
        ProgramError
            If the device's configuration is another one than the program's.
        """
        if named:
            order = ", ".join(spec.name for spec in self.program.tensors)
            raise DeviceError(
                f"{self.program.name}: got the named arguments {', '.join(named)}; the arrays must "
                f"be given in the order {order}, without names"
            )
        device = self._check(arrays)
        placement = self._place(device)
        announce_run(self.program, device)
        result = placement.run([array.address for array in arrays])
        left = {name: count for name, count in result.tokens.items() if count}
        if left:
            raise DeviceError(f"{self.program.name}: the run left tokens behind: {left}")
        return result

    def _place(self, device: Device) -> Placement:
        placement = self._placements.get(id(device))
        if placement is None:
            placement = self._placements[id(device)] = place(self.program, device)
        return placement

    def _check(self, arrays: tuple[DeviceArray, ...]) -> Device:
        name, specs = self.program.name, self.program.tensors
        if len(arrays) != len(specs):
            expected = ", ".join(spec.name for spec in specs)
            hint = ""
            if len(arrays) == 1 and isinstance(arrays[0], list | tuple):
                hint = f", a {type(arrays[0]).__name__}: pass the arrays themselves"
            raise DeviceError(
                f"{name} takes {len(specs)} arrays ({expected}); got {len(arrays)}{hint}"
            )
        for spec, array in zip(specs, arrays):
            if not isinstance(array, DeviceArray):
                raise DeviceError(
                    f"{name}: argument {spec.name} must be a device array; got "
                    f"{type(array).__name__} (vta.runtime.array makes one)"
                )
            if array.shape != spec.shape or array.dtype != spec.dtype:
                raise DeviceError(
                    f"{name}: argument {spec.name} must be {spec.dtype} of shape {spec.shape}; "
                    f"got {array.dtype} of shape {array.shape}"
                )
        device = self.device or arrays[0].device
        for spec, array in zip(specs, arrays):
            if array.device is not device:
                there, here = distinguished(array.device, device)
                raise DeviceError(
                    f"{name}: argument {spec.name} lies on another device ({there}) than the one "
                    f"that runs it ({here}); all arrays must be made on the device of one session"
                )
        for index, spec in enumerate(specs):
            for other, array in enumerate(arrays):
                if spec.written and other != index and arrays[index].overlaps(array):
                    raise DeviceError(
                        f"{name}: the result {spec.name} shares memory with {specs[other].name}"
                    )
        return device

    def time_evaluator(
        self, entry: str, device: Device, *, number: int = 10, repeat: int = 1
    ) -> Callable[..., BenchmarkResult]:
        """A function that runs the module ``number`` times, ``repeat`` times over, and measures
        where the device is.

        One more run goes first, to warm up; it is counted in the simulator's statistics.
        """
        if entry != self.entry_name:
            raise DeviceError(f"the module has no function {entry!r}; it has {self.entry_name!r}")
        if number < 1 or repeat < 1:
            raise DeviceError(f"number is {number}, repeat {repeat}; both must be positive")

        def evaluate(*arrays: DeviceArray) -> BenchmarkResult:
            self(*arrays)
            if arrays[0].device is not device:
                there, here = distinguished(arrays[0].device, device)
                raise DeviceError(f"the arrays lie on {there}, not on {here}")
            addresses = [array.address for array in arrays]
            return BenchmarkResult(self._place(device).measure(addresses, number, repeat))

        return evaluate


def load_module(path: str | Path, device: Device | None = None) -> CompiledModule:
    """The module in a program file, as :meth:`CompiledModule.save` writes it; nothing in it is
    executed.

    Parameters
    ----------
    path : path
        The file.
    device : Device or None
        Where it is to run; None: on the device of the first array that it is called with.

    Raises
    ------
    ProgramError
        If the file is no program, or one for another configuration than the device's.
    """
    return CompiledModule(Program.load(path), device)


@dataclass(frozen=True)
class BenchmarkResult:
    """Seconds a run, one value a repetition."""

    results: tuple[float, ...]

    @property
    def mean(self) -> float:
        return fmean(self.results)

    @property
    def median(self) -> float:
        return median(self.results)

    @property
    def min(self) -> float:
        return min(self.results)

    @property
    def max(self) -> float:
        return max(self.results)

    @property
    def std(self) -> float:
        return pstdev(self.results)
