"""The bytes of tiles: elements of 4, 8, 16 or 32 bits, two's complement, little-endian.

The first element is in the lowest bits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["decode_tiles", "encode_tiles", "pad_lane", "tile_dtype"]


def tile_dtype(width: int) -> np.dtype[Any]:
    """The NumPy type that holds elements of ``width`` bits: for 4 bits int8, else their own."""
    return np.dtype(f"<i{max(width, 8) // 8}")


def pad_lane(value: int, width: int) -> int:
    """A lane of ``width`` bits of padding with the int8 ``value``: its low bits, if it does not
    fit."""
    half = 1 << (width - 1)
    return value if width >= 8 else ((value + half) & (2 * half - 1)) - half


def decode_tiles(
    raw: npt.NDArray[np.uint8], width: int, shape: tuple[int, ...]
) -> npt.NDArray[Any]:
    """Tiles of ``shape`` with elements of ``width`` bits, from an array of bytes of shape (..., n).

    Returns
    -------
    ndarray of ``tile_dtype(width)``, shape (..., number of tiles in n bytes, *shape)
    """
    raw = np.ascontiguousarray(raw)
    if width == 4:
        halves = np.stack([raw & 15, raw >> 4], axis=-1).astype(np.int8)
        values = ((halves ^ 8) - 8).reshape(*raw.shape[:-1], 2 * raw.shape[-1])
    else:
        values = raw.view(tile_dtype(width))
    count = values.shape[-1] // math.prod(shape)
    return values.reshape(*raw.shape[:-1], count, *shape)


def encode_tiles(values: npt.NDArray[Any], width: int) -> npt.NDArray[np.uint8]:
    """The bytes of all ``values`` in order, each cut to its low ``width`` bits; one-dimensional."""
    flat = values.reshape(-1)
    if width == 4:
        halves = (flat & 15).astype(np.uint8).reshape(-1, 2)
        return halves[:, 0] + halves[:, 1] * np.uint8(16)
    return np.frombuffer(flat.astype(tile_dtype(width)).tobytes(), np.uint8)
