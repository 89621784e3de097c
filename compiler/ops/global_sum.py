"""The requantised sum of all pixels of each channel, of images that exceed the accumulators.

Blocks of pixels are loaded and summed one after the other; their sums stay in the accumulators and
are summed at last. In tiles the data are ``(images, channels, blocks, pixels, n, c)`` (BATCH x
BLOCK), which are the same bytes as ``NCHWnc``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.ops.geometry import checked_shape
from vta.compiler.ops.operator import Array, Operand, Operator, check_operands, require_wide_loads
from vta.compiler.schedule.schedule import create_schedule
from vta.compiler.target import ACC_SCOPE
from vta.compiler.te.tensor import Tensor, compute, placeholder, reduce_axis, reduce_sum
from vta.errors import OperatorError
from vta.packing import pack, unpack

if TYPE_CHECKING:
    from vta.compiler.ops.requantise import Requantise
    from vta.compiler.schedule.schedule import Schedule
    from vta.config import VTAConfig

__all__ = ["global_sum"]

_NAME = "global_sum"


def global_sum(shape: Sequence[int], *, cfg: VTAConfig, requantise: Requantise) -> Operator:
    """The sums of whole images: averages, if the multiplier divides by their size.

    Parameters
    ----------
    shape : (int, int, int, int)
        Of the data: images, channels, height, width.
    cfg : VTAConfig
        The machine.
    requantise : Requantise
        From 32-bit sums to activations.

    Returns
    -------
    Operator
        As :func:`~vta.compiler.ops.pooling.sum_pool` with one window.

    Raises
    ------
    OperatorError
        If the number of pixels has no divisor with which a block fits the accumulators.
    """
    requantise.check(cfg)
    require_wide_loads(_NAME, cfg)
    n, c, *size = checked_shape(f"{_NAME}: shape", shape, (4,))
    tiles = -(-n // cfg.batch), -(-c // cfg.block_out)
    pixels, constants = prod(size), requantise.constants
    blocks = _blocks(pixels, cfg.acc_depth - len(constants) * tiles[1])
    outer = (*tiles, blocks, pixels // blocks)
    stages = _stages(outer, cfg, requantise)
    given = (
        Operand("data", (n, c, size[0], size[1]), cfg.inp_dtype),
        *(Operand(name, (c,), cfg.acc_dtype) for name in requantise.given),
    )
    tile = cfg.batch, cfg.block_out

    def packed(*arrays: Array) -> list[Array]:
        check_operands(_NAME, given, arrays)
        values = requantise.values(*arrays[1:])
        spread = (np.broadcast_to(row, (cfg.batch, c)) for row in values.values())
        return [
            pack(arrays[0], tile).reshape(*outer, *tile),
            *(pack(row, tile)[0] for row in spread),
        ]

    def reference(*arrays: Array) -> Array:
        check_operands(_NAME, given, arrays)
        bias, *factors = (np.asarray(row)[None, :, None, None] for row in arrays[1:])
        sums = np.asarray(arrays[0], np.int64).sum(axis=(2, 3), keepdims=True) + bias
        return requantise.reference(sums, *factors).astype(cfg.out_dtype)

    return Operator(
        name=_NAME,
        cfg=cfg,
        args=tuple(stages[key] for key in ("data", *constants, "result")),
        stages=MappingProxyType(stages),
        schedule=_schedule(stages, constants),
        tiling=None,
        products=0,
        pack=packed,
        unpack=lambda array: unpack(array.reshape(*tiles, 1, 1, *tile), (n, c, 1, 1)),
        reference=reference,
        operands=given,
    )


def _blocks(pixels: int, free: int) -> int:
    """Into how many equal blocks the pixels are split: the least number that fits."""
    for blocks in range(1, pixels + 1):
        if not pixels % blocks and pixels // blocks + blocks + 1 <= free:
            return blocks
    raise OperatorError(
        f"{_NAME}: {pixels} pixels; must have a divisor with which blocks of pixels and their sums "
        f"fit {free} tiles of the accumulators (LOG_ACC_BUFF_SIZE)"
    )


def _stages(outer: tuple[int, ...], cfg: VTAConfig, requantise: Requantise) -> dict[str, Tensor]:
    images, channels, blocks, pixels = outer
    tile = cfg.batch, cfg.block_out
    data = placeholder((*outer, *tile), cfg.inp_dtype, "data")
    wide = compute(data.shape, lambda *at: data(*at).astype(cfg.acc_dtype), name="wide")
    q, k = reduce_axis((0, pixels), "q"), reduce_axis((0, blocks), "k")
    partial = compute(
        (images, channels, blocks, *tile),
        lambda n, c, y, b, i: reduce_sum(wide[n, c, y, q, b, i], axis=[q]),
        name="partial",
    )
    total = compute(
        (images, channels, *tile),
        lambda n, c, b, i: reduce_sum(partial[n, c, k, b, i], axis=[k]),
        name="total",
    )
    rows = [placeholder((channels, *tile), cfg.acc_dtype, key) for key in requantise.constants]
    loaded = {
        row.name: compute(row.shape, lambda *at, row=row: row(*at), name=f"{row.name}_buf")
        for row in rows
    }
    chain = requantise.stages(total, lambda name, at: loaded[name][at[1], at[2], at[3]])
    last = chain[-1]
    result = compute(last.shape, lambda *at: last(*at).astype(cfg.out_dtype), name="result")
    named = (data, *rows, *loaded.values(), wide, partial, total, *chain, result)
    return {tensor.name: tensor for tensor in named}


def _schedule(stages: dict[str, Tensor], constants: Sequence[str]) -> Schedule:
    """One tile of channels after the other, and for each one block of pixels after the other."""
    result, partial = stages["result"], stages["partial"]
    s = create_schedule(result.op)
    channels = s[result].op.axis[1]
    names = list(stages)
    for name in names[names.index("wide") : -1]:
        stage = s[stages[name]]
        stage.set_scope(ACC_SCOPE)
        if name == "wide":
            stage.compute_at(s[partial], s[partial].op.axis[2])
            stage.pragma(stage.op.axis[0], "dma_copy")
            continue
        stage.compute_at(s[result], channels)
        if name == "partial":
            inner = s[partial].op.axis[3]
            stage.pragma(inner, "alu")
        else:
            stage.pragma(stage.op.axis[0], "alu")
    for name in constants:
        row = s[stages[f"{name}_buf"]]
        row.set_scope(ACC_SCOPE)
        row.pragma(row.op.axis[0], "dma_copy")
    s[result].pragma(s[result].op.axis[2], "dma_copy")
    return s
