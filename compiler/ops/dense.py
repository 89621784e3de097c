"""Matrix products: a fully connected layer, and the batched product of two activations.

Both are convolutions of one tap: the rows of the left matrix are the columns of an image that has
one row. In tiles: data ``(1, K, 1, M, batch, block_in)``, weights ``(N, K, 1, 1, block_out,
block_in)``, result ``(1, N, 1, M, batch, block_out)``, which is the layout of the next one's data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.ops.conv2d import constant_operands, pack_constants
from vta.compiler.ops.conv_shape import ConvShape
from vta.compiler.ops.convolution import convolution
from vta.compiler.ops.cost import Tiling, product_cycles
from vta.compiler.ops.geometry import Window, checked_shape, integer
from vta.compiler.ops.operator import Array, Operand, Operator
from vta.compiler.ops.requantise import require_rule
from vta.errors import OperatorError
from vta.packing import pack_columns, pack_rows, packed_rows_shape, unpack_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.compiler.ops.requantise import Requantise
    from vta.config import VTAConfig

__all__ = ["batch_matmul", "dense"]


def dense(
    shape: Sequence[int],
    units: int,
    *,
    cfg: VTAConfig,
    requantise: Requantise,
    tiling: Tiling | None = None,
) -> Operator:
    """A fully connected layer: ``requantise(data @ weights.T + bias)``.

    Parameters
    ----------
    shape : (int, int)
        Of the data: rows and inputs.
    units : int
        Columns of the result.
    cfg : VTAConfig
        The machine.
    requantise : Requantise
        From 32-bit sums to activations.
    tiling : Tiling or None
        Instead of the one that :func:`~vta.compiler.ops.tiling.choose` finds.

    Returns
    -------
    Operator
        ``reference`` and ``pack`` take data (rows, inputs), weights (units, inputs), bias (units)
        and, if ``requantise`` is scaled, multiplier (units).

    Raises
    ------
    OperatorError
        If a size is not positive, or no tiling fits the machine's memories.
    """
    rows, inputs = checked_shape("dense: shape", shape, (2,))
    units = integer("dense: units", units, 1)
    checked_shape("dense: (shape[1], units)", (inputs, units), (2,))
    require_rule("dense", requantise)
    blocks = _shape("dense", 1, rows, inputs, units, cfg, requantise)

    def packed(data: Array, weights: Array, *constants: Array) -> list[Array]:
        tiles = _packed(data[None], weights[None], cfg)
        return [*tiles, *pack_constants(requantise, cfg, *constants)]

    def reference(data: Array, weights: Array, bias: Array, *factors: Array) -> Array:
        sums = _product(data, weights) + np.asarray(bias, np.int64)
        return requantise.reference(sums, *factors).astype(requantise.result_dtype(cfg))

    operands = (
        Operand("data", (rows, inputs), cfg.inp_dtype),
        Operand("weights", (units, inputs), cfg.wgt_dtype),
        *constant_operands(requantise, units, cfg),
    )
    return convolution(
        "dense", blocks, cfg, requantise, operands,
        pack=packed, reference=reference, tiling=tiling,
        unpack=lambda tiles: _unpacked(tiles, (rows, units), cfg),
    )  # fmt: skip


def batch_matmul(
    left: Sequence[int],
    right: Sequence[int],
    *,
    cfg: VTAConfig,
    requantise: Requantise,
    tiling: Tiling | None = None,
) -> Operator:
    """Products of pairs of matrices: ``requantise(left[i] @ right[i].T)`` for each ``i``.

    Both may be activations; the right ones are laid out in tiles of weights.

    Parameters
    ----------
    left, right : (int, int, int)
        Shapes: (pairs, M, K) and (pairs, N, K).
    cfg, requantise, tiling
        As of :func:`dense`.

    Returns
    -------
    Operator
        ``reference`` and ``pack`` take the two arrays and, if ``requantise`` is scaled, multiplier
        (N); the result is (pairs, M, N).

    Raises
    ------
    OperatorError
        If the shapes do not fit each other, or no tiling fits the machine's memories.
    """
    pairs, rows, inputs = checked_shape("batch_matmul: left", left, (3,))
    others, columns, depth = checked_shape("batch_matmul: right", right, (3,))
    if (pairs, inputs) != (others, depth):
        raise OperatorError(
            f"batch_matmul: left is {tuple(left)} and right {tuple(right)}; must be (pairs, M, K) "
            f"and (pairs, N, K) with the same pairs and K"
        )
    require_rule("batch_matmul", requantise)
    blocks = _shape("batch_matmul", pairs, rows, inputs, columns, cfg, requantise)
    no_bias = np.zeros(columns, np.int32)

    def packed(left: Array, right: Array, *factors: Array) -> list[Array]:
        constants = pack_constants(requantise, cfg, no_bias, *factors)
        return [
            *_packed(left, right, cfg),
            *(np.tile(row, (pairs, 1, 1)) for row in constants),
        ]

    def reference(left: Array, right: Array, *factors: Array) -> Array:
        sums = requantise.reference(_product(left, right), *factors)
        return sums.astype(requantise.result_dtype(cfg))

    return convolution(
        "batch_matmul", blocks, cfg, requantise,
        (Operand("left", (pairs, rows, inputs), cfg.inp_dtype),
         Operand("right", (pairs, columns, inputs), cfg.wgt_dtype),
         *constant_operands(requantise, columns, cfg)[1:]),
        tiling=tiling, pack=packed, reference=reference,
        unpack=lambda tiles: _unpacked(tiles, (pairs, rows, columns), cfg),
    )  # fmt: skip


def _shape(
    name: str, pairs: int, rows: int, inputs: int, columns: int, cfg: VTAConfig,
    requantise: Requantise,
) -> ConvShape:  # fmt: skip
    window = Window.of(name, (1, -(-rows // cfg.batch)), 1)
    tiles_in, tiles_out = -(-inputs // cfg.block_in), -(-columns // cfg.block_out)
    return ConvShape(
        1, tiles_in, tiles_out, window, requantise.passes, pairs, len(requantise.constants),
        product_cycles=product_cycles(requantise.operations, cfg),
    )  # fmt: skip


def _packed(left: Array, right: Array, cfg: VTAConfig) -> list[Array]:
    """Matrices (pairs, M, K) and (pairs, N, K) as data and kernel of the convolution."""
    return [
        pack_rows(left, (cfg.batch, cfg.block_in)),
        pack_columns(right, (cfg.block_out, cfg.block_in)),
    ]


def _unpacked(tiles: Array, shape: tuple[int, ...], cfg: VTAConfig) -> Array:
    """The result; of several pairs, the axis of pairs is one of its own in ``tiles``."""
    flat = tiles.reshape(packed_rows_shape(shape, (cfg.batch, cfg.block_out)))
    return unpack_rows(flat, shape)


def _product(left: Array, right: Array) -> Array:
    """``left @ right.T`` of integers; exact in float64 below 2 ** 53."""
    sums = np.asarray(left, np.float64) @ np.swapaxes(np.asarray(right, np.float64), -1, -2)
    return sums.astype(np.int64)
