"""The computation and the default schedule that all operators on GEMM share.

In tiles, for each image and each group of channels::

    sums[o, y, x] = sum over c, dy, dx of data[c, window of (y, x)][dy, dx] * kernel[o, c, dy, dx]
    result[o, y, x] = requantise(sums[o, y, x])

The default schedule sums a tile completely in each instruction (channels of the chunk, then rows
and columns of the kernel are the innermost loops): GEMM then writes each accumulator once, which
leaves the ports of the accumulators to the ALU.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING

from vta.compiler.ops.conv_shape import ADDED_SLOTS, TransposedShape
from vta.compiler.ops.operator import Array, Operand, Operator, check_operands
from vta.compiler.ops.residual import KEYS
from vta.compiler.ops.tiling import ConvShape, Tiling
from vta.compiler.ops.tiling_source import tiling_for
from vta.compiler.schedule.schedule import create_schedule
from vta.compiler.target import ACC_SCOPE, INP_SCOPE, WGT_SCOPE, Target
from vta.compiler.te.conv2d_transpose import conv2d_transpose_packed
from vta.compiler.te.tensor import Tensor, compute, placeholder, reduce_axis, reduce_sum
from vta.compiler.te.topi_nn import pad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vta.compiler.ops.narrowing import Narrowed
    from vta.compiler.ops.requantise import Requantise
    from vta.compiler.ops.residual import Residual
    from vta.compiler.schedule.schedule import Schedule
    from vta.compiler.te.expr import Expr, IterVar
    from vta.config import VTAConfig

__all__ = ["convolution"]


def convolution(
    name: str,
    shape: ConvShape,
    cfg: VTAConfig,
    requantise: Requantise,
    operands: Sequence[Operand],
    *,
    pack: Callable[..., list[Array]],
    unpack: Callable[[Array], Array],
    reference: Callable[..., Array],
    pad_value: int = 0,
    tiling: Tiling | None = None,
    residual: Residual | None = None,
) -> Operator:
    """An operator from its shape in tiles.

    Parameters
    ----------
    name : str
        Of the operator.
    shape : ConvShape
        The loops in tiles; a :class:`TransposedShape` for a transposed convolution.
    cfg : VTAConfig
        The machine.
    requantise : Requantise
        From sums to activations.
    operands : sequence of Operand
        What ``pack`` and ``reference`` take.
    pack, unpack, reference : callable
        As of :class:`Operator`; ``pack`` and ``reference`` get arrays of the right shapes.
    pad_value : int
        The value of the padding.
    tiling : Tiling or None
        Instead of the one that :func:`~vta.compiler.ops.tiling_source.tiling_for` finds.
    residual : Residual or None
        How a tensor of the result's shape is added; ``shape`` counts its operations.

    Raises
    ------
    OperatorError
        If no tiling, or not the given one, fits the machine's memories.
    """
    requantise.check(cfg)
    tiling = tiling_for(name, shape, requantise, cfg, tiling, residual)
    added = None if residual is None else (residual, residual.chain(name, cfg))
    stages = _stages(shape, cfg, requantise, pad_value, added, tiling)
    given = tuple(operands)

    def checked(function: Callable[..., Array] | Callable[..., list[Array]], arrays):  # type: ignore[no-untyped-def]
        check_operands(name, given, arrays)
        return function(*arrays)

    names = ["data", "kernel", *requantise.constants, "result"]
    if added is not None:
        names[1:1] = ["residual"]
        names[-1:-1] = added[1].numbers
    return Operator(
        name=name,
        cfg=cfg,
        args=tuple(stages[tensor] for tensor in names),
        stages=MappingProxyType(stages),
        schedule=_schedule(stages, tiling, cfg, start=shape.starts_sums(cfg)),
        tiling=tiling,
        operands=given,
        products=shape.products,
        vectors=shape.vectors,
        pack=lambda *arrays: checked(pack, arrays),
        unpack=unpack,
        reference=lambda *arrays: checked(reference, arrays),
    )


# ---- the computation -----------------------------------------------------------------------------


def _stages(
    shape: ConvShape, cfg: VTAConfig, requantise: Requantise, pad_value: int,
    added: tuple[Residual, Narrowed] | None, tiling: Tiling,
) -> dict[str, Tensor]:  # fmt: skip
    """The computation in tiles; the tensors of several groups have an axis for them."""
    window, groups = shape.window, shape.groups
    batch, block_in, block_out = cfg.batch, cfg.block_in, cfg.block_out
    data = placeholder(
        (shape.images, groups * shape.inputs, *window.size, batch, block_in), cfg.inp_dtype, "data"
    )
    kernel = placeholder(
        (groups * shape.outputs, shape.inputs, *window.kernel, block_out, block_in),
        cfg.wgt_dtype,
        "kernel",
    )
    kernel_buf = compute(kernel.shape, lambda *index: kernel(*index), name="kernel_buf")
    if isinstance(shape, TransposedShape):
        conv = _transposed(shape, data, kernel_buf, cfg)
        data_buf = next(tensor for tensor in conv.op.inputs if tensor.name == "conv_data")
    else:
        data_buf = _windowed(shape, data, pad_value, tiling)
        conv = _sums(shape, data_buf, kernel_buf, cfg, tiling)
    constants = [
        placeholder((groups * shape.outputs, batch, block_out), cfg.acc_dtype, name)
        for name in requantise.constants
    ]
    loaded = {
        row.name: compute(row.shape, lambda *index, row=row: row(*index), name=f"{row.name}_buf")
        for row in constants
    }

    def constant(name: str, index: Sequence[Expr]) -> Expr:
        *_, o, _y, _x, b, i = index
        channel = index[1] * shape.outputs + o if groups > 1 else o
        return loaded[name][channel, b, i]

    chain = requantise.stages(conv, constant)
    others: list[Tensor] = []
    if added is not None:
        numbers = [placeholder((1, batch, block_out), cfg.acc_dtype, n) for n in added[1].numbers]
        constants += numbers
        tiles = {
            row.name: compute(row.shape, lambda *at, row=row: row(*at), name=f"{row.name}_buf")
            for row in numbers
        }
        loaded |= tiles
        others = _residual(shape, conv, cfg)
        chain += added[0].stages(added[1], chain[-1], others[1], tiles)
    result = compute(
        conv.shape,
        lambda *index: chain[-1](*index).astype(requantise.result_dtype(cfg)),
        name="result",
    )
    buffers = (data_buf, kernel_buf, *loaded.values())
    named = (data, kernel, *constants, *others, *buffers, conv, *chain, result)
    return {tensor.name: tensor for tensor in named}


def _residual(shape: ConvShape, conv: Tensor, cfg: VTAConfig) -> list[Tensor]:
    """The tensor that is added, and its copy in the accumulators."""
    size = (shape.out_height, shape.out_width, cfg.batch, cfg.block_out)
    channels = shape.groups * shape.outputs
    residual = placeholder((shape.images, channels, *size), cfg.inp_dtype, "residual")

    def element(n: Expr, *at: Expr) -> Expr:
        *group, o, y, x, b, i = at
        channel = group[0] * shape.outputs + o if group else o
        return residual[n, channel, y, x, b, i].astype(cfg.acc_dtype)

    return [residual, compute(conv.shape, element, name=KEYS[1])]


def _windowed(shape: ConvShape, data: Tensor, pad_value: int, tiling: Tiling) -> Tensor:
    """What the windows read, as it lies on chip: padded, without rows that no window reads, and
    without such columns if the tiling says so."""
    top, left, bottom, right = shape.window.padding
    down, across = shape.window.stride
    if any(shape.window.padding):
        frame = [0, 0, top, left, 0, 0], [0, 0, bottom, right, 0, 0]
        return pad(data, *frame, pad_value=pad_value, name="data_buf")
    if shape.row_step == down and not tiling.skips_columns:
        return compute(data.shape, lambda *index: data(*index), name="data_buf")
    down = 1 if shape.row_step == down else down
    across = across if tiling.skips_columns else 1
    size = (
        shape.read_rows if down == 1 else shape.out_height,
        shape.out_width if tiling.skips_columns else data.shape[3],
    )
    return compute(
        (*data.shape[:2], *size, *data.shape[4:]),
        lambda n, c, y, x, b, i: data[n, c, y * down, x * across, b, i],
        name="data_buf",
    )


def _sums(
    shape: ConvShape, data_buf: Tensor, kernel_buf: Tensor, cfg: VTAConfig, tiling: Tiling
) -> Tensor:
    """The sums of products."""
    window, groups = shape.window, shape.groups
    c = reduce_axis((0, shape.inputs), "c")
    dy = reduce_axis((0, window.kernel[0]), "dy")
    dx = reduce_axis((0, window.kernel[1]), "dx")
    k = reduce_axis((0, cfg.block_in), "k")
    (dilate_y, dilate_x), step = window.dilation, shape.row_step
    across = 1 if tiling.skips_columns else window.stride[1]

    def element(*index: Expr) -> Expr:
        n, *group, o, y, x, b, i = index
        channel, out = (
            (group[0] * shape.inputs + c, group[0] * shape.outputs + o) if group else (c, o)
        )
        value = data_buf[n, channel, y * step + dy * dilate_y, x * across + dx * dilate_x, b, k]
        weight = kernel_buf[out, c, dy, dx, i, k]
        product = value.astype(cfg.acc_dtype) * weight.astype(cfg.acc_dtype)
        return reduce_sum(product, axis=[c, dy, dx, k])

    sets = (groups,) if groups > 1 else ()
    size = (shape.out_height, shape.out_width, cfg.batch, cfg.block_out)
    return compute((shape.images, *sets, shape.outputs, *size), element, name="conv")


def _transposed(shape: TransposedShape, data: Tensor, kernel_buf: Tensor, cfg: VTAConfig) -> Tensor:
    """The sums of a transposed convolution by the phases of its stride."""
    window = shape.window
    top, left, bottom, right = window.padding
    height, width = (
        (size - 1) * by + taps for size, by, taps in zip(window.size, window.stride, window.kernel)
    )
    extra = (shape.result[0] + top + bottom - height, shape.result[1] + left + right - width)
    return conv2d_transpose_packed(
        data, kernel_buf, window.stride, (top, left, bottom, right), cfg.acc_dtype, extra, "conv"
    )


# ---- the schedule --------------------------------------------------------------------------------


def _schedule(
    stages: dict[str, Tensor], tiling: Tiling, cfg: VTAConfig, *, start: bool
) -> Schedule:
    """Blocks of the result; in each, chunks of channels through rings of inputs and weights."""
    result, conv = stages["result"], stages["conv"]
    s = create_schedule(result.op)
    n, *sets, o, y, x, b, i = s[result].op.axis
    outer, inner = [], []
    for axis in sets:
        sets_outer, sets_inner = s[result].split(axis, factor=tiling.groups)
        outer.append(sets_outer)
        inner.append(sets_inner)
    o_block, o = s[result].split(o, factor=tiling.outputs)
    y_block, y = s[result].split(y, factor=tiling.rows)
    x_block, x = s[result].split(x, factor=tiling.columns)
    outer += (y_block, x_block, o_block) if tiling.order == "yo" else (o_block, y_block, x_block)
    if tiling.images > 1:
        n, images = s[result].split(n, factor=tiling.images)
        inner.insert(0, images)
    s[result].reorder(n, *outer, *inner, o, y, x, b, i)
    block = outer[-1]
    names = list(stages)
    on_alu = [stages[name] for name in names[names.index("conv") + 1 : -1]]
    constants = names[names.index("kernel_buf") + 1 : names.index("conv")]
    for tensor in (conv, *on_alu):
        s[tensor].set_scope(ACC_SCOPE)
        s[tensor].compute_at(s[result], block)
    for tensor in on_alu:
        s[tensor].pragma(s[tensor].op.axis[0], "alu")
    n, *sets, o, y, x, b, i = s[conv].op.axis
    c, dy, dx, k = s[conv].op.reduce_axis
    chunk, c = s[conv].split(c, factor=tiling.inputs)
    walks_columns = tiling.walks_columns(dy.extent * dx.extent)
    pixels: list[IterVar]
    if tiling.images > 1:  # two loops outside of the images become those of the instruction
        pixels = [o, y, n, x] if walks_columns else [y, x, n, o]
    else:
        pixels = [n, *sets, o, y, x] if walks_columns else [n, y, x, *sets, o]
    s[conv].reorder(chunk, *pixels, c, dy, dx, b, i, k)
    s[conv].tensorize(b, Target.from_config(cfg).gemm, start=start)
    data_buf = "data_buf" if "data_buf" in stages else "conv_data"
    for name, scope in ((data_buf, INP_SCOPE), ("kernel_buf", WGT_SCOPE)):
        s[stages[name]].set_scope(scope)
        s[stages[name]].compute_at(s[conv], chunk)
    for name in constants:
        s[stages[name]].set_scope(ACC_SCOPE)
    residual = [KEYS[1]] if KEYS[1] in stages else []
    for name in residual:
        s[stages[name]].set_scope(ACC_SCOPE)
        s[stages[name]].compute_at(s[result], block)
        s[stages[name]].ring(ADDED_SLOTS)
    for name in (data_buf, "kernel_buf", *constants, *residual):
        s[stages[name]].pragma(s[stages[name]].op.axis[0], "dma_copy")
    s[result].pragma(s[result].leaves[len(outer) + 1], "dma_copy")
    early = (tiling.start_parts, tiling.start_steps, tiling.start_rows, tiling.late_constants)
    if early != (1, 1, 1, False):
        s.early_start(*early)
    for name, slots in (
        (data_buf, tiling.inp_slots),
        ("kernel_buf", tiling.wgt_slots),
        ("conv", tiling.acc_slots),
    ):
        s[stages[name]].ring(slots)
    return s
