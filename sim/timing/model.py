"""The timing model: the machine of docs/hardware/timing.md on a stream or a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vta.config import INSN_BYTES, VTAConfig
from vta.errors import DeadlockError
from vta.isa import Finish, Isa, disassemble
from vta.memory_timing import MemoryTiming
from vta.sim.timing import compiled
from vta.sim.timing.constants import Pipeline
from vta.sim.timing.recorded import RecordedInstructions
from vta.sim.timing.state import READ_BEATS, RETIRE, UNKNOWN, WRITE_BEATS, initial_state
from vta.sim.timing.timing import Timing
from vta.sim.timing.work import works_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from vta.isa import Instruction
    from vta.program import Program

__all__ = ["estimate", "estimate_stream", "estimate_until_deadlock", "prepare"]


def estimate(program: Program, memory: str | MemoryTiming = "ideal") -> Timing:
    """The timing of a compiled program, with each tensor at the beginning of a page.

    Parameters
    ----------
    program : Program
        A checked program. Its data does not matter.
    memory : str or MemoryTiming
        The timing of the DRAM: a name of :data:`vta.memory_timing.PRESETS`, or the timing itself.

    Raises
    ------
    DeviceError
        If there is no such preset.
    DeadlockError
        If an instruction waits for a token that none pushes.
    ToolError
        If Amaranth is not installed: the latencies are those of the RTL's classes.
    """
    return _complete(_Run(program.cfg, program.code, program.uop_words, 0, memory))


def estimate_stream(
    cfg: VTAConfig,
    instructions: Sequence[Instruction],
    uop_words: npt.NDArray[np.uint32] | None = None,
    *,
    uop_base: int = 0,
    memory: str | MemoryTiming = "ideal",
) -> Timing:
    """The timing of an instruction stream.

    Parameters
    ----------
    cfg : VTAConfig
        The machine.
    instructions : sequence of Instruction
        Legal instructions, FINISH last.
    uop_words : ndarray of uint32, shape (n,), or None
        The micro-ops in DRAM; none without.
    uop_base : int
        DRAM index of the first of them, in micro-ops.
    memory : str or MemoryTiming
        As of :func:`estimate`.

    Raises
    ------
    EncodingError
        If a value does not fit its field.
    DeviceError, DeadlockError, ToolError
        As :func:`estimate`.
    """
    words = np.zeros(0, "<u4") if uop_words is None else uop_words
    code = Isa.of(cfg).encode_all(instructions)
    return _complete(_Run(cfg, code, words, uop_base, memory))


def prepare() -> None:
    """Compile the kernel for this process and later ones, as :mod:`vta.sim.timing.compiled` says,
    or wait for another process that does; nothing without Numba.

    Raises
    ------
    ToolError
        If the cache folder cannot be used.
    """
    if compiled.has_compiler():
        cfg = VTAConfig.preset("tiny")
        work, banks = works_of(cfg, Isa.of(cfg).encode(Finish()), np.zeros(0, "<u4"), 0)
        compiled.compiled_run(initial_state(cfg, work, banks, MemoryTiming.of("ideal")))


def estimate_until_deadlock(
    program: Program, memory: str | MemoryTiming = "ideal"
) -> tuple[Timing, DeadlockError | None]:
    """As :func:`estimate`, but a deadlock is returned beside the timing of the instructions that
    retire before it."""
    run = _Run(program.cfg, program.code, program.uop_words, 0, memory)
    return run.timing(), run.deadlock()


def _complete(run: _Run) -> Timing:
    error = run.deadlock()
    if error is not None:
        raise error
    return run.timing()


class _Run:
    """One run of the kernel."""

    def __init__(
        self,
        cfg: VTAConfig,
        code: bytes,
        uop_words: npt.NDArray[np.uint32],
        uop_base: int,
        memory: str | MemoryTiming,
    ) -> None:
        timing = MemoryTiming.of(memory) if isinstance(memory, str) else memory
        self.cfg, self.code = cfg, code
        work, banks = works_of(cfg, code, uop_words, uop_base)
        self.end = compiled.run(initial_state(cfg, work, banks, timing))

    def deadlock(self) -> DeadlockError | None:
        """The error of the first instruction that does not retire, if there is one."""
        missing = np.flatnonzero(np.asarray(self.end.insn[RETIRE]) == UNKNOWN)
        if not missing.size:
            return None
        index = int(missing[0])
        word = self.code[index * INSN_BYTES : (index + 1) * INSN_BYTES]
        text = disassemble(Isa.of(self.cfg).decode(word))
        return DeadlockError(
            f"deadlock: instruction {index} never ends", index=index, instruction=text
        )

    def timing(self) -> Timing:
        """Of the instructions that have retired."""
        end = max(int(np.max(np.asarray(self.end.insn[RETIRE]), initial=0)), 0)
        return Timing(
            end + Pipeline.RETIRE_TO_END,
            RecordedInstructions(self.end),
            int(self.end.value[READ_BEATS]),
            int(self.end.value[WRITE_BEATS]),
        )
