"""Which instruction pushed the token that another one pops."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from vta.isa import TOKEN_QUEUES, PipelineModule, TokenCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.isa import Instruction

__all__ = ["token_edges"]


def token_edges(instructions: Sequence[Instruction]) -> list[tuple[str, int, int]]:
    """(queue, index of the producer, index of the consumer) of each token, by the consumer.

    Each queue has one module that pushes and one that pops, both in program order, so the n-th pop
    takes the n-th token.
    """
    pushed: dict[str, deque[int]] = {queue.name: deque() for queue in TOKEN_QUEUES}
    pops: list[tuple[str, int]] = []
    for module in PipelineModule:
        for index, insn in enumerate(instructions):
            if insn.module is module:
                pops += [(queue, index) for queue in TokenCounts.popped_by(insn)]
                for queue in TokenCounts.pushed_by(insn):
                    pushed[queue].append(index)
    edges = [
        (queue, pushed[queue].popleft(), index)
        for queue, index in sorted(pops, key=lambda pop: pop[1])
        if pushed[queue]
    ]
    return edges
