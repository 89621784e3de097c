"""What emitted each instruction of a program: stage of the schedule, line of the lowered program.

Programs that people or tests make by hand have no sources.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from vta.container import MAX_TEXT, parse_json, shown
from vta.errors import ProgramError

if TYPE_CHECKING:
    from vta.call_site import CallSite

__all__ = ["MAX_SOURCES", "InstructionSource", "ProgramSources"]

MAX_SOURCES = 1 << 16
"""Entries of the table of a program at most."""


@dataclass(frozen=True)
class InstructionSource:
    """One statement of a lowered program, which emits instructions.

    Attributes
    ----------
    stage : str
        The stage of the schedule: the buffer that the statement writes.
    line : int
        The line of the statement in the text of ``vta.lower(schedule, args)``, from 1.
    text : str
        That line, without its indentation; at most :data:`~vta.container.MAX_TEXT` characters.
    loops : tuple of str
        The loops around the statement that the code generator unrolls, from outside.
    layer : str
        Of a program that was joined: the node of the network that the statement belongs to.
    call : CallSite or None
        The line of the user's script that asked for the statement: the call of ``pragma`` or
        ``tensorize``, or of the operator whose schedule has that call. It is not part of a program
        file (:mod:`vta.call_site`), and sources that differ in it only are equal.
    """

    stage: str
    line: int
    text: str
    loops: tuple[str, ...] = ()
    layer: str = ""
    call: CallSite | None = field(default=None, compare=False)

    def __str__(self) -> str:
        """For people: ``res_conv, line 12: uop_push(...)``."""
        where = f"{self.layer}: " if self.layer else ""
        by = f" ({self.call})" if self.call else ""
        return f"{where}{self.stage}, line {self.line}: {self.text}{by}"


@dataclass(frozen=True)
class ProgramSources:
    """The sources of all instructions of a program.

    Attributes
    ----------
    table : tuple of InstructionSource
    numbers : tuple of int
        For each instruction the index of its source in ``table``; -1 for an instruction that no
        statement emits: FINISH, and NOPs that carry tokens. Empty: no instruction has a source.
    """

    table: tuple[InstructionSource, ...] = ()
    numbers: tuple[int, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if len(self.table) > MAX_SOURCES:
            raise ProgramError(f"{len(self.table)} sources; at most {MAX_SOURCES}")
        if self.numbers and not -1 <= min(self.numbers) <= max(self.numbers) < len(self.table):
            raise ProgramError(
                f"sources {min(self.numbers)} to {max(self.numbers)} of instructions; must be from "
                f"-1 to {len(self.table) - 1}"
            )

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.numbers)

    def of(self, index: int) -> InstructionSource | None:
        """The source of an instruction; None if it has none."""
        number = self.numbers[index] if index < len(self.numbers) else -1
        return None if number < 0 else self.table[number]

    @property
    def calls(self) -> tuple[CallSite | None, ...]:
        """The line of a script of each entry of the table."""
        return tuple(source.call for source in self.table)

    def with_calls(self, calls: Sequence[CallSite | None]) -> ProgramSources:
        """The same sources with other lines of scripts, one for each entry of the table."""
        table = [replace(s, call=call) for s, call in zip(self.table, calls, strict=True)]
        return ProgramSources(tuple(table), self.numbers)

    def without_calls(self) -> ProgramSources:
        """The same sources without lines of scripts."""
        return self.with_calls([None] * len(self.table))

    def to_json(self) -> bytes:
        """The member ``sources.json`` of a program file; nothing if there are none."""
        if not self:
            return b""
        table = [[s.layer, s.stage, s.line, s.text, list(s.loops)] for s in self.table]
        text = json.dumps({"table": table, "numbers": self.numbers}, separators=(",", ":"))
        return text.encode()

    @staticmethod
    def from_json(data: bytes, instructions: int) -> ProgramSources:
        """The sources in the member of a file, for a program of so many instructions.

        Raises
        ------
        ProgramError
            If an entry is of the wrong kind or too long, or there is not one number for each
            instruction.
        ValueError
            If it is no JSON.
        """
        if not data:
            return ProgramSources()
        document = parse_json(data)
        if not isinstance(document, dict) or sorted(document) != ["numbers", "table"]:
            raise ProgramError("sources.json must be an object with table and numbers")
        table, numbers = document["table"], document["numbers"]
        if not isinstance(table, list) or len(table) > MAX_SOURCES:
            raise ProgramError(f"table of sources.json must be a list of at most {MAX_SOURCES}")
        if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
            raise ProgramError("numbers of sources.json must be a list of integers")
        if len(numbers) != instructions:
            raise ProgramError(
                f"sources.json has {len(numbers)} numbers for {instructions} instructions"
            )
        return ProgramSources(tuple(map(_entry, table)), tuple(numbers))

    @staticmethod
    def of_each(sources: Sequence[InstructionSource | None]) -> ProgramSources:
        """From a list with one source, or None, for each instruction."""
        numbers: dict[InstructionSource, int] = {}
        found = [-1 if s is None else numbers.setdefault(s, len(numbers)) for s in sources]
        return ProgramSources(tuple(numbers), tuple(found) if numbers else ())


def _entry(item: Any) -> InstructionSource:
    good = isinstance(item, list) and len(item) == 5
    if good:
        layer, stage, line, text, loops = item
        good = (
            all(_is_text(value) for value in (layer, stage, text))
            and type(line) is int
            and isinstance(loops, list)
            and all(_is_text(loop) for loop in loops)
        )
    if not good:
        raise ProgramError(
            f"an entry of sources.json is {shown(ascii(item))}; must be layer, stage, line, text "
            f"and loops, of at most {MAX_TEXT} printable characters each"
        )
    return InstructionSource(stage, line, text, tuple(loops), layer)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable()
