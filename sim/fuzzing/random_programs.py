"""Random legal programs: any instruction, any hazard, and one result for any timing.

This module draws the operands. :mod:`vta.sim.fuzzing.token_insertion` adds the tokens that a
program requires, and some redundant ones. The order of the stream is always a possible order of
execution, so no program deadlocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vta.isa import (
    MAX_PAD_DRAM_BASE,
    PAD_VALUE_MEMORIES,
    RUN_OPERATIONS,
    Alu,
    AluOpcode,
    Finish,
    Gemm,
    Instruction,
    Isa,
    Limits,
    Load,
    MemId,
    PipelineModule,
    Scale,
    Store,
    Uop,
    alu_operations_of,
    disassemble,
)
from vta.sim.fuzzing.token_insertion import AccessHistory, TokenInserter
from vta.sim.memory import Memory

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    import numpy.typing as npt

    from vta.config import VTAConfig

__all__ = ["ProgramWriter", "RandomProgram", "random_program"]

PAGE = 4096
UOP_REGION = PAGE + 1024
"""Bytes at the end of the image that hold micro-ops; no STORE goes there."""
IMMEDIATES = (0, 1, -1, 2, 7, -8, 31, 32, 33, -31, -32, -33, 127, -128, 32767, -32768)
PAD_VALUES = (-128, 127, -1, 1)
BINARY = [operation for operation in AluOpcode if operation.operands == 2]
WIDE_LIMITS = (Limits(-128, 127).immediate, Limits(-100, 99).immediate)
"""Limits of REQUANTISE that many results lie between."""
SCALES = np.array(
    [
        Scale(multiplier, shift, zero_point).word
        for multiplier, shift in (
            *[(1, 1), (16384, 15), (-32768, 16), (-1, 2), (3, 3)] * 3,  # halves of small sums
            (1, 0), (-32768, 47), (32767, 46), (20001, 40), (-32768, 24), (25000, 17), (181, 32),
            (32767, 63),
        )
        for zero_point in (0, -20, 40)
    ],
    np.int32,
)  # fmt: skip
"""Parameters of REQUANTISE."""
VALUES = (0x00, 0xFF, 0x80, 0x7F)
"""Bytes that are at the edge of something; part of the image is made of them."""
WORDS = np.array(
    [2**31 - 1, -(2**31)] * 4
    + [2**31 - 256, 255 - 2**31, 0, 1, 5, 31, 32, 33, -1, -5, -31, -32, -33],
    np.int32,
)
"""Accumulators whose next sum may wrap around, and amounts of shifts; another part."""


@dataclass(frozen=True, repr=False)
class RandomProgram:
    """A program and the memory that it starts from.

    Attributes
    ----------
    cfg : VTAConfig
    instructions : tuple of Instruction
    image : ndarray of uint8
        The DRAM image before the run; byte 0 is physical address ``base``.
    base : int
    """

    cfg: VTAConfig
    instructions: tuple[Instruction, ...]
    image: npt.NDArray[np.uint8]
    base: int

    @property
    def stream(self) -> bytes:
        """The encoded instructions."""
        return Isa.of(self.cfg).encode_all(self.instructions)

    def memory(self) -> Memory:
        """A fresh copy of the image, to run on."""
        return Memory(self.base, self.image.copy())

    def __repr__(self) -> str:
        lines = [f"RandomProgram({self.cfg.fingerprint}, base=0x{self.base:x})"]
        lines += [f"  {n:3} {disassemble(insn)}" for n, insn in enumerate(self.instructions)]
        return "\n".join(lines)


def random_program(
    cfg: VTAConfig, rng: random.Random, *, steps: int = 24, max_operations: int = 48
) -> RandomProgram:
    """A legal program whose result does not depend on timing.

    Parameters
    ----------
    cfg : VTAConfig
    rng : random.Random
        The only source of chance: the same state gives the same program.
    steps : int
        How many instructions that do something, at most; NOPs that carry tokens come on top.
    max_operations : int
        The most micro-operations of one GEMM or ALU instruction.
    """
    return ProgramWriter(cfg, rng, max_operations).write(steps)


class ProgramWriter:
    """Draws instructions one after the other."""

    def __init__(self, cfg: VTAConfig, rng: random.Random, max_operations: int) -> None:
        self.cfg = cfg
        self.isa = Isa.of(cfg)
        self.rng = rng
        self.max_operations = max_operations
        self.stream = TokenInserter(rng)
        self.elem_bytes = {memory: self.isa.elem_bytes(memory) for memory in MemId}
        self.depth = {memory: self.isa.depth(memory) for memory in MemId}
        self.image, self.base = self._image()
        acc = AccessHistory(cfg.acc_depth)
        self.accesses = {
            MemId.UOP: AccessHistory(cfg.uop_depth),
            MemId.WGT: AccessHistory(cfg.wgt_depth),
            MemId.INP: AccessHistory(cfg.inp_depth),
            MemId.ACC: acc,
            MemId.ACC_8BIT: acc,
            MemId.OUT: acc,
        }
        self.dram = AccessHistory(self.image.size)
        self.uops = np.zeros(cfg.uop_depth, np.uint32)  # what the micro-op SRAM holds
        self.uops_from = 0  # where the last ones were loaded

    def _image(self) -> tuple[npt.NDArray[np.uint8], int]:
        """A memory image of some pages, and its base address; the micro-ops are at its end."""
        data = np.random.default_rng(self.rng.getrandbits(32))
        pages = 3 + 24 * max(self.elem_bytes.values()) // PAGE
        image = data.integers(0, 256, pages * PAGE, np.uint8)
        edges = data.random(image.size) < 0.2
        image[edges] = data.choice(np.array(VALUES, np.uint8), int(edges.sum()))
        edges = data.random(image.size // 4) < 0.1
        image.view("<i4")[edges] = data.choice(WORDS, int(edges.sum()))
        if self.cfg.extension:
            edges = data.random(image.size // 4) < 0.2
            image.view("<i4")[edges] = data.choice(SCALES, int(edges.sum()))
        words = self._uops(data, UOP_REGION // self.cfg.uop_elem_bytes)
        words[0] = 0
        image[-UOP_REGION:] = words.view(np.uint8)
        return image, PAGE * self.rng.choice((1, 2, 3, 16, 4095, 0x7FFFE))

    def _uops(self, data: np.random.Generator, count: int) -> npt.NDArray[np.uint32]:
        """Micro-ops, mostly with small indices: loops fit around them, and hazards are many."""
        cfg = self.cfg
        near = data.random(count) < 0.8
        columns = [
            np.where(near, data.integers(0, min(top, 8), count), data.integers(0, top, count))
            for top in (cfg.acc_depth, min(cfg.acc_depth, cfg.inp_depth), cfg.wgt_depth)
        ]
        return self.isa.encode_uops([Uop(*row) for row in np.stack(columns, axis=1).tolist()])

    # ---- the program --------------------------------------------------------------------------

    def kinds(self) -> dict[Callable[[], object], float]:
        """The kinds of steps, each with its relative frequency."""
        return {
            self._load_uop: 3, self._load_inp: 3, self._load_wgt: 2, self._load_acc: 3,
            self._gemm: 6, self._reset: 2, self._alu: 6, self._store: 6, self._nop: 1,
            self._adjacent_ranges: 3,
        }  # fmt: skip

    def write(self, steps: int) -> RandomProgram:
        """A program of so many steps, at most."""
        rng, stream, kinds = self.rng, self.stream, self.kinds()
        self._load_uop()
        for memory in (MemId.INP, MemId.WGT, MemId.ACC):
            if rng.random() < 0.6:
                self._fill(memory)
        for _ in range(rng.randint(1, steps)):
            rng.choices(list(kinds), list(kinds.values()))[0]()
            stream.add_spare_tokens()
        if rng.random() < 0.8:
            self._store_all_bits()
        if rng.random() < 0.7:
            for module in (PipelineModule.LOAD, PipelineModule.STORE):
                stream.order(module, stream.count(module), PipelineModule.COMPUTE)
        tail = rng.random() < 0.2  # FINISH ends the compute module, not the stream
        if tail:
            stream.emit(Finish(push_prev=rng.random() < 0.3, push_next=rng.random() < 0.3))
        for module in (PipelineModule.LOAD, PipelineModule.STORE):
            if stream.pops[module]:
                stream.emit(stream.nop(module))
        if not tail:
            stream.emit(Finish())
        return RandomProgram(self.cfg, tuple(stream.insns), self.image, self.base)

    def _emit(
        self,
        insn: Instruction,
        reads: list[tuple[AccessHistory, Any]],
        writes: list[tuple[AccessHistory, Any]],
    ) -> None:
        """Order the instruction after all that it depends on, and emit it."""
        module = insn.module
        touched = [(*item, False) for item in reads] + [(*item, True) for item in writes]
        for accesses, entries, write in touched:
            for other, count in accesses.needed(module, entries, write=write).items():
                self.stream.order(other, count, module)
        self.stream.emit(insn)
        for accesses, entries, write in touched:
            accesses.note(module, self.stream.count(module), entries, write=write)

    def _nop(self) -> None:
        self.stream.emit(self.stream.nop(self.rng.choice(list(PipelineModule))))

    def _store_all_bits(self) -> None:
        """Store all bits of the first accumulators, of which earlier stores may have none."""
        cfg = self.cfg
        first, available = self._region(MemId.OUT)
        parts = cfg.acc_width // cfg.out_width
        count = min(cfg.acc_depth, 32, available // parts)
        acc = (self.accesses[MemId.ACC], slice(0, count))
        zero_uop, _ = self._region(MemId.UOP)
        load = Load(memory=MemId.UOP, dram_base=zero_uop, y_size=1, x_size=1, x_stride=1)
        self._emit(load, reads=[], writes=[])
        for part in range(parts):
            store = Store(dram_base=first + part * count, y_size=1, x_size=count, x_stride=count)
            self._emit(store, reads=[acc], writes=[(self.dram, self._dram_bytes(store))])
            shift = Alu(
                alu_opcode=AluOpcode.SHR, use_imm=True, imm=cfg.out_width,
                uop_bgn=0, uop_end=1, iter_in=count, dst_factor_in=1, src_factor_in=1,
            )  # fmt: skip
            if part < parts - 1:
                self._emit(shift, reads=[acc], writes=[acc])

    # ---- transfers ----------------------------------------------------------------------------

    def _load_uop(self) -> None:
        insn = self._load(MemId.UOP)
        rows = insn.y_pad_0 + insn.y_size + insn.y_pad_1
        columns = insn.x_pad_0 + insn.x_size + insn.x_pad_1
        words = np.zeros((rows, columns), np.uint32)
        inside = words[insn.y_pad_0 :, insn.x_pad_0 :][: insn.y_size, : insn.x_size]
        inside[...] = self.image[self._dram_bytes(insn)].view("<u4").reshape(inside.shape)
        self.uops[insn.sram_base :][: words.size] = words.reshape(-1)
        self.uops_from = insn.sram_base + insn.y_pad_0 * columns + insn.x_pad_0

    def _load_inp(self) -> None:
        self._load(MemId.INP)

    def _load_wgt(self) -> None:
        self._load(MemId.WGT)

    def _load_acc(self) -> None:
        self._load(self.rng.choice((MemId.ACC, MemId.ACC, MemId.ACC_8BIT)))

    def _fill(self, memory: MemId) -> None:
        """Load values into the first entries, where most operands are: zeros hide faults."""
        first, available = self._region(memory)
        count = min(self.depth[memory], available, 8 + self.rng.randrange(24))
        dram_base = first + self.rng.randrange(available - count + 1)
        self._emit_load(
            Load(memory=memory, dram_base=dram_base, y_size=1, x_size=count, x_stride=count)
        )

    def _load(self, memory: MemId) -> Load:
        padded = self.rng.random() < 0.5
        extents = self._extents(memory, padded=padded)
        may_pad = padded and self.cfg.extension and memory in PAD_VALUE_MEMORIES
        if may_pad and self.rng.random() < 0.7 and extents["dram_base"] <= MAX_PAD_DRAM_BASE:
            extents["pad_value"] = self.rng.choice((*PAD_VALUES, self.rng.randint(-128, 127)))
        return self._emit_load(Load(memory=memory, **extents))

    def _emit_load(self, insn: Load) -> Load:
        rows = insn.y_pad_0 + insn.y_size + insn.y_pad_1
        columns = insn.x_pad_0 + insn.x_size + insn.x_pad_1
        entries = slice(insn.sram_base, insn.sram_base + rows * columns)
        self._emit(
            insn,
            reads=[(self.dram, self._dram_bytes(insn))],
            writes=[(self.accesses[insn.memory], entries)],
        )
        return insn

    def _store(self) -> None:
        whole = bool(self.cfg.extension) and self.rng.random() < 0.3
        memory = MemId.ACC if whole else MemId.OUT
        self._emit_store(Store(memory=memory, **self._extents(memory, padded=False)))

    def _emit_store(self, insn: Store) -> None:
        entries = slice(insn.sram_base, insn.sram_base + insn.y_size * insn.x_size)
        self._emit(
            insn,
            reads=[(self.accesses[MemId.OUT], entries)],
            writes=[(self.dram, self._dram_bytes(insn))],
        )

    def _extents(self, memory: MemId, *, padded: bool) -> dict[str, Any]:
        """Sizes, stride, bases and pads of a transfer that stays inside both memories."""
        rng, depth = self.rng, self.depth[memory]
        first, available = self._region(memory)
        while True:
            pads = dict.fromkeys(("y_pad_0", "y_pad_1", "x_pad_0", "x_pad_1"), 0)
            if padded:
                pads = {name: rng.choice((0, 0, 1, 2, 15, rng.randrange(16))) for name in pads}
            y_size = rng.choice((1, 1, 1, 2, 2, 3, 4, 0))
            x_size = rng.choice((1, 2, 3, 4, 5, 8, 1 + rng.randrange(min(depth, available))))
            x_stride = rng.choice(
                (x_size, x_size, 0, x_size + rng.randrange(9), rng.randrange(x_size))
            )
            size = (y_size + pads["y_pad_0"] + pads["y_pad_1"]) * (
                x_size + pads["x_pad_0"] + pads["x_pad_1"]
            )
            span = (y_size - 1) * x_stride + x_size if y_size else 0
            if size <= depth and span <= available:
                break
        bases, where = depth - size + 1, rng.random()
        if where < 0.05:
            sram_base = bases - 1  # up to the last entry
        else:
            sram_base = rng.randrange(min(8, bases) if where < 0.6 else bases)
        dram_base = first + rng.randrange(available - span + 1)
        if rng.random() < 0.15:  # a row over a border between pages, if there is one
            border = self.base + PAGE * rng.randrange(1, self.image.size // PAGE)
            dram_base = border // self.elem_bytes[memory] - rng.randrange(x_size)
            dram_base = min(max(dram_base, first), first + available - span)
        if not y_size:  # nothing is read: any address will do
            dram_base = rng.randrange(1 << 32)
        return {
            "sram_base": sram_base,
            "dram_base": dram_base,
            "y_size": y_size, "x_size": x_size, "x_stride": x_stride, **pads,
        }  # fmt: skip

    def _region(self, memory: MemId) -> tuple[int, int]:
        """Where elements of a memory lie in DRAM: the first one's address, and their number."""
        border = self.base + self.image.size - UOP_REGION
        low, high = (border, border + UOP_REGION) if memory is MemId.UOP else (self.base, border)
        first = -(-low // self.elem_bytes[memory])
        return first, high // self.elem_bytes[memory] - first

    def _dram_bytes(self, insn: Load | Store) -> npt.NDArray[np.int64]:
        """Offsets in the image of the bytes that a transfer touches, shape (rows, row bytes)."""
        elem_bytes = self.elem_bytes[insn.memory]
        rows = (insn.dram_base + np.arange(insn.y_size) * insn.x_stride) * elem_bytes - self.base
        return rows[:, None] + np.arange(insn.x_size * elem_bytes)

    # ---- compute ------------------------------------------------------------------------------

    def _gemm(self) -> None:
        nest = self._nest({"dst": MemId.ACC, "src": MemId.INP, "wgt": MemId.WGT})
        if nest is not None:
            fields, indices = nest
            acc = (self.accesses[MemId.ACC], indices["dst"])
            inp = (self.accesses[MemId.INP], indices["src"])
            wgt = (self.accesses[MemId.WGT], indices["wgt"])
            start = bool(self.cfg.extension) and self.rng.random() < 0.3
            reads = [inp, wgt] if start else [acc, inp, wgt]
            self._emit(Gemm(start=start, **fields), reads=reads, writes=[acc])
            if start and self.rng.random() < 0.8:
                self._restart(int(indices["dst"][-1]) if indices["dst"].size else 0)

    def _restart(self, tile: int) -> None:
        """A GEMM that starts a sum in the last tile of the GEMM right before."""
        uops = self.isa.uop_indices(self.uops)
        fits = (uops["dst"] == tile) & (uops["src"] < self.cfg.inp_depth)
        fits &= uops["wgt"] < self.cfg.wgt_depth
        if not fits.any():
            return
        uop = self.rng.choice(np.flatnonzero(fits).tolist())
        insn = Gemm(start=True, uop_bgn=uop, uop_end=uop + 1, iter_in=self.rng.randint(1, 4))
        entries = {
            name: (self.accesses[memory], uops[index][[uop]])
            for name, memory, index in (
                ("acc", MemId.ACC, "dst"), ("inp", MemId.INP, "src"), ("wgt", MemId.WGT, "wgt"),
            )
        }  # fmt: skip
        self._emit(insn, reads=[entries["inp"], entries["wgt"]], writes=[entries["acc"]])

    def _reset(self) -> None:
        nest = self._nest({"dst": MemId.ACC})
        if nest is not None:
            fields, indices = nest
            for name, depth in (("src", self.cfg.inp_depth), ("wgt", self.cfg.wgt_depth)):
                for loop in ("out", "in"):  # not used: anything that fits the field
                    fields[f"{name}_factor_{loop}"] = self.rng.randrange(depth)
            acc = (self.accesses[MemId.ACC], indices["dst"])
            self._emit(Gemm(reset=True, **fields), reads=[], writes=[acc])

    def _alu(self) -> None:
        rng = self.rng
        opcode = rng.choice(alu_operations_of(self.cfg))
        reset = rng.random() < 0.1  # has no meaning
        acc = self.accesses[MemId.ACC]
        if rng.choice(opcode.y_sources) == "acc":
            nest = self._nest({"dst": MemId.ACC, "src": MemId.ACC})
            if nest is not None:
                fields, indices = nest
                reads = [(acc, indices["dst"]), (acc, indices["src"])]
                imm = rng.choice(IMMEDIATES)
                if opcode.is_ternary and rng.random() < 0.6:  # small values, not clipped
                    imm = rng.choice(WIDE_LIMITS)
                    shift = Alu(alu_opcode=AluOpcode.SHR, use_imm=True, imm=24, **fields)
                    self._emit(shift, reads=reads[:1], writes=reads[:1])
                start = self._starts(opcode)
                insn = Alu(alu_opcode=opcode, reset=reset, start=start, imm=imm, **fields)
                reads = reads[1:] if start else reads
                self._emit(insn, reads=reads, writes=[(acc, indices["dst"])])
            return
        nest = self._nest({"dst": MemId.ACC})
        if nest is not None:
            fields, indices = nest
            for loop in ("out", "in"):
                fields[f"src_factor_{loop}"] = rng.randrange(self.cfg.acc_depth)
            imm = rng.choice((*IMMEDIATES, rng.randrange(-(1 << 15), 1 << 15)))
            imm = 0 if opcode.is_unary else imm
            start = self._starts(opcode)
            reads = [] if start else [(acc, indices["dst"])]
            insn = Alu(
                alu_opcode=opcode, reset=reset, start=start, use_imm=True, imm=imm, **fields
            )  # fmt: skip
            self._emit(insn, reads=reads, writes=[(acc, indices["dst"])])

    def _starts(self, opcode: AluOpcode) -> bool:
        """Whether an ALU instruction starts runs."""
        return bool(self.cfg.extension) and opcode in RUN_OPERATIONS and self.rng.random() < 0.4

    def _adjacent_ranges(self) -> None:
        """An ALU instruction beside a GEMM or a load, whose writes begin where an operand of the
        ALU ends, one entry earlier or one later. Both instructions take many cycles."""
        rng, depth, most = self.rng, self.cfg.acc_depth, self.max_operations
        first = min(self.uops_from, self.cfg.uop_depth - 1)
        alu, other = (min(first + rng.randrange(8), self.cfg.uop_depth - 1) for _ in range(2))
        uops = self.isa.uop_indices(self.uops)
        dst, src, to = int(uops["dst"][alu]), int(uops["src"][alu]), int(uops["dst"][other])
        size = to - rng.choice((dst, src)) + rng.randrange(3)
        if not 0 < size <= min(most, depth - max(dst, src)):
            return
        acc = self.accesses[MemId.ACC]
        operands = [(acc, np.arange(size) + begin) for begin in (dst, src)]
        insn: Instruction = Alu(
            alu_opcode=rng.choice(BINARY), uop_bgn=alu, uop_end=alu + 1,
            iter_out=most // size, iter_in=size, dst_factor_in=1, src_factor_in=1,
        )  # fmt: skip
        pair = [(insn, operands, operands[:1])]
        count = min(rng.choice((1, 8, 13)), depth - to, most)
        written = (acc, np.arange(count) + to)
        if rng.random() < 0.5:
            insn = Gemm(
                uop_bgn=other, uop_end=other + 1, iter_out=most // count, iter_in=count,
                dst_factor_in=1,
            )  # fmt: skip
            inp = (self.accesses[MemId.INP], uops["src"][[other]])
            wgt = (self.accesses[MemId.WGT], uops["wgt"][[other]])
            pair.append((insn, [written, inp, wgt], [written]))
        else:
            lowest, available = self._region(MemId.ACC)
            insn = Load(
                memory=MemId.ACC, sram_base=to, y_size=1, x_size=count, x_stride=count,
                dram_base=lowest + rng.randrange(available - count + 1),
            )  # fmt: skip
            pair.append((insn, [(self.dram, self._dram_bytes(insn))], [written]))
        rng.shuffle(pair)
        for insn, reads, writes in pair:
            self._emit(insn, reads=reads, writes=writes)

    def _nest(
        self, memories: dict[str, MemId]
    ) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.int64]]] | None:
        """Loops around some micro-ops, with all indices inside the memories that are given.

        Returns the instruction's fields and, for each name of ``memories``, the indices that it
        touches; None if no fitting micro-ops were found.
        """
        rng = self.rng
        for _ in range(8):
            size = min(rng.choice((1, 1, 2, 3, 4, 6, 8, 0)), self.cfg.uop_depth)
            first = self.uops_from if rng.random() < 0.8 else rng.randrange(self.cfg.uop_depth)
            first = min(first, self.cfg.uop_depth - max(size, 1))
            uops = self.isa.uop_indices(self.uops[first : first + size])
            tops = {name: int(uops[name].max(initial=0)) for name in memories}
            if all(top < self.depth[memories[name]] for name, top in tops.items()):
                break
        else:
            return None
        extents = [rng.choice((1, 1, 2, 3, 4, self.max_operations, 0)) for _ in range(2)]
        while extents[0] * extents[1] * size > self.max_operations:
            extents[extents.index(max(extents))] //= 2
        fields: dict[str, Any] = {
            "uop_bgn": first, "uop_end": first + size, "iter_out": extents[0], "iter_in": extents[1]
        }  # fmt: skip
        indices = {}
        for name, memory in memories.items():
            room = self.depth[memory] - 1 - tops[name]
            steps = []
            for extent in extents:
                most = room // max(extent - 1, 1)
                steps.append(min(most, rng.choice((1, 1, 0, 2, 3, rng.randrange(most + 1)))))
                room -= steps[-1] * max(extent - 1, 0)
            fields[f"{name}_factor_out"], fields[f"{name}_factor_in"] = steps
            o, i = np.arange(extents[0])[:, None, None], np.arange(extents[1])[:, None]
            indices[name] = (o * steps[0] + i * steps[1] + uops[name]).reshape(-1)
        return fields, indices
