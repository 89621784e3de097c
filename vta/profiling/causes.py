"""Attribution: each cycle of a run belongs to exactly one cause."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import numpy as np

from vta.isa import Gemm, PipelineModule
from vta.sim.timing import Cause

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from vta.isa import Instruction
    from vta.sim.timing import InstructionTiming

__all__ = ["CycleCause", "attribute", "count"]


class CycleCause(enum.IntEnum):
    """What a cycle was spent on. The order is that of priority: a cycle in which GEMM and the ALU
    work belongs to GEMM."""

    PRODUCTS = 0
    """GEMM executes an instruction with products."""
    RESETS = 1
    """GEMM executes an instruction that resets accumulators."""
    BANK = 2
    """The ALU stalls for a bank of the accumulators."""
    ALU = 3
    """The ALU executes."""
    LOADER = 4
    """The compute module loads accumulators or micro-ops, from the issue of the LOAD to its last
    write, and nothing else executes in it."""
    LOAD = 5
    """The compute module waits for a token of the load module."""
    STORE = 6
    """The compute module waits for a token of the store module."""
    ISSUE = 7
    """Access ranges, hazards, full queues: the issue stage of the compute module."""
    START = 8
    """Before the first instruction of the compute module is at the head of its queue."""
    END = 9
    """After the last work of the compute module: stores, and the end of the run."""

    @property
    def label(self) -> str:
        """For tables and figures."""
        return _LABELS[self]


_LABELS = {
    CycleCause.PRODUCTS: "products", CycleCause.RESETS: "resets", CycleCause.BANK: "bank conflicts",
    CycleCause.ALU: "ALU", CycleCause.LOADER: "loader", CycleCause.LOAD: "waits for load",
    CycleCause.STORE: "waits for store", CycleCause.ISSUE: "issue", CycleCause.START: "start",
    CycleCause.END: "end",
}  # fmt: skip


def attribute(
    cycles: int, instructions: Sequence[Instruction], timings: Sequence[InstructionTiming]
) -> npt.NDArray[np.uint8]:
    """The :class:`CycleCause` of each cycle, shape (cycles,).

    Parameters
    ----------
    cycles : int
        Of the run.
    instructions : sequence of Instruction
        The stream.
    timings : sequence of InstructionTiming
        Of those instructions that were timed, by index.
    """
    causes = np.full(cycles, CycleCause.ISSUE, np.uint8)
    compute = [t for t in timings if t.module is PipelineModule.COMPUTE]
    worked = [t.end + 1 for t in compute if t.unit != "none"]
    causes[: min((t.head for t in compute), default=cycles)] = CycleCause.START
    causes[max(worked, default=0) :] = CycleCause.END
    module_of = {t.index: t.module for t in timings}
    for timing in compute:
        for wait in timing.waits:
            if wait.cause is Cause.TOKEN and wait.source is not None:
                loads = module_of.get(wait.source) is PipelineModule.LOAD
                inside = causes[wait.begin : wait.end]
                inside[inside == CycleCause.ISSUE] = CycleCause.LOAD if loads else CycleCause.STORE
    by_unit: dict[str, list[InstructionTiming]] = {"loader": [], "alu": [], "gemm": []}
    for timing in compute:
        if timing.unit in by_unit:
            by_unit[timing.unit].append(timing)
    for timing in by_unit["loader"]:
        causes[timing.issue : timing.end + 1] = CycleCause.LOADER
    for timing in by_unit["alu"]:
        causes[timing.start : timing.end + 1] = CycleCause.ALU
        for wait in timing.waits:
            if wait.cause is Cause.BANK:
                causes[wait.begin : wait.end] = CycleCause.BANK
    for resets in (True, False):
        for timing in by_unit["gemm"]:
            insn = instructions[timing.index]
            if isinstance(insn, Gemm) and insn.reset is resets:
                cause = CycleCause.RESETS if resets else CycleCause.PRODUCTS
                causes[timing.start : timing.end + 1] = cause
    return causes


def count(causes: npt.NDArray[np.uint8]) -> dict[CycleCause, int]:
    """Cycles of each cause; their sum is the length of ``causes``."""
    counts = np.bincount(causes, minlength=len(CycleCause))
    return {cause: int(counts[cause]) for cause in CycleCause}
