"""Python's and NumPy's operations on numbers that expressions and tensors refuse or translate.

An expression stands for a value that is not known while the program is written. An operation that
the machine does not have, or that needs the value, raises an error with the expression as text and
what to write instead. NumPy's operations (``np.int32(3) * x``, ``np.maximum(x, 0)``) mean the same
as Python's operators.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np

from vta.compiler.te import dtypes
from vta.errors import TensorError, TensorTypeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vta.compiler.te.expr import Expr

__all__ = [
    "UnsupportedUses",
    "WholeTensor",
    "elements_are_written",
    "operand_text",
    "operation_text",
    "quotient_replacement",
    "refuse_number",
    "remainder_replacement",
    "require_comparison_outside_compute",
]

_elements_are_written: ContextVar[bool] = ContextVar("elements_are_written", default=False)


@contextmanager
def elements_are_written(value: bool) -> Iterator[None]:
    """Set whether the code inside is the function of a ``te.compute``."""
    before = _elements_are_written.set(value)
    try:
        yield
    finally:
        _elements_are_written.reset(before)


def require_comparison_outside_compute(a: object, b: object, number: bool) -> None:
    """Refuse ``a == b`` where the values are meant and Python would compare the expressions.

    Raises
    ------
    TensorTypeError
        If ``b`` is a number, or in the function of a ``te.compute``.
    """
    if number or _elements_are_written.get():
        raise TensorTypeError(
            f"`{operation_text(a, '==', b)}` (or `!=`): the values are not known while the program "
            f"is written; write te.equal({a}, {b}) or te.not_equal({a}, {b}), as the condition of "
            f"te.if_then_else"
        )


def operand_text(value: object) -> str:
    """The text of an operand: in parentheses if ``value`` is an operation."""
    from vta.compiler.tir.printer import is_operation

    return f"({value})" if is_operation(value) else _text(value)


def operation_text(a: object, symbol: str, b: object) -> str:
    """The text ``a symbol b``, or ``max(a, b)`` if the symbol is a name."""
    if symbol.isidentifier():
        return f"{symbol}({_text(a)}, {_text(b)})"
    return f"{operand_text(a)} {symbol} {operand_text(b)}"


def _text(value: object) -> str:
    if isinstance(value, np.ndarray) and value.ndim:
        return f"array of shape {value.shape}"
    return str(getattr(value, "name", value)) if isinstance(value, WholeTensor) else str(value)


def refuse_number(value: object, dtype: str) -> NoReturn:
    """Raise the error for a ``value`` that cannot be in an expression of type ``dtype``.

    Raises
    ------
    TensorTypeError
        Always.
    """
    kind = type(value).__name__
    if isinstance(value, WholeTensor):
        name = _text(value)
        raise TensorTypeError(
            f"cannot use the tensor {name} in an expression; read one of its elements, "
            f"{name}[i, ...]"
        )
    if isinstance(value, np.ndarray) and value.ndim:
        raise TensorTypeError(
            f"cannot use an array of shape {value.shape} in an expression; give the program a "
            f"te.placeholder for it, read one element, and pass the array at the call"
        )
    if isinstance(value, float | np.floating):
        replacement = (
            f"write {int(value)}"
            if float(value).is_integer()
            else "values are integers: scale by a multiply and a shift, as (x * 5) >> 1 for x * 2.5"
        )
        raise TensorTypeError(
            f"cannot use {value} ({kind}) in an expression of type {dtype}; {replacement}"
        )
    raise TensorTypeError(
        f"cannot use {value!r} ({kind}) in an expression of type {dtype}; must be an integer or "
        f"an expression"
    )


def _power_of_two(value: object) -> int | None:
    """log2 of ``value``, if it is a number or a constant and a power of two above 1; else None."""
    number = getattr(value, "value", value)
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 2:
        return None
    return int(number).bit_length() - 1 if int(number) & (int(number) - 1) == 0 else None


def quotient_replacement(a: object, b: object) -> str:
    """The replacement for ``a // b`` and ``a / b`` of tensor elements, as text."""
    by = _power_of_two(b)
    if by is None:
        return (
            "multiply by the scaled reciprocal and shift, as (x * 171) >> 9 for x / 3 with x in "
            "0..255"
        )
    return (
        f"write `{operation_text(a, '>>', by)}`, which rounds towards minus infinity as `//` does"
    )


def remainder_replacement(a: object, b: object) -> str:
    """The replacement for ``a % b`` of tensor elements, as text."""
    by = _power_of_two(b)
    if by is None:
        return "subtract a multiple of the quotient, which is a multiply and a shift"
    a = operand_text(a)
    return f"write `{a} - (({a} >> {by}) << {by})`"


def _bits_replacement(symbol: str) -> Callable[[Any, Any], str]:
    joiner = {"&": "te.all", "|": "te.any"}.get(symbol)

    def replacement(a: Any, b: Any) -> str:
        if joiner and dtypes.BOOL in (getattr(a, "dtype", None), getattr(b, "dtype", None)):
            return f"write {joiner}({a}, {b})"
        mask = getattr(b, "value", b)
        by = _power_of_two(mask + 1) if symbol == "&" and isinstance(mask, int) else None
        if by is not None:
            return f"the machine has no bitwise operations; {remainder_replacement(a, mask + 1)}"
        return (
            "the machine has no bitwise operations; use shifts, additions and te.all, te.any of "
            "conditions"
        )

    return replacement


def _power_replacement(a: object, b: object) -> str:
    if isinstance(b, int) and b == 2:
        return f"write `{operation_text(a, '*', a)}`"
    return "the machine has no power; write the product out, one multiplication a stage"


def _binary(symbol: str, replacement: Callable[[Any, Any], str]) -> tuple[Any, Any]:
    def forward(self: Any, other: Any) -> NoReturn:
        raise TensorTypeError(
            f"`{operation_text(self, symbol, other)}`: {replacement(self, other)}"
        )

    def reflected(self: Any, other: Any) -> NoReturn:
        forward(other, self)

    return forward, reflected


def _needs_the_value(call: str, replacement: str) -> Callable[..., NoReturn]:
    """A method that Python calls for ``call``."""

    def method(self: Any, *_: object, **__: object) -> NoReturn:
        raise TensorTypeError(
            f"`{call.format(self)}`: the value is not known while the program is written; "
            f"{replacement}"
        )

    return method


def _power(self: object, exponent: object, modulus: object = None) -> NoReturn:
    if modulus is None:
        raise TensorTypeError(
            f"`{operation_text(self, '**', exponent)}`: {_power_replacement(self, exponent)}"
        )
    call = f"pow({_text(self)}, {_text(exponent)}, {_text(modulus)})"
    raise TensorTypeError(
        f"`{call}`: {_power_replacement(self, exponent)}, and its remainder with `%`"
    )


def _as_int(self: object) -> NoReturn:
    # Not a TypeError: `"%d" % x` would replace its text by Python's own.
    raise TensorError(
        f"`int({self})`: the value is not known while the program is written; {_AS_NUMBER}"
    )


_AS_NUMBER = "use it as it is, in an expression; conversions are written .astype('int8')"
_AS_INDEX = "an index of a te.placeholder may be an expression, one of a Python list may not"


class UnsupportedUses:
    """Base of expressions: the operators that raise a :class:`~vta.errors.TensorTypeError`."""

    __slots__ = ()

    if not TYPE_CHECKING:  # mypy shall report these operators as missing
        __truediv__, __rtruediv__ = _binary("/", quotient_replacement)
        __and__, __rand__ = _binary("&", _bits_replacement("&"))
        __or__, __ror__ = _binary("|", _bits_replacement("|"))
        __xor__, __rxor__ = _binary("^", _bits_replacement("^"))
        __pow__, __rpow__ = _power, _binary("**", _power_replacement)[1]
        __matmul__, __rmatmul__ = _binary(
            "@", lambda a, b: "write te.sum(a * b, axis=k) over an axis k of te.reduce_axis"
        )
        __int__ = _as_int
        __float__ = _needs_the_value("float({})", _AS_NUMBER)
        __complex__ = _needs_the_value("complex({})", _AS_NUMBER)
        __index__ = _needs_the_value("operator.index({})", _AS_INDEX)
        __round__ = _needs_the_value("round({})", "it is an integer")
        __trunc__ = _needs_the_value("math.trunc({})", "it is an integer")
        __len__ = _needs_the_value("len({})", "it is one element; a te.Tensor has a shape")
        __iter__ = _needs_the_value("iter({})", "it is one element; index its tensor instead")
        __contains__ = _needs_the_value("... in {}", "write te.any of te.equal comparisons")
        __getitem__ = _needs_the_value(
            "{}[...]",
            "it is one element; all indices of a tensor are in one pair of brackets, A[i, j]",
        )
        __array__ = _needs_the_value(
            "np.asarray({})",
            "te.placeholder declares a tensor, and the array is passed at the call",
        )

    def __bool__(self) -> bool:
        raise TensorTypeError(
            f"the value of `{self}` is not known while the program is written; use te.if_then_else,"
            f" te.all or te.any instead of Python's if, and, or, not and of chained comparisons, "
            f"te.max and te.min instead of Python's max and min"
        )

    def __format__(self, spec: str) -> str:
        return _formatted(str(self), spec)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Expr:
        """The operation of a NumPy function, if an expression has it and the other operand is a
        number.
        """
        apply = _UFUNCS.get(ufunc.__name__) if method == "__call__" and not options else None
        if apply is None:
            shown = ", ".join(map(_text, inputs))
            raise TensorTypeError(
                f"`np.{ufunc.__name__}({shown})`: NumPy cannot compute with an expression; there "
                f"are +, -, *, >>, <<, abs, te.max, te.min, te.if_then_else and comparisons"
            )
        return cast("Expr", apply(*map(_plain, inputs)))

    def __array_function__(
        self, func: Callable[..., Any], types: object, args: object, kwargs: object
    ) -> NoReturn:
        name = getattr(func, "__name__", func)
        replacement = _FUNCTIONS.get(
            str(name), "write it with operators on elements, in a te.compute"
        )
        raise TensorTypeError(
            f"`np.{name}` on `{self}`: NumPy cannot compute with it; {replacement}"
        )


def _formatted(text: str, spec: str) -> str:
    """``text`` in a format of strings.

    Raises
    ------
    TensorTypeError
        For a format of numbers.
    """
    try:
        return format(text, spec)
    except ValueError:
        raise TensorTypeError(
            f"format {spec!r} of `{text}`: the value is not known while the program is written; "
            f"only its text can be formatted, as in f'{{x}}' or f'{{x:>20}}'"
        ) from None


def _plain(value: Any) -> Any:
    """A NumPy scalar as a Python number, so that Python's operators do not call NumPy again."""
    if isinstance(value, np.ndarray) and value.ndim:
        refuse_number(value, dtypes.INDEX)
    return value.item() if isinstance(value, np.generic | np.ndarray) else value


def _maximum(a: Any, b: Any) -> Any:
    from vta.compiler.te.expr import Max

    return Max.of(a, b)


def _minimum(a: Any, b: Any) -> Any:
    from vta.compiler.te.expr import Min

    return Min.of(a, b)


def _compare(op: str) -> Callable[[Any, Any], Any]:
    def compare(a: Any, b: Any) -> Any:
        from vta.compiler.te.expr import Compare

        return Compare.of(op, a, b)

    return compare


_UFUNCS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "divide": operator.truediv,  # these raise what Python's operator raises
    "power": operator.pow,
    "bitwise_and": operator.and_,
    "bitwise_or": operator.or_,
    "bitwise_xor": operator.xor,
    "matmul": operator.matmul,
    "right_shift": operator.rshift,
    "left_shift": operator.lshift,
    "negative": operator.neg,
    "positive": operator.pos,
    "absolute": abs,
    "invert": operator.invert,
    "maximum": _maximum,
    "minimum": _minimum,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "equal": _compare("=="),
    "not_equal": _compare("!="),
}
_FUNCTIONS = {
    "where": "write te.if_then_else(condition, a, b)",
    "clip": "write te.min(te.max(x, low), high), one limit a stage",
    "sum": "write te.sum(x, axis=k) over an axis k of te.reduce_axis",
    "amax": "write te.max(x, axis=k) over an axis k of te.reduce_axis",
    "amin": "write te.min(x, axis=k) over an axis k of te.reduce_axis",
    "dot": "write te.sum(a * b, axis=k) over an axis k of te.reduce_axis",
    "pad": "write topi.nn.pad",
}
_FUNCTIONS |= {"max": _FUNCTIONS["amax"], "min": _FUNCTIONS["amin"]}

# ---- whole tensors -------------------------------------------------------------------------------

_TOPI = {
    "+": "topi.add",
    "-": "topi.subtract",
    "*": "topi.multiply",
    ">>": "topi.right_shift",
    "<<": "topi.left_shift",
}


def _whole(symbol: str) -> tuple[Any, Any]:
    def replacement(a: Any, b: Any) -> str:
        whole = f"{_TOPI[symbol]}({_text(a)}, {_text(b)}), or " if symbol in _TOPI else ""
        tensor = a if isinstance(a, WholeTensor) else b
        return f"operators work on elements: write {whole}te.compute over {_text(tensor)}[i, ...]"

    return _binary(symbol, replacement)


class WholeTensor:
    """Base of tensors: every operator of Python and NumPy on a whole tensor raises."""

    __slots__ = ()

    if not TYPE_CHECKING:
        __add__, __radd__ = _whole("+")
        __sub__, __rsub__ = _whole("-")
        __mul__, __rmul__ = _whole("*")
        __truediv__, __rtruediv__ = _whole("/")
        __floordiv__, __rfloordiv__ = _whole("//")
        __mod__, __rmod__ = _whole("%")
        __rshift__, __rrshift__ = _whole(">>")
        __lshift__, __rlshift__ = _whole("<<")
        __and__, __rand__ = _whole("&")
        __or__, __ror__ = _whole("|")
        __xor__, __rxor__ = _whole("^")
        __pow__, __rpow__ = _whole("**")
        __matmul__, __rmatmul__ = _whole("@")
        __lt__, __gt__ = _whole("<")
        __le__, __ge__ = _whole("<=")

    def __format__(self, spec: str) -> str:
        return _formatted(str(self), spec)

    def _refuse(self, what: str, replacement: str) -> NoReturn:
        raise TensorTypeError(
            f"`{what}`: the tensor has no values while the program is written; {replacement}"
        )

    def __neg__(self) -> NoReturn:
        self._refuse(f"-{_text(self)}", f"write topi.subtract(0, {_text(self)})")

    def __invert__(self) -> NoReturn:
        self._refuse(f"~{_text(self)}", f"write topi.subtract(-1, {_text(self)})")

    def __abs__(self) -> NoReturn:
        name = _text(self)
        self._refuse(f"abs({name})", f"write topi.maximum({name}, topi.subtract(0, {name}))")

    def __bool__(self) -> NoReturn:
        self._refuse(f"bool({_text(self)})", "test `is None`, or compare tensors by ==")

    def __array__(self, *_: object, **__: object) -> NoReturn:
        self._refuse(
            f"np.asarray({_text(self)})", "vta.runtime.array puts values on a device for the call"
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **_: object) -> NoReturn:
        shown = ", ".join(map(_text, inputs))
        self._refuse(f"np.{ufunc.__name__}({shown})", "use vta.topi, or te.compute on its elements")

    def __array_function__(
        self, func: Callable[..., Any], types: object, args: object, kwargs: object
    ) -> NoReturn:
        name = getattr(func, "__name__", func)
        self._refuse(f"np.{name}({_text(self)})", "use vta.topi, or te.compute on its elements")
