"""Padding and nearest upsampling of images: data pass through the accumulators unchanged.

In tiles: data and result ``NCHWnc`` (BATCH x BLOCK).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.ops.geometry import Window, checked_shape, integer, numbers
from vta.compiler.ops.operator import Array, Operand, Operator, check_operands, require_wide_loads
from vta.compiler.schedule.schedule import create_schedule
from vta.compiler.target import ACC_SCOPE
from vta.compiler.te import topi_nn
from vta.compiler.te.tensor import Tensor, compute, placeholder
from vta.errors import OperatorError
from vta.packing import pack as pack_tiles
from vta.packing import unpack

if TYPE_CHECKING:
    from vta.compiler.schedule.schedule import Schedule
    from vta.config import VTAConfig

__all__ = ["pad", "upsample"]


def pad(
    shape: Sequence[int], padding: int | Sequence[int], *, cfg: VTAConfig, value: int = 0
) -> Operator:
    """An image with ``value`` around it.

    Parameters
    ----------
    shape : (int, int, int, int)
        Of the data: images, channels, height, width.
    padding : int, (int, int) or (int, int, int, int)
        All sides; top and bottom, left and right; or top, left, bottom, right.
    cfg : VTAConfig
        The machine.
    value : int
        In the range of activations.

    Returns
    -------
    Operator
        Of one operand, ``data``.

    Raises
    ------
    OperatorError
        If a number is wrong, or one row exceeds the accumulators.
    """
    n, c, height, width = checked_shape("pad: shape", shape, (4,))
    window = Window.of("pad", (height, width), 1, 1, padding)
    top, left, bottom, right = window.padding
    limit = 1 << (cfg.inp_width - 1)
    if not -limit <= integer("pad: value", value, -limit) < limit:
        raise OperatorError(f"pad: value is {value}; must be {-limit} to {limit - 1}")

    def widened(wide: Tensor) -> Tensor:
        before, after = [0, 0, top, left, 0, 0], [0, 0, bottom, right, 0, 0]
        return topi_nn.pad(wide, before, after, pad_value=value, name="moved")

    def reference(data: Array) -> Array:
        frame = ((0, 0), (0, 0), (top, bottom), (left, right))
        return np.pad(data, frame, constant_values=value)

    size = window.padded
    return _moved("pad", (n, c, height, width), size, cfg, widened, reference, (1, 1))


def upsample(shape: Sequence[int], factor: int | Sequence[int], *, cfg: VTAConfig) -> Operator:
    """An image of which each pixel is repeated: nearest upsampling.

    Parameters
    ----------
    shape : (int, int, int, int)
        Of the data: images, channels, height, width.
    factor : int or (int, int)
        How often, along rows and columns.
    cfg : VTAConfig
        The machine.

    Returns
    -------
    Operator
        Of one operand, ``data``. In tiles the result has axes for the copies, ``(N, C, H, factor,
        W, factor, n, c)``, which are the same bytes as ``NCHWnc``.

    Raises
    ------
    OperatorError
        If a number is wrong, or one row exceeds the accumulators.
    """
    n, c, height, width = checked_shape("upsample: shape", shape, (4,))
    found = numbers("upsample: factor", factor, (1, 2), 1)
    down, across = found[0], found[-1]

    def repeated(wide: Tensor) -> Tensor:
        images, channels, rows, columns, b, i = wide.shape
        return compute(
            (images, channels, rows, down, columns, across, b, i),
            lambda n, c, y, dy, x, dx, b, i: wide[n, c, y, x, b, i],
            name="moved",
        )

    def reference(data: Array) -> Array:
        return np.repeat(np.repeat(data, down, axis=2), across, axis=3)

    size = height * down, width * across
    factors = down, across
    return _moved("upsample", (n, c, height, width), size, cfg, repeated, reference, factors)


def _moved(
    name: str, shape: tuple[int, ...], size: tuple[int, int], cfg: VTAConfig,
    move: Callable[[Tensor], Tensor], reference: Callable[[Array], Array],
    factors: tuple[int, int],
) -> Operator:  # fmt: skip
    """An operator of one operand that moves data; ``move`` gives the stage that does it."""
    require_wide_loads(name, cfg)
    n, c, height, width = shape
    tile = cfg.batch, cfg.block_out
    tiles = -(-n // tile[0]), -(-c // tile[1])
    data = placeholder((*tiles, height, width, *tile), cfg.inp_dtype, "data")
    wide = compute(data.shape, lambda *at: data(*at).astype(cfg.acc_dtype), name="wide")
    moved = move(wide)
    result = compute(moved.shape, lambda *at: moved(*at).astype(cfg.out_dtype), name="result")
    stages = {tensor.name: tensor for tensor in (data, wide, moved, result)}
    given = (Operand("data", shape, cfg.inp_dtype),)

    def packed(*arrays: Array) -> list[Array]:
        check_operands(name, given, arrays)
        return [pack_tiles(arrays[0], tile)]

    def checked(*arrays: Array) -> Array:
        check_operands(name, given, arrays)
        return reference(np.asarray(arrays[0])).astype(cfg.out_dtype)

    # Tiles in the accumulators for one step of the outermost axis of rows: loaded, and moved.
    rows = height if factors != (1, 1) else size[0]
    each = width + size[1] * size[0] // rows
    most = cfg.acc_depth // each
    if most < 1:
        raise OperatorError(
            f"{name}: one row takes {each} tiles; the accumulators hold {cfg.acc_depth} "
            f"(LOG_ACC_BUFF_SIZE)"
        )
    return Operator(
        name=name,
        cfg=cfg,
        args=(data, result),
        stages=MappingProxyType(stages),
        schedule=_schedule(stages, -(-rows // -(-rows // min(most, rows)))),
        tiling=None,
        products=0,
        pack=packed,
        unpack=lambda array: unpack(array.reshape(*tiles, *size, *tile), (n, c, *size)),
        reference=checked,
        operands=given,
    )


def _schedule(stages: dict[str, Tensor], rows: int) -> Schedule:
    """Blocks of rows of one tile of channels."""
    result = stages["result"]
    s = create_schedule(result.op)
    y_block, y = s[result].split(s[result].op.axis[2], factor=rows)
    for key, request in (("wide", "dma_copy"), ("moved", "alu")):
        stage = s[stages[key]]
        stage.set_scope(ACC_SCOPE)
        stage.compute_at(s[result], y_block)
        stage.pragma(stage.op.axis[0], request)
    s[result].pragma(y, "dma_copy")
    return s
