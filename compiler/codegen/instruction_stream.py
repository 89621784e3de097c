"""The instruction stream: instructions in order, with their token flags and relocations.

A token pop or push is a flag of an instruction. A pop becomes a flag of the next instruction of the
popping module. A push becomes a flag of the last instruction that the pushing module was given,
wherever that instruction stands in the stream, since a module executes in order. A NOP is emitted
only where no instruction can carry the flag.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from vta.isa import Finish, Instruction, Load, MemId, PipelineModule, Store, token_queue
from vta.program import Relocation
from vta.program_sources import ProgramSources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.isa import Isa
    from vta.program_sources import InstructionSource

__all__ = ["InstructionStream", "PendingInstruction"]


@dataclass
class PendingInstruction:
    """An instruction of the stream with the token flags so far. ``argument`` is the index of the
    tensor that its DRAM address lies in; None if it has no such address. ``source`` is what emitted
    the instruction; None for NOPs and FINISH."""

    insn: Instruction
    argument: int | None
    source: InstructionSource | None
    flags: set[str] = field(default_factory=set)


class InstructionStream:
    """A growing instruction stream.

    Attributes
    ----------
    source : InstructionSource or None
        What emits the instructions that are appended from now on.
    """

    NOPS: ClassVar[dict[PipelineModule, Instruction]] = {
        PipelineModule.LOAD: Load(memory=MemId.INP),
        PipelineModule.COMPUTE: Load(memory=MemId.UOP),
        PipelineModule.STORE: Store(),
    }

    def __init__(self) -> None:
        self.source: InstructionSource | None = None
        self._pending: list[PendingInstruction] = []
        self._last: dict[PipelineModule, PendingInstruction] = {}
        self._pops: dict[PipelineModule, set[str]] = {module: set() for module in PipelineModule}

    def __len__(self) -> int:
        return len(self._pending)

    def emit(
        self, insn: Instruction, argument: int | None = None, *, takes_pops: bool = True
    ) -> None:
        """Append an instruction.

        Parameters
        ----------
        argument : int, optional
            The index of the tensor that the DRAM address lies in.
        takes_pops : bool
            Whether the pops that its module has pending become flags of this instruction. If not,
            they stay pending for the next one.
        """
        is_nop = isinstance(insn, Load | Store) and insn.is_nop
        source = None if is_nop or isinstance(insn, Finish) else self.source
        slot = PendingInstruction(insn, argument, source)
        if takes_pops:
            slot.flags, self._pops[insn.module] = self._pops[insn.module], set()
        self._pending.append(slot)
        self._last[insn.module] = slot

    def pop(self, source: PipelineModule, target: PipelineModule) -> None:
        """Let the next instruction of ``target`` pop a token of ``source``."""
        flag = token_queue(source, target).pop_flag
        if flag in self._pops[target]:
            self.emit(self.NOPS[target])
        self._pops[target].add(flag)

    def push(self, source: PipelineModule, target: PipelineModule) -> None:
        """Let ``source`` push a token to ``target`` after all its instructions so far."""
        flag = token_queue(source, target).push_flag
        last = self._last.get(source)
        if self._pops[source] or last is None or flag in last.flags:
            self.emit(self.NOPS[source])
        self._last[source].flags.add(flag)

    def finish(self) -> None:
        """Append NOPs for the pops that no instruction took, and FINISH."""
        for module in (PipelineModule.LOAD, PipelineModule.STORE):
            if self._pops[module]:
                self.emit(self.NOPS[module])
        self.emit(Finish())

    def instructions(self) -> list[Instruction]:
        """The instructions with their token flags."""
        return [
            replace(slot.insn, **dict.fromkeys(slot.flags, True)) if slot.flags else slot.insn
            for slot in self._pending
        ]

    def encoded(self, isa: Isa) -> bytes:
        """:meth:`instructions`, encoded.

        Raises
        ------
        EncodingError
            If a value does not fit its field.
        """
        insns = [slot.insn for slot in self._pending]
        return isa.encode_all(insns, [slot.flags for slot in self._pending])

    def relocations(self) -> Sequence[Relocation]:
        """The argument of each instruction that has a DRAM address."""
        return tuple(
            Relocation(index, slot.argument)
            for index, slot in enumerate(self._pending)
            if slot.argument is not None
        )

    def sources(self) -> ProgramSources:
        """What emitted each instruction."""
        return ProgramSources.of_each([slot.source for slot in self._pending])
