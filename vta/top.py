"""Operators with a schedule, by the names of the original's ``vta.top``.

``out = top.conv2d_transpose_packed(data, kernel, ...)`` and element-wise operations after it, then
``s = top.schedule_conv2d_transpose_packed(out, env.gemm, h_block=8)``.
"""

from vta.compiler.schedule.conv2d_transpose import schedule_conv2d_transpose_packed
from vta.compiler.te.conv2d_transpose import conv2d_transpose_packed

__all__ = ["conv2d_transpose_packed", "schedule_conv2d_transpose_packed"]
