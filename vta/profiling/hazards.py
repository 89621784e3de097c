"""Which entries of the on-chip memories a hazard between two instructions is about."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from vta.config import INSN_BYTES
from vta.isa import Load, MemId, PipelineModule
from vta.sim.timing import state
from vta.sim.timing.work import works_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from vta.program import Program
    from vta.sim.timing import Timing, Wait

__all__ = ["HazardEntries"]

IN_FLIGHT = 16
"""Older instructions of the compute module that are looked at; more than its scoreboard holds."""
_READ = (state.READ_LOW, state.READ_HIGH)
_WRITTEN = (state.WRITE_LOW, state.WRITE_HIGH)
_UOPS = (state.UOP_LOW, state.UOP_HIGH)


class HazardEntries:
    """The access ranges of the instructions of a program, as the machine compares them: first and
    last entry, gaps included.

    Those of a raw stream are not known: its micro-ops are somewhere in DRAM.
    """

    def __init__(self, program: Program, timing: Timing) -> None:
        self._program = program
        self._compute = [t for t in timing.instructions if t.module is PipelineModule.COMPUTE]
        self._place = {t.index: place for place, t in enumerate(self._compute)}

    @cached_property
    def _work(self) -> npt.NDArray[np.int64]:
        """The work of the instructions up to the last one that retired."""
        end = 1 + max(self._place, default=-1)
        code = self._program.code[: end * INSN_BYTES]
        return works_of(self._program.cfg, code, self._program.uop_words)[0]

    def source(self, wait: Wait, younger: int) -> int | None:
        """The older instruction that an instruction waits for; the simulated RTL does not say so.

        Of the instructions in flight when the wait begins, with common entries, the last to retire.
        """
        if wait.source is not None:
            return wait.source
        place = self._place[younger]
        in_flight = [
            older
            for older in self._compute[max(0, place - IN_FLIGHT) : place]
            if older.retire >= wait.begin and self.between(older.index, younger)
        ]
        return max(in_flight, key=lambda older: older.retire).index if in_flight else None

    def between(self, older: int, younger: int) -> list[str]:
        """The entries for which an instruction of the compute module waits for an older one.

        Parameters
        ----------
        older, younger : int
            Their indices in the program.

        Returns
        -------
        list of str
            E.g. ``ACC 0 to 783``: the overlap of accumulators that one of both writes, or of the
            micro-ops that one of both loads. Empty if there is none, or if it is not known.
        """
        if not self._program.uops:
            return []
        found = [
            self._overlap("ACC", (older, first), (younger, second))
            for first, second in ((_WRITTEN, _WRITTEN), (_WRITTEN, _READ), (_READ, _WRITTEN))
        ]
        if any(self._loads_uops(index) for index in (older, younger)):
            found.append(self._overlap("UOP", (older, _UOPS), (younger, _UOPS)))
        return list(dict.fromkeys(filter(None, found)))

    def _loads_uops(self, index: int) -> bool:
        insn = self._program.instructions[index]
        return isinstance(insn, Load) and insn.memory is MemId.UOP

    def _overlap(
        self, memory: str, one: tuple[int, tuple[int, int]], other: tuple[int, tuple[int, int]]
    ) -> str:
        """The common entries of two ranges, each an instruction and its rows of ``work``."""
        low = max(int(self._work[rows[0], index]) for index, rows in (one, other))
        high = min(int(self._work[rows[1], index]) for index, rows in (one, other))
        return f"{memory} {low} to {high}" if low <= high else ""
