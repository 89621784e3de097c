"""Instructions in the order of the stream, with their tokens and relocations.

Tokens are flags of instructions: a pop belongs to the next instruction of its module, a push to the
last one that its module was given, wherever that stands in the stream, since a module executes in
order. A NOP is emitted only where no instruction can carry the flag.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from vta.isa import Finish, Instruction, Load, MemId, PipelineModule, Store, token_queue
from vta.program import Relocation

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Slot", "Stream"]


@dataclass
class Slot:
    """An instruction whose flags may still grow, and the argument that its address lies in."""

    insn: Instruction
    argument: int | None
    flags: set[str] = field(default_factory=set)


class Stream:
    """A growing instruction stream."""

    NOPS: ClassVar[dict[PipelineModule, Instruction]] = {
        PipelineModule.LOAD: Load(memory=MemId.INP),
        PipelineModule.COMPUTE: Load(memory=MemId.UOP),
        PipelineModule.STORE: Store(),
    }

    def __init__(self) -> None:
        self._slots: list[Slot] = []
        self._last: dict[PipelineModule, Slot] = {}
        self._pops: dict[PipelineModule, set[str]] = {module: set() for module in PipelineModule}

    def __len__(self) -> int:
        return len(self._slots)

    def emit(self, insn: Instruction, argument: int | None = None, *, waits: bool = True) -> None:
        """Append an instruction; it takes the pops that its module waits for, if it ``waits``."""
        slot = Slot(insn, argument)
        if waits:
            slot.flags, self._pops[insn.module] = self._pops[insn.module], set()
        self._slots.append(slot)
        self._last[insn.module] = slot

    def pop(self, source: PipelineModule, target: PipelineModule) -> None:
        """``target`` takes a token of ``source`` before its next instruction."""
        flag = token_queue(source, target).pop_flag
        if flag in self._pops[target]:
            self.emit(self.NOPS[target])
        self._pops[target].add(flag)

    def push(self, source: PipelineModule, target: PipelineModule) -> None:
        """``source`` gives ``target`` a token after all that it was given so far."""
        flag = token_queue(source, target).push_flag
        last = self._last.get(source)
        if self._pops[source] or last is None or flag in last.flags:
            self.emit(self.NOPS[source])
        self._last[source].flags.add(flag)

    def finish(self) -> None:
        """Append FINISH, after NOPs for the pops that no instruction took."""
        for module in (PipelineModule.LOAD, PipelineModule.STORE):
            if self._pops[module]:
                self.emit(self.NOPS[module])
        self.emit(Finish())

    def instructions(self) -> list[Instruction]:
        """The typed instructions with their flags."""
        return [
            replace(slot.insn, **dict.fromkeys(slot.flags, True)) if slot.flags else slot.insn
            for slot in self._slots
        ]

    def relocations(self) -> Sequence[Relocation]:
        """Which argument each transfer's address lies in."""
        return tuple(
            Relocation(index, slot.argument)
            for index, slot in enumerate(self._slots)
            if slot.argument is not None
        )
