"""ALU instruction selection: the value of a stage as operations ``place = op(place, operand)``.

An ALU operation overwrites its first operand, so a value becomes a chain of operations on one
place. The chain starts from one of three values: the element that the place holds already
(:mod:`vta.compiler.passes.reuse_buffers`), a constant, or zero, to which the first operand is
added. Each operation takes one more operand. Constants beyond 16 bits and negated distances of left
shifts do not fit an operation; they are computed into buffers of their own in front.
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
from vta.compiler.te.requantisation import Requantisation
from vta.compiler.te.unsupported import quotient_replacement, remainder_replacement
from vta.compiler.tir.ir import Buffer, BufferLoad, BufferStore
from vta.errors import LoweringError
from vta.isa import IMM_BITS, AluOpcode, Capability, Limits
from vta.isa.capabilities import describe

__all__ = ["AluOperation", "AluSelector", "count_operations_in_place"]

_OPCODES: dict[type[Expr], AluOpcode] = {
    node: AluOpcode[node.__name__.upper()] for node in (Add, Mul, Min, Max, Shr)
}
_COMMUTATIVE = (Add, Mul, Min, Max)
_IMM_LOW, _IMM_HIGH = -(1 << (IMM_BITS - 1)), (1 << (IMM_BITS - 1)) - 1
_MOST_ADDS = 4
"""Most ADD operations with immediates that replace one with a larger constant."""


@dataclass(frozen=True)
class AluOperation:
    """``place = opcode(place, operand)``; without an opcode ``place = 0``.

    Attributes
    ----------
    opcode : AluOpcode or None
    operand : BufferLoad or Buffer or int
        Second operand: a tensor, a buffer of one element for all, or an immediate.
    place : Buffer or None
        Destination other than the result: a buffer of the result's shape or of one element.
    limits : Limits or None
        The third operand of REQUANTISE.
    """

    opcode: AluOpcode | None
    operand: BufferLoad | Buffer | int
    place: Buffer | None = None
    limits: Limits | None = None


RESET = AluOperation(None, 0)
_Chain = tuple[BufferLoad | int, list[AluOperation]]
"""The first value of a chain, and the operations on it."""


def count_operations_in_place(store: BufferStore, load: BufferLoad, target: Target) -> int | None:
    """Number of operations of ``store`` with its result in the place of ``load``; None if the ALU
    cannot compute it there."""
    selector = AluSelector(BufferStore(load.buffer, load.indices, store.value), target, "")
    try:
        return len(selector.select(store.value))
    except LoweringError:
        return None


class AluSelector:
    """Selects the operations of one stage.

    Parameters
    ----------
    store : BufferStore
        The statement of the stage.
    where : str
        Start of error messages.
    """

    def __init__(self, store: BufferStore, target: Target, where: str) -> None:
        self.store, self.target, self.where = store, target, where
        self.place = flat_index(store.buffer, store.indices)
        self.constants: dict[int, Buffer] = {}
        """For each constant, a buffer of one element whose values all are the constant."""
        self.copies: list[Buffer] = []
        """Buffers of the shape of the result, for negated shift distances."""

    def select(self, value: Expr) -> list[AluOperation]:
        """Operations after which the place of the result holds ``value``.

        Raises
        ------
        LoweringError
            If ``value`` needs two computed operands, or an operation that the ALU does not have.
        """
        start, operations = self._chain(value)
        if isinstance(start, int):
            first = _operations_of_constant(start)
        elif self._is_result(start):
            first = []
        else:
            first = [RESET, AluOperation(AluOpcode.ADD, start)]
        for operation in [*first, *operations][1:]:
            operand = operation.operand
            if isinstance(operand, BufferLoad) and operand.buffer is self.store.buffer:
                raise LoweringError(
                    f"{self.where}: `{value}` needs the old value of {operand.buffer.name} "
                    f"after it is overwritten; compute it in two stages"
                )
        return first + operations

    def require_acc(self, access: BufferStore | BufferLoad) -> None:
        """``access`` must be in the accumulator memory, the only one that the ALU works on."""
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

    def _chain(self, value: Expr) -> _Chain:
        """``value`` as a first value and the operations on it."""
        match value:
            case Const(value=number):
                return number, []
            case BufferLoad():
                self.require_acc(value)
                return value, []
            case Sub(a=a, b=b):
                return self._difference(a, b, value)
            case Shl(a=a, b=Const(value=by)) | Shr(a=a, b=Const(value=by)):
                start, operations = self._chain(a)
                by = -by if isinstance(value, Shl) else by
                width = dtypes.bits(self.target.acc.dtype)  # larger distances give the same result
                return start, [
                    *operations,
                    AluOperation(AluOpcode.SHR, max(-width, min(by, width))),
                ]
            case Shl(a=a, b=b):
                start, operations = self._chain(a)
                return start, [*operations, *self._shift_left(self._operand(b, value))]
            case Requantisation(value=a, scale=scale, limits=limits):
                if not self.target.extension:
                    raise LoweringError(
                        f"{self.where}: requantise needs {describe(Capability.REQUANTISE)} of the "
                        f"instruction set extension; EXTENSION is 0 (multiply, add, shift, and "
                        f"clip in operations of their own)"
                    )
                start, operations = self._chain(a)
                operation = AluOperation(
                    AluOpcode.REQUANTISE, self._operand(scale, value), limits=limits
                )
                return start, [*operations, operation]
            case Binary(a=a, b=b) if type(value) in _OPCODES:
                opcode = _OPCODES[type(value)]
                swap = isinstance(a, Const) or self._is_result(b) or not _is_simple(b)
                if isinstance(value, _COMMUTATIVE) and swap:
                    a, b = b, a
                start, operations = self._chain(a)
                if isinstance(b, Const):
                    return start, [*operations, *self._immediate(opcode, b.value)]
                return start, [*operations, AluOperation(opcode, self._operand(b, value))]
        replacement = ""
        if isinstance(value, FloorDiv | FloorMod):
            text_of = quotient_replacement if isinstance(value, FloorDiv) else remainder_replacement
            replacement = f" ({text_of(value.a, value.b)})"
        raise LoweringError(
            f"{self.where}: the vector ALU cannot compute `{value}`; it can add, subtract, "
            f"multiply, take min and max, and shift{replacement}"
        )

    def _difference(self, a: Expr, b: Expr, value: Expr) -> _Chain:
        """``a - b``, as ``-b + a``, or ``-(-a + b)`` where the chain must start from ``a``."""
        negate = AluOperation(AluOpcode.MUL, -1)
        if isinstance(b, Const):
            start, operations = self._chain(a)
            return start, [*operations, *self._immediate(AluOpcode.ADD, -b.value)]
        from_a = self._is_result(a) or not _is_simple(a)
        if isinstance(b, BufferLoad) and not self._is_result(b) and from_a:
            start, operations = self._chain(a)
            add = AluOperation(AluOpcode.ADD, self._operand(b, value))
            return start, [*operations, negate, add, negate]
        start, operations = self._chain(b)
        if isinstance(a, Const):
            added = self._immediate(AluOpcode.ADD, a.value) if a.value else []
            return start, [*operations, negate, *added]
        return start, [*operations, negate, AluOperation(AluOpcode.ADD, self._operand(a, value))]

    def _shift_left(self, distance: BufferLoad) -> list[AluOperation]:
        """Shift by a tensor, as a shift right by ``-max(distance, -width)``."""
        number = f"_{len(self.copies)}" if self.copies else ""
        name = f"{self.store.buffer.name}_distance{number}"
        copy = replace(self.store.buffer, name=name)
        self.copies.append(copy)
        width = dtypes.bits(self.target.acc.dtype)
        return [
            AluOperation(None, 0, copy),
            AluOperation(AluOpcode.ADD, distance, copy),
            AluOperation(AluOpcode.MAX, -width, copy),  # the lowest number has no negative
            AluOperation(AluOpcode.MUL, -1, copy),
            AluOperation(AluOpcode.SHR, BufferLoad(copy, self.store.indices)),
        ]

    def _operand(self, expr: Expr, value: Expr) -> BufferLoad:
        if not isinstance(expr, BufferLoad):
            raise LoweringError(
                f"{self.where}: in `{value}` the operand `{expr}` is not an element of a tensor; "
                f"it must be computed by a stage of its own"
            )
        self.require_acc(expr)
        return expr

    def _immediate(self, opcode: AluOpcode, value: int) -> list[AluOperation]:
        """An operation with a constant of any size as second operand."""
        value = dtypes.wrap(value, self.target.acc.dtype)
        if _IMM_LOW <= value <= _IMM_HIGH:
            return [AluOperation(opcode, value)]
        limit = _IMM_HIGH if value > 0 else _IMM_LOW
        if opcode is AluOpcode.ADD and abs(value) <= _MOST_ADDS * abs(limit):
            whole, rest = divmod(abs(value), abs(limit))
            parts = [limit] * whole + ([rest if value > 0 else -rest] if rest else [])
            return [AluOperation(opcode, part) for part in parts]
        if value in self.constants:
            return [AluOperation(opcode, self.constants[value])]
        acc = self.target.acc
        place = Buffer(f"const_{value}".replace("-", "minus_"), acc.shape, acc.dtype, acc.scope)
        self.constants[value] = place
        fill = [replace(operation, place=place) for operation in _operations_of_constant(value)]
        return [*fill, AluOperation(opcode, place)]


def _is_simple(expr: Expr) -> bool:
    return isinstance(expr, BufferLoad | Const)


def _operations_of_constant(value: int) -> list[AluOperation]:
    """Operations that write the 32-bit constant ``value``, for any earlier contents."""
    if _IMM_LOW <= value <= _IMM_HIGH:
        return [RESET, AluOperation(AluOpcode.ADD, value)] if value else [RESET]
    low = dtypes.wrap(value, "int16")
    high = dtypes.wrap((value - low) >> IMM_BITS, "int16")
    operations = [RESET, AluOperation(AluOpcode.ADD, high), AluOperation(AluOpcode.SHR, -IMM_BITS)]
    return operations + ([AluOperation(AluOpcode.ADD, low)] if low else [])
