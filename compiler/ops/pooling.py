"""Pooling: the maximum, or the scaled sum, of a moving window of each channel, on the vector ALU.

``max_pool``: ``out[n, c, y, x] = max_{dy, dx} data[n, c, v, u]`` with ``v`` and ``u`` as of a
convolution. What lies outside the image is the lowest number. ``sum_pool``: ``requantise(bias +
sum_{dy, dx} data[n, c, v, u])``; the padding counts as zeros.

In tiles: data and result ``NCHWnc`` (BATCH x BLOCK). int8 data are widened by the load.
"""

from __future__ import annotations

from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.ops.geometry import Window, checked_shape, integer
from vta.compiler.ops.operator import Array, Operator, require_wide_loads
from vta.compiler.ops.pool_blocks import Blocks, choose_blocks, pads_by_alu, starts_runs
from vta.compiler.schedule.schedule import create_schedule
from vta.compiler.target import ACC_SCOPE
from vta.compiler.te.tensor import (
    Tensor,
    compute,
    placeholder,
    reduce_axis,
    reduce_max,
    reduce_sum,
)
from vta.compiler.te.topi_nn import pad
from vta.compiler.tir.ir import START
from vta.errors import OperatorError
from vta.packing import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.compiler.ops.requantise import Requantise
    from vta.compiler.schedule.schedule import Schedule
    from vta.compiler.te.expr import Expr
    from vta.config import VTAConfig

__all__ = ["max_pool", "sum_pool"]


def max_pool(
    shape: Sequence[int],
    kernel: int | Sequence[int],
    *,
    cfg: VTAConfig,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
) -> Operator:
    """The maxima of windows.

    Parameters
    ----------
    shape : (int, int, int, int)
        Of the data: images, channels, height, width.
    kernel, stride : int or (int, int)
        Rows and columns.
    cfg : VTAConfig
        The machine.
    padding : int, (int, int) or (int, int, int, int)
        As :func:`~vta.compiler.ops.conv2d.conv2d`; no value of the padding is ever a maximum.
    ceil_mode : bool
        Whether the last window of rows and columns may end behind the data and its padding.

    Returns
    -------
    Operator
        Its ``args`` are data and result; ``reference`` and ``pack`` take the data (NCHW).

    Raises
    ------
    OperatorError
        If a size is wrong, or one window exceeds the machine's accumulators.
    """
    return _pool("max_pool", shape, kernel, stride, padding, cfg, None, ceil_mode)


def sum_pool(
    shape: Sequence[int],
    kernel: int | Sequence[int],
    *,
    cfg: VTAConfig,
    requantise: Requantise,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
) -> Operator:
    """The requantised sums of windows: averages, if the multiplier divides by their size.

    Parameters
    ----------
    shape, kernel, cfg, stride
        As :func:`max_pool`.
    requantise : Requantise
        From 32-bit sums to activations.
    padding : int, (int, int) or (int, int, int, int)
        Zeros around the data.

    Returns
    -------
    Operator
        Its ``args`` are data, the constants of the requantisation and the result; ``reference`` and
        ``pack`` take the data (NCHW), bias and, if ``requantise`` is scaled, multiplier (int32, one
        a channel).

    Raises
    ------
    OperatorError
        As :func:`max_pool`.
    """
    requantise.check(cfg)
    return _pool("sum_pool", shape, kernel, stride, padding, cfg, requantise)


def _pool(
    name: str,
    shape: Sequence[int],
    kernel: int | Sequence[int],
    stride: int | Sequence[int],
    padding: int | Sequence[int],
    cfg: VTAConfig,
    requantise: Requantise | None,
    ceil_mode: bool = False,
) -> Operator:
    require_wide_loads(name, cfg)
    n, c, height, width = checked_shape(f"{name}: shape", shape, (4,))
    window = Window.of(name, (height, width), kernel, stride, padding, ceil_mode=ceil_mode)
    tiles = -(-n // cfg.batch), -(-integer(name, c, 1) // cfg.block_out)
    names = requantise.constants if requantise is not None else ()
    stages = _stages(tiles, window, cfg, requantise)
    by_alu = pads_by_alu(window, _padding(requantise, cfg), cfg)
    blocks = choose_blocks(name, window, cfg, constants=len(names) * tiles[1], copies=1 + by_alu)
    constants = requantise.given if requantise is not None else ()

    def check(*arrays: Array) -> None:
        operands = [("data", (n, c, height, width)), *((what, (c,)) for what in constants)]
        if len(arrays) != len(operands):
            listed = ", ".join(what for what, _ in operands)
            raise OperatorError(f"{name}: {len(arrays)} arrays; must be {len(operands)}: {listed}")
        for (what, want), array in zip(operands, arrays):
            if np.shape(array) != want:
                raise OperatorError(f"{name}: {what} has shape {np.shape(array)}; must be {want}")

    def packed(*arrays: Array) -> list[Array]:
        check(*arrays)
        values = requantise.values(*arrays[1:]) if requantise is not None else {}
        spread = (np.broadcast_to(row, (cfg.batch, c)) for row in values.values())
        return [
            pack(arrays[0], (cfg.batch, cfg.block_out)),
            *(pack(row, (cfg.batch, cfg.block_out))[0] for row in spread),
        ]

    def reference(*arrays: Array) -> Array:
        check(*arrays)
        if requantise is None:
            lowest = -(1 << (cfg.inp_width - 1))
            most: Array = window.taps(arrays[0], lowest).max(axis=(0, 1))
            return most.astype(cfg.out_dtype)
        bias, *factors = (np.asarray(row)[None, :, None, None] for row in arrays[1:])
        sums = window.taps(arrays[0]).sum(axis=(0, 1)) + bias
        return requantise.reference(sums, *factors).astype(cfg.out_dtype)

    return Operator(
        name=name,
        cfg=cfg,
        args=tuple(stages[key] for key in ("data", *names, "result")),
        stages=MappingProxyType(stages),
        schedule=_schedule(stages, names, blocks, cfg),
        tiling=None,
        products=0,
        pack=packed,
        unpack=lambda array: unpack(array, (n, c, *window.out)),
        reference=reference,
        vectors=prod((*tiles, *window.out))
        * (prod(window.kernel) + (requantise.passes if requantise is not None else 0)),
    )


def _padding(requantise: Requantise | None, cfg: VTAConfig) -> int:
    """The value of the padding: 0 for sums, the lowest number for maxima."""
    return -(1 << (cfg.inp_width - 1)) if requantise is None else 0


def _stages(
    tiles: tuple[int, int], window: Window, cfg: VTAConfig, requantise: Requantise | None
) -> dict[str, Tensor]:
    """The computation in tiles."""
    (down, across), (top, left, bottom, right) = window.stride, window.padding
    batch, block = cfg.batch, cfg.block_out
    data = placeholder((*tiles, *window.size, batch, block), cfg.inp_dtype, "data")
    lowest = _padding(requantise, cfg)
    by_alu = pads_by_alu(window, lowest, cfg)
    frame = [0, 0, top, left, 0, 0], [0, 0, bottom, right, 0, 0]
    if any(window.padding) and not by_alu:
        framed = pad(data, *frame, pad_value=lowest, name="framed")
        wide = compute(framed.shape, lambda *at: framed(*at).astype(cfg.acc_dtype), name="wide")
        chain = [framed, wide]
    else:
        wide = compute(data.shape, lambda *at: data(*at).astype(cfg.acc_dtype), name="wide")
        chain = [wide]
    if by_alu:
        chain.append(pad(wide, *frame, pad_value=lowest, name="padded"))
    source = chain[-1]
    dy = reduce_axis((0, window.kernel[0]), "dy")
    dx = reduce_axis((0, window.kernel[1]), "dx")

    def reduced(n: Expr, c: Expr, y: Expr, x: Expr, b: Expr, i: Expr) -> Expr:
        value = source[n, c, y * down + dy, x * across + dx, b, i]
        combine = reduce_max if requantise is None else reduce_sum
        return combine(value, axis=[dy, dx])

    shape = (*tiles, *window.out, batch, block)
    pooled = compute(shape, reduced, name="pooled")
    chain.append(pooled)
    constants: list[Tensor] = []
    loaded: dict[str, Tensor] = {}
    if requantise is not None:
        for name in requantise.constants:
            row = placeholder((tiles[1], batch, block), cfg.acc_dtype, name)
            constants.append(row)
            loaded[name] = compute(
                row.shape, lambda *index, row=row: row(*index), name=f"{name}_buf"
            )
        chain += requantise.stages(pooled, lambda name, at: loaded[name][at[1], at[4], at[5]])
    result = compute(shape, lambda *at: chain[-1](*at).astype(cfg.out_dtype), name="result")
    named = (data, *constants, *loaded.values(), *chain, result)
    return {tensor.name: tensor for tensor in named}


def _schedule(
    stages: dict[str, Tensor], constants: Sequence[str], blocks: Blocks, cfg: VTAConfig
) -> Schedule:
    """Blocks of rows and columns of one tile of channels. While the ALU computes a block, the next
    one is loaded and the one in front is stored."""
    result = stages["result"]
    s = create_schedule(result.op)
    n, c, y, x, b, i = s[result].op.axis
    y_block, y = s[result].split(y, factor=blocks.rows)
    x_block, x = s[result].split(x, factor=blocks.columns)
    s[result].reorder(n, c, y_block, x_block, y, x, b, i)
    if "framed" in stages:
        s[stages["framed"]].compute_inline()
    names = list(stages)
    for name in names[names.index("wide") : -1]:
        stage = s[stages[name]]
        stage.set_scope(ACC_SCOPE)
        stage.compute_at(s[result], x_block)
        if name == "wide":
            stage.pragma(stage.op.axis[0], "dma_copy")
        else:
            starts = name == "pooled" and starts_runs(cfg)
            stage.pragma(stage.op.axis[0], "alu", START if starts else None)
    if blocks.slots > 1:
        s[stages["wide"]].ring(blocks.slots)
        s[stages["pooled"]].ring(blocks.slots)
    for name in constants:
        s[stages[f"{name}_buf"]].set_scope(ACC_SCOPE)
        s[stages[f"{name}_buf"]].pragma(s[stages[f"{name}_buf"]].op.axis[0], "dma_copy")
    s[result].pragma(y, "dma_copy")
    return s
