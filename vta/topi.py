"""Operators on whole tensors: ``from vta import topi``, then ``topi.add``, ``topi.nn.pad``, ...

``topi.nn`` has ``pad``, ``dilate`` and ``relu`` of tensors. Its layers (``conv2d``, ``dense``, ...)
forward to :mod:`vta.ops`: they take shapes, and give an operator with its schedule.

``topi.tag`` has the tags of their operations, ``topi.utils`` two functions on shapes that programs
written for TVM use.
"""

from collections.abc import Iterable
from types import SimpleNamespace

from vta.compiler.te import dtypes as _dtypes
from vta.compiler.te import tags as tag
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
from vta.compiler.te.topi_nn import dilate, pad, relu
from vta.errors import TensorError
from vta.ops import (
    average_pool,
    batch_matmul,
    conv2d,
    conv2d_transpose,
    dense,
    global_average_pool,
    leaky_relu,
    max_pool,
    prelu,
    upsample,
)


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


nn = SimpleNamespace(
    average_pool=average_pool, batch_matmul=batch_matmul, conv2d=conv2d,
    conv2d_transpose=conv2d_transpose, dense=dense, dilate=dilate,
    global_average_pool=global_average_pool, leaky_relu=leaky_relu, max_pool=max_pool, pad=pad,
    prelu=prelu, relu=relu, upsample=upsample,
)  # fmt: skip
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
