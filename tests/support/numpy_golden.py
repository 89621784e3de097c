"""What NumPy says of the workloads: tile-packed matrix products and convolutions with shift and
clip."""

from __future__ import annotations

import numpy as np

__all__ = ["convolution", "matrix_product", "requantise"]


def requantise(total: np.ndarray, shift: int = 8) -> np.ndarray:
    """``total >> shift``, clipped to 0 .. 127, as int8."""
    return np.clip(total >> shift, 0, 127).astype(np.int8)


def matrix_product(data: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Packed ``data (o, n, batch, in)`` times ``weight (m, n, out, in)``, requantised."""
    total = np.einsum("onbk,mnck->ombc", data.astype(np.int32), weight.astype(np.int32))
    return requantise(total)


def convolution(
    data: np.ndarray, kernel: np.ndarray, pad: tuple[int, int], stride: tuple[int, int]
) -> np.ndarray:
    """Packed convolution, one kernel position at a time, requantised.

    ``data (n, i, h, w, batch, in)``, ``kernel (o, i, kh, kw, out, in)``.
    """
    (pad_h, pad_w), (step_h, step_w) = pad, stride
    padded = np.pad(data, [(0, 0), (0, 0), (pad_h,) * 2, (pad_w,) * 2, (0, 0), (0, 0)])
    padded = padded.astype(np.int32)
    kernel_h, kernel_w = kernel.shape[2:4]
    out_h = (padded.shape[2] - kernel_h) // step_h + 1
    out_w = (padded.shape[3] - kernel_w) // step_w + 1
    n, o, batch, out = data.shape[0], kernel.shape[0], data.shape[4], kernel.shape[4]
    total = np.zeros((n, o, out_h, out_w, batch, out), np.int32)
    for dy in range(kernel_h):
        for dx in range(kernel_w):
            rows = slice(dy, dy + step_h * (out_h - 1) + 1, step_h)
            columns = slice(dx, dx + step_w * (out_w - 1) + 1, step_w)
            part = padded[:, :, rows, columns]
            weights = kernel[:, :, dy, dx].astype(np.int32)
            total += np.einsum("nihwbk,oick->nohwbc", part, weights)
    return requantise(total)
