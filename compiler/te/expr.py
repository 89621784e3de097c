"""Scalar expressions: the value of one element of a tensor, and indices.

Nodes are immutable and compare by structure (variables by identity), so ``==`` is a Python bool;
:func:`vta.compiler.te.conditions.equal` makes the comparison node. ``==`` with a number, or inside
the function of a ``te.compute``, is refused, since the comparison node is meant there. ``<``,
``<=``, ``>`` and ``>=`` make nodes. Both operands of an operator have one dtype; a Python integer
takes the dtype of the other operand. Integer arithmetic wraps at the width of the type.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from numbers import Number
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from vta.compiler.te import dtypes
from vta.compiler.te.unsupported import (
    UnsupportedUses,
    operation_text,
    refuse_number,
    require_comparison_outside_compute,
)
from vta.errors import TensorError, TensorTypeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vta.compiler.te.tensor import Tensor

__all__ = [
    "Add",
    "Binary",
    "BoolExpr",
    "Cast",
    "Compare",
    "Const",
    "Expr",
    "ExprLike",
    "FloorDiv",
    "FloorMod",
    "IterVar",
    "Max",
    "Min",
    "Mul",
    "Reduce",
    "Shl",
    "Shr",
    "Sub",
    "TensorRead",
    "Var",
    "as_expr",
    "maximum",
    "minimum",
    "operands",
]


@cache
def _key(node: Any) -> Callable[[Any], Any]:
    """A function that gives the fields by which two nodes of the class ``node`` compare."""
    return attrgetter(*(field.name for field in fields(node)))


class Expr(UnsupportedUses):
    """Base of all expressions. ``dtype`` is the type of the value."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        require_comparison_outside_compute(self, other, isinstance(other, Number))
        return type(self) is type(other) and self._same(other)

    def __hash__(self) -> int:
        node: Any = type(self)
        return hash((node, _key(node)(self)))

    def _same(self, other: object) -> bool:
        """Whether ``other``, of the same class, is the same expression."""
        node: Any = type(self)
        key = _key(node)
        return bool(key(self) == key(other))

    if TYPE_CHECKING:  # a field in some nodes, a property in others

        @property
        def dtype(self) -> str: ...

    def __add__(self, other: ExprLike) -> Expr:
        return Add.of(self, other)

    def __radd__(self, other: ExprLike) -> Expr:
        return Add.of(other, self)

    def __sub__(self, other: ExprLike) -> Expr:
        return Sub.of(self, other)

    def __rsub__(self, other: ExprLike) -> Expr:
        return Sub.of(other, self)

    def __mul__(self, other: ExprLike) -> Expr:
        return Mul.of(self, other)

    def __rmul__(self, other: ExprLike) -> Expr:
        return Mul.of(other, self)

    def __floordiv__(self, other: ExprLike) -> Expr:
        return FloorDiv.of(self, other)

    def __rfloordiv__(self, other: ExprLike) -> Expr:
        return FloorDiv.of(other, self)

    def __mod__(self, other: ExprLike) -> Expr:
        return FloorMod.of(self, other)

    def __rmod__(self, other: ExprLike) -> Expr:
        return FloorMod.of(other, self)

    def __rshift__(self, other: ExprLike) -> Expr:
        return Shr.of(self, other)

    def __rrshift__(self, other: ExprLike) -> Expr:
        return Shr.of(other, self)

    def __lshift__(self, other: ExprLike) -> Expr:
        return Shl.of(self, other)

    def __rlshift__(self, other: ExprLike) -> Expr:
        return Shl.of(other, self)

    def __divmod__(self, other: ExprLike) -> tuple[Expr, Expr]:
        return self // other, self % other

    def __rdivmod__(self, other: ExprLike) -> tuple[Expr, Expr]:
        return other // self, other % self

    def __neg__(self) -> Expr:
        return Sub.of(0, self)

    def __pos__(self) -> Expr:
        return self

    def __invert__(self) -> Expr:
        """``~x`` is ``-1 - x``; for unsigned types ``x`` subtracted from the highest value."""
        if self.dtype == dtypes.BOOL:
            raise TensorTypeError(f"`~{self}`: write the opposite comparison")
        return Sub.of(Const(dtypes.wrap(-1, self.dtype), self.dtype), self)

    def __abs__(self) -> Expr:
        """``max(x, 0 - x)``. The lowest value of the type stays unchanged, as in NumPy."""
        return Max.of(self, Sub.of(0, self)) if dtypes.is_signed(self.dtype) else self

    def __lt__(self, other: ExprLike) -> Expr:
        return Compare.of("<", self, other)

    def __le__(self, other: ExprLike) -> Expr:
        return Compare.of("<=", self, other)

    def __gt__(self, other: ExprLike) -> Expr:
        return Compare.of(">", self, other)

    def __ge__(self, other: ExprLike) -> Expr:
        return Compare.of(">=", self, other)

    def astype(self, dtype: object) -> Expr:
        """This value converted to ``dtype`` (narrowing keeps the low bits)."""
        return Cast.of(self, dtypes.check(dtype, "astype"))

    def equal(self, other: ExprLike) -> Expr:
        """The node ``self == other``; see :func:`vta.compiler.te.conditions.equal`."""
        return Compare.of("==", self, other)

    def __str__(self) -> str:
        from vta.compiler.tir.printer import expr_text

        return expr_text(self)

    __repr__ = __str__


ExprLike = Expr | int


def as_expr(value: object, dtype: str = dtypes.INDEX) -> Expr:
    """``value`` as an expression; a Python integer becomes a :class:`Const` of type ``dtype``.

    Raises
    ------
    TensorError
        For an integer outside the range of ``dtype``; TensorTypeError for a value that is neither
        an expression nor an integer.
    """
    if isinstance(value, Expr):
        return value
    if isinstance(value, bool):
        if dtype == dtypes.BOOL:
            return Const(int(value), dtype)
        raise TensorTypeError(
            f"a Python bool ({value}) cannot be used as a value of type {dtype}; == between "
            f"expressions is a Python bool, te.equal(a, b) makes the comparison"
        )
    number = dtypes.integer(value)
    if number is None:
        refuse_number(value, dtype)
    low, high = dtypes.limits(dtype)
    if not low <= number <= high:
        raise TensorError(f"the constant {number} does not fit {dtype}; must be in {low}..{high}")
    return Const(number, dtype)


def operands(symbol: str, a: ExprLike, b: ExprLike) -> tuple[Expr, Expr]:
    """Both operands as expressions of one dtype."""
    try:
        if not isinstance(a, Expr):
            b = as_expr(b)
            a = as_expr(a, b.dtype)
        else:
            b = as_expr(b, a.dtype)
    except TensorError as error:
        raise type(error)(f"`{operation_text(a, symbol, b)}`: {error}") from None
    if a.dtype != b.dtype:
        raise TensorError(
            f"the operands of `{symbol}` have different dtypes: {a} is {a.dtype}, "
            f"{b} is {b.dtype}; convert one with .astype()"
        )
    return a, b


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Const(Expr):
    """An integer, or 0 or 1 of type bool."""

    value: int
    dtype: str = dtypes.INDEX


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Var(Expr):
    """A loop variable, from 0 to the extent of its loop - 1. Two variables are equal only if they
    are one object.
    """

    name: str
    dtype: str = dtypes.INDEX

    __hash__ = object.__hash__

    def _same(self, other: object) -> bool:
        return False


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class IterVar(Var):
    """An axis of a computation: ``begin <= value < begin + extent``.

    ``kind`` is ``data`` (an axis of the result), ``reduce``, or ``thread`` (a tag for binding).
    """

    extent: int = 1
    kind: Literal["data", "reduce", "thread"] = "data"
    begin: int = 0


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Binary(Expr):
    """``a op b``; both have the type of the result."""

    a: Expr
    b: Expr
    symbol: ClassVar[str]

    @property
    def dtype(self) -> str:
        return self.a.dtype

    @staticmethod
    def compute(x: int, y: int) -> int:
        """The operation on exact integers, before wrapping."""
        raise NotImplementedError

    right_identity: ClassVar[int | None] = None
    """``x op right_identity`` is ``x``."""
    left_identity: ClassVar[int | None] = None

    @classmethod
    def of(cls, a: ExprLike, b: ExprLike) -> Expr:
        """The node, with constants folded; TensorError for operands that do not fit."""
        a, b = operands(cls.symbol, a, b)
        if a.dtype == dtypes.BOOL:
            raise TensorError(f"`{a} {cls.symbol} {b}`: the operands are bool; must be integers")
        cls._check(a, b)
        if isinstance(b, Const):
            if isinstance(a, Const):
                return Const(dtypes.wrap(cls.compute(a.value, b.value), a.dtype), a.dtype)
            if b.value == cls.right_identity:
                return a
        elif isinstance(a, Const) and a.value == cls.left_identity:
            return b
        return cls(a, b)

    @classmethod
    def _check(cls, a: Expr, b: Expr) -> None:
        """Refuse operands for which the operation is not defined."""


class Add(Binary):
    __slots__ = ()
    symbol = "+"
    left_identity = right_identity = 0

    @staticmethod
    def compute(x: int, y: int) -> int:
        return x + y


class Sub(Binary):
    __slots__ = ()
    symbol = "-"
    right_identity = 0

    @staticmethod
    def compute(x: int, y: int) -> int:
        return x - y


class Mul(Binary):
    __slots__ = ()
    symbol = "*"
    left_identity = right_identity = 1

    @staticmethod
    def compute(x: int, y: int) -> int:
        return x * y


class _Division(Binary):
    __slots__ = ()

    @classmethod
    def _check(cls, a: Expr, b: Expr) -> None:
        if isinstance(b, Const) and b.value == 0:
            raise TensorError(f"`{a} {cls.symbol} 0`: division by zero")


class FloorDiv(_Division):
    """Quotient rounded towards minus infinity."""

    __slots__ = ()
    symbol = "//"
    right_identity = 1

    @staticmethod
    def compute(x: int, y: int) -> int:
        return x // y


class FloorMod(_Division):
    """Remainder of :class:`FloorDiv`; it has the sign of the divisor."""

    __slots__ = ()
    symbol = "%"

    @staticmethod
    def compute(x: int, y: int) -> int:
        return x % y


class Min(Binary):
    __slots__ = ()
    symbol = "min"

    @staticmethod
    def compute(x: int, y: int) -> int:
        return min(x, y)


class Max(Binary):
    __slots__ = ()
    symbol = "max"

    @staticmethod
    def compute(x: int, y: int) -> int:
        return max(x, y)


class _Shift(Binary):
    __slots__ = ()
    right_identity = 0

    @classmethod
    def _check(cls, a: Expr, b: Expr) -> None:
        if isinstance(b, Const) and not 0 <= b.value < dtypes.bits(a.dtype):
            raise TensorError(
                f"`{a} {cls.symbol} {b}`: shift distance is {b.value}; "
                f"must be in 0..{dtypes.bits(a.dtype) - 1}"
            )


class Shr(_Shift):
    """Arithmetic shift right. A distance of at least the width of the type leaves the sign; a
    negative distance, which only a tensor can have, shifts left.
    """

    __slots__ = ()
    symbol = ">>"

    @staticmethod
    def compute(x: int, y: int) -> int:
        return x >> y if y >= 0 else x << -y


class Shl(_Shift):
    """Shift left. A distance of at least the width of the type leaves 0; a negative distance shifts
    right.
    """

    __slots__ = ()
    symbol = "<<"

    @staticmethod
    def compute(x: int, y: int) -> int:
        return x << y if y >= 0 else x >> -y


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Cast(Expr):
    """``value`` converted to ``dtype``: sign- or zero-extended, or its low bits."""

    value: Expr
    dtype: str

    @classmethod
    def of(cls, value: Expr, dtype: str) -> Expr:
        """The node; ``value`` itself if the type is the same, a constant for a constant."""
        if value.dtype == dtype:
            return value
        if isinstance(value, Const):
            return Const(dtypes.wrap(value.value, dtype), dtype)
        return cls(value, dtype)


_COMPARE = {
    "<": int.__lt__,
    "<=": int.__le__,
    ">": int.__gt__,
    ">=": int.__ge__,
    "==": int.__eq__,
    "!=": int.__ne__,
}


class BoolExpr(Expr):
    """Base of conditions: expressions of type bool."""

    __slots__ = ()

    @property
    def dtype(self) -> str:
        return dtypes.BOOL


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Compare(BoolExpr):
    """``a op b`` of two integers; op is one of ``< <= > >= == !=``."""

    OPPOSITE: ClassVar[dict[str, str]] = {
        "<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "==",
    }  # fmt: skip
    """For each operator, the operator that holds exactly where the first does not."""

    op: str
    a: Expr
    b: Expr

    @classmethod
    def of(cls, op: str, a: ExprLike, b: ExprLike) -> Expr:
        a, b = operands(op, a, b)
        if isinstance(a, Const) and isinstance(b, Const):
            return Const(int(cls.compute(op, a.value, b.value)), dtypes.BOOL)
        return cls(op, a, b)

    @staticmethod
    def compute(op: str, x: int, y: int) -> bool:
        return bool(_COMPARE[op](x, y))


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class TensorRead(Expr):
    """One element of a tensor; as many indices as the tensor has dimensions."""

    tensor: Tensor
    indices: tuple[Expr, ...]

    @property
    def dtype(self) -> str:
        return self.tensor.dtype


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Reduce(Expr):
    """``body`` combined over all values of ``axes`` by ``sum``, ``max`` or ``min``. A reduction is
    the whole body of a compute.
    """

    kind: Literal["sum", "max", "min"]
    body: Expr
    axes: tuple[IterVar, ...]

    @property
    def dtype(self) -> str:
        return self.body.dtype

    @property
    def identity(self) -> Const:
        """The start value, which leaves the other operand of :meth:`combine` unchanged."""
        low, high = dtypes.limits(self.dtype)
        return Const({"sum": 0, "max": low, "min": high}[self.kind], self.dtype)

    def combine(self, x: Expr, y: Expr) -> Expr:
        """One step of the reduction."""
        return {"sum": Add, "max": Max, "min": Min}[self.kind].of(x, y)


# ---- functions that make nodes -------------------------------------------------------------------


def minimum(a: ExprLike, b: ExprLike) -> Expr:
    """The smaller of two values."""
    return Min.of(a, b)


def maximum(a: ExprLike, b: ExprLike) -> Expr:
    """The larger of two values."""
    return Max.of(a, b)
