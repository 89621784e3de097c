"""From a program that fails to a small one that still fails.

Every candidate must stay sound (:func:`vta.sim.fuzzing.differential.is_sound`): a program whose
result depends on timing would fail for a reason of its own. Instructions first become NOPs that
keep their
tokens, so that what is left stays ordered; then tokens go, in pairs; then the empty NOPs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

from vta.isa import (
    TOKEN_FLAGS,
    TOKEN_QUEUES,
    Alu,
    Finish,
    Gemm,
    Instruction,
    Load,
    MemId,
    PipelineModule,
    Store,
    TokenCounts,
    TokenQueue,
)
from vta.sim.fuzzing.differential import is_sound
from vta.sim.fuzzing.random_programs import RandomProgram

__all__ = ["shrink"]

Insns = tuple[Instruction, ...]

_FLAGS = TOKEN_FLAGS[PipelineModule.COMPUTE]  # the module with both neighbours
NEAR = 16
"""Numbers up to this become smaller one by one."""
_ONES = ("y_size", "iter_out", "iter_in")
"""Fields for which 1 is simpler than 0."""


def shrink(
    program: RandomProgram,
    fails: Callable[[RandomProgram], bool],
    *,
    seconds: float = 60.0,
    progress: Callable[[RandomProgram], None] | None = None,
) -> RandomProgram:
    """The smallest program that was found in the time given.

    Parameters
    ----------
    program : RandomProgram
        Sound, and failing.
    fails : callable
        Whether a sound program still fails. It should be certain: if failures come and go with the
        timing, let it try several seeds.
    seconds : float
        Stop then, with the best so far.
    progress : callable or None
        Called with every smaller program.
    """
    return _Shrinker(program, fails, seconds, progress).run()


class _Shrinker:
    def __init__(
        self,
        program: RandomProgram,
        fails: Callable[[RandomProgram], bool],
        seconds: float,
        progress: Callable[[RandomProgram], None] | None,
    ) -> None:
        self.best, self.fails = program, fails
        self.end = time.monotonic() + seconds
        self.progress = progress

    def run(self) -> RandomProgram:
        before = None
        while before is not self.best and not self.late:
            before = self.best
            self.empty_instructions()
            self.drop_tokens()
            self.drop_nops()
            self.simplify_fields()
        self.clear_image()
        return self.best

    @property
    def late(self) -> bool:
        return time.monotonic() > self.end

    def attempt(self, insns: Iterable[Instruction]) -> bool:
        """Keep the instructions if they are others and still fail."""
        changed = tuple(insns)
        if changed == self.best.instructions:
            return False
        return self.accept(replace(self.best, instructions=changed))

    def accept(self, candidate: RandomProgram) -> bool:
        if self.late or not is_sound(candidate) or not self.fails(candidate):
            return False
        self.best = candidate
        if self.progress is not None:
            self.progress(candidate)
        return True

    # ---- passes ----------------------------------------------------------------------------------

    def empty_instructions(self) -> None:
        """Replace runs of instructions by NOPs with the same tokens, long runs first."""
        size = len(self.best.instructions)
        while size:
            for first in range(0, len(self.best.instructions), size):
                insns = self.best.instructions
                chosen = range(first, min(first + size, len(insns)))
                changed = tuple(_nop(insn) if n in chosen else insn for n, insn in enumerate(insns))
                self.attempt(changed)
            size //= 2

    def drop_tokens(self) -> None:
        """Take tokens away, all that are like each other first, then one by one."""
        for queue in TOKEN_QUEUES:
            self.attempt(_without_tokens(self.best.instructions, queue))
        for queue in TOKEN_QUEUES:
            number = 0
            while number < _token_count(self.best.instructions, queue) and not self.late:
                if not self.attempt(_without_tokens(self.best.instructions, queue, number)):
                    number += 1

    def drop_nops(self) -> None:
        """Remove NOPs: first those without tokens, then those whose tokens a neighbour can take."""
        insns = self.best.instructions
        self.attempt(insn for insn in insns if not _is_nop(insn) or _flags(insn))
        index = 0
        while index < len(self.best.instructions) and not self.late:
            if not any(map(self.attempt, _without_nop(self.best.instructions, index))):
                index += 1

    def simplify_fields(self) -> None:
        """Make numbers smaller and options false, as long as that works."""
        for index in range(len(self.best.instructions)):
            for field in fields(self.best.instructions[index]):
                if field.name not in _FLAGS:
                    while self.simplify(index, field.name):
                        pass

    def simplify(self, index: int, name: str) -> bool:
        insns = self.best.instructions
        for value in _simpler(insns[index], name):
            field: dict[str, Any] = {name: value}
            changed = replace(insns[index], **field)
            if self.attempt((*insns[:index], changed, *insns[index + 1 :])):
                return True
        return False

    def clear_image(self) -> None:
        """Zero the memory, long runs first."""
        size = self.best.image.size
        while size >= 4:
            for first in range(0, self.best.image.size, size):
                image = self.best.image.copy()
                if image[first : first + size].any():
                    image[first : first + size] = 0
                    self.accept(replace(self.best, image=image))
            size //= 4


# ---- instructions --------------------------------------------------------------------------------


def _flags(insn: Instruction) -> dict[str, Any]:
    """The token flags that are set."""
    return {name: True for name in _FLAGS if getattr(insn, name)}


def _is_nop(insn: Instruction) -> bool:
    return isinstance(insn, Load | Store) and insn.is_nop


def _nop(insn: Instruction) -> Instruction:
    """A plain NOP with the tokens of an instruction; FINISH stays."""
    if isinstance(insn, Finish):
        return insn
    if insn.module is PipelineModule.STORE:
        return Store(**_flags(insn))
    memory = MemId.INP if insn.module is PipelineModule.LOAD else MemId.ACC
    return Load(memory=memory, **_flags(insn))


def _simpler(insn: Instruction, name: str) -> list[int]:
    """Simpler values of a field, the simplest first; enumerations stay as they are."""
    value = getattr(insn, name)
    if isinstance(value, bool):
        return [False] if value else []
    if type(value) is not int:
        return []
    if name in _ONES and value == 0:
        return [1]
    floor = int(name in _ONES)
    sign = 1 if value > 0 else -1
    values = [floor, sign * (abs(value) // 2), sign * (abs(value) * 7 // 8), value - sign]
    if isinstance(insn, Gemm | Alu) and name == "uop_end":
        values.insert(0, insn.uop_bgn + 1)
    if abs(value) > NEAR:
        del values[-1]  # not down all the way step by step
    return [item for item in dict.fromkeys(values) if floor <= abs(item) < abs(value)]


def _token_count(insns: Insns, queue: TokenQueue) -> int:
    return sum(queue.name in TokenCounts.pushed_by(insn) for insn in insns)


def _without_tokens(insns: Insns, queue: TokenQueue, number: int | None = None) -> Insns:
    """The stream without one token of a queue, or without all: neither pushed nor popped."""
    out = []
    pushes = pops = 0
    for insn in insns:
        if queue.name in TokenCounts.pushed_by(insn):
            if number is None or pushes == number:
                insn = replace(insn, **{queue.push_flag: False})
            pushes += 1
        if queue.name in TokenCounts.popped_by(insn):
            if number is None or pops == number:
                insn = replace(insn, **{queue.pop_flag: False})
            pops += 1
        out.append(insn)
    return tuple(out)


def _without_nop(insns: Insns, index: int) -> Iterator[Insns]:
    """The stream without one NOP, its tokens given to a neighbour in its module."""
    insn = insns[index]
    if not _is_nop(insn):
        return
    mates = [n for n, other in enumerate(insns) if other.module is insn.module]
    place = mates.index(index)
    for step in (-1, 1):
        if not 0 <= place + step < len(mates):
            continue
        mate = mates[place + step]
        if _flags(insns[mate]).keys() & _flags(insn).keys():
            continue
        changed: Sequence[Instruction] = [
            replace(other, **_flags(insn)) if n == mate else other for n, other in enumerate(insns)
        ]
        yield tuple(other for n, other in enumerate(changed) if n != index)
