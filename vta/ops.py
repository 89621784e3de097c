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
from vta.compiler.ops import max_pool as _max_pool
from vta.compiler.ops import sum_pool as _sum_pool
from vta.compiler.ops import weighted_sum as _weighted_sum
from vta.environment import get_env

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.config import VTAConfig

__all__ = ["Operator", "Requantise", "conv2d", "max_pool", "sum_pool", "weighted_sum"]


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


def max_pool(
    shape: Sequence[int],
    kernel: int | Sequence[int],
    *,
    cfg: VTAConfig | None = None,
    **options: Any,
) -> Operator:
    """:func:`vta.compiler.ops.pooling.max_pool`, as :func:`conv2d`."""
    return _max_pool(shape, kernel, cfg=cfg or get_env().cfg, **options)


def sum_pool(
    shape: Sequence[int],
    kernel: int | Sequence[int],
    *,
    cfg: VTAConfig | None = None,
    **options: Any,
) -> Operator:
    """:func:`vta.compiler.ops.pooling.sum_pool`, as :func:`conv2d`."""
    return _sum_pool(shape, kernel, cfg=cfg or get_env().cfg, **options)


def weighted_sum(
    shape: Sequence[int],
    multipliers: Sequence[int],
    *,
    cfg: VTAConfig | None = None,
    **options: Any,
) -> Operator:
    """:func:`vta.compiler.ops.elementwise.weighted_sum`, as :func:`conv2d`."""
    return _weighted_sum(shape, multipliers, cfg=cfg or get_env().cfg, **options)
