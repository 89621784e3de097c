"""The operator library for the current machine: a call gives tensors, a schedule and a reference.

The functions are those of :mod:`vta.compiler.ops`; without ``cfg`` they take the machine of
:func:`vta.get_env`. ::

    op = ops.conv2d((1, 64, 56, 56), 64, 3, padding=1, requantise=ops.Requantise(shift=8, low=0))
    module = vta.build(op.schedule, op.args)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vta.compiler.ops import Operator, Requantise
from vta.compiler.ops import conv2d as _conv2d
from vta.environment import get_env

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.config import VTAConfig

__all__ = ["Operator", "Requantise", "conv2d"]


def conv2d(
    shape: Sequence[int],
    channels: int,
    kernel: int | Sequence[int],
    *,
    cfg: VTAConfig | None = None,
    **options: Any,
) -> Operator:
    """:func:`vta.compiler.ops.conv2d.conv2d` for ``cfg``, or for the machine of the environment."""
    return _conv2d(shape, channels, kernel, cfg=cfg or get_env().cfg, **options)
