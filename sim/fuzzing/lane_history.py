"""Where a byte that a program stores comes from: the lane of the accumulator memory, and every
operation on that lane with its operands, as the reference computes them.

A random program can be executed in the order of its stream
(:mod:`vta.sim.fuzzing.random_programs`), so its instructions are done one after the other here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vta.isa import Alu, Gemm, Instruction, Isa, Load, MemId, Store, disassemble
from vta.run_result import Counters
from vta.sim.reference.alu import OPERATIONS
from vta.sim.reference.datapath import Datapath
from vta.sim.reference.loops import MicroOpNest, flat_indices, product_indices
from vta.sim.reference.tiles import decode_tiles

if TYPE_CHECKING:
    import numpy.typing as npt

    from vta.sim.fuzzing.random_programs import RandomProgram

__all__ = ["Lane", "StoredByte", "lane_history", "stored_byte"]

SHOWN = 6
"""Operations on the lane that a report shows, the last ones."""
MOST_OPERATIONS = 1 << 17
"""Operations of one instruction that are looked at one by one."""


@dataclass(frozen=True)
class Lane:
    """One value of the accumulator memory: ``acc[entry][row][column]``."""

    entry: int
    row: int
    column: int

    def __str__(self) -> str:
        return f"acc[{self.entry}][{self.row}][{self.column}]"


@dataclass(frozen=True)
class StoredByte:
    """The STORE that wrote a byte of DRAM last, the lane that the byte is of, and its bytes.

    Attributes
    ----------
    index : int
        Number of the STORE in the stream.
    lane : Lane
    start, half : int, int or None
        Address of the first byte of the lane's value; which half of it if a value has 4 bits.
    width : int
        Bits of the value.
    """

    index: int
    lane: Lane
    start: int
    half: int | None
    width: int

    def value(self, data: npt.NDArray[np.uint8], base: int) -> int:
        """The lane's value in an image of DRAM that starts at ``base``."""
        at = self.start - base
        raw = data[at : at + max(self.width // 8, 1)]
        values = decode_tiles(raw[None], self.width, (1,)).reshape(-1)
        return int(values[self.half or 0])


def stored_byte(program: RandomProgram, address: int, high_half: bool) -> StoredByte | None:
    """Which STORE wrote the byte at ``address`` last; None if none did.

    Parameters
    ----------
    program : RandomProgram
    address : int
        Physical, of a byte.
    high_half : bool
        The value meant is in the upper half of the byte, if values have 4 bits.
    """
    cfg, found = program.cfg, None
    isa = Isa.of(cfg)
    for index, insn in enumerate(program.instructions):
        if not isinstance(insn, Store) or insn.is_nop:
            continue
        elem = isa.elem_bytes(insn.memory)
        width = cfg.acc_width if insn.memory is MemId.ACC else cfg.out_width
        for y in range(insn.y_size):
            at = address - (insn.dram_base + y * insn.x_stride) * elem
            if not 0 <= at < insn.x_size * elem:
                continue
            tile, byte = divmod(at, elem)
            number = byte * 8 // width + (high_half if width == 4 else 0)
            row, column = divmod(number, cfg.block_out)
            lane = Lane(insn.sram_base + y * insn.x_size + tile, row, column)
            start = address - byte + number * width // 8
            found = StoredByte(index, lane, start, number % 2 if width == 4 else None, width)
    return found


def lane_history(program: RandomProgram, stored: StoredByte) -> list[str]:
    """What happened to the lane before it was stored, oldest first: at most :data:`SHOWN` lines."""
    datapath, memory = Datapath(program.cfg), program.memory()
    lines = []
    for index, insn in enumerate(program.instructions[: stored.index]):
        steps = list(_steps(datapath, insn, stored.lane))
        datapath.execute(insn, memory, Counters())
        if steps:
            lane = stored.lane
            value = datapath.acc[lane.entry, lane.row, lane.column]
            lines.append(f"instruction {index}: {disassemble(insn)}")
            lines += [f"    {step}" for step in steps[-SHOWN:]]
            lines.append(f"    {lane} is {value}")
    if not lines:
        return [f"{stored.lane} was not written before: it is 0"]
    return lines if len(lines) <= 3 * SHOWN else ["...", *lines[-3 * SHOWN :]]


def _steps(datapath: Datapath, insn: Instruction, lane: Lane) -> Iterator[str]:
    """What an instruction is going to do to the lane, with the operands as they are now."""
    if isinstance(insn, Load) and insn.memory in (MemId.ACC, MemId.ACC_8BIT) and not insn.is_nop:
        rows = insn.y_pad_0 + insn.y_size + insn.y_pad_1
        columns = insn.x_pad_0 + insn.x_size + insn.x_pad_1
        if 0 <= lane.entry - insn.sram_base < rows * columns:
            y, x = divmod(lane.entry - insn.sram_base, columns)
            inside = 0 <= y - insn.y_pad_0 < insn.y_size and 0 <= x - insn.x_pad_0 < insn.x_size
            pad = f"{lane} = padding, {insn.pad_value}"
            yield f"{lane} = a value of row {y}, column {x}" if inside else pad
    elif isinstance(insn, Gemm | Alu):
        nest = MicroOpNest.of(datapath.isa, insn, datapath.uop[insn.uop_bgn : insn.uop_end])
        if nest.size and lane.entry in nest.destinations:
            if nest.size > MOST_OPERATIONS:
                yield f"{nest.size} operations, more than are looked at"
            elif isinstance(insn, Alu):
                yield from _alu_steps(datapath, insn, nest, lane)
            else:
                yield from _gemm_steps(datapath, insn, nest, lane)


def _alu_steps(datapath: Datapath, insn: Alu, nest: MicroOpNest, lane: Lane) -> Iterator[str]:
    operation = insn.alu_opcode
    values = datapath.acc[:, lane.row, lane.column].copy()
    before = -1
    for destinations, sources in flat_indices(nest):
        for d, s in zip(destinations.tolist(), sources.tolist()):
            x = values[d : d + 1].copy()
            y = np.array([insn.imm], np.int32) if insn.use_imm else values[s : s + 1].copy()
            imm = np.array([insn.imm], np.int32)
            operands = [x, y, imm][: operation.operands]
            starts, before = insn.start and d != before, d
            values[d : d + 1] = y if starts else OPERATIONS[operation](*operands)
            if d == lane.entry and starts:
                yield f"{operation.name} of {lane} starts at {_operand(insn, s, lane)} {int(y[0])}"
            elif d == lane.entry:
                second = "" if operation.is_unary else f", {_operand(insn, s, lane)} {int(y[0])}"
                second += f", immediate {insn.imm}" if operation.is_ternary else ""
                yield f"{operation.name} of {lane} {int(x[0])}{second} gives {int(values[d])}"


def _operand(insn: Alu, source: int, lane: Lane) -> str:
    return "immediate" if insn.use_imm else f"acc[{source}][{lane.row}][{lane.column}]"


def _gemm_steps(datapath: Datapath, insn: Gemm, nest: MicroOpNest, lane: Lane) -> Iterator[str]:
    if insn.reset:
        yield f"{lane} = 0"
        return
    dst, src, wgt = (np.concatenate(part) for part in zip(*product_indices(nest)))
    total = int(datapath.acc[lane.entry, lane.row, lane.column])
    for number in np.flatnonzero(dst == lane.entry).tolist():
        s, w = int(src[number]), int(wgt[number])
        if insn.start and (number == 0 or dst[number - 1] != lane.entry):
            yield f"{lane} starts at 0"
            total = 0
        left: Any = datapath.inp[s, lane.row].astype(np.int64)
        right: Any = datapath.wgt[w, lane.column].astype(np.int64)
        product = int(left @ right)
        yield (
            f"{total} + inp[{s}][{lane.row}] {left.tolist()} . wgt[{w}][{lane.column}] "
            f"{right.tolist()}, which is {product}"
        )
        total = int(np.array(total + product).astype(np.int32))
