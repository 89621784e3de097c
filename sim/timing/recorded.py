"""The instructions of a run of the kernel, as objects."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, overload

import numpy as np

from vta.isa import PipelineModule
from vta.sim.timing.state import (
    BUSY,
    CAUSES,
    DISPATCHED,
    END,
    HEAD,
    ISSUE,
    MODULE,
    RETIRE,
    START,
    UNIT,
    UNIT_NAMES,
    UNKNOWN,
    WAIT_LIMIT,
    WAITS,
)
from vta.sim.timing.timing import InstructionTiming, Wait

if TYPE_CHECKING:
    from vta.sim.timing.state import State

__all__ = ["RecordedInstructions"]


class RecordedInstructions(Sequence[InstructionTiming]):
    """The instructions that have retired, made when the first of them is read: a search that wants
    the cycles of a run alone does not pay for them.

    Parameters
    ----------
    end : State
        After the run.
    """

    def __init__(self, end: State) -> None:
        self._end = end

    @cached_property
    def _made(self) -> tuple[InstructionTiming, ...]:
        rows = (DISPATCHED, HEAD, ISSUE, START, END, RETIRE, BUSY, WAITS)
        columns = zip(*(np.asarray(self._end.insn[row]).tolist() for row in rows), strict=True)
        modules = [PipelineModule(int(number) + 1) for number in self._end.work[MODULE]]
        units = [UNIT_NAMES[number] for number in self._end.work[UNIT]]
        made = []
        for index, times in enumerate(columns):
            dispatched, head, issue, start, end, retire, busy, count = times
            if retire != UNKNOWN:
                waits = self._waits(index, count)
                made.append(
                    InstructionTiming(
                        index, modules[index], units[index], dispatched, head, issue, start, end,
                        retire, busy, waits,
                    )
                )  # fmt: skip
        return tuple(made)

    def _waits(self, index: int, count: int) -> tuple[Wait, ...]:
        at = index * WAIT_LIMIT
        cause, begin, end, source = self._end.wait
        return tuple(
            Wait(
                CAUSES[cause[n]], int(begin[n]), int(end[n]),
                None if source[n] < 0 else int(source[n]),
            )
            for n in range(at, at + count)
        )  # fmt: skip

    @overload
    def __getitem__(self, index: int) -> InstructionTiming: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[InstructionTiming]: ...
    def __getitem__(self, index: int | slice) -> InstructionTiming | Sequence[InstructionTiming]:
        return self._made[index]

    def __len__(self) -> int:
        return len(self._made)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._made == tuple(other)

    __hash__ = None  # type: ignore[assignment]
