"""The pass over a stream that checks every access."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vta.check.accesses import Entries, Places, operand_reach
from vta.check.dram import Buffers, Contents, ImageContents, ProgramContents
from vta.check.order import Order, find_order
from vta.check.report import Finding, Kind, Report
from vta.config import INSN_BYTES
from vta.errors import ProgramError
from vta.isa import (
    Alu,
    Finish,
    Gemm,
    IllegalEncodingError,
    Instruction,
    Isa,
    Load,
    MemId,
    PipelineModule,
    Store,
    disassemble,
)

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.program import Program

__all__ = ["check_program", "check_stream"]


def check_program(program: Program) -> Report:
    """Check a compiled program, for buffers wherever they lie.

    On-chip memories count as unwritten at the start, and no token may be left over at the end.

    Raises
    ------
    ProgramError
        If the program is not even well-formed (:meth:`vta.program.Program.check`): an instruction
        that the machine does not have, a transfer that leaves its tensor.
    """
    program.check()
    insns = program.instructions
    owner = {item.instruction: item.argument for item in program.relocations}
    names = {n: f"tensor {spec.name}" for n, spec in enumerate(program.tensors)}
    buffers = Buffers(program.cfg, insns, owner, names)
    return _Walk(program.cfg, insns, buffers, ProgramContents(program)).report(find_order(insns))


def check_stream(
    cfg: VTAConfig,
    stream: bytes,
    *,
    image: npt.NDArray[np.uint8] | None = None,
    base: int = 0,
    after_reset: bool = False,
    leftover_tokens: bool = False,
) -> Report:
    """Check a raw stream, whose addresses are final.

    Parameters
    ----------
    cfg : VTAConfig
        The machine.
    stream : bytes
        Encoded instructions, 16 bytes each.
    image : ndarray of uint8, shape (size,), or None
        The DRAM that the stream may use, as it is before the run. Without it the micro-ops are not
        known: which entries GEMM and ALU touch, and whether DRAM accesses are in bounds, is a limit
        of the report.
    base : int
        Physical address of the image's first byte.
    after_reset : bool
        The run is the first one: on-chip memories hold zeros and may be read unwritten.
    leftover_tokens : bool
        Tokens that no instruction pops are no fault.

    Raises
    ------
    ProgramError
        If the stream is cut in the middle of an instruction.
    """
    if len(stream) % INSN_BYTES:
        raise ProgramError(
            f"an instruction stream is a multiple of {INSN_BYTES} bytes; got {len(stream)}"
        )
    insns, findings = _decode(Isa.of(cfg), stream)
    count = len(stream) // INSN_BYTES
    if findings:
        return Report(count, tuple(findings))
    order = find_order(insns)
    if leftover_tokens:
        order.findings = [f for f in order.findings if f.kind is not Kind.LEFTOVER]
    buffers = Buffers(cfg, insns, dict.fromkeys(range(count), 0), {0: "DRAM"})
    contents = ImageContents(cfg, insns, image, base)
    walk = _Walk(cfg, insns, buffers, contents, after_reset=after_reset)
    return walk.report(order, _check_finish(insns))


def _decode(isa: Isa, stream: bytes) -> tuple[list[Instruction], list[Finding]]:
    insns, findings = [], []
    for index in range(len(stream) // INSN_BYTES):
        word = stream[index * INSN_BYTES :][:INSN_BYTES]
        try:
            insn = isa.decode(word)
        except IllegalEncodingError as error:
            text = f"0x{int.from_bytes(word, 'little'):032x}"
            findings.append(Finding(Kind.ILLEGAL, str(error), index, text))
            continue
        if reason := isa.why_illegal(insn):
            findings.append(Finding(Kind.ILLEGAL, reason, index, disassemble(insn)))
        insns.append(insn)
    return insns, findings


def _check_finish(insns: Sequence[Instruction]) -> list[Finding]:
    compute = [n for n, insn in enumerate(insns) if insn.module is PipelineModule.COMPUTE]
    ends = [n for n in compute if isinstance(insns[n], Finish)]
    if not ends:
        return [Finding(Kind.FINISH, f"the stream of {len(insns)} instructions has no FINISH")]
    after = [n for n in compute if n > ends[0]]
    if not after:
        return []
    message = f"comes after FINISH at {ends[0]}, which must be the last of the compute module"
    return [Finding(Kind.FINISH, message, after[0], disassemble(insns[after[0]]), ends[0])]


# ---- the walk ------------------------------------------------------------------------------------

_SRAM = (MemId.UOP, MemId.WGT, MemId.INP, MemId.ACC)


class _Walk:
    """Goes through the instructions in an order in which they can run."""

    def __init__(
        self,
        cfg: VTAConfig,
        insns: Sequence[Instruction],
        buffers: Buffers,
        contents: Contents,
        *,
        after_reset: bool = False,
    ) -> None:
        self.isa = Isa.of(cfg)
        self.insns, self.buffers, self.contents = insns, buffers, contents
        self.sram = {m: Entries(m.name, self.isa.depth(m), written=after_reset) for m in _SRAM}
        self.uops = np.zeros(cfg.uop_depth, np.uint32)
        self.known = np.full(cfg.uop_depth, after_reset)
        self.blind: list[int] = []
        """Instructions of which not all micro-ops are known."""
        self.findings: list[Finding] = []
        self.index = 0  # where we are
        self.order = Order()

    def report(self, order: Order, findings: Iterable[Finding] = ()) -> Report:
        """The whole outcome; ``findings`` are those that others made."""
        self.order = order
        for self.index in order.sequence:
            self._look(self.insns[self.index])
        last = len(self.insns)
        found = [*findings, *order.findings, *self.findings]
        found.sort(key=lambda finding: last if finding.index is None else finding.index)
        limits = []
        if self.blind:
            limits.append(
                f"{len(self.blind)} instructions run micro-ops that are not known (the first is "
                f"instruction {self.blind[0]}): not all that they touch was looked at"
            )
        return Report(last, tuple(found), tuple(limits))

    def _look(self, insn: Instruction) -> None:
        if isinstance(insn, Load) and not insn.is_nop:
            self._load(insn)
        elif isinstance(insn, Store) and not insn.is_nop:
            self._store(insn)
        elif isinstance(insn, Gemm | Alu) and insn.operations:
            self._nest(insn)

    # ---- transfers -------------------------------------------------------------------------------

    def _load(self, insn: Load) -> None:
        columns = insn.x_pad_0 + insn.x_size + insn.x_pad_1
        size = (insn.y_pad_0 + insn.y_size + insn.y_pad_1) * columns
        memory = MemId.ACC if insn.memory is MemId.ACC_8BIT else insn.memory
        self._dram(insn)
        places = self._range(memory, insn.sram_base, size)
        if memory is MemId.UOP:
            self._record_uops(insn, columns, places)
        self._touch(self.sram[memory], places, write=True)

    def _store(self, insn: Store) -> None:
        places = self._range(MemId.ACC, insn.sram_base, insn.y_size * insn.x_size)
        self._touch(self.sram[MemId.ACC], places)
        self._dram(insn)

    def _dram(self, insn: Load | Store) -> None:
        if why := self.contents.why_outside(insn):
            self._find(Kind.BOUNDS, why)
        touched = self.buffers.touched(self.index, insn)
        if touched is not None:
            self._touch(*touched, write=isinstance(insn, Store))

    def _range(self, memory: MemId, first: int, size: int) -> slice:
        """The entries ``[first, first + size)`` that exist."""
        if size:
            self._check_sram(memory, first + size - 1)
        depth = self.isa.depth(memory)
        return slice(min(first, depth), min(first + size, depth))

    def _record_uops(self, insn: Load, columns: int, places: slice) -> None:
        """The micro-op memory after a LOAD."""
        rows = insn.y_pad_0 + insn.y_size + insn.y_pad_1
        inside = (
            slice(insn.y_pad_0, insn.y_pad_0 + insn.y_size),
            slice(insn.x_pad_0, insn.x_pad_0 + insn.x_size),
        )
        words, known = np.zeros((rows, columns), np.uint32), np.ones((rows, columns), bool)
        words[inside], known[inside] = self.contents.words(insn)
        fits = places.stop - places.start
        self.uops[places] = words.reshape(-1)[:fits]
        self.known[places] = known.reshape(-1)[:fits]

    # ---- loop nests ------------------------------------------------------------------------------

    def _nest(self, insn: Gemm | Alu) -> None:
        uops = slice(insn.uop_bgn, insn.uop_end)
        missing = self.sram[MemId.UOP].unwritten(uops)
        if missing.size:
            self._unwritten(self.sram[MemId.UOP], missing)
        known = self.known[uops]
        if not known.all():
            if not missing.size:
                self.blind.append(self.index)
            self.sram[MemId.ACC].written[:] = True  # it may have written any
            if not known.any():
                return
        fields = self.isa.uop_indices(self.uops[uops][known])
        dst = self._reach(insn, "dst", MemId.ACC, fields["dst"])
        reads: list[tuple[MemId, npt.NDArray[np.int64]]] = []
        if isinstance(insn, Alu):
            operands = dst[:0] if insn.start else dst
            if not insn.use_imm:
                operands = np.union1d(operands, self._reach(insn, "src", MemId.ACC, fields["src"]))
            reads.append((MemId.ACC, operands))
        elif not insn.reset:
            if not insn.start:
                reads.append((MemId.ACC, dst))
            reads += [
                (MemId.INP, self._reach(insn, "src", MemId.INP, fields["src"])),
                (MemId.WGT, self._reach(insn, "wgt", MemId.WGT, fields["wgt"])),
            ]
        for memory, places in reads:
            self._touch(self.sram[memory], places)
        self._touch(self.sram[MemId.ACC], dst, write=True)

    def _reach(
        self, insn: Gemm | Alu, name: str, memory: MemId, points: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """The entries that one index of the nest visits and that exist."""
        places = operand_reach(insn, name, points)
        if self._check_sram(memory, int(places[-1])):
            return places
        return places[places < self.isa.depth(memory)]

    # ---- rules -----------------------------------------------------------------------------------

    def _check_sram(self, memory: MemId, highest: int) -> bool:
        depth = self.isa.depth(memory)
        if highest >= depth:
            message = f"reaches {memory.name} entry {highest}; the memory has {depth}"
            self._find(Kind.BOUNDS, message)
        return highest < depth

    def _touch(self, entries: Entries, places: Places, *, write: bool = False) -> None:
        """Apply the rules of order to an access, and remember it."""
        module = self.insns[self.index].module
        clock = self.order.clocks[self.index]
        if not write:
            missing = entries.unwritten(places)
            if missing.size:
                self._unwritten(entries, missing)
        for conflict in entries.conflicts(module, clock, places, write=write):
            other = self.order.members[conflict.module][conflict.count - 1]
            self._race((self.index, write), (other, conflict.writes), entries, conflict.places)
        entries.note(module, clock, places, write=write)

    def _unwritten(self, entries: Entries, missing: npt.NDArray[np.int64]) -> None:
        message = f"reads {entries.describe(missing)}, which nothing before it has written"
        self._find(Kind.UNWRITTEN, message)

    def _race(
        self,
        one: tuple[int, bool],
        two: tuple[int, bool],
        entries: Entries,
        places: npt.NDArray[np.int64],
    ) -> None:
        """Two instructions, and whether each writes; the later one of the stream is at fault."""
        (other, theirs), (index, ours) = sorted((one, two))
        insn = self.insns[other]
        message = (
            f"{'writes' if ours else 'reads'} {entries.describe(places)}, which instruction "
            f"{other} of the {insn.module.name.lower()} module ({disassemble(insn)}) "
            f"{'writes' if theirs else 'reads'}; no token orders the two"
        )
        text = disassemble(self.insns[index])
        self.findings.append(Finding(Kind.RACE, message, index, text, other))

    def _find(self, kind: Kind, message: str) -> None:
        text = disassemble(self.insns[self.index])
        self.findings.append(Finding(kind, message, self.index, text))
