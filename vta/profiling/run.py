"""Runs programs for their profile. Data decides no cycle of the machine, so tensors are zeros."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Protocol

import numpy as np

from vta.config import INSN_BYTES
from vta.errors import DeviceError, EncodingError, ExecutionError, VTAError
from vta.isa import Isa
from vta.profiling.bursts import Burst, bursts_of
from vta.profiling.layers import TIMED_BY, Layer
from vta.profiling.results import Profile
from vta.program import Program
from vta.sim.timing import Timing
from vta.targets import wrong_target

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.isa import Instruction
    from vta.network import Network
    from vta.sim.rtl.machine import VerilatedMachine

__all__ = [
    "TARGETS",
    "profile_network",
    "profile_program",
    "profile_programs",
    "recorded_profile",
]

TARGETS = tuple(TIMED_BY)
PAGE = 4096


_Timed = tuple[Timing, tuple[Burst, ...], ExecutionError | None]
"""The timing of a run, the bursts of the memory port if they are known, and why the run failed."""


class _Timer(Protocol):
    """Times programs on one target."""

    def time(self, program: Program) -> _Timed: ...
    def close(self) -> None: ...


class _Model:
    """The timing model."""

    def __init__(self, memory: str) -> None:
        self.memory = memory

    def time(self, program: Program) -> _Timed:
        from vta.sim.timing import estimate_until_deadlock

        timing, failure = estimate_until_deadlock(program, self.memory)
        return timing, (), failure

    def close(self) -> None:
        pass


class _Simulated:
    """The simulated RTL with activity probes."""

    def __init__(self, cfg: VTAConfig, memory: str) -> None:
        from vta.sim.rtl.machine import VerilatedMachine

        self.machine: VerilatedMachine = VerilatedMachine(cfg, memory, active=True)

    def time(self, program: Program) -> _Timed:
        from vta.sim.memory import Memory

        sizes = [spec.nbytes for spec in program.tensors] + [max(len(program.uops), 1)]
        pages = np.cumsum([PAGE, *(-(-size // PAGE) * PAGE for size in sizes)]).tolist()
        memory = Memory.zeros(PAGE, pages[-1] - PAGE)
        if program.uops:
            memory.write(pages[-2], program.uops)
        failure: ExecutionError | None = None
        try:
            self.machine.run(program.relocate(pages[:-2], pages[-2]), memory)
        except ExecutionError as error:
            failure = error
        names = [*(spec.name for spec in program.tensors), "micro-ops"]
        timing, bursts = _recorded(
            self.machine, program.instructions, list(zip(pages, sizes, names))
        )
        if failure is not None:
            self.machine.reset()
        return timing, bursts, failure

    def close(self) -> None:
        self.machine.close()


def _recorded(
    machine: VerilatedMachine,
    instructions: Sequence[Instruction],
    places: Sequence[tuple[int, int, str]],
) -> tuple[Timing, tuple[Burst, ...]]:
    """The timing and the bursts of the last run of an active machine."""
    from vta.hw.debug.activity_probes import ActiveCore
    from vta.profiling.recorded import Record, timing_of

    record = Record(machine.activity(), ActiveCore.NAMES)
    bursts = bursts_of(machine.bursts(), record.origin, places)
    return timing_of(record, instructions), bursts


def recorded_profile(
    name: str, machine: VerilatedMachine, stream: bytes, memory: str, failure: ExecutionError | None
) -> Profile:
    """The profile of the last run of an active machine, of a raw stream.

    Parameters
    ----------
    machine : VerilatedMachine
        It was made with ``active=True``.
    stream : bytes
        The instructions that ran. The profile ends at the first one that cannot be decoded.
    failure : ExecutionError or None
        What the run raised.
    """
    isa, end = Isa.of(machine.cfg), 0
    with suppress(EncodingError):
        while end < len(stream):
            isa.decode(stream[end : end + INSN_BYTES])
            end += INSN_BYTES
    program = Program(name, machine.cfg, stream[:end], b"", (), ())
    timing, bursts = _recorded(machine, program.instructions, [(0, 1 << 64, "DRAM")])
    layer = Layer.of(name, "stream", program, timing, bursts)
    return Profile(name, machine.cfg, "tsim", memory, (layer,), failure)


def _timer(cfg: VTAConfig, target: str, memory: str) -> _Timer:
    if wrong := wrong_target("the target of a profile", target, TARGETS):
        raise DeviceError(wrong)
    return _Model(memory) if target == "sim" else _Simulated(cfg, memory)


def profile_program(
    program: Program, *, target: str = "sim", memory: str = "ideal", cfg: VTAConfig | None = None
) -> Profile:
    """The profile of one run of a program.

    Parameters
    ----------
    program : Program
        A checked program.
    target : str
        ``sim``: the timing model. ``tsim``: the simulated RTL with probes.
    memory : str
        The timing of the DRAM, a name of :data:`vta.memory_timing.PRESETS`.
    cfg : VTAConfig or None
        The machine, if it must be a certain one.

    Returns
    -------
    Profile
        With one layer. If the run failed, ``failure`` says why.

    Raises
    ------
    ProgramError
        If the program was compiled for another machine.
    DeviceError
        If there is no such target or memory preset.
    ToolError
        If a tool is missing.
    """
    if cfg is not None:
        program.require_machine(cfg)
    with closing(_timer(program.cfg, target, memory)) as timer:
        timing, bursts, failure = timer.time(program)
    layer = Layer.of(program.name, "program", program, timing, bursts)
    return Profile(program.name, program.cfg, target, memory, (layer,), failure)


def profile_programs(
    name: str, programs: list[Program], *, target: str = "sim", memory: str = "ideal"
) -> Profile:
    """The profile of several programs for one machine, one after the other.

    Raises
    ------
    VTAError
        If there is no program, or the programs are for different machines; and as
        :func:`profile_program`.
    """
    steps = [(program.name, "program", program) for program in programs]
    return _profile(name, steps, target, memory, None)


def profile_network(
    network: Network,
    *,
    target: str = "sim",
    memory: str = "ideal",
    progress: Callable[[str, int], None] | None = None,
) -> Profile:
    """The profile of the accelerator's steps of a network, a layer for each.

    Parameters
    ----------
    progress : callable or None
        ``progress(name, number)`` is called before each step.

    Raises
    ------
    VTAError
        If all steps of the network run on the host; and as :func:`profile_program`.
    """
    steps = [(s.name, s.operator, s.program) for s in network.steps if s.program is not None]
    return _profile(network.name, steps, target, memory, progress)


def _profile(
    name: str,
    steps: list[tuple[str, str, Program]],
    target: str,
    memory: str,
    progress: Callable[[str, int], None] | None,
) -> Profile:
    if not steps:
        raise VTAError(
            f"{name}: no program of the accelerator has run; there is nothing to profile"
        )
    cfg = steps[0][2].cfg
    layers = []
    failure: ExecutionError | None = None
    with closing(_timer(cfg, target, memory)) as timer:
        for number, (step, operator, program) in enumerate(steps):
            program.require_machine(cfg)
            if progress is not None:
                progress(step, number)
            timing, bursts, failure = timer.time(program)
            layers.append(Layer.of(step, operator, program, timing, bursts))
            if failure is not None:
                break
    return Profile(name, cfg, target, memory, tuple(layers), failure)
