"""The operator library for the current machine: a call gives tensors, a schedule and a reference.

The functions are those of :mod:`vta.compiler.ops`; without ``cfg`` they take the machine of
:func:`vta.get_env`. ::

    op = ops.conv2d((1, 64, 56, 56), 64, 3, padding=1, requantise=ops.Requantise(shift=8, low=0))
    module = vta.build(op.schedule, op.args)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from vta.compiler import ops as _library
from vta.compiler.ops import (
    HostOperator,
    OnePass,
    Operator,
    Requantise,
    Tiling,
    Views,
    WholeSums,
    choose_scales,
)
from vta.environment import get_env

__all__ = [
    "HostOperator", "OnePass", "Operator", "Requantise", "Tiling", "Views", "WholeSums", "add",
    "average_pool", "batch_matmul", "choose_scales", "clip", "concat", "conv2d", "conv2d_transpose",
    "dense", "global_average_pool", "leaky_relu", "lookup", "max_pool", "multiply", "pad", "prelu",
    "relu", "relu6", "slice_channels", "sum_pool", "table_of", "upsample", "weighted_sum",
]  # fmt: skip

_Result = TypeVar("_Result")


def _for_current_machine(function: Callable[..., _Result]) -> Callable[..., _Result]:
    """``function`` with ``cfg`` optional."""

    @wraps(function)
    def call(*args: Any, **options: Any) -> _Result:
        options.setdefault("cfg", get_env().cfg)
        return function(*args, **options)

    return call


add = _for_current_machine(_library.add)
average_pool = _for_current_machine(_library.average_pool)
batch_matmul = _for_current_machine(_library.batch_matmul)
clip = _for_current_machine(_library.clip)
concat = _for_current_machine(_library.concat)
conv2d = _for_current_machine(_library.conv2d)
conv2d_transpose = _for_current_machine(_library.conv2d_transpose)
dense = _for_current_machine(_library.dense)
global_average_pool = _for_current_machine(_library.global_average_pool)
leaky_relu = _for_current_machine(_library.leaky_relu)
lookup = _for_current_machine(_library.lookup)
max_pool = _for_current_machine(_library.max_pool)
multiply = _for_current_machine(_library.multiply)
pad = _for_current_machine(_library.pad)
prelu = _for_current_machine(_library.prelu)
relu = _for_current_machine(_library.relu)
relu6 = _for_current_machine(_library.relu6)
slice_channels = _for_current_machine(_library.slice_channels)
sum_pool = _for_current_machine(_library.sum_pool)
table_of = _for_current_machine(_library.table_of)
upsample = _for_current_machine(_library.upsample)
weighted_sum = _for_current_machine(_library.weighted_sum)
