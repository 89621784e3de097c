"""The operator library for the current machine: a call gives tensors, a schedule and a reference.

The functions are those of :mod:`vta.compiler.ops`; without ``cfg`` they take the machine of
:func:`vta.get_env`. ::

    op = ops.conv2d((1, 64, 56, 56), 64, 3, padding=1, requantise=ops.Requantise(shift=8, low=0))
    module = vta.build(op.schedule, op.args)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from vta.compiler import ops as _library
from vta.compiler.ops import Operator, Requantise, Tiling
from vta.environment import get_env

__all__ = [
    "Operator", "Requantise", "Tiling", "batch_matmul", "conv2d", "conv2d_transpose", "dense",
    "max_pool", "sum_pool", "weighted_sum",
]  # fmt: skip


def _for_current_machine(function: Callable[..., Operator]) -> Callable[..., Operator]:
    """``function`` with ``cfg`` optional."""

    @wraps(function)
    def call(*args: Any, **options: Any) -> Operator:
        options.setdefault("cfg", get_env().cfg)
        return function(*args, **options)

    return call


batch_matmul = _for_current_machine(_library.batch_matmul)
conv2d = _for_current_machine(_library.conv2d)
conv2d_transpose = _for_current_machine(_library.conv2d_transpose)
dense = _for_current_machine(_library.dense)
max_pool = _for_current_machine(_library.max_pool)
sum_pool = _for_current_machine(_library.sum_pool)
weighted_sum = _for_current_machine(_library.weighted_sum)
