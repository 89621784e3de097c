"""Convolution: a sum of products over a moving window, with bias and requantisation.

``out[n, o, y, x] = requantise(bias[o] + sum_{c, dy, dx} data[n, c, v, u] * kernel[o, c, dy, dx])``
with ``v = y * stride + dy * dilation - top`` and ``u = x * stride + dx * dilation - left``; ``c``
runs over the channels of the group of ``o``.

In tiles: data ``NCHWnc`` (BATCH x BLOCK), kernel ``OIHWoi`` (BLOCK x BLOCK), bias one tile for each
BLOCK of channels, result ``NCHWnc``. Channels that are no multiples of BLOCK are filled with zeros.

Groups of fewer channels than a tile share tiles: their weights are blocks on the diagonal of a tile
and the rest zeros, so a depthwise convolution takes one product for each tap of BLOCK channels.

A first layer has few channels, which would leave most lanes of a tile empty. Its windows are
gathered on the host (``im2col``): each pixel of the data that the machine reads then has the taps
of all channels as its channels, and the kernel is 1 x 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.ops.conv_shape import ConvShape
from vta.compiler.ops.convolution import convolution
from vta.compiler.ops.cost import Tiling, product_cycles
from vta.compiler.ops.geometry import Window, checked_shape, integer
from vta.compiler.ops.narrowing import Narrowed
from vta.compiler.ops.operator import Array, Operand, Operator
from vta.compiler.ops.requantise import require_rule
from vta.errors import OperatorError
from vta.isa.capabilities import Capability, capabilities_of
from vta.packing import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.compiler.ops.requantise import Requantise
    from vta.compiler.ops.residual import Residual
    from vta.config import VTAConfig

__all__ = ["constant_operands", "conv2d", "few_channels", "pack_constants"]


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
    groups: int = 1,
    im2col: bool | None = None,
    pad_value: int = 0,
    residual: Residual | None = None,
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
        ``pad_value`` around the data: all sides; top and bottom, left and right; or top, left,
        bottom, right.
    groups : int
        A channel of the result reads the channels of its group alone; as many groups as channels
        make a depthwise convolution.
    im2col : bool or None
        Whether ``pack`` gathers the windows on the host. None: if the data has fewer channels than
        half a tile and that saves half of the products. The data in tiles then has the pixels of
        the result and ``channels * taps`` channels.
    pad_value : int
        An activation; other than 0 needs the instruction set extension.
    residual : Residual or None
        How a tensor of the result's shape is added to the result. ``args``, ``reference`` and
        ``pack`` then have it behind the data.
    tiling : Tiling or None
        Instead of the one that :func:`~vta.compiler.ops.tiling.choose` finds.

    Returns
    -------
    Operator
        Its ``args`` are data, kernel, the constants of the requantisation and the result;
        ``reference`` and ``pack`` take data (NCHW), kernel (OIHW, I the channels of a group), bias
        and, if ``requantise`` is scaled, multiplier (int32, one a channel). Where several sets
        of groups have tiles of their own, the result has an axis for them: ``(N, sets, CO / sets,
        H, W, n, c)``, which are the same bytes.

    Raises
    ------
    OperatorError
        If a size is not positive, the groups do not divide the channels, the kernel is larger than
        the padded data, the machine cannot pad with ``pad_value``, or no tiling fits the
        memories.
    """
    n, c, height, width = checked_shape("conv2d: shape", shape, (4,))
    channels = integer("conv2d: channels", channels, 1)
    checked_shape("conv2d: (shape[1], channels)", (c, channels), (2,))
    require_rule("conv2d", requantise)
    groups = integer("conv2d: groups", groups, 1)
    window = Window.of("conv2d", (height, width), kernel, stride, padding, dilation)
    if pad_value and Capability.PAD_VALUE not in capabilities_of(cfg):
        raise OperatorError(
            f"conv2d: pad_value is {pad_value}; must be 0 on a machine without the instruction set "
            f"extension"
        )
    for what, number in (("shape has", c), ("channels is", channels)):
        if number % groups:
            raise OperatorError(
                f"conv2d: groups is {groups}; must divide the channels, but {what} {number}"
            )
    if im2col is None:
        im2col = groups == 1 and few_channels(c, window, cfg)
    elif im2col and groups > 1:
        raise OperatorError(f"conv2d: im2col is True; must be False with groups, here {groups}")
    sets = _Sets.of(c, channels, groups, cfg)
    if im2col:
        inner = Window.of("conv2d", window.out, 1)
        inputs = -(-c * prod(window.kernel) // cfg.block_in)
    else:
        inner, inputs = window, sets.inputs
    added = Narrowed([], {}) if residual is None else residual.chain("conv2d", cfg)
    operations = [*requantise.operations, *(step.operation for step in added.steps)]
    blocks = ConvShape(
        -(-n // cfg.batch), inputs, sets.outputs, inner, len(operations), sets.sets,
        len(requantise.constants), int(residual is not None), len(added.numbers),
        product_cycles(operations, cfg),
    )  # fmt: skip

    def packed(data: Array, *others: Array) -> list[Array]:
        first = others[: blocks.added]
        weights, *rows = others[blocks.added :]
        if im2col:
            taps = window.taps(data, pad_value).transpose(2, 3, 0, 1, 4, 5)
            data = taps.reshape(n, -1, *window.out).astype(cfg.inp_dtype)
            weights = np.asarray(weights).reshape(channels, -1, 1, 1)
        elif groups > 1:
            weights = sets.dense(np.asarray(weights))
        tile = cfg.batch, cfg.block_out
        return [
            pack(data, (cfg.batch, cfg.block_in)),
            *(pack(array, tile) for array in first),
            pack(weights, (cfg.block_out, cfg.block_in)),
            *pack_constants(requantise, cfg, *rows),
            *(np.full((1, *tile), value, np.int32) for value in added.numbers.values()),
        ]

    def reference(data: Array, *others: Array) -> Array:
        weights, *rows = others[blocks.added :]
        taps = window.taps(data, pad_value)  # sums of integers below 2 ** 53 are exact in float64
        taps = taps.reshape(*window.kernel, n, groups, c // groups, *window.out)
        grouped = np.asarray(weights, np.float64).reshape(
            groups, channels // groups, c // groups, *window.kernel
        )
        sums = np.einsum(
            "abngcyx,gocab->ngoyx", taps.astype(np.float64), grouped, optimize=True
        ).reshape(n, channels, *window.out)
        bias, *factors = (np.asarray(row, np.int64)[:, None, None] for row in rows)
        result = requantise.reference(sums.astype(np.int64) + bias, *factors)
        if residual is not None:
            result = residual.reference(result, others[0])
        return result.astype(requantise.result_dtype(cfg))

    def unpacked(tiles: Array) -> Array:
        whole = tiles.reshape(blocks.images, -1, *window.out, cfg.batch, cfg.block_out)
        return unpack(whole, (n, channels, *window.out))

    operands = (
        Operand("data", (n, c, height, width), cfg.inp_dtype),
        *(
            []
            if residual is None
            else [Operand("residual", (n, channels, *window.out), cfg.inp_dtype)]
        ),
        Operand("kernel", (channels, c // groups, *window.kernel), cfg.wgt_dtype),
        *constant_operands(requantise, channels, cfg),
    )
    return convolution(
        "conv2d", blocks, cfg, requantise, operands,
        pack=packed, unpack=unpacked, reference=reference, pad_value=pad_value, tiling=tiling,
        residual=residual,
    )  # fmt: skip


def constant_operands(requantise: Requantise, channels: int, cfg: VTAConfig) -> list[Operand]:
    """What a layer has of each channel: bias and, if scaled, multiplier or scale."""
    return [Operand(name, (channels,), cfg.acc_dtype) for name in requantise.given]


def pack_constants(requantise: Requantise, cfg: VTAConfig, *rows: Array) -> list[Array]:
    """The constants of the requantisation, a tile for each BLOCK of channels.

    ``rows`` are bias and, if scaled, multiplier; each row of a tile is the same.
    """
    return [
        pack(np.broadcast_to(row, (cfg.batch, len(row))), (cfg.batch, cfg.block_out))[0]
        for row in requantise.values(*rows).values()
    ]


def few_channels(channels: int, window: Window, cfg: VTAConfig) -> bool:
    """Whether gathering windows on the host saves half of the products or more."""
    taps = prod(window.kernel)
    gathered = -(-channels * taps // cfg.block_in)
    return 2 * channels <= cfg.block_in and 2 * gathered <= taps


@dataclass(frozen=True)
class _Sets:
    """Sets of groups that fill whole tiles.

    Attributes
    ----------
    sets : int
        How many there are; the last one may have fewer groups.
    inputs, outputs : int
        Tiles of channels of a set.
    groups : int
        Groups of a set.
    each : (int, int)
        Channels of a group: inputs, outputs.
    width : int
        Input channels of a set.
    """

    sets: int
    inputs: int
    outputs: int
    groups: int
    each: tuple[int, int]
    width: int

    @classmethod
    def of(cls, inputs: int, outputs: int, groups: int, cfg: VTAConfig) -> _Sets:
        """The smallest sets whose channels begin and end with a tile; else a single one."""
        each_in, each_out = inputs // groups, outputs // groups
        tiles_in, tiles_out = -(-inputs // cfg.block_in), -(-outputs // cfg.block_out)
        for together in range(1, groups):
            whole_in, rest_in = divmod(together * each_in, cfg.block_in)
            whole_out, rest_out = divmod(together * each_out, cfg.block_out)
            if rest_in or rest_out:
                continue
            sets = -(-groups // together)
            if (sets * whole_in, sets * whole_out) == (tiles_in, tiles_out):
                width = whole_in * cfg.block_in
                return cls(sets, whole_in, whole_out, together, (each_in, each_out), width)
        return cls(1, tiles_in, tiles_out, groups, (each_in, each_out), inputs)

    def dense(self, weights: Array) -> Array:
        """Weights with zeros for the channels of the other groups of a set."""
        inputs, outputs = self.each
        wide = np.zeros((len(weights), self.width, *weights.shape[2:]), weights.dtype)
        for o, row in enumerate(weights):
            first = o // outputs % self.groups * inputs
            wide[o, first : first + inputs] = row
        return wide
