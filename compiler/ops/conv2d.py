"""Convolution: a sum of products over a moving window, with bias and requantisation.

``out[n, o, y, x] = requantise(bias[o] + sum_{c, dy, dx} data[n, c, v, u] * kernel[o, c, dy, dx])``
with ``v = y * stride + dy * dilation - top`` and ``u = x * stride + dx * dilation - left``.

In tiles: data ``NCHWnc`` (BATCH x BLOCK), kernel ``OIHWoi`` (BLOCK x BLOCK), bias one tile for each
BLOCK of channels, result ``NCHWnc``. Channels that are no multiples of BLOCK are filled with zeros.

The default schedule sums a tile completely in each instruction (channels of the chunk, then rows
and columns of the kernel are the innermost loops): GEMM then writes each accumulator once, which
leaves the ports of the accumulators to the ALU.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.ops.geometry import Window, integer, numbers
from vta.compiler.ops.operator import Array, Operator
from vta.compiler.ops.tiling import ConvShape, Tiling, choose
from vta.compiler.schedule.schedule import create_schedule
from vta.compiler.target import ACC_SCOPE, INP_SCOPE, WGT_SCOPE, Target
from vta.compiler.te.tensor import Tensor, compute, placeholder, reduce_axis, reduce_sum
from vta.compiler.te.topi_nn import pad
from vta.errors import OperatorError
from vta.packing import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.compiler.ops.requantise import Requantise
    from vta.compiler.schedule.schedule import Schedule
    from vta.compiler.te.expr import Expr
    from vta.config import VTAConfig

__all__ = ["conv2d"]


def conv2d(
    shape: Sequence[int],
    channels: int,
    kernel: int | Sequence[int],
    *,
    cfg: VTAConfig,
    requantise: Requantise,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    tiling: Tiling | None = None,
) -> Operator:
    """A two-dimensional convolution with bias and requantisation.

    Parameters
    ----------
    shape : (int, int, int, int)
        Of the data: images, channels, height, width.
    channels : int
        Of the result.
    kernel, stride, dilation : int or (int, int)
        Rows and columns.
    cfg : VTAConfig
        The machine.
    requantise : Requantise
        From 32-bit sums to activations.
    padding : int, (int, int) or (int, int, int, int)
        Zeros around the data: all sides; top and bottom, left and right; or top, left, bottom,
        right.
    tiling : Tiling or None
        Instead of the one that :func:`~vta.compiler.ops.tiling.choose` finds.

    Returns
    -------
    Operator
        Its ``args`` are data, kernel, the constants of the requantisation and the result;
        ``reference`` and ``pack`` take data (NCHW), kernel (OIHW), bias and, if ``requantise`` is
        scaled, multiplier (int32, one a channel).

    Raises
    ------
    OperatorError
        If a size is not positive, the kernel is larger than the padded data, or no tiling fits the
        machine's memories.
    """
    n, c, height, width = numbers("conv2d: shape", shape, (4,), 1)
    channels = integer("conv2d: channels", channels, 1)
    window = Window.of("conv2d", (height, width), kernel, stride, padding, dilation)
    requantise.check(cfg.out_width)
    blocks = ConvShape(
        images=-(-n // cfg.batch),
        inputs=-(-c // cfg.block_in),
        outputs=-(-channels // cfg.block_out),
        window=window,
        passes=requantise.passes,
        constants=len(requantise.constants),
    )
    tiling = tiling or choose(blocks, cfg)
    stages = _stages(blocks, cfg, requantise)

    def check(*arrays: Array) -> None:
        operands = [
            ("data", (n, c, height, width)),
            ("kernel", (channels, c, *window.kernel)),
            ("bias", (channels,)),
            *([("multiplier", (channels,))] if requantise.scaled else []),
        ]
        if len(arrays) != len(operands):
            names = ", ".join(name for name, _ in operands)
            raise OperatorError(f"conv2d: {len(arrays)} arrays; must be {len(operands)}: {names}")
        for (name, want), array in zip(operands, arrays):
            if np.shape(array) != want:
                raise OperatorError(f"conv2d: {name} has shape {np.shape(array)}; must be {want}")

    def packed(*arrays: Array) -> list[Array]:
        check(*arrays)
        constants = requantise.values(*arrays[2:])
        rows = [np.broadcast_to(values, (cfg.batch, channels)) for values in constants.values()]
        return [
            pack(arrays[0], (cfg.batch, cfg.block_in)),
            pack(arrays[1], (cfg.block_out, cfg.block_in)),
            *(pack(row, (cfg.batch, cfg.block_out))[0] for row in rows),
        ]

    def reference(*arrays: Array) -> Array:
        check(*arrays)
        data, weights, *constants = arrays
        taps = window.taps(data)
        sums = np.einsum("abncyx,ocab->noyx", taps, np.asarray(weights, np.int64), optimize=True)
        bias, *factors = (np.asarray(row)[None, :, None, None] for row in constants)
        return requantise.reference(sums + bias, *factors).astype(cfg.out_dtype)

    return Operator(
        name="conv2d",
        cfg=cfg,
        args=tuple(stages[name] for name in ("data", "kernel", *requantise.constants, "result")),
        stages=MappingProxyType(stages),
        schedule=_schedule(stages, tiling, cfg),
        tiling=tiling,
        products=blocks.products,
        pack=packed,
        unpack=lambda tiles: unpack(tiles, (n, channels, *window.out)),
        reference=reference,
    )


def _stages(blocks: ConvShape, cfg: VTAConfig, requantise: Requantise) -> dict[str, Tensor]:
    """The computation in tiles."""
    window = blocks.window
    (down, across), (dilate_y, dilate_x) = window.stride, window.dilation
    top, left, bottom, right = window.padding
    batch, block_in, block_out = cfg.batch, cfg.block_in, cfg.block_out
    data = placeholder(
        (blocks.images, blocks.inputs, *window.size, batch, block_in), cfg.inp_dtype, "data"
    )
    kernel = placeholder(
        (blocks.outputs, blocks.inputs, *window.kernel, block_out, block_in),
        cfg.wgt_dtype,
        "kernel",
    )
    constants = [
        placeholder((blocks.outputs, batch, block_out), cfg.acc_dtype, name)
        for name in requantise.constants
    ]
    if any(window.padding):
        data_buf = pad(data, [0, 0, top, left, 0, 0], [0, 0, bottom, right, 0, 0], name="data_buf")
    elif blocks.row_step != down:  # rows that no window reads are not loaded
        rows = (*data.shape[:2], window.out[0], *data.shape[3:])
        data_buf = compute(
            rows, lambda n, c, y, x, b, i: data[n, c, y * down, x, b, i], name="data_buf"
        )
    else:
        data_buf = compute(data.shape, lambda *index: data(*index), name="data_buf")
    kernel_buf = compute(kernel.shape, lambda *index: kernel(*index), name="kernel_buf")
    loaded = {
        row.name: compute(row.shape, lambda *index, row=row: row(*index), name=f"{row.name}_buf")
        for row in constants
    }
    c = reduce_axis((0, blocks.inputs), "c")
    dy = reduce_axis((0, window.kernel[0]), "dy")
    dx = reduce_axis((0, window.kernel[1]), "dx")
    k = reduce_axis((0, block_in), "k")
    step = blocks.row_step

    def sums(n: Expr, o: Expr, y: Expr, x: Expr, b: Expr, i: Expr) -> Expr:
        value = data_buf[n, c, y * step + dy * dilate_y, x * across + dx * dilate_x, b, k]
        weight = kernel_buf[o, c, dy, dx, i, k]
        product = value.astype(cfg.acc_dtype) * weight.astype(cfg.acc_dtype)
        return reduce_sum(product, axis=[c, dy, dx, k])

    shape = (blocks.images, blocks.outputs, *window.out, batch, block_out)
    conv = compute(shape, sums, name="conv")
    chain = requantise.stages(conv, lambda name, at: loaded[name][at[1], at[4], at[5]])
    result = compute(shape, lambda *i: chain[-1](*i).astype(cfg.out_dtype), name="result")
    buffers = (data_buf, kernel_buf, *loaded.values())
    named = (data, kernel, *constants, *buffers, conv, *chain, result)
    return {tensor.name: tensor for tensor in named}


def _schedule(stages: dict[str, Tensor], tiling: Tiling, cfg: VTAConfig) -> Schedule:
    """Blocks of the result; in each, chunks of channels through rings of inputs and weights."""
    result, conv = stages["result"], stages["conv"]
    s = create_schedule(result.op)
    n, o, y, x, b, i = s[result].op.axis
    o_block, o = s[result].split(o, factor=tiling.outputs)
    y_block, y = s[result].split(y, factor=tiling.rows)
    x_block, x = s[result].split(x, factor=tiling.columns)
    outer = (y_block, x_block, o_block) if tiling.order == "yo" else (o_block, y_block, x_block)
    s[result].reorder(n, *outer, o, y, x, b, i)
    block = outer[-1]
    names = list(stages)
    on_alu = [stages[name] for name in names[names.index("conv") + 1 : -1]]
    constants = [name for name in names[names.index("kernel_buf") + 1 : names.index("conv")]]
    for tensor in (conv, *on_alu):
        s[tensor].set_scope(ACC_SCOPE)
        s[tensor].compute_at(s[result], block)
    for tensor in on_alu:
        s[tensor].pragma(s[tensor].op.axis[0], "alu")
    n, o, y, x, b, i = s[conv].op.axis
    c, dy, dx, k = s[conv].op.reduce_axis
    chunk, c = s[conv].split(c, factor=tiling.inputs)
    s[conv].reorder(chunk, n, y, x, o, c, dy, dx, b, i, k)
    s[conv].tensorize(b, Target.from_config(cfg).gemm)
    for name, scope in (("data_buf", INP_SCOPE), ("kernel_buf", WGT_SCOPE)):
        s[stages[name]].set_scope(scope)
        s[stages[name]].compute_at(s[conv], chunk)
    for name in constants:
        s[stages[name]].set_scope(ACC_SCOPE)
    for name in ("data_buf", "kernel_buf", *constants):
        s[stages[name]].pragma(s[stages[name]].op.axis[0], "dma_copy")
    s[result].pragma(s[result].leaves[len(outer) + 1], "dma_copy")
    for name, slots in (
        ("data_buf", tiling.inp_slots),
        ("kernel_buf", tiling.wgt_slots),
        ("conv", tiling.acc_slots),
    ):
        s[stages[name]].ring(slots)
    return s
