"""Transposed convolution: each pixel of the data adds its kernel to a window of the result.

It is a convolution of the data with ``stride - 1`` zeros between neighbours. Only the taps that
meet a pixel are multiplied: they differ from one phase of the stride to the next, and one phase is
every ``stride``-th row and column of the result.

Layouts as of :func:`~vta.compiler.ops.conv2d.conv2d`; the kernel is turned by 180 degrees in tiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.ops.conv2d import constant_operands, pack_constants
from vta.compiler.ops.conv_shape import TransposedShape
from vta.compiler.ops.convolution import convolution
from vta.compiler.ops.cost import Tiling, product_cycles
from vta.compiler.ops.geometry import Window, checked_shape, integer, numbers
from vta.compiler.ops.operator import Array, Operand, Operator
from vta.compiler.ops.requantise import require_rule
from vta.errors import OperatorError
from vta.packing import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.compiler.ops.requantise import Requantise
    from vta.config import VTAConfig

__all__ = ["conv2d_transpose"]


def conv2d_transpose(
    shape: Sequence[int],
    channels: int,
    kernel: int | Sequence[int],
    *,
    cfg: VTAConfig,
    requantise: Requantise,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    tiling: Tiling | None = None,
) -> Operator:
    """A two-dimensional transposed convolution with bias and requantisation.

    Parameters
    ----------
    shape : (int, int, int, int)
        Of the data: images, channels, height, width.
    channels : int
        Of the result.
    kernel : int or (int, int)
        Rows and columns.
    cfg : VTAConfig
        The machine.
    requantise : Requantise
        From 32-bit sums to activations.
    stride : int or (int, int)
        Rows and columns of the result for one of the data.
    padding : int, (int, int) or (int, int, int, int)
        What is cut off the result, as :func:`~vta.compiler.ops.conv2d.conv2d` adds zeros.
    output_padding : int or (int, int)
        Rows and columns that the result has more below and on the right; less than the stride.
    tiling : Tiling or None
        Instead of the one that :func:`~vta.compiler.ops.tiling.choose` finds.

    Returns
    -------
    Operator
        ``reference`` and ``pack`` take data (NCHW), kernel (IOHW, as frameworks have it), bias
        and, if ``requantise`` is scaled, multiplier (int32, one a channel). The result has
        ``(height - 1) * stride - top - bottom + kernel + output_padding`` rows.

    Raises
    ------
    OperatorError
        If a size is not positive, nothing is left of the result, or no tiling fits the machine's
        memories.
    """
    name = "conv2d_transpose"
    n, c, *size = checked_shape(f"{name}: shape", shape, (4,))
    channels = integer(f"{name}: channels", channels, 1)
    checked_shape(f"{name}: (shape[1], channels)", (c, channels), (2,))
    require_rule(name, requantise)
    taps = numbers(f"{name}: kernel", kernel, (1, 2), 1)
    by = numbers(f"{name}: stride", stride, (1, 2), 1)
    pads = numbers(f"{name}: padding", padding, (1, 2, 4), 0)
    more = numbers(f"{name}: output_padding", output_padding, (1, 2), 0)
    (rows, columns), (down, across) = (taps[0], taps[-1]), (by[0], by[-1])
    top, left, bottom, right = pads if len(pads) == 4 else (*pads, *pads) * (3 - len(pads))
    below, beside = more[0], more[-1]
    if below >= down or beside >= across:
        raise OperatorError(
            f"{name}: output_padding is {(below, beside)}; must be less than the stride, "
            f"{(down, across)}"
        )
    height = (size[0] - 1) * down - top - bottom + rows + below
    width = (size[1] - 1) * across - left - right + columns + beside
    if height < 1 or width < 1:
        raise OperatorError(
            f"{name}: padding is {(top, left, bottom, right)}; nothing would be left of the "
            f"{height + top + bottom} x {width + left + right} pixels of the result"
        )
    window = Window(
        name, (size[0], size[1]), (rows, columns), (down, across), (1, 1),
        (top, left, bottom, right),
    )  # fmt: skip
    blocks = TransposedShape(
        -(-n // cfg.batch), -(-c // cfg.block_in), -(-channels // cfg.block_out), window,
        requantise.passes, constants=len(requantise.constants),
        product_cycles=product_cycles(requantise.operations, cfg), result=(height, width),
    )  # fmt: skip

    def packed(data: Array, weights: Array, *constants: Array) -> list[Array]:
        turned = np.flip(np.swapaxes(np.asarray(weights), 0, 1), (2, 3))
        return [
            pack(data, (cfg.batch, cfg.block_in)),
            pack(turned, (cfg.block_out, cfg.block_in)),
            *pack_constants(requantise, cfg, *constants),
        ]

    def reference(data: Array, weights: Array, *constants: Array) -> Array:
        full = np.zeros((n, channels, height + top + bottom, width + left + right))
        for dy in range(rows):
            for dx in range(columns):
                part = np.einsum(
                    "ncyx,co->noyx",
                    np.asarray(data, np.float64),
                    np.asarray(weights, np.float64)[:, :, dy, dx],
                    optimize=True,
                )
                full[
                    :, :,
                    dy : dy + (size[0] - 1) * down + 1 : down,
                    dx : dx + (size[1] - 1) * across + 1 : across,
                ] += part  # fmt: skip
        sums = full[:, :, top : top + height, left : left + width].astype(np.int64)
        bias, *factors = (np.asarray(row, np.int64)[:, None, None] for row in constants)
        return requantise.reference(sums + bias, *factors).astype(cfg.out_dtype)

    operands = (
        Operand("data", (n, c, size[0], size[1]), cfg.inp_dtype),
        Operand("kernel", (c, channels, rows, columns), cfg.wgt_dtype),
        *constant_operands(requantise, channels, cfg),
    )
    return convolution(
        name, blocks, cfg, requantise, operands,
        pack=packed, reference=reference, tiling=tiling,
        unpack=lambda tiles: unpack(tiles, (n, channels, height, width)),
    )  # fmt: skip
