"""Convolutions with NumPy, to compare programs with."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vta.errors import TensorError

__all__ = ["conv2d_nchw_python", "conv2d_transpose_nchw_python"]

Sizes = int | tuple[int, ...] | list[int]


def _two(value: Sizes, what: str) -> tuple[int, int]:
    values = (value, value) if isinstance(value, int) else tuple(value)
    if len(values) != 2 or not all(isinstance(item, int) for item in values):
        raise TensorError(f"{what} is {value!r}; must be an integer or (vertical, horizontal)")
    return values[0], values[1]


def _sides(padding: Sizes) -> tuple[int, int, int, int]:
    """Top, left, bottom, right."""
    if isinstance(padding, tuple | list) and len(padding) == 4:
        top, left, bottom, right = padding
        return top, left, bottom, right
    vertical, horizontal = _two(padding, "padding")
    return vertical, horizontal, vertical, horizontal


def conv2d_nchw_python(
    data: npt.NDArray[Any],
    kernel: npt.NDArray[Any],
    stride: Sizes,
    padding: Sizes,
    groups: int = 1,
) -> npt.NDArray[Any]:
    """A 2D convolution with NumPy.

    Parameters
    ----------
    data : ndarray, shape (n, c, h, w)
    kernel : ndarray, shape (o, c / groups, kh, kw), of the same dtype
    stride : int or (vertical, horizontal)
    padding : int, (vertical, horizontal) or (top, left, bottom, right)
    groups : int
        Output channel ``o`` sees the input channels of its group alone.

    Returns
    -------
    ndarray, shape (n, o, oh, ow), of that dtype

    Raises
    ------
    TensorError
        If the numbers of channels do not fit the groups, or stride or padding are not as above.
    """
    (outputs, channels), sides = kernel.shape[:2], _sides(padding)
    if groups < 1 or outputs % groups or data.shape[1] != channels * groups:
        raise TensorError(
            f"conv2d_nchw_python: data of shape {data.shape}, kernel of shape {kernel.shape} and "
            f"{groups} groups; data must have {channels} channels a group, and the groups must "
            f"divide {outputs} outputs"
        )
    sy, sx = _two(stride, "stride")
    top, left, bottom, right = sides
    padded = np.pad(data, ((0, 0), (0, 0), (top, bottom), (left, right)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[2:], axis=(2, 3))
    strided = windows[:, :, ::sy, ::sx]
    n, _, oh, ow = strided.shape[:4]
    out: npt.NDArray[Any] = np.einsum(
        "ngchwyx,gocyx->ngohw",
        strided.reshape(n, groups, channels, oh, ow, *kernel.shape[2:]),
        kernel.reshape(groups, outputs // groups, *kernel.shape[1:]),
        dtype=data.dtype,
    )
    return out.reshape(n, outputs, oh, ow)


def conv2d_transpose_nchw_python(
    data: npt.NDArray[Any],
    kernel: npt.NDArray[Any],
    stride: Sizes,
    padding: Sizes,
    output_padding: Sizes = 0,
) -> npt.NDArray[Any]:
    """A transposed 2D convolution with NumPy: each value of ``data`` adds a scaled kernel to the
    result.

    Parameters
    ----------
    data : ndarray, shape (n, c, h, w)
    kernel : ndarray, shape (c, o, kh, kw), of the same dtype
    stride : int or (vertical, horizontal)
    padding : int, (vertical, horizontal) or (top, left, bottom, right)
        What is cut off the result.
    output_padding : int or (vertical, horizontal)
        Rows and columns of the result beyond that, less than the stride.

    Returns
    -------
    ndarray, shape (n, o, oh, ow), of that dtype
        ``oh = (h - 1) * stride + kh - top - bottom + output_padding``.

    Raises
    ------
    TensorError
        If the channels of data and kernel differ, or a size is not as above.
    """
    if data.shape[1] != kernel.shape[0]:
        raise TensorError(
            f"conv2d_transpose_nchw_python: data of shape {data.shape}, kernel of shape "
            f"{kernel.shape}; the first dimension of the kernel must be the channels of the data"
        )
    sy, sx = _two(stride, "stride")
    more_y, more_x = _two(output_padding, "output_padding")
    if not (0 <= more_y < sy and 0 <= more_x < sx):
        raise TensorError(f"output_padding is {output_padding!r}; must be less than the stride")
    top, left, bottom, right = _sides(padding)
    (n, _, h, w), (_, outputs, kh, kw) = data.shape, kernel.shape
    full = np.zeros(
        (n, outputs, (h - 1) * sy + kh + more_y, (w - 1) * sx + kw + more_x), data.dtype
    )
    for y in range(kh):
        for x in range(kw):
            part = np.einsum("nchw,co->nohw", data, kernel[:, :, y, x], dtype=data.dtype)
            full[:, :, y : y + (h - 1) * sy + 1 : sy, x : x + (w - 1) * sx + 1 : sx] += part
    return full[:, :, top : full.shape[2] - bottom, left : full.shape[3] - right]
