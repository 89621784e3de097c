"""The timing model: the machine of docs/hardware/timing.md, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vta.errors import DeadlockError
from vta.isa import PipelineModule, disassemble
from vta.memmap import Source
from vta.memory_timing import MemoryTiming
from vta.sim.timing.bus import DataBus, ReadBus, WriteBus
from vta.sim.timing.compute import Compute
from vta.sim.timing.constants import Constants, Pipeline
from vta.sim.timing.dma import LoadEngine, StoreEngine
from vta.sim.timing.events import Events
from vta.sim.timing.modules import Fetch, Tokens, TransferModule
from vta.sim.timing.timing import InstructionTiming, Timing
from vta.sim.timing.work import works_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from vta.config import VTAConfig
    from vta.isa import Instruction
    from vta.program import Program
    from vta.sim.timing.bus import Reader

__all__ = ["estimate", "estimate_stream", "estimate_until_deadlock"]


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
    return estimate_stream(program.cfg, program.instructions, program.uop_words, memory=memory)


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
    DeviceError, DeadlockError, ToolError
        As :func:`estimate`.
    """
    timing = MemoryTiming.of(memory) if isinstance(memory, str) else memory
    words = np.zeros(0, "<u4") if uop_words is None else uop_words
    return _Machine(cfg, instructions, words, uop_base, timing).run()


def estimate_until_deadlock(
    program: Program, memory: str | MemoryTiming = "ideal"
) -> tuple[Timing, DeadlockError | None]:
    """As :func:`estimate`, but a deadlock is returned beside the timing of the instructions that
    retire before it."""
    timing = MemoryTiming.of(memory) if isinstance(memory, str) else memory
    machine = _Machine(program.cfg, program.instructions, program.uop_words, 0, timing)
    try:
        return machine.run(), None
    except DeadlockError as error:
        return machine.timing(), error


class _Machine:
    """One run."""

    def __init__(
        self,
        cfg: VTAConfig,
        instructions: Sequence[Instruction],
        uop_words: npt.NDArray[np.uint32],
        uop_base: int,
        timing: MemoryTiming,
    ) -> None:
        constants = Constants.of(cfg)
        self.instructions = instructions
        self.found: list[InstructionTiming | None] = [None] * len(instructions)
        self.events, tokens = Events(), Tokens()
        data = DataBus(timing)
        self.reads = ReadBus(self.events, constants, timing, data)
        self.writes = WriteBus(timing, constants, data)
        bus = cfg.bus_bytes
        works = works_of(cfg, instructions, uop_words, uop_base)
        self.load = TransferModule(
            PipelineModule.LOAD, tokens, constants.loads_in_flight, self._report
        )
        self.store = TransferModule(
            PipelineModule.STORE, tokens, constants.stores_in_flight, self._report
        )
        self.compute = compute = Compute(self.events, constants, tokens, self._report)
        self.queues = {
            PipelineModule.LOAD: self.load.queue,
            PipelineModule.COMPUTE: compute.queue,
            PipelineModule.STORE: self.store.queue,
        }
        self.fetch = Fetch(works, self.queues, constants, self.reads, bus)
        engine = LoadEngine(constants, self.reads, Source.LOAD, bus, self.load.done)
        compute.loader = LoadEngine(constants, self.reads, Source.COMPUTE, bus, compute.loaded)
        self.load.engine = engine
        self.store.engine = StoreEngine(constants, self.writes, bus, self.store.done)
        engine.wake, self.store.engine.wake = self.load.step, self.store.step
        compute.loader.wake = compute.step
        readers: tuple[Reader, ...] = (self.fetch, engine, compute.loader)
        for number, reader in enumerate(readers):
            self.reads.attach(number, reader)
        for queue in self.queues.values():
            queue.freed = self.fetch.advance
        tokens.wake = {
            "l2g": compute.step, "s2g": compute.step, "g2l": self.load.step, "g2s": self.store.step
        }  # fmt: skip

    def _report(self, timing: InstructionTiming) -> None:
        self.found[timing.index] = timing

    def run(self) -> Timing:
        self.fetch.start()
        self.events.run()
        missing = [index for index, timing in enumerate(self.found) if timing is None]
        if missing:
            text = disassemble(self.instructions[missing[0]])
            raise DeadlockError(
                f"deadlock: instruction {missing[0]} never ends", index=missing[0], instruction=text
            )
        return self.timing()

    def timing(self) -> Timing:
        """Of the instructions that have retired."""
        found = tuple(timing for timing in self.found if timing is not None)
        end = max((timing.retire for timing in found), default=0)
        return Timing(end + Pipeline.RETIRE_TO_END, found, self.reads.beats, self.writes.beats)
