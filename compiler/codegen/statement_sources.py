"""The place of each statement of a lowered program in its text: stage, line and loops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vta.compiler.tir.ir import AluUop, For, GemmUop, LoadBuffer2D, Stmt, StoreBuffer2D
from vta.compiler.tir.printer import FuncPrinter
from vta.container import MAX_TEXT
from vta.program_sources import InstructionSource

if TYPE_CHECKING:
    from vta.compiler.tir.ir import PrimFunc

__all__ = ["statement_sources"]


def statement_sources(func: PrimFunc) -> dict[int, InstructionSource]:
    """The source of each statement that emits instructions, by its ``id``: of transfers, and of
    micro-ops. Of a statement that the program holds twice, the first place."""
    printer = _SourcePrinter(func.name)
    for _ in printer.func(func):
        printer.lines += 1
    return printer.sources


class _SourcePrinter(FuncPrinter):
    """Notes where statements are while they are printed."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.lines = 0
        """Lines that the program has so far."""
        self.sources: dict[int, InstructionSource] = {}
        self.around: list[str] = []

    def stmt(self, stmt: Stmt, indent: str) -> Iterator[str]:
        for text in super().stmt(stmt, indent):
            if isinstance(stmt, LoadBuffer2D | StoreBuffer2D | GemmUop | AluUop):
                loops = tuple(_short(loop) for loop in self.around)
                self.sources.setdefault(
                    id(stmt),
                    InstructionSource(
                        self.stage(stmt),
                        self.lines + 1,
                        _short(text.strip()),
                        loops,
                        call=stmt.call,
                    ),
                )
            yield text

    def loops(self, loop: For, indent: str) -> Iterator[str]:
        lines = super().loops(loop, indent)
        head = next(lines)
        yield head
        self.around.append(head.strip().removeprefix("for ").removesuffix(":"))
        yield from lines
        self.around.pop()

    def stage(self, stmt: LoadBuffer2D | StoreBuffer2D | GemmUop | AluUop) -> str:
        """The name of the buffer that a statement writes."""
        if isinstance(stmt, LoadBuffer2D | StoreBuffer2D):
            return _short(self.buffer(stmt.dst))
        buffer = stmt.dst_buffer
        return _short(self.name if buffer is None else self.buffer(buffer))


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 4] + " ..."
