"""The transposed convolution of packed tensors, computed in the phases of its stride."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.compiler.te import dtypes
from vta.compiler.te.conditions import all_of, equal, select
from vta.compiler.te.expr import Const, Expr
from vta.compiler.te.tensor import Tensor, compute, reduce_axis, reduce_sum
from vta.compiler.te.topi_nn import pad
from vta.errors import TensorError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TAG", "conv2d_transpose_packed"]

TAG = "packed_conv2d_transpose"
"""The tag of the tensor that :func:`conv2d_transpose_packed` returns."""


def conv2d_transpose_packed(
    data: Tensor,
    kernel: Tensor,
    strides: int | Sequence[int],
    padding: int | Sequence[int],
    out_dtype: str = "int32",
    output_padding: int | Sequence[int] = (0, 0),
    name: str = "res",
) -> Tensor:
    """The transposed convolution of a packed tensor.

    This is the convolution of ``kernel`` with ``data``, dilated by ``strides - 1`` zeros between
    its elements. The zeros are not read: a condition on ``(y + dy) % stride`` leaves out the
    products with them, also in ``tensorize``.

    Parameters
    ----------
    data : Tensor of shape (N, CI, H, W, batch, block_in)
    kernel : Tensor of shape (CO, CI, KH, KW, block_out, block_in)
        Turned by 180 degrees, ``numpy.flip(kernel, (2, 3))``, as the original expects it.
    strides : int or pair of int
        Rows and columns of the result for one of ``data``.
    padding : int, pair or four of int
        What is cut off the result: (rows, columns) or (top, left, bottom, right).
    out_dtype : str
        Of the sums.
    output_padding : int or pair of int
        Rows and columns added below and on the right; less than the stride.
    name : str

    Returns
    -------
    Tensor of shape (N, CO, OH, OW, batch, block_out)
        ``OH = (H - 1) * stride - top - bottom + KH + output_padding``.

    Raises
    ------
    TensorError
        If the shapes do not fit each other, or nothing is left of the result.
    """
    what = f"conv2d_transpose_packed {data.name}"
    if data.ndim != 6 or kernel.ndim != 6:
        raise TensorError(
            f"{what}: data and kernel must have 6 dimensions (N, CI, H, W, batch, block_in) and "
            f"(CO, CI, KH, KW, block_out, block_in); got {list(data.shape)}, {list(kernel.shape)}"
        )
    if (data.shape[1], data.shape[5]) != (kernel.shape[1], kernel.shape[5]):
        raise TensorError(
            f"{what}: data has {data.shape[1]} x {data.shape[5]} channels, the kernel "
            f"{kernel.shape[1]} x {kernel.shape[5]}"
        )
    stride = _integers(what, "strides", strides, 2, lowest=1)
    extra = _integers(what, "output_padding", output_padding, 2)
    if any(more >= by for more, by in zip(extra, stride)):
        raise TensorError(
            f"{what}: output_padding is {list(extra)}; must be less than strides, {list(stride)}"
        )
    cut = _integers(what, "padding", padding, 4)
    size, taps = data.shape[2:4], kernel.shape[2:4]
    shape = [
        (n - 1) * by - cut[dim] - cut[dim + 2] + k + extra[dim]
        for dim, (n, by, k) in enumerate(zip(size, stride, taps))
    ]
    if min(shape) < 1:
        raise TensorError(f"{what}: the result would have {shape[0]} x {shape[1]} pixels")
    first = [k - 1 - cut[dim] for dim, k in enumerate(taps)]  # zeros above the dilated data
    before = [max(zeros // by, 0) for zeros, by in zip(first, stride)]
    last = [
        (rows - 1 + k - 1 - zeros) // by for rows, k, zeros, by in zip(shape, taps, first, stride)
    ]
    after = [max(end - (n - 1), 0) for end, n in zip(last, size)]
    padded = pad(data, [0, 0, *before, 0, 0], [0, 0, *after, 0, 0], name=f"{name}_data")
    extents = (data.shape[1], *taps, data.shape[5])
    names = ("d_c", "d_h", "d_w", "d_ci")
    axes = [reduce_axis((0, extent), axis) for extent, axis in zip(extents, names)]
    d_c, d_h, d_w, d_ci = axes

    def element(n: Expr, co: Expr, i: Expr, j: Expr, b: Expr, c: Expr) -> Expr:
        places = [at - zeros for at, zeros in zip((i + d_h, j + d_w), first)]
        hits = [equal(at % by, Const(0)) for at, by in zip(places, stride) if by > 1]
        rows = [at // by + q for at, by, q in zip(places, stride, before)]
        value = padded[n, d_c, rows[0], rows[1], b, d_ci]
        value = select(all_of(*hits), value, 0) if hits else value
        weight = kernel[co, d_c, d_h, d_w, c, d_ci]
        return reduce_sum(value.astype(out_dtype) * weight.astype(out_dtype), axis=axes)

    result = (data.shape[0], kernel.shape[0], *shape, data.shape[4], kernel.shape[4])
    return compute(result, element, name=name, tag=TAG)


def _integers(
    what: str, which: str, given: int | Sequence[int], number: int, lowest: int = 0
) -> tuple[int, ...]:
    """``number`` integers, given by one, two or all of them."""
    values = tuple(given) if isinstance(given, tuple | list) else (given,)
    numbers = [n for value in values if (n := dtypes.integer(value)) is not None and n >= lowest]
    if len(numbers) != len(values) or number % len(values):
        raise TensorError(
            f"{what}: {which} is {given!r}; must be 1, 2 or {number} integers >= {lowest}"
            if number > 2
            else f"{what}: {which} is {given!r}; must be 1 or 2 integers >= {lowest}"
        )
    return tuple(numbers * (number // len(numbers)))
