"""Operators with a schedule, by the names of the original's ``vta.top``.

``conv2d_packed``, ``group_conv2d_packed`` and ``dense_packed`` are functions of the operator
library (:mod:`vta.ops`), which take shapes and give an :class:`~vta.ops.Operator`;
``schedule_..._packed`` gives its schedule::

    op = top.conv2d_packed((1, 64, 56, 56), 64, 3, padding=1, requantise=ops.Requantise(8))
    module = vta.build(top.schedule_conv2d_packed(op), op.args)

The transposed convolution is one of tensor expressions: ``out = top.conv2d_transpose_packed(data,
kernel, ...)`` and element-wise operations after it, then ``s =
top.schedule_conv2d_transpose_packed(out, env.gemm, h_block=8)``.
"""

from typing import NoReturn

from vta.compiler.schedule.conv2d_transpose import schedule_conv2d_transpose_packed
from vta.compiler.schedule.schedule import Schedule
from vta.compiler.te.conv2d_transpose import conv2d_transpose_packed
from vta.errors import NotProvidedError, OperatorError
from vta.ops import Operator
from vta.ops import conv2d as conv2d_packed
from vta.ops import conv2d as group_conv2d_packed
from vta.ops import dense as dense_packed

__all__ = [
    "conv2d_packed", "conv2d_transpose_packed", "dense_packed", "group_conv2d_packed",
    "schedule_conv2d_packed", "schedule_conv2d_transpose_packed", "schedule_dense_packed",
    "schedule_group_conv2d_packed",
]  # fmt: skip


def schedule_conv2d_packed(op: Operator) -> Schedule:
    """The default schedule of an operator.

    Raises
    ------
    OperatorError
        If ``op`` is no operator of the library.
    """
    if not isinstance(op, Operator):
        raise OperatorError(
            f"schedule: {op!r} is no operator; must be what vta.top.conv2d_packed or another "
            f"function of vta.ops returns"
        )
    return op.schedule


schedule_group_conv2d_packed = schedule_conv2d_packed
schedule_dense_packed = schedule_conv2d_packed


def __getattr__(name: str) -> NoReturn:
    if name.startswith("__"):
        raise AttributeError(name)
    raise NotProvidedError(
        f"there is no vta.top.{name}: TVM's relay is no part of this package; use vta.ops "
        f"(docs/compiler/ops.md), or write an operator with vta.te, vta.topi and a schedule "
        f"(docs/tutorials/kernel.md)"
    )
