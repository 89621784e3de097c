"""Functional coverage: what the programs that a reference model ran have reached, and what not.

A :class:`CoveredModel` is a reference model that records every instruction before it executes it,
with the operands as they are then. :data:`BINS` lists everything that it looks for.
"""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from rich import box
from rich.table import Table

from vta.isa import (
    LIMITS,
    MAX_TRANSFER_PAD,
    PAD_VALUE_MEMORIES,
    RUN_OPERATIONS,
    SCALE,
    TOKEN_FLAGS,
    TOKEN_QUEUES,
    Alu,
    AluOpcode,
    Finish,
    Gemm,
    Instruction,
    Isa,
    Load,
    MemId,
    PipelineModule,
    Store,
    TokenCounts,
)
from vta.sim.reference.alu import OPERATIONS, unpack_lanes
from vta.sim.reference.datapath import Datapath
from vta.sim.reference.loops import MicroOpNest, flat_indices
from vta.sim.reference.model import ReferenceModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vta.config import VTAConfig
    from vta.run_result import Counters, RunResult
    from vta.sim.memory import Memory

    Values = npt.NDArray[np.int64]
    Hits = npt.NDArray[np.bool_]
    Classify = Callable[[Values, Values, Values], dict[str, Hits]]

__all__ = ["BINS", "Coverage", "CoveredModel"]

LOADED = (MemId.UOP, MemId.WGT, MemId.INP, MemId.ACC, MemId.ACC_8BIT)
MOVED = {
    **{f"LOAD {memory.name}": memory for memory in LOADED},
    "STORE OUT": MemId.OUT, "STORE ACC": MemId.ACC,
}  # fmt: skip
"""Transfers by name: the memory that each names."""
PADS = ("y_pad_0", "y_pad_1", "x_pad_0", "x_pad_1")
DISTANCES = range(1, 9)
ROWS = ("0", "1", "2", "3 or more")
PAGE = 4096
WORK = ("load", "gemm", "start", "reset", "alu")
"""What writes accumulators."""


STARTS = ("continues", "of another tile", "of the same tile again")
"""What a micro-op of an instruction that starts runs is, after the micro-op before it."""


def _flags(names: Sequence[str]) -> list[str]:
    """All combinations of flags, in words."""
    combinations = product((False, True), repeat=len(names))
    return ["+".join(name for name, on in zip(names, c) if on) or "none" for c in combinations]


def _shift_amounts(x: Values, y: Values, imm: Values) -> dict[str, Hits]:
    return {
        "by 0": y == 0, "by 1..31": (y > 0) & (y < 32), "by 32 or more": y >= 32,
        "by -1..-31": (y < 0) & (y > -32), "by -32 or less": y <= -32,
    }  # fmt: skip


def _equal(x: Values, y: Values, imm: Values) -> dict[str, Hits]:
    return {"equal": x == y}


def _wraps(compute: Callable[[Values, Values], Values]) -> Classify:
    def classify(x: Values, y: Values, imm: Values) -> dict[str, Hits]:
        result = compute(x, y)
        return {"wraps": result != result.astype(np.int32)}

    return classify


def _requantisations(x: Values, y: Values, imm: Values) -> dict[str, Hits]:
    result = OPERATIONS[AluOpcode.REQUANTISE](x, y, imm)
    multiplier, shift, _ = unpack_lanes(SCALE, y)
    low, high = unpack_lanes(LIMITS, imm)
    inside = (low < result) & (result < high)
    is_tie = (x * multiplier) & ((np.int64(1) << shift) - 1) == (np.int64(1) << shift) >> 1
    return {
        "at the low limit": result == low, "at the high limit": result == high,
        "limits crossed": low > high, "tie": inside & (shift > 0) & is_tie,
        "by 0": inside & (shift == 0), "by 1..15": inside & (shift > 0) & (shift < 16),
        "by 16..31": inside & (shift // 16 == 1), "by 32..47": inside & (shift // 16 == 2),
        "by 48 or more": inside & (shift >= 48),
    }  # fmt: skip


OPERAND_CLASSES: dict[AluOpcode, Classify] = {
    AluOpcode.MIN: _equal,
    AluOpcode.MAX: _equal,
    AluOpcode.ADD: _wraps(np.add),
    AluOpcode.SHR: _shift_amounts,
    AluOpcode.MUL: _wraps(np.multiply),
    AluOpcode.REQUANTISE: _requantisations,
}
"""``{operation: function}``: from ``x``, ``y`` and the immediate, int64 of one shape, to the
classes of operands that a program should reach, each with where it was. An operation looks at as
many as it has."""

assert OPERAND_CLASSES.keys() == set(AluOpcode)


def _class_names(operation: AluOpcode) -> list[str]:
    nothing = np.empty(0, np.int64)
    return [
        f"{operation.name} {operand} {name}"
        for operand in operation.y_sources
        for name in OPERAND_CLASSES[operation](nothing, nothing, nothing)
    ]


BINS: dict[str, list[str]] = {
    "instructions": [
        *MOVED, "GEMM", "GEMM start", "GEMM reset", "FINISH",
        *(f"NOP {module.name}" for module in PipelineModule),
        *(f"{operation.name} {operand}"
          for operation in AluOpcode for operand in operation.y_sources),
        *(f"{operation.name} start {operand}"
          for operation in RUN_OPERATIONS for operand in operation.y_sources),
    ],
    "pads": [
        *(f"{pad} {size}" for pad in PADS for size in ("1", "2..14", "15")),
        *(f"{memory.name} padded" for memory in LOADED),
        *(f"{memory.name} all four" for memory in LOADED),
        *(f"{memory.name} nothing else" for memory in LOADED),
        *(f"{memory.name} pad value" for memory in PAD_VALUE_MEMORIES),
    ],
    "strides": [
        f"{name} {kind}" for name in MOVED for kind in ("0", "less", "equal", "more")
    ],
    "shapes": [
        *(f"{name} {rows} rows" for name in MOVED for rows in ROWS),
        *(f"{name} row over a 4 KiB border" for name in MOVED),
        *(f"{name} starts inside a beat" for name in MOVED),
        *(f"{name} ends inside a beat" for name in MOVED),
        *(f"{name} first entry" for name in MOVED),
        *(f"{name} last entry" for name in MOVED),
    ],
    "nests": [
        f"{kind} {name} {size}"
        for kind in ("GEMM", "ALU")
        for name in ("iter_out", "iter_in", "uops")
        for size in ("0", "1", "2 or more")
    ],
    "hazards": [
        *(f"GEMM dst again after {d}" for d in DISTANCES),
        *(f"ALU dst again after {d}" for d in DISTANCES),
        *(f"ALU src written {d} before" for d in DISTANCES),
        *(f"{a} then {b}" for a in WORK for b in WORK),
        *(f"{kind} start {what}" for kind in ("GEMM", "ALU") for what in STARTS),
        "uop load then use",
    ],
    "values": [
        *(name for operation in AluOpcode for name in _class_names(operation)),
        "GEMM wraps", "STORE negative", "STORE cuts bits off",
    ],
    "tokens": [
        *(f"{module.name.lower()} {flags}"
          for module in PipelineModule for flags in _flags(TOKEN_FLAGS[module])),
        *(f"{queue.name} holds {count}" for queue in TOKEN_QUEUES
          for count in ("1", "2", "3", "4 or more")),
        *(f"{queue.name} keeps some at the end" for queue in TOKEN_QUEUES),
    ],
}  # fmt: skip
"""What is looked for, by group."""


def _of_extension() -> set[str]:
    """What only a machine with the extension can do."""
    words = {"start", "pad", "REQUANTISE"}
    return {
        name
        for group in ("instructions", "hazards", "values", "pads", "strides", "shapes")
        for name in BINS[group]
        if words & {*name.split()} or name.startswith("STORE ACC")
    }


def _moved(insn: Load | Store) -> str:
    """Which of :data:`MOVED` a transfer is."""
    return f"{insn.opcode.name} {insn.memory.name}"


def _work(insn: Gemm | Alu) -> str:
    """Which of :data:`WORK` an instruction is."""
    if isinstance(insn, Alu):
        return "alu"
    return "reset" if insn.reset else "start" if insn.start else "gemm"


class Coverage:
    """How often each of :data:`BINS` was reached."""

    def __init__(self, cfg: VTAConfig) -> None:
        self.cfg, self.isa = cfg, Isa.of(cfg)
        self.counts: dict[str, Counter[str]] = {group: Counter() for group in BINS}
        self.begin()

    def begin(self) -> None:
        """A new run."""
        self.tokens = TokenCounts()
        self.last: tuple[str, npt.NDArray[np.int64]] = ("", np.empty(0, np.int64))
        self.new_uops: range = range(0)

    def hit(self, group: str, name: str) -> None:
        assert name in BINS[group], (group, name)
        self.counts[group][name] += 1

    def holes(self) -> dict[str, list[str]]:
        """What was never reached, by group."""
        impossible = self._impossible()
        missing = {
            group: [n for n in names if not self.counts[group][n] and n not in impossible]
            for group, names in BINS.items()
        }
        return {group: names for group, names in missing.items() if names}

    def _impossible(self) -> set[str]:
        """What this machine cannot do: elements that are whole beats start and end with one, and
        the instructions of the extension need it."""
        extension = set() if self.cfg.extension else _of_extension()
        return extension | {
            f"{name} {what} inside a beat"
            for name, memory in MOVED.items()
            if self.isa.elem_bytes(memory) >= self.cfg.bus_bytes
            for what in ("starts", "ends")
        }

    def table(self) -> Table:
        """A summary for a terminal."""
        table = Table("group", "reached", "holes", box=box.SIMPLE_HEAD)
        holes, impossible = self.holes(), self._impossible()
        for group, names in BINS.items():
            missing = holes.get(group, [])
            total = len([name for name in names if name not in impossible])
            table.add_row(group, f"{total - len(missing)}/{total}", ", ".join(missing))
        return table

    # ---- instructions ----------------------------------------------------------------------------

    def look(self, insn: Instruction, datapath: Datapath) -> None:
        """An instruction is about to be executed."""
        self._tokens(insn)
        if isinstance(insn, Finish):
            self.hit("instructions", "FINISH")
        elif isinstance(insn, Load | Store):
            if insn.is_nop:
                self.hit("instructions", f"NOP {insn.module.name}")
            else:
                self._transfer(insn, datapath)
        elif isinstance(insn, Gemm | Alu):
            self._nest(insn, datapath)

    def end(self) -> None:
        """The run is over."""
        for queue, count in self.tokens.as_dict().items():
            if count:
                self.hit("tokens", f"{queue} keeps some at the end")

    def _tokens(self, insn: Instruction) -> None:
        names = TOKEN_FLAGS[insn.module]
        flags = "+".join(name for name in names if getattr(insn, name)) or "none"
        self.hit("tokens", f"{insn.module.name.lower()} {flags}")
        self.tokens.pop(insn)
        self.tokens.push(insn)
        for queue in TokenCounts.pushed_by(insn):
            count = getattr(self.tokens, queue)
            self.hit("tokens", f"{queue} holds {count if count < 4 else '4 or more'}")

    def _transfer(self, insn: Load | Store, datapath: Datapath) -> None:
        name = insn.memory.name
        pads = [getattr(insn, pad) for pad in PADS]
        rows, columns = insn.y_pad_0 + insn.y_size + insn.y_pad_1, sum(pads[2:]) + insn.x_size
        moved = _moved(insn)
        self.hit("instructions", moved)
        self.hit("shapes", f"{moved} {insn.y_size if insn.y_size < 3 else '3 or more'} rows")
        for pad, size in zip(PADS, pads):
            if size:
                kind = str(size) if size in (1, MAX_TRANSFER_PAD) else "2..14"
                self.hit("pads", f"{pad} {kind}")
        if any(pads):
            self.hit("pads", f"{name} padded")
            if isinstance(insn, Load) and insn.pad_value:
                self.hit("pads", f"{name} pad value")
        if all(pads) and insn.y_size:
            self.hit("pads", f"{name} all four")
        if not insn.y_size and (insn.y_pad_0 or insn.y_pad_1):
            self.hit("pads", f"{name} nothing else")
        if insn.y_size:
            self._rows(insn)
        if rows:
            end = insn.sram_base + rows * columns
            if insn.sram_base == 0:
                self.hit("shapes", f"{moved} first entry")
            if end == self.isa.depth(insn.memory):
                self.hit("shapes", f"{moved} last entry")
        entries = np.arange(insn.sram_base, insn.sram_base + rows * columns)
        if isinstance(insn, Store):
            if insn.memory is MemId.OUT:
                self._stored(datapath.acc[entries])
        elif insn.memory in (MemId.ACC, MemId.ACC_8BIT):
            self._follows("load", entries, entries)
        elif insn.memory is MemId.UOP and rows:
            self.new_uops = range(insn.sram_base, insn.sram_base + rows * columns)

    def _rows(self, insn: Load | Store) -> None:
        name = _moved(insn)
        if insn.y_size > 1:
            stride = "0" if not insn.x_stride else "less"
            if insn.x_stride >= insn.x_size:
                stride = "equal" if insn.x_stride == insn.x_size else "more"
            self.hit("strides", f"{name} {stride}")
        elem_bytes, beat = self.isa.elem_bytes(insn.memory), self.cfg.bus_bytes
        for row in range(insn.y_size):
            start = (insn.dram_base + row * insn.x_stride) * elem_bytes
            end = start + insn.x_size * elem_bytes
            if start // PAGE != (end - 1) // PAGE:
                self.hit("shapes", f"{name} row over a 4 KiB border")
            if start % beat:
                self.hit("shapes", f"{name} starts inside a beat")
            if end % beat:
                self.hit("shapes", f"{name} ends inside a beat")

    def _stored(self, values: npt.NDArray[np.int32]) -> None:
        limit = 1 << (self.cfg.out_width - 1)
        if (values < 0).any():
            self.hit("values", "STORE negative")
        if ((values >= limit) | (values < -limit)).any():
            self.hit("values", "STORE cuts bits off")

    # ---- loop nests ------------------------------------------------------------------------------

    def _nest(self, insn: Gemm | Alu, datapath: Datapath) -> None:
        kind = "GEMM" if isinstance(insn, Gemm) else "ALU"
        for name, size in (
            ("iter_out", insn.iter_out), ("iter_in", insn.iter_in),
            ("uops", insn.uop_end - insn.uop_bgn),
        ):  # fmt: skip
            self.hit("nests", f"{kind} {name} {size if size < 2 else '2 or more'}")
        if isinstance(insn, Alu):
            operand = "imm" if insn.use_imm else "acc"
            start = " start" * insn.start
            self.hit("instructions", f"{insn.alu_opcode.name}{start} {operand}")
        else:
            self.hit("instructions", f"GEMM {_work(insn)}".removesuffix(" gemm"))
        if not insn.operations:
            return
        if set(self.new_uops) & set(range(insn.uop_bgn, insn.uop_end)):
            self.hit("hazards", "uop load then use")
        self.new_uops = range(0)
        nest = MicroOpNest.of(self.isa, insn, datapath.uop[insn.uop_bgn : insn.uop_end])
        parts = list(flat_indices(nest))
        dst, src = (np.concatenate([part[n] for part in parts]) for n in range(2))
        self._distances(f"{kind} dst again after", dst, dst)
        reads = dst
        if isinstance(insn, Alu):
            if not insn.use_imm:
                self._distances("ALU src written", src, dst, " before")
                reads = np.stack([dst, src], axis=1).reshape(-1)
            self._alu_values(insn, datapath, dst, src)
        if insn.start:
            self._starts(kind, dst)
        self._follows(_work(insn), reads, dst)

    def _starts(self, kind: str, dst: npt.NDArray[np.int64]) -> None:
        """What the micro-ops of an instruction that starts runs are."""
        firsts = np.diff(dst, prepend=-1) != 0
        if not firsts.all():
            self.hit("hazards", f"{kind} start continues")
        if firsts.sum() > 1:
            self.hit("hazards", f"{kind} start of another tile")
        if firsts.sum() > len(np.unique(dst)):
            self.hit("hazards", f"{kind} start of the same tile again")

    def _distances(
        self, name: str, reads: npt.NDArray[np.int64], writes: npt.NDArray[np.int64], end: str = ""
    ) -> None:
        for distance in DISTANCES:
            if (reads[distance:] == writes[:-distance]).any():
                self.hit("hazards", f"{name} {distance}{end}")

    def _follows(
        self, kind: str, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]
    ) -> None:
        """Whether an instruction begins where the compute instruction before it ended."""
        before, entries = self.last
        if before and np.isin(first[: max(DISTANCES)], entries).any():
            self.hit("hazards", f"{before} then {kind}")
        self.last = kind, last[-max(DISTANCES) :]

    def _alu_values(
        self,
        insn: Alu,
        datapath: Datapath,
        dst: npt.NDArray[np.int64],
        src: npt.NDArray[np.int64],
    ) -> None:
        """The classes of operand values, as far as they are what they were before the instruction
        began: entries that it has not written yet. A first micro-op of a run has no ``x``."""
        if insn.start:
            return
        fresh = np.zeros(len(dst), bool)
        fresh[np.unique(dst, return_index=True)[1]] = True
        if not insn.use_imm:
            fresh &= ~np.isin(src, dst)
        x = datapath.acc[dst[fresh]].astype(np.int64)
        y = np.int64(insn.imm) if insn.use_imm else datapath.acc[src[fresh]].astype(np.int64)
        y, imm = (np.broadcast_to(part, x.shape) for part in (y, np.int64(insn.imm)))
        operand = "imm" if insn.use_imm else "acc"
        for name, hits in OPERAND_CLASSES[insn.alu_opcode](x, y, imm).items():
            if hits.any():
                self.hit("values", f"{insn.alu_opcode.name} {operand} {name}")

    def wrapped(self, before: npt.NDArray[np.int32], after: npt.NDArray[np.int32]) -> None:
        """A GEMM that only adds has changed the accumulators: did one change by more than it can
        without wrapping around?"""
        change = after.astype(np.int64) - before
        if (np.abs(change) > 1 << 31).any():
            self.hit("values", "GEMM wraps")


class _CoveredDatapath(Datapath):
    def __init__(self, cfg: VTAConfig, coverage: Coverage) -> None:
        super().__init__(cfg)
        self.coverage = coverage

    def execute(self, insn: Instruction, memory: Memory, counters: Counters) -> None:
        self.coverage.look(insn, self)
        if isinstance(insn, Gemm) and not insn.reset and not insn.start:
            before = self.acc.copy()
            super().execute(insn, memory, counters)
            self.coverage.wrapped(before, self.acc)
        else:
            super().execute(insn, memory, counters)


class CoveredModel(ReferenceModel):
    """A reference model that records coverage; a little slower."""

    def __init__(self, cfg: VTAConfig, *, seed: int | None = None) -> None:
        self.coverage = Coverage(cfg)
        super().__init__(cfg, seed=seed)

    def reset(self) -> None:
        self.datapath = _CoveredDatapath(self.cfg, self.coverage)

    def run(self, stream: bytes | Sequence[Instruction], memory: Memory) -> RunResult:
        self.coverage.begin()
        result = super().run(stream, memory)
        self.coverage.end()
        return result
