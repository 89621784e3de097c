"""The scalar types of tensor programs: signed and unsigned integers of a few widths, and bool.

A type is a string as in NumPy (``int8``, ``uint16``, ``bool``). ``int4``, which the machine has and
NumPy has not, is registered with NumPy by :mod:`vta.int4`.
"""

from __future__ import annotations

import operator
from functools import cache

import vta.int4  # noqa: F401 - registers the type
from vta.dtypes import bits
from vta.errors import TensorError

__all__ = ["BOOL", "DTYPES", "INDEX", "bits", "check", "integer", "is_signed", "limits", "wrap"]

DTYPES = ("int4", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "bool")
INDEX = "int32"
"""The type of loop variables and of the arithmetic on them."""
BOOL = "bool"


def check(dtype: object, what: str) -> str:
    """The name of ``dtype``, which is a string, a ``numpy.dtype`` or a NumPy scalar type.

    Raises
    ------
    TensorError
        If the type is not one of :data:`DTYPES`. The message starts with ``what``.
    """
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None)
    if name is None:
        name = getattr(dtype, "__name__", repr(dtype))
    if name not in DTYPES:
        raise TensorError(f"{what}: dtype is {name}; must be one of {', '.join(DTYPES)}")
    return str(name)


def is_signed(dtype: str) -> bool:
    """Whether the type holds negative values."""
    return dtype.startswith("int")


@cache
def limits(dtype: str) -> tuple[int, int]:
    """The lowest and the highest value of the type."""
    width = bits(dtype)
    return (
        (-(1 << (width - 1)), (1 << (width - 1)) - 1) if is_signed(dtype) else (0, (1 << width) - 1)
    )


def wrap(value: int, dtype: str) -> int:
    """``value`` modulo 2^bits, in the range of the type."""
    low, _ = limits(dtype)
    return (value - low) % (1 << bits(dtype)) + low


def integer(value: object) -> int | None:
    """``value`` as a Python integer; None if it is not an integer (bool, float, expression)."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None
