"""Operators with a schedule, by the names of the original's ``vta.top``.

``out = top.conv2d_transpose_packed(data, kernel, ...)`` and element-wise operations after it, then
``s = top.schedule_conv2d_transpose_packed(out, env.gemm, h_block=8)``.
"""

from typing import NoReturn

from vta.compiler.schedule.conv2d_transpose import schedule_conv2d_transpose_packed
from vta.compiler.te.conv2d_transpose import conv2d_transpose_packed
from vta.errors import NotProvidedError

__all__ = ["conv2d_transpose_packed", "schedule_conv2d_transpose_packed"]


def __getattr__(name: str) -> NoReturn:
    if name.startswith("__"):
        raise AttributeError(name)
    raise NotProvidedError(
        f"there is no vta.top.{name}: TVM's relay is no part of this package; write an operator "
        f"with vta.te, vta.topi and a schedule (docs/kernel.md)"
    )
