"""What the checker says."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Finding", "Kind", "Report"]


class Kind(enum.Enum):
    """What is wrong with an instruction."""

    ILLEGAL = "illegal"
    """No instruction of this machine, or one that it refuses."""
    FINISH = "finish"
    """FINISH is missing, or not the last instruction of the compute module."""
    DEADLOCK = "deadlock"
    """It waits for ever: for a token, or for room in a module's queue."""
    LEFTOVER = "leftover"
    """It pushes a token that no instruction pops."""
    BOUNDS = "bounds"
    """It reaches beyond an on-chip memory, or outside the DRAM that it may use."""
    UNWRITTEN = "unwritten"
    """It reads entries that nothing has written."""
    RACE = "race"
    """No token orders it against an instruction of another module that touches the same entries."""


@dataclass(frozen=True)
class Finding:
    """One fault.

    Attributes
    ----------
    kind : Kind
    message : str
        What is required, what is there instead.
    index : int or None
        Number of the instruction in the stream, from 0; None if the whole stream is meant.
    instruction : str or None
        Its disassembly.
    other : int or None
        Number of the second instruction involved, if there is one; the message shows it.
    """

    kind: Kind
    message: str
    index: int | None = None
    instruction: str | None = None
    other: int | None = None

    def __str__(self) -> str:
        if self.index is None:
            return f"{self.kind.value}: {self.message}"
        return f"instruction {self.index}: {self.instruction}\n  {self.kind.value}: {self.message}"


@dataclass(frozen=True)
class Report:
    """The outcome of a check.

    Attributes
    ----------
    instructions : int
        How many instructions the stream has.
    findings : tuple of Finding
        The faults, in the order of the stream; none if everything is proved that ``limits`` does
        not except.
    limits : tuple of str
        What could not be checked, and why.
    """

    instructions: int
    findings: tuple[Finding, ...]
    limits: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there are no findings."""
        return not self.findings

    def of(self, *kinds: Kind) -> list[Finding]:
        """The findings of these kinds."""
        return [finding for finding in self.findings if finding.kind in kinds]

    def __str__(self) -> str:
        lines = [str(finding) for finding in self.findings]
        return "\n".join([*lines, *(f"limit: {text}" for text in self.limits)])
