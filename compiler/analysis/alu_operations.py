"""A stage's value as steps of the vector ALU, ``place = op(place, operand)``.

The machine writes over its first operand, so a value is a chain: it starts from what lies in the
result's place already (:mod:`.inplace`), from zeros to which the first operand is added, or from a
constant; each step then takes one more operand. What a step cannot hold, a constant beyond 16 bits
or the negated distance of a left shift, is computed into memory of its own first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vta.compiler.analysis.loop_nest import flat_index
from vta.compiler.target import Target
from vta.compiler.te import dtypes
from vta.compiler.te.expr import (
    Add,
    Binary,
    Const,
    Expr,
    FloorDiv,
    FloorMod,
    Max,
    Min,
    Mul,
    Shl,
    Shr,
    Sub,
)
from vta.compiler.te.unsupported import quotient_cure, remainder_cure
from vta.compiler.tir.ir import Buffer, BufferLoad, BufferStore
from vta.errors import LoweringError
from vta.isa import IMM_BITS, AluOpcode

__all__ = ["AluSelector", "AluStep", "steps_in_place"]

_OPCODES: dict[type[Expr], AluOpcode] = {
    node: AluOpcode[node.__name__.upper()] for node in (Add, Mul, Min, Max, Shr)
}
_COMMUTATIVE = (Add, Mul, Min, Max)
_IMM_LOW, _IMM_HIGH = -(1 << (IMM_BITS - 1)), (1 << (IMM_BITS - 1)) - 1
_MOST_ADDS = 4
"""A constant beyond the immediate's range is added in at most so many steps."""


@dataclass(frozen=True)
class AluStep:
    """``place = opcode(place, operand)``; without an opcode ``place = 0``.

    Attributes
    ----------
    opcode : AluOpcode or None
    operand : BufferLoad or Buffer or int
        Element by element; a buffer of one element that all take; an immediate.
    place : Buffer or None
        Memory of the step's own, at the result's indices or a single element; None: the result's.
    """

    opcode: AluOpcode | None
    operand: BufferLoad | Buffer | int
    place: Buffer | None = None


ZERO = AluStep(None, 0)


def steps_in_place(store: BufferStore, load: BufferLoad, target: Target) -> int | None:
    """How many steps ``store`` takes if its result lies where ``load`` does; None if it cannot."""
    selector = AluSelector(BufferStore(load.buffer, load.indices, store.value), target, "")
    try:
        return len(selector.steps(store.value))
    except LoweringError:
        return None


class AluSelector:
    """Takes a stage's value apart into steps on the result's own place."""

    def __init__(self, store: BufferStore, target: Target, where: str) -> None:
        self.store, self.target, self.where = store, target, where
        self.place = flat_index(store.buffer, store.indices)
        self.constants: dict[int, Buffer] = {}
        """Elements that hold a constant in every value."""
        self.copies: list[Buffer] = []
        """Memory like the result's."""

    def steps(self, value: Expr) -> list[AluStep]:
        """The steps that leave ``value`` in the result's place.

        Raises
        ------
        LoweringError
            If it needs more than one operand at a time, or something that is no step.
        """
        start, steps = self._chain(value)
        if isinstance(start, int):
            first = _constant(start)
        elif self._is_result(start):
            first = []
        else:
            first = [ZERO, AluStep(AluOpcode.ADD, start)]
        for step in [*first, *steps][1:]:
            operand = step.operand
            if isinstance(operand, BufferLoad) and operand.buffer is self.store.buffer:
                raise LoweringError(
                    f"{self.where}: `{value}` needs the old value of {operand.buffer.name} "
                    f"after it is overwritten; compute it in two stages"
                )
        return first + steps

    def require_acc(self, access: BufferStore | BufferLoad) -> None:
        """The ALU works on the accumulator memory only."""
        buffer, acc = access.buffer, self.target.acc
        if buffer.scope != acc.scope or buffer.dtype != acc.dtype:
            raise LoweringError(
                f"{self.where}: the vector ALU works on {acc.dtype} in {acc.scope}; "
                f"{buffer.name} is {buffer.dtype} in {buffer.scope}"
            )

    def _is_result(self, expr: Expr) -> bool:
        return (
            isinstance(expr, BufferLoad)
            and expr.buffer is self.store.buffer
            and flat_index(expr.buffer, expr.indices) == self.place
        )

    def _chain(self, value: Expr) -> tuple[BufferLoad | int, list[AluStep]]:
        """What the computation starts from, and the steps on it."""
        match value:
            case Const(value=number):
                return number, []
            case BufferLoad():
                self.require_acc(value)
                return value, []
            case Sub(a=a, b=b):
                return self._difference(a, b, value)
            case Shl(a=a, b=Const(value=by)) | Shr(a=a, b=Const(value=by)):
                start, steps = self._chain(a)
                by = -by if isinstance(value, Shl) else by
                width = dtypes.bits(self.target.acc.dtype)  # beyond it nothing changes
                return start, [*steps, AluStep(AluOpcode.SHR, max(-width, min(by, width)))]
            case Shl(a=a, b=b):
                start, steps = self._chain(a)
                return start, [*steps, *self._shift_left(self._operand(b, value))]
            case Binary(a=a, b=b) if type(value) in _OPCODES:
                opcode = _OPCODES[type(value)]
                swap = isinstance(a, Const) or self._is_result(b) or not _is_simple(b)
                if isinstance(value, _COMMUTATIVE) and swap:
                    a, b = b, a
                start, steps = self._chain(a)
                if isinstance(b, Const):
                    return start, [*steps, *self._immediate(opcode, b.value)]
                return start, [*steps, AluStep(opcode, self._operand(b, value))]
        cure = ""
        if isinstance(value, FloorDiv | FloorMod):
            cure_of = quotient_cure if isinstance(value, FloorDiv) else remainder_cure
            cure = f" ({cure_of(value.a, value.b)})"
        raise LoweringError(
            f"{self.where}: the vector ALU cannot compute `{value}`; it can add, subtract, "
            f"multiply, take min and max, and shift{cure}"
        )

    def _difference(self, a: Expr, b: Expr, value: Expr) -> tuple[BufferLoad | int, list[AluStep]]:
        """``a - b``, as ``-b + a``, or ``-(-a + b)`` where the chain must start from ``a``."""
        negate = AluStep(AluOpcode.MUL, -1)
        if isinstance(b, Const):
            start, steps = self._chain(a)
            return start, [*steps, *self._immediate(AluOpcode.ADD, -b.value)]
        from_a = self._is_result(a) or not _is_simple(a)
        if isinstance(b, BufferLoad) and not self._is_result(b) and from_a:
            start, steps = self._chain(a)
            return start, [*steps, negate, AluStep(AluOpcode.ADD, self._operand(b, value)), negate]
        start, steps = self._chain(b)
        if isinstance(a, Const):
            return start, [*steps, negate, *self._immediate(AluOpcode.ADD, a.value)]
        return start, [*steps, negate, AluStep(AluOpcode.ADD, self._operand(a, value))]

    def _shift_left(self, distance: BufferLoad) -> list[AluStep]:
        """Shift by a tensor, as a shift right by ``-max(distance, -width)``."""
        number = f"_{len(self.copies)}" if self.copies else ""
        name = f"{self.store.buffer.name}_distance{number}"
        copy = replace(self.store.buffer, name=name)
        self.copies.append(copy)
        width = dtypes.bits(self.target.acc.dtype)
        return [
            AluStep(None, 0, copy),
            AluStep(AluOpcode.ADD, distance, copy),
            AluStep(AluOpcode.MAX, -width, copy),  # or the lowest number could not be negated
            AluStep(AluOpcode.MUL, -1, copy),
            AluStep(AluOpcode.SHR, BufferLoad(copy, self.store.indices)),
        ]

    def _operand(self, expr: Expr, value: Expr) -> BufferLoad:
        if not isinstance(expr, BufferLoad):
            raise LoweringError(
                f"{self.where}: in `{value}` the operand `{expr}` is computed itself; give it a "
                f"stage of its own"
            )
        self.require_acc(expr)
        return expr

    def _immediate(self, opcode: AluOpcode, value: int) -> list[AluStep]:
        """One step with a constant, whatever its size."""
        value = dtypes.wrap(value, self.target.acc.dtype)
        if _IMM_LOW <= value <= _IMM_HIGH:
            return [AluStep(opcode, value)]
        limit = _IMM_HIGH if value > 0 else _IMM_LOW
        if opcode is AluOpcode.ADD and abs(value) <= _MOST_ADDS * abs(limit):
            whole, rest = divmod(abs(value), abs(limit))
            parts = [limit] * whole + ([rest if value > 0 else -rest] if rest else [])
            return [AluStep(opcode, part) for part in parts]
        if value in self.constants:
            return [AluStep(opcode, self.constants[value])]
        acc = self.target.acc
        place = Buffer(f"const_{value}".replace("-", "minus_"), acc.shape, acc.dtype, acc.scope)
        self.constants[value] = place
        fill = [replace(step, place=place) for step in _constant(value)]
        return [*fill, AluStep(opcode, place)]


def _is_simple(expr: Expr) -> bool:
    return isinstance(expr, BufferLoad | Const)


def _constant(value: int) -> list[AluStep]:
    """The steps that leave ``value``, any of 32 bits, whatever was there before."""
    if _IMM_LOW <= value <= _IMM_HIGH:
        return [ZERO, AluStep(AluOpcode.ADD, value)] if value else [ZERO]
    low = dtypes.wrap(value, "int16")
    high = dtypes.wrap((value - low) >> IMM_BITS, "int16")
    steps = [ZERO, AluStep(AluOpcode.ADD, high), AluStep(AluOpcode.SHR, -IMM_BITS)]
    return steps + ([AluStep(AluOpcode.ADD, low)] if low else [])
