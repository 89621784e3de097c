"""Listings of programs: instructions with the tokens in the queues, and micro-ops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vta.isa import TOKEN_QUEUES, Isa, TokenCounts, disassemble

if TYPE_CHECKING:
    from vta.program import Program

__all__ = ["HEADER", "instruction_line", "instruction_lines", "uop_lines"]

HEADER = "    #  " + " ".join(queue.name for queue in TOKEN_QUEUES)
"""The columns of :func:`instruction_line`."""


def instruction_line(index: int, counts: TokenCounts, text: str) -> str:
    """An instruction's number, the tokens in the queues after it, and its text."""
    columns = " ".join(f"{count:3}" for count in counts.as_dict().values())
    return f"{index:5}  {columns}  {text}"


def instruction_lines(program: Program) -> Iterator[str]:
    """The header, then a line for each instruction; tokens are counted in the order of the stream.

    The address of a transfer is an offset in its tensor, whose name follows.
    """
    counts = TokenCounts()
    names = {
        item.instruction: program.tensors[item.argument].name
        for item in program.relocations
        if item.argument >= 0
    }
    yield HEADER
    for index, insn in enumerate(program.instructions):
        counts.pop(insn)
        counts.push(insn)
        text = disassemble(insn)
        if index in names:
            text += f"  ; {names[index]}"
        yield instruction_line(index, counts, text)


def uop_lines(program: Program) -> Iterator[str]:
    """A header, then a line for each micro-op of the program: its place in the program's table and
    its indices.

    For the ALU ``src`` is an accumulator index and ``wgt`` has no meaning.
    """
    fields = Isa.of(program.cfg).uop_indices(program.uop_words)
    yield "    #    dst   src   wgt"
    for index in range(len(program.uop_words)):
        dst, src, wgt = (int(fields[name][index]) for name in ("dst", "src", "wgt"))
        yield f"{index:5}  {dst:5} {src:5} {wgt:5}"
