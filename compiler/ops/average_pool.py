"""Averages of windows, or of whole images, on the vector ALU.

``out = clip((sum * multiplier[y, x] + offset[y, x]) >> shift, low, high)`` with the sum of the
stored integers of a window without padding, where ``multiplier = rint(in_scale / out_scale / count
* 2 ** shift)`` for the ``count`` values that the average divides by, and ``offset = half + (zero <<
shift) - points * data_zero * multiplier`` for ``points`` values inside the image. Both are one tile
where every window is whole, and a tile for each pixel of the result where some are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.ops.geometry import Window, checked_shape, integer
from vta.compiler.ops.operator import Array, Operand, Operator, check_operands, require_wide_loads
from vta.compiler.ops.pool_blocks import choose_blocks, starts_runs
from vta.compiler.ops.requantise import half
from vta.compiler.schedule.schedule import create_schedule
from vta.compiler.target import ACC_SCOPE
from vta.compiler.te.expr import maximum, minimum
from vta.compiler.te.tensor import Tensor, compute, placeholder, reduce_axis, reduce_sum
from vta.compiler.te.topi_nn import pad
from vta.compiler.tir.ir import START
from vta.errors import OperatorError
from vta.packing import pack, unpack

if TYPE_CHECKING:
    from vta.compiler.schedule.schedule import Schedule
    from vta.compiler.te.expr import Expr
    from vta.config import VTAConfig

__all__ = ["AverageRule", "average_pool", "average_rule", "global_average_pool"]

MOST_SHIFT = 30
CONSTANTS = ("multiplier", "offset")


@dataclass(frozen=True, eq=False)
class AverageRule:
    """The integers of an average, which do not depend on a machine.

    Attributes
    ----------
    window : Window
        With the padding of ragged windows.
    multiplier, offset : ndarray of int64, shape (rows, columns) or (1, 1)
    shift : int
        As in the rule.
    low, high : int
        The range of activations.
    """

    window: Window
    multiplier: Array
    offset: Array
    shift: int
    low: int
    high: int

    def reference(self, data: Array) -> Array:
        """The averages of an array (n, c, height, width), as int64."""
        sums = self.window.taps(data).sum(axis=(0, 1))
        average = (sums * self.multiplier + self.offset) >> self.shift
        return np.asarray(np.clip(average, self.low, self.high))


def average_rule(
    size: tuple[int, int],
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
    scale: float = 1.0,
    data_zero: int = 0,
    zero: int = 0,
    bits: int = 8,
    name: str = "average_pool",
) -> AverageRule:
    """The integers of :func:`average_pool` of images of ``size``, with activations of ``bits``.

    Raises
    ------
    OperatorError
        If a number is wrong, or sums exceed 32 bits.
    """
    whole = Window.of(name, size, kernel, stride, padding)
    window = whole.with_ragged_windows() if ceil_mode else whole
    lowest, highest = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    for what, value in (("data_zero", data_zero), ("zero", zero)):
        if integer(f"{name}: {what}", value, lowest) > highest:
            raise OperatorError(f"{name}: {what} is {value}; must be {lowest} to {highest}")
    points = _covered(window, size, (0, 0, 0, 0))
    counts = _covered(window, size, whole.padding) if count_include_pad else points
    if not counts.all():
        raise OperatorError(
            f"{name}: padding {window.padding} with a kernel {window.kernel}: a window has no "
            f"values to average; padding must be smaller than the kernel"
        )
    constants = _constants(name, points, counts, scale, data_zero, zero, bits)
    return AverageRule(window, *constants, lowest, highest)


def average_pool(
    shape: Sequence[int],
    kernel: int | Sequence[int],
    *,
    cfg: VTAConfig,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
    scale: float = 1.0,
    data_zero: int = 0,
    zero: int = 0,
    name: str = "average_pool",
) -> Operator:
    """The averages of windows.

    Parameters
    ----------
    shape : (int, int, int, int)
        Of the data: images, channels, height, width.
    kernel, stride : int or (int, int)
        Rows and columns.
    cfg : VTAConfig
        The machine.
    padding : int, (int, int) or (int, int, int, int)
        As of :func:`~vta.compiler.ops.conv2d.conv2d`; it stands for real zeros.
    ceil_mode : bool
        Whether the last window of rows and columns may end behind the data and its padding. What
        is behind never counts.
    count_include_pad : bool
        Whether an average divides by the values of the padding as well.
    scale : float
        The scale of the data over that of the result.
    data_zero, zero : int
        The zero points of data and result.
    name : str
        Of the operator.

    Returns
    -------
    Operator
        Of one operand, ``data``. ``pack`` adds the constants of the rule.

    Raises
    ------
    OperatorError
        If a number is wrong, one window exceeds the accumulators, or sums exceed 32 bits.
    """
    require_wide_loads(name, cfg)
    n, c, height, width = checked_shape(f"{name}: shape", shape, (4,))
    rule = average_rule(
        (height, width), kernel, stride=stride, padding=padding, ceil_mode=ceil_mode,
        count_include_pad=count_include_pad, scale=scale, data_zero=data_zero, zero=zero,
        bits=cfg.out_width, name=name,
    )  # fmt: skip
    window, multiplier, offset = rule.window, rule.multiplier, rule.offset
    tiles = -(-n // cfg.batch), -(-c // cfg.block_out)
    stages = _stages(tiles, window, multiplier.shape, rule.shift, cfg)
    given = (Operand("data", (n, c, height, width), cfg.inp_dtype),)
    tile = cfg.batch, cfg.block_out

    def packed(*arrays: Array) -> list[Array]:
        check_operands(name, given, arrays)
        planes = (
            np.broadcast_to(plane[:, :, None, None], (*plane.shape, *tile))
            for plane in (multiplier, offset)
        )
        return [pack(arrays[0], tile), *(np.ascontiguousarray(p, np.int32) for p in planes)]

    def reference(*arrays: Array) -> Array:
        check_operands(name, given, arrays)
        return rule.reference(arrays[0]).astype(cfg.out_dtype)

    return Operator(
        name=name,
        cfg=cfg,
        args=tuple(stages[key] for key in ("data", *CONSTANTS, "result")),
        stages=MappingProxyType(stages),
        schedule=_schedule(name, stages, window, multiplier.size > 1, cfg),
        tiling=None,
        products=0,
        pack=packed,
        unpack=lambda array: unpack(array, (n, c, *window.out)),
        reference=reference,
        operands=given,
    )


def global_average_pool(
    shape: Sequence[int],
    *,
    cfg: VTAConfig,
    scale: float = 1.0,
    data_zero: int = 0,
    zero: int = 0,
) -> Operator:
    """The average of each channel of an image: :func:`average_pool` with one window.

    Raises
    ------
    OperatorError
        As :func:`average_pool`.
    """
    size = checked_shape("global_average_pool: shape", shape, (4,))[2:]
    return average_pool(
        shape, size, cfg=cfg, scale=scale, data_zero=data_zero, zero=zero,
        name="global_average_pool",
    )  # fmt: skip


def _covered(window: Window, size: tuple[int, int], border: Sequence[int]) -> Array:
    """How many taps of each window lie in the image with ``border`` around it."""
    per_axis = []
    for axis in (0, 1):
        first = np.arange(window.out[axis]) * window.stride[axis] - window.padding[axis]
        low, high = -border[axis], size[axis] + border[axis + 2]
        ends = np.minimum(first + window.kernel[axis], high)
        per_axis.append(np.maximum(ends - np.maximum(first, low), 0))
    counts: Array = np.multiply.outer(*per_axis)
    return counts


def _constants(
    name: str, points: Array, counts: Array, scale: float, data_zero: int, zero: int,
    bits: int,
) -> tuple[Array, Array, int]:  # fmt: skip
    """Multiplier and offset of each pixel, or of all where all are alike, and the shift."""
    if not (np.isfinite(scale) and scale > 0):
        raise OperatorError(f"{name}: scale is {scale}; must be positive and finite")
    if (points == points[0, 0]).all() and (counts == counts[0, 0]).all():
        points, counts = points[:1, :1], counts[:1, :1]
    most = int(points.max()) << (bits - 1)
    for shift in range(MOST_SHIFT, -1, -1):
        multiplier = np.rint(scale / counts * 2.0**shift).astype(np.int64)
        offset = half(shift) + (zero << shift) - points * data_zero * multiplier
        if (most * multiplier + np.abs(offset)).max() < 1 << 31 and multiplier.max() < 1 << 31:
            return multiplier, offset, shift
    raise OperatorError(
        f"{name}: sums of {points.max()} values with scale {scale:g} exceed 32 bits"
    )


def _stages(
    tiles: tuple[int, int], window: Window, plane: tuple[int, ...], shift: int, cfg: VTAConfig
) -> dict[str, Tensor]:
    (down, across), (top, left, bottom, right) = window.stride, window.padding
    tile = cfg.batch, cfg.block_out
    data = placeholder((*tiles, *window.size, *tile), cfg.inp_dtype, "data")
    framed = data
    if any(window.padding):
        framed = pad(data, [0, 0, top, left, 0, 0], [0, 0, bottom, right, 0, 0], name="framed")
    source = compute(framed.shape, lambda *at: framed(*at).astype(cfg.acc_dtype), name="wide")
    chain = [source] if framed is data else [framed, source]
    dy = reduce_axis((0, window.kernel[0]), "dy")
    dx = reduce_axis((0, window.kernel[1]), "dx")
    shape = (*tiles, *window.out, *tile)

    def summed(n: Expr, c: Expr, y: Expr, x: Expr, b: Expr, i: Expr) -> Expr:
        return reduce_sum(source[n, c, y * down + dy, x * across + dx, b, i], axis=[dy, dx])

    sums = compute(shape, summed, name="sums")
    given = [placeholder((*plane, *tile), cfg.acc_dtype, key) for key in CONSTANTS]
    loaded = [
        compute(row.shape, lambda *at, row=row: row(*at), name=f"{row.name}_buf") for row in given
    ]
    each = plane != (1, 1)

    def constant(row: Tensor, at: Sequence[Expr]) -> Expr:
        _, _, y, x, b, i = at
        return row[(y, x, b, i) if each else (0, 0, b, i)]

    multiplier, offset = loaded
    scaled = compute(shape, lambda *at: sums(*at) * constant(multiplier, at), name="scaled")
    moved = compute(shape, lambda *at: scaled(*at) + constant(offset, at), name="moved")
    chain += [sums, scaled, moved]
    if shift:
        chain.append(compute(shape, lambda *at: moved(*at) >> shift, name="shifted"))
    highest = (1 << (cfg.out_width - 1)) - 1
    wider = chain[-1]
    above = compute(shape, lambda *at: maximum(wider(*at), -highest - 1), name="clipped_low")
    clipped = compute(shape, lambda *at: minimum(above(*at), highest), name="clipped")
    result = compute(shape, lambda *at: clipped(*at).astype(cfg.out_dtype), name="result")
    named = (data, *given, *loaded, *chain, above, clipped, result)
    return {tensor.name: tensor for tensor in named}


def _schedule(
    name: str, stages: dict[str, Tensor], window: Window, each: bool, cfg: VTAConfig
) -> Schedule:
    """Blocks of rows and columns of one tile of channels; constants of each pixel come with their
    block. While the ALU computes a block, the next one is loaded and the one in front is stored."""
    blocks = choose_blocks(
        name, window, cfg, constants=2 * (not each), copies=1, results=3 if each else 1
    )
    result = stages["result"]
    s = create_schedule(result.op)
    n, c, y, x, b, i = s[result].op.axis
    y_block, y = s[result].split(y, factor=blocks.rows)
    x_block, x = s[result].split(x, factor=blocks.columns)
    s[result].reorder(n, c, y_block, x_block, y, x, b, i)
    if "framed" in stages:
        s[stages["framed"]].compute_inline()
    keys = list(stages)
    buffers = [f"{key}_buf" for key in CONSTANTS]
    in_rings = ["wide", "sums", *(buffers if each else [])]
    for key in keys[keys.index(buffers[0]) : -1]:
        if key == "framed":
            continue
        stage = s[stages[key]]
        stage.set_scope(ACC_SCOPE)
        if each or key not in buffers:
            stage.compute_at(s[result], x_block)
        request = "dma_copy" if key in ("wide", *buffers) else "alu"
        starts = key == "sums" and starts_runs(cfg)
        stage.pragma(stage.op.axis[0], request, START if starts else None)
        if key in in_rings and blocks.slots > 1:
            stage.ring(blocks.slots)
    s[result].pragma(y, "dma_copy")
    return s
