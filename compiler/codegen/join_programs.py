"""Programs that run one after the other as one program.

The instructions of all programs are appended to one stream, without their tokens, and the stream
inserts tokens from the hazards. So a program begins while the older one still computes: its
micro-ops, its weights and other constants are loaded before the older program has stored its
result. All tensors lie in one range of DRAM, the arena, in which tensors may share bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vta.compiler.codegen.dependences import Access, AccessHistory, DataOrderedStream
from vta.errors import EncodingError, LoweringError
from vta.isa import Alu, Finish, Gemm, Instruction, Isa, Load, MemId, Store
from vta.program import UOP_BUFFER, Program, TensorSpec
from vta.program_sources import InstructionSource

if TYPE_CHECKING:
    from vta.config import VTAConfig

__all__ = ["PlacedProgram", "join_programs"]

_PAGE = 4096
"""Bytes of the arena whose accesses are ordered as one."""
_NO_TOKENS = {"pop_prev": False, "pop_next": False, "push_prev": False, "push_next": False}


@dataclass(frozen=True)
class PlacedProgram:
    """A program, the offset of each of its tensors in the arena, in bytes, and the node of the
    network that it computes."""

    program: Program
    offsets: tuple[int, ...]
    layer: str = ""


def join_programs(name: str, cfg: VTAConfig, parts: Sequence[PlacedProgram], arena: int) -> Program:
    """One program that does what all parts do in order. Its only tensor is the arena.

    Parameters
    ----------
    name : str
        Of the program.
    cfg : VTAConfig
        The machine of all parts.
    parts : sequence of PlacedProgram
    arena : int
        Bytes.

    Raises
    ------
    LoweringError
        If an address does not fit an instruction.
    """
    isa = Isa.of(cfg)
    uops = bytearray()
    stream = _ArenaStream(isa, uops, arena)
    for part in parts:
        first = len(uops) // isa.elem_bytes(MemId.UOP)
        uops += part.program.uops
        for insn, argument, stream.source in _constants_first(
            list(_instructions(part, first, isa))
        ):
            stream.emit(insn, argument)
    stream.finish()
    try:
        code = isa.encode_all(stream.instructions())
    except EncodingError as error:
        raise LoweringError(f"{name}: {error}") from None
    tensor = TensorSpec("arena", (arena,), "int8", read=True, written=True)
    return Program(
        name, cfg, code, bytes(uops), (tensor,), tuple(stream.relocations()), stream.sources()
    )


_Addressed = tuple[Instruction, int | None, InstructionSource | None]
"""An instruction without tokens, the tensor that its DRAM address lies in (0, the arena,
:data:`UOP_BUFFER`, or None), and what emitted the instruction."""


def _instructions(part: PlacedProgram, first: int, isa: Isa) -> Iterator[_Addressed]:
    """The instructions of a part with addresses in the arena; its micro-ops begin at ``first``."""
    arguments = {item.instruction: item.argument for item in part.program.relocations}
    table = [replace(source, layer=part.layer) for source in part.program.sources.table]
    numbers = part.program.sources.numbers or (-1,) * part.program.instruction_count
    for index, insn in enumerate(part.program.instructions):
        if isinstance(insn, Finish) or (isinstance(insn, Load | Store) and insn.is_nop):
            continue
        insn = replace(insn, **_NO_TOKENS)
        argument, number = arguments.get(index), numbers[index]
        source = None if number < 0 else table[number]
        if argument is None:
            yield insn, None, source
            continue
        assert isinstance(insn, Load | Store)
        if argument == UOP_BUFFER:
            yield replace(insn, dram_base=insn.dram_base + first), UOP_BUFFER, source
            continue
        start, rest = divmod(part.offsets[argument], isa.elem_bytes(insn.memory))
        assert not rest, "a tensor does not begin at an element"
        yield replace(insn, dram_base=insn.dram_base + start), 0, source


def _constants_first(insns: list[_Addressed]) -> list[_Addressed]:
    """The loads at the start of a program in an order in which none waits for a later one's data:
    weights, then what the compute module loads, then activations.

    A load of activations waits for the stores of the older program, and so does what is behind it
    in the queue of its module.
    """
    end = next((n for n, (insn, *_) in enumerate(insns) if isinstance(insn, Gemm | Alu)), 0)
    order = {MemId.WGT: 0, MemId.INP: 2}

    def rank(item: _Addressed) -> int:
        return order.get(item[0].memory, 1) if isinstance(item[0], Load) else 1

    return sorted(insns[:end], key=rank) + insns[end:]


class _ArenaStream(DataOrderedStream):
    """A stream that orders accesses to DRAM by pages of the arena."""

    def __init__(self, isa: Isa, uops: bytearray, arena: int) -> None:
        super().__init__(isa, uops)
        self._arena = AccessHistory(-(-arena // _PAGE))

    def _in_dram(self, insn: Load | Store, argument: int) -> Access:
        size = self._isa.elem_bytes(insn.memory)
        elements = (insn.y_size - 1) * insn.x_stride + insn.x_size
        first, last = insn.dram_base * size, (insn.dram_base + elements) * size - 1
        pages = slice(first // _PAGE, last // _PAGE + 1)
        return Access(self._arena, pages, isinstance(insn, Store))
