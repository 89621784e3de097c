"""Vector arithmetic: ``pragma(alu)`` nests become kernels of ALU micro-ops.

The machine computes ``dst = op(dst, src)`` or ``dst = op(dst, immediate)`` on whole elements. A
stage's value is taken apart into such steps; the first operand is in the result's place already
(:mod:`.inplace`) or is copied there first, as ``dst = dst * 0 + operand``.

Input: nests with ``alu`` pragmas. Output: none is left; each is a UopScope in a CoprocScope of the
compute module, its loops over elements joined where they are one.
"""

from __future__ import annotations

from dataclasses import dataclass

from vta.errors import LoweringError
from vta.isa import IMM_BITS, AluOpcode, Module

from .. import dtypes
from ..affine import Affine
from ..expr import Add, Binary, Const, Expr, Max, Min, Mul, Shl, Shr, Sub, Var
from ..ir import (
    BufferLoad,
    BufferStore,
    CoprocScope,
    Pragma,
    PrimFunc,
    Seq,
    Stmt,
    UopPush,
    UopScope,
    seq,
)
from ..target import Target
from ..visitor import rebuild, with_body
from .clip import constraints
from .nest import Nest, flat_index, join_loops, peel, rewrap, strip_tile

__all__ = ["inject_alu", "steps_in_place"]

_OPCODES: dict[type[Expr], AluOpcode] = {
    Add: AluOpcode.ADD,
    Mul: AluOpcode.MUL,
    Min: AluOpcode.MIN,
    Max: AluOpcode.MAX,
    Shr: AluOpcode.SHR,
}
_COMMUTATIVE = (Add, Mul, Min, Max)
_IMM_LOW, _IMM_HIGH = -(1 << (IMM_BITS - 1)), (1 << (IMM_BITS - 1)) - 1
_MOST_ADDS = 4
"""A constant beyond the immediate's range is added in at most so many steps."""


def inject_alu(func: PrimFunc, target: Target) -> PrimFunc:
    """Replace every ``alu`` nest.

    Raises
    ------
    LoweringError
        For a stage that the vector ALU cannot compute; it names the stage and the part.
    """

    def change(node: Stmt) -> Stmt:
        match node:
            case Pragma(key="skip_alu"):
                return Seq()
            case Pragma(key="alu", body=body):
                where = f"stage {node.stage}, alu at axis {node.axis}"
                nests = body.stmts if isinstance(body, Seq) else (body,)
                kernels = [k for nest in nests for k in _kernels(peel(nest), target, where)]
                return CoprocScope(Module.COMPUTE, seq(*kernels))
            case Stmt():
                return rebuild(node, change)
            case _:
                return node

    return with_body(func, change(func.body))


@dataclass(frozen=True)
class _Step:
    """``dst = opcode(dst, operand)``."""

    opcode: AluOpcode
    operand: BufferLoad | int


def _kernels(nest: Nest, target: Target, where: str) -> list[Stmt]:
    """One UopScope for each step of the stage's value."""
    store = nest.leaf
    if not isinstance(store, BufferStore):
        raise LoweringError(
            f"{where}: must contain one computation and nothing else; a stage attached inside it "
            f"is none"
        )
    _require_acc(store, target, where)
    return [
        UopScope("alu", _kernel(nest, store, step, target, where))
        for step in _Taker(store, target, where).steps(store.value)
    ]


def _require_acc(access: BufferStore | BufferLoad, target: Target, where: str) -> None:
    buffer = access.buffer
    if buffer.scope != target.acc.scope or buffer.dtype != target.acc.dtype:
        raise LoweringError(
            f"{where}: the vector ALU works on {target.acc.dtype} in {target.acc.scope}; "
            f"{buffer.name} is {buffer.dtype} in {buffer.scope}"
        )


def steps_in_place(store: BufferStore, load: BufferLoad, target: Target) -> int | None:
    """How many steps ``store`` takes if its result lies where ``load`` does; None if it cannot."""
    taker = _Taker(BufferStore(load.buffer, load.indices, store.value), target, "")
    try:
        return len(taker.steps(store.value))
    except LoweringError:
        return None


class _Taker:
    """Takes a stage's value apart into steps on the result's own place."""

    def __init__(self, store: BufferStore, target: Target, where: str) -> None:
        self.store, self.target, self.where = store, target, where
        self.place = flat_index(store.buffer, store.indices)

    def _is_result(self, expr: Expr) -> bool:
        return (
            isinstance(expr, BufferLoad)
            and expr.buffer is self.store.buffer
            and flat_index(expr.buffer, expr.indices) == self.place
        )

    def steps(self, value: Expr) -> list[_Step]:
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
            first = [_Step(AluOpcode.MUL, 0), _Step(AluOpcode.ADD, start)]
        for step in [*first, *steps][1:]:
            operand = step.operand
            if isinstance(operand, BufferLoad) and operand.buffer is self.store.buffer:
                raise LoweringError(
                    f"{self.where}: `{value}` needs the old value of {operand.buffer.name} "
                    f"after it is overwritten; compute it in two stages"
                )
        return first + steps

    def _chain(self, value: Expr) -> tuple[BufferLoad | int, list[_Step]]:
        """What the computation starts from, and the steps on it."""
        match value:
            case Const(value=number):
                return number, []
            case BufferLoad():
                _require_acc(value, self.target, self.where)
                return value, []
            case Shl(a=a, b=Const(value=by)):
                start, steps = self._chain(a)
                return start, [*steps, _Step(AluOpcode.SHR, -by)]
            case Sub(a=a, b=Const(value=by)):
                start, steps = self._chain(a)
                return start, [*steps, *self._immediate(AluOpcode.ADD, -by, value)]
            case Sub(a=a, b=BufferLoad() as b) if not self._is_result(b) and not isinstance(
                a, Const
            ):
                if self._is_result(a) or not isinstance(a, BufferLoad):
                    start, steps = self._chain(a)  # a - b is -(-a + b)
                    negate = _Step(AluOpcode.MUL, -1)
                    return start, [*steps, negate, _Step(AluOpcode.ADD, b), negate]
                start, steps = self._chain(b)
                return start, [*steps, _Step(AluOpcode.MUL, -1), _Step(AluOpcode.ADD, a)]
            case Sub(a=a, b=b):
                start, steps = self._chain(b)
                negated = [*steps, _Step(AluOpcode.MUL, -1)]
                if isinstance(a, Const):
                    return start, [*negated, *self._immediate(AluOpcode.ADD, a.value, value)]
                return start, [*negated, _Step(AluOpcode.ADD, self._operand(a, value))]
            case Binary(a=a, b=b) if type(value) in _OPCODES:
                opcode = _OPCODES[type(value)]
                swap = isinstance(a, Const) or self._is_result(b) or not _is_simple(b)
                if isinstance(value, _COMMUTATIVE) and swap:
                    a, b = b, a
                start, steps = self._chain(a)
                if isinstance(b, Const):
                    return start, [*steps, *self._immediate(opcode, b.value, value)]
                return start, [*steps, _Step(opcode, self._operand(b, value))]
        raise LoweringError(
            f"{self.where}: the vector ALU cannot compute `{value}`; it can add, multiply, take "
            f"min and max, and shift (left only by a constant)"
        )

    def _operand(self, expr: Expr, value: Expr) -> BufferLoad:
        if not isinstance(expr, BufferLoad):
            raise LoweringError(
                f"{self.where}: in `{value}` the operand `{expr}` is computed itself; give it a "
                f"stage of its own"
            )
        _require_acc(expr, self.target, self.where)
        return expr

    def _immediate(self, opcode: AluOpcode, value: int, expr: Expr) -> list[_Step]:
        if _IMM_LOW <= value <= _IMM_HIGH:
            return [_Step(opcode, value)]
        if opcode is AluOpcode.ADD:
            limit = _IMM_HIGH if value > 0 else _IMM_LOW
            if abs(value) <= _MOST_ADDS * abs(limit):
                whole, rest = divmod(abs(value), abs(limit))
                parts = [limit] * whole + ([rest if value > 0 else -rest] if rest else [])
                return [_Step(opcode, part) for part in parts]
        raise LoweringError(
            f"{self.where}: in `{expr}` the constant {value} does not fit the ALU's immediate; "
            f"must be in {_IMM_LOW}..{_IMM_HIGH}; put it in a tensor"
        )


def _is_simple(expr: Expr) -> bool:
    return isinstance(expr, BufferLoad | Const)


def _constant(value: int) -> list[_Step]:
    """The steps that leave ``value``, any of 32 bits, whatever was there before."""
    steps = [_Step(AluOpcode.MUL, 0)]
    if _IMM_LOW <= value <= _IMM_HIGH:
        return steps + ([_Step(AluOpcode.ADD, value)] if value else [])
    low = dtypes.wrap(value, "int16")
    high = dtypes.wrap((value - low) >> IMM_BITS, "int16")
    steps += [_Step(AluOpcode.ADD, high), _Step(AluOpcode.SHR, -IMM_BITS)]
    return steps + ([_Step(AluOpcode.ADD, low)] if low else [])


def _kernel(nest: Nest, store: BufferStore, step: _Step, target: Target, where: str) -> Stmt:
    """The loops over elements around the micro-op of one step."""
    accesses: list[BufferStore | BufferLoad] = [store]
    if isinstance(step.operand, BufferLoad):
        accesses.append(step.operand)
    forms = [flat_index(access.buffer, access.indices) for access in accesses]
    tile = target.acc.shape[0] * target.acc.shape[1]
    loops, forms, _ = strip_tile(nest.loops, forms, tile, constraints(nest.guards, where), where)
    if not nest.guards:  # a condition needs its loops as they are
        loops, forms = join_loops(loops, forms)
    _require_affine(forms, where)
    dst, src = forms[0].expr(), forms[-1].expr()
    imm = step.operand if isinstance(step.operand, int) else 0
    push = UopPush(
        1, False, dst, src, Const(0), step.opcode, isinstance(step.operand, int), imm,
        store.buffer, accesses[-1].buffer, None,
    )  # fmt: skip
    return rewrap(loops, nest.guards, push)


def _require_affine(forms: list[Affine], where: str) -> None:
    for form in forms:
        for atom, _ in form.terms:
            if not isinstance(atom, Var):
                raise LoweringError(f"{where}: the index `{atom}` must be affine in the loops")
