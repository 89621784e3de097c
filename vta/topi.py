"""Operators on whole tensors: ``from vta import topi``, then ``topi.add``, ``topi.nn.pad``, ...

``topi.tag`` has the tags of their operations, ``topi.utils`` two functions on shapes that programs
written for TVM use.
"""

from collections.abc import Iterable
from types import SimpleNamespace

from vta.compiler.te import dtypes as _dtypes
from vta.compiler.te import tags as tag
from vta.compiler.te import topi_nn as nn
from vta.compiler.te.topi import (
    add,
    broadcast_to,
    cast,
    clip,
    identity,
    left_shift,
    maximum,
    minimum,
    multiply,
    right_shift,
    subtract,
)
from vta.errors import TensorError


def _get_const_int(value: object) -> int:
    """``value`` as a Python integer: shapes are static here.

    Raises
    ------
    TensorError
        If it is no integer.
    """
    number = _dtypes.integer(value)
    if number is None:
        raise TensorError(f"get_const_int: {value!r} is no integer; shapes are static")
    return number


def _get_const_tuple(values: Iterable[object]) -> tuple[int, ...]:
    """The extents of a shape as a tuple of Python integers."""
    return tuple(map(_get_const_int, values))


utils = SimpleNamespace(get_const_int=_get_const_int, get_const_tuple=_get_const_tuple)

__all__ = [
    "add",
    "broadcast_to",
    "cast",
    "clip",
    "identity",
    "left_shift",
    "maximum",
    "minimum",
    "multiply",
    "nn",
    "right_shift",
    "subtract",
    "tag",
    "utils",
]
