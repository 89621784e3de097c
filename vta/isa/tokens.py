"""The four token queues between the modules: the order of dependent instructions.

The topology is stated here and nowhere else: which queues there are, and which flag of which module
pushes and pops each.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from vta.isa.instructions import PipelineModule

if TYPE_CHECKING:
    from vta.isa.instructions import Instruction

__all__ = ["TOKEN_FLAGS", "TOKEN_QUEUES", "TokenCounts", "TokenQueue", "token_queue"]


@dataclass(frozen=True)
class TokenQueue:
    """A queue from one module to its neighbour.

    ``prev`` and ``next`` in the flags are the neighbours in the order load, compute, store.
    """

    name: str
    source: PipelineModule
    """The module that pushes."""
    target: PipelineModule
    """The module that pops."""

    @property
    def source_side(self) -> str:
        """Where the source sees the target: ``prev`` or ``next``."""
        return "next" if self.source < self.target else "prev"

    @property
    def target_side(self) -> str:
        """Where the target sees the source: ``prev`` or ``next``."""
        return "prev" if self.source < self.target else "next"

    @property
    def push_flag(self) -> str:
        """The flag of an instruction of the source that pushes a token."""
        return f"push_{self.source_side}"

    @property
    def pop_flag(self) -> str:
        """The flag of an instruction of the target that pops a token."""
        return f"pop_{self.target_side}"


TOKEN_QUEUES = (
    TokenQueue("l2g", PipelineModule.LOAD, PipelineModule.COMPUTE),
    TokenQueue("g2l", PipelineModule.COMPUTE, PipelineModule.LOAD),
    TokenQueue("g2s", PipelineModule.COMPUTE, PipelineModule.STORE),
    TokenQueue("s2g", PipelineModule.STORE, PipelineModule.COMPUTE),
)
"""All queues. Names say from-to: l load, g compute (GEMM), s store."""

_BY_ENDS = {(queue.source, queue.target): queue for queue in TOKEN_QUEUES}
_POPS = {
    module: [(queue.pop_flag, queue.name) for queue in TOKEN_QUEUES if queue.target is module]
    for module in PipelineModule
}
_PUSHES = {
    module: [(queue.push_flag, queue.name) for queue in TOKEN_QUEUES if queue.source is module]
    for module in PipelineModule
}

TOKEN_FLAGS: dict[PipelineModule, tuple[str, ...]] = {
    module: tuple(sorted(flag for flag, _ in (*_POPS[module], *_PUSHES[module])))
    for module in PipelineModule
}
"""The flags that an instruction of a module may set: those towards a neighbour that exists."""


def token_queue(source: PipelineModule, target: PipelineModule) -> TokenQueue:
    """The queue between two neighbours.

    Raises
    ------
    KeyError
        If the modules are not neighbours: load and store have no queue between them.
    """
    return _BY_ENDS[source, target]


@dataclass
class TokenCounts:
    """The tokens in each of :data:`TOKEN_QUEUES`."""

    l2g: int = 0
    g2l: int = 0
    g2s: int = 0
    s2g: int = 0

    @staticmethod
    def popped_by(insn: Instruction) -> list[str]:
        """The queues that an instruction pops; a module without that neighbour has none."""
        return [queue for flag, queue in _POPS[insn.module] if getattr(insn, flag)]

    @staticmethod
    def pushed_by(insn: Instruction) -> list[str]:
        """The queues that an instruction pushes; a module without that neighbour has none."""
        return [queue for flag, queue in _PUSHES[insn.module] if getattr(insn, flag)]

    def pop(self, insn: Instruction) -> None:
        """Take the tokens that the instruction pops; a count may become negative."""
        for queue in self.popped_by(insn):
            setattr(self, queue, getattr(self, queue) - 1)

    def push(self, insn: Instruction) -> None:
        """Add the tokens that the instruction pushes."""
        for queue in self.pushed_by(insn):
            setattr(self, queue, getattr(self, queue) + 1)

    def as_dict(self) -> dict[str, int]:
        """Tokens by the name of the queue."""
        return {queue.name: getattr(self, queue.name) for queue in TOKEN_QUEUES}


assert [field.name for field in fields(TokenCounts)] == [queue.name for queue in TOKEN_QUEUES]
