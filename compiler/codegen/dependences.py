"""Tokens from data dependences: an instruction waits only for instructions that it depends on.

The stream is in an order in which it could run one instruction at a time. The on-chip entries that
an instruction reads and writes are compared with the youngest reads and writes of the other modules
(RAW, WAR and WAW hazards). Where the tokens so far do not order the two instructions already, the
older instruction pushes a token and the younger instruction pops it.

Each module has a vector clock: how many instructions of every module are known to be done when the
next instruction of this module begins. A token carries the clock of the instruction that pushes it.
The k-th pop of a queue takes the k-th push. A new token is needed only for an older instruction
that is younger than all that have pushed to the same module, so pushes stay in order.

A tensor in DRAM counts as one entry: a load of it waits for all older stores to it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from vta.check.accesses import Places, operand_reach
from vta.compiler.codegen.instruction_stream import InstructionStream, PendingInstruction
from vta.isa import Alu, Gemm, Instruction, Isa, Load, MemId, PipelineModule, Store, token_queue

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Access", "AccessHistory", "DataOrderedStream"]

MODULES = tuple(PipelineModule)
_WHOLE = slice(0, 1)
_LOOPS = {
    Gemm: attrgetter(
        "iter_out", "iter_in", "dst_factor_out", "dst_factor_in", "src_factor_out", "src_factor_in",
        "reset", "wgt_factor_out", "wgt_factor_in",
    ),
    Alu: attrgetter(
        "iter_out", "iter_in", "dst_factor_out", "dst_factor_in", "src_factor_out", "src_factor_in",
        "use_imm",
    ),
}  # fmt: skip
"""What the accesses of an instruction depend on, with its micro-ops."""
_Clock = dict[PipelineModule, int]
"""Number of instructions that are done, of each module."""


class AccessHistory:
    """The youngest write, and the youngest read or write, of each entry of a memory or tensor, by
    module.

    Instructions of a module have numbers from 1; 0 stands for no access.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._writes = np.zeros((len(MODULES), size), np.int64)
        self._accesses = np.zeros((len(MODULES), size), np.int64)

    def hazards(
        self, module: PipelineModule, places: Places, write: bool
    ) -> list[tuple[PipelineModule, int]]:
        """For each other module, the number of its youngest instruction that an access of
        ``module`` must follow: the youngest write of the places (RAW, WAW), and for a write also
        the youngest read (WAR).
        """
        older = self._accesses if write else self._writes
        counts = older[:, places].max(axis=1, initial=0).tolist()
        return [each for each in zip(MODULES, counts) if each[0] is not module and each[1]]

    def note(self, module: PipelineModule, count: int, places: Places, write: bool) -> None:
        """Record that instruction number ``count`` of ``module``, its youngest one, accesses the
        places."""
        row = MODULES.index(module)
        self._accesses[row, places] = count
        if write:
            self._writes[row, places] = count


@dataclass(frozen=True)
class Access:
    """The entries of one memory or tensor that an instruction reads or writes."""

    history: AccessHistory
    places: Places
    write: bool


class DataOrderedStream(InstructionStream):
    """An instruction stream that inserts tokens from the hazards of its instructions.

    Parameters
    ----------
    isa : Isa
        The machine's instruction set.
    uops : bytearray
        The program's table of micro-ops, 4 bytes each, from which a LOAD reads micro-ops.
    """

    def __init__(self, isa: Isa, uops: bytearray) -> None:
        super().__init__()
        self._isa, self._table = isa, uops
        self._uops = np.zeros(isa.depth(MemId.UOP), np.uint32)
        self._sram = {m: AccessHistory(isa.depth(m)) for m in (MemId.WGT, MemId.INP, MemId.ACC)}
        self._tensors: dict[int, AccessHistory] = defaultdict(lambda: AccessHistory(1))
        self._nests: dict[tuple[Any, ...], list[Access]] = {}
        self._issued: dict[PipelineModule, list[PendingInstruction]] = {
            module: [] for module in PipelineModule
        }
        self._clocks: dict[PipelineModule, list[_Clock]] = {module: [] for module in PipelineModule}
        self._done = {module: dict.fromkeys(PipelineModule, 0) for module in PipelineModule}

    def emit(
        self, insn: Instruction, argument: int | None = None, *, takes_pops: bool = True
    ) -> None:
        """Append an instruction, with tokens from the instructions that it depends on."""
        self._emit(insn, argument, self.accesses(insn, argument), takes_pops=takes_pops)

    def _emit(
        self,
        insn: Instruction,
        argument: int | None,
        accesses: list[Access],
        *,
        takes_pops: bool = True,
    ) -> None:
        """:meth:`emit` of an instruction whose accesses are known."""
        module = insn.module
        if isinstance(insn, Load) and insn.memory is MemId.UOP:
            self._load_uops(insn)
        for access in accesses:
            for other, count in access.history.hazards(module, access.places, access.write):
                self._order(other, count, module)
        self._append(insn, argument, takes_pops=takes_pops)
        count = len(self._issued[module])
        for access in accesses:
            access.history.note(module, count, access.places, access.write)

    def _append(self, insn: Instruction, argument: int | None, *, takes_pops: bool = True) -> None:
        module = insn.module
        super().emit(insn, argument, takes_pops=takes_pops)
        self._done[module][module] += 1
        self._issued[module].append(self._last[module])
        self._clocks[module].append(dict(self._done[module]))

    def _nop(self, module: PipelineModule) -> None:
        """Append a NOP, which only carries tokens."""
        self._append(self.NOPS[module], None)

    # ---- tokens ----------------------------------------------------------------------------------

    def _order(self, source: PipelineModule, count: int, target: PipelineModule) -> None:
        """Let the next instruction of ``target`` begin after the first ``count`` of ``source``."""
        if self._done[target][source] >= count:
            return
        compute = PipelineModule.COMPUTE
        if compute not in (source, target):  # load and store have no queue for each other
            self._order(source, count, compute)
            if self._pops[compute]:
                self._nop(compute)
            self._order(compute, len(self._issued[compute]), target)
            return
        queue = token_queue(source, target)
        older = self._issued[source][count - 1]
        assert queue.push_flag not in older.flags, "a token from there would have ordered the two"
        older.flags.add(queue.push_flag)
        if queue.pop_flag in self._pops[target]:
            self._nop(target)
        self._pops[target].add(queue.pop_flag)
        seen = self._done[target]
        for module, done in self._clocks[source][count - 1].items():
            seen[module] = max(seen[module], done)

    # ---- accesses of an instruction --------------------------------------------------------------

    def accesses(self, insn: Instruction, argument: int | None) -> list[Access]:
        """The reads and writes of an instruction, given the micro-ops in the micro-op memory."""
        match insn:
            case Load() if insn.memory is MemId.UOP:
                return []
            case Load() if not insn.is_nop:
                columns = insn.x_pad_0 + insn.x_size + insn.x_pad_1
                size = (insn.y_pad_0 + insn.y_size + insn.y_pad_1) * columns
                memory = MemId.ACC if insn.memory is MemId.ACC_8BIT else insn.memory
                places = slice(insn.sram_base, insn.sram_base + size)
                found = [Access(self._sram[memory], places, True)]
                if insn.y_size and argument is not None:
                    found.append(self._in_dram(insn, argument))
                return found
            case Store() if not insn.is_nop:
                places = slice(insn.sram_base, insn.sram_base + insn.y_size * insn.x_size)
                assert argument is not None
                return [
                    Access(self._sram[MemId.ACC], places, False),
                    self._in_dram(insn, argument),
                ]
            case Gemm() | Alu():
                return self._nest(insn)
            case _:
                return []

    def _in_dram(self, insn: Load | Store, argument: int) -> Access:
        """The part of a tensor that a transfer reads or writes: here, the tensor."""
        return Access(self._tensors[argument], _WHOLE, isinstance(insn, Store))

    def _nest(self, insn: Gemm | Alu) -> list[Access]:
        """The reads and writes of a GEMM or ALU instruction."""
        words = self._uops[insn.uop_bgn : insn.uop_end]
        key = (words.tobytes(), *_LOOPS[type(insn)](insn))
        found = self._nests.get(key)
        if found is None:
            found = self._nests[key] = self._new_nest(insn, words)
        return found

    def _new_nest(self, insn: Gemm | Alu, words: npt.NDArray[np.uint32]) -> list[Access]:
        fields = self._isa.uop_indices(words)
        found = [
            Access(self._sram[MemId.ACC], _places(operand_reach(insn, "dst", fields["dst"])), True)
        ]
        if isinstance(insn, Alu):
            if not insn.use_imm:
                operands = _places(operand_reach(insn, "src", fields["src"]))
                found.append(Access(self._sram[MemId.ACC], operands, False))
        elif not insn.reset:
            for name, memory in (("src", MemId.INP), ("wgt", MemId.WGT)):
                operands = _places(operand_reach(insn, name, fields[name]))
                found.append(Access(self._sram[memory], operands, False))
        return found

    def _load_uops(self, insn: Load) -> None:
        # Of a copy: the table cannot grow while anything, a profiler too, refers to its buffer.
        first, last = 4 * insn.dram_base, 4 * (insn.dram_base + insn.x_size)
        words = np.frombuffer(self._table[first:last], np.uint32)
        self._uops[insn.sram_base : insn.sram_base + insn.x_size] = words


def _places(entries: npt.NDArray[np.int64]) -> Places:
    """Ascending entries, as a range where there is no gap."""
    first, last = int(entries[0]), int(entries[-1])
    return slice(first, last + 1) if last - first + 1 == len(entries) else entries
