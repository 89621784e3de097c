"""The end of a chain of ALU operations as one REQUANTISE, on machines that have the operation.

::

    max(((a * multiplier + constant) >> shift) + zero, low), then min(.., high)

is ``requantise(a, scale, low, high)`` with the word of multiplier, shift and zero point as scale.
REQUANTISE adds half a unit before it shifts, so this half is taken from the constant. What is left
of the constant, if anything, stays an addition. The results are the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vta.compiler.ops.chain_step import Step
from vta.compiler.ops.requantise import MOST_MULTIPLIER, MOST_ONE_PASS_SHIFT, half, one_pass_on
from vta.isa import SCALE, Scale

if TYPE_CHECKING:
    from vta.config import VTAConfig

__all__ = ["Narrowed", "narrowed"]

_ZERO = SCALE["zero_point"]
_LOWEST, _HIGHEST = -128, 127
"""Limits of REQUANTISE."""


@dataclass(frozen=True)
class Narrowed:
    """A chain, and what belongs to it.

    Attributes
    ----------
    steps : list of Step
    numbers : dict of str to int
        Constants that are one number for all channels.
    added : dict of str to int
        What is added to the values that a caller gives of a constant of each channel.
    """

    steps: list[Step]
    numbers: dict[str, int]
    added: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Tail:
    """The last steps of a chain: shift, zero point and limits. ``rest`` is what comes before."""

    rest: list[Step]
    source: str
    shift: int
    zero: int
    low: int
    high: int


def narrowed(
    steps: Sequence[Step], numbers: Mapping[str, int], constants: Collection[str], cfg: VTAConfig
) -> Narrowed:
    """The chain with a REQUANTISE at its end, or as it is: where the machine lacks the operation,
    or the end is another one, or no pass is saved.

    Parameters
    ----------
    steps : sequence of Step
        In order.
    numbers : mapping of str to int
        Constants that are one number for all channels.
    constants : collection of str
        The names of the constants that each channel has of its own.
    cfg : VTAConfig
        The machine.
    """
    same = Narrowed(list(steps), dict(numbers))
    tail = _tail(steps) if one_pass_on(cfg) else None
    if tail is None:
        return same
    rest, source = tail.rest, tail.source
    left, added = dict(numbers), dict[str, int]()
    multiplier, constant = 1, -half(tail.shift)
    last = _producer(rest, source, steps)
    if last is not None and last.operation == "add" and last.second in constants:
        if _uses(steps, str(last.second)) > 1:
            return same
        zero = min(max(tail.zero, _ZERO.low), _ZERO.high)
        added[str(last.second)] = constant + ((tail.zero - zero) << tail.shift)
    else:
        if last is not None and last.operation == "add":
            value = left.get(str(last.second), last.second)
            if isinstance(value, int):
                constant += value
                rest, source = rest[:-1], last.first
        zero = min(max(tail.zero + (constant >> tail.shift), _ZERO.low), _ZERO.high)
        constant += (tail.zero - zero) << tail.shift
        last = _producer(rest, source, steps)
        if not constant and last is not None and last.operation == "mul":
            factor = last.second
            if isinstance(factor, int) and abs(factor) <= MOST_MULTIPLIER:
                multiplier, rest, source = factor, rest[:-1], last.first
        if constant:
            left["remainder"] = constant
            rest, source = (
                [*rest, Step("moved_by_remainder", "add", source, "remainder")],
                ("moved_by_remainder"),
            )
    left["scale"] = Scale(multiplier, tail.shift, zero).word
    end = Step(steps[-1].name, "requantise", source, "scale", (tail.low, tail.high))
    if len(rest) + 1 >= len(steps):
        return same
    chain = [*rest, end]
    used = {step.second for step in chain}
    return Narrowed(chain, {name: value for name, value in left.items() if name in used}, added)


def _uses(steps: Sequence[Step], name: str) -> int:
    return sum((step.first == name) + (step.second == name) for step in steps)


def _producer(rest: Sequence[Step], source: str, steps: Sequence[Step]) -> Step | None:
    """The last of ``rest``, if it makes ``source`` and nothing else reads that."""
    if not rest or rest[-1].name != source or _uses(steps, source) != 1:
        return None
    return rest[-1]


def _tail(steps: Sequence[Step]) -> _Tail | None:
    """The last steps, if they are what REQUANTISE does: a maximum and a minimum of numbers at
    least."""
    rest = list(steps)

    def take(operation: str) -> int | None:
        """The number of the last step of ``rest``, which is taken if it is this operation."""
        last = rest[-1] if rest else None
        if last is None or last.operation != operation or not isinstance(last.second, int):
            return None
        behind = steps[len(rest)].first if len(rest) < len(steps) else last.name
        if behind != last.name or (len(rest) < len(steps) and _uses(steps, last.name) != 1):
            return None
        rest.pop()
        return last.second

    high, low = take("min"), take("max")
    if high is None or low is None or not _LOWEST <= low <= high <= _HIGHEST:
        return None
    zero = 0
    if len(rest) > 1 and rest[-1].operation == "add" and rest[-2].operation == "shr":
        zero = take("add") or 0
    shift = take("shr") or 0
    if not 0 <= shift <= MOST_ONE_PASS_SHIFT:
        return None
    return _Tail(rest, steps[len(rest)].first, shift, zero, low, high)
