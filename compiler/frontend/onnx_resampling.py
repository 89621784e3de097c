"""Resizing of images by lines or cubic curves between pixels: taps and weights of each result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["COORDINATES", "coordinates", "taps"]

Array = npt.NDArray[Any]

COORDINATES = ("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners")
"""Values of the attribute coordinate_transformation_mode that are supported."""


def coordinates(mode: str, old: int, new: int, scale: float) -> Array:
    """Where in the data the pixels of the result lie, along one axis.

    Parameters
    ----------
    mode : str
        One of :data:`COORDINATES`.
    old, new : int
        Extents of the data and of the result.
    scale : float
        That of the model, of which ``new`` is the whole part times ``old``.

    Returns
    -------
    ndarray of float32, shape (new,)
        By the formulas of ONNX's operator Resize.
    """
    x = np.arange(new, dtype=np.float32)
    one = np.zeros_like(x)
    formulas: dict[str, Callable[[], Array]] = {
        "asymmetric": lambda: x / scale,
        "half_pixel": lambda: (x + 0.5) / scale - 0.5,
        "pytorch_half_pixel": lambda: (x + 0.5) / scale - 0.5 if new > 1 else one,
        "align_corners": lambda: x * (old - 1) / (new - 1) if new > 1 else one,
    }
    return formulas[mode]().astype(np.float32)


def taps(mode: str, places: Array, old: int, cubic: float) -> tuple[Array, Array]:
    """Which pixels each result is made of, and their weights, along one axis.

    Parameters
    ----------
    mode : {"linear", "cubic"}
    places : ndarray, shape (new,)
        Of :func:`coordinates`.
    old : int
        The extent of the data; pixels beyond it are those at the border.
    cubic : float
        The coefficient ``a`` of the cubic curve (Keys, 1981), -0.75 unless a model says otherwise.

    Returns
    -------
    ndarray of int64, ndarray of float32, both of shape (new, taps)
        Two taps, or four.
    """
    floor = np.floor(places).astype(np.int64)
    t = (places - floor).astype(np.float64)
    if mode == "linear":
        weights, first = np.stack([1 - t, t], axis=1), 0
    else:
        distances = np.stack([1 + t, t, 1 - t, 2 - t], axis=1)
        weights, first = _curve(distances, cubic), -1
    index = floor[:, None] + np.arange(first, first + weights.shape[1])
    return np.clip(index, 0, old - 1), weights.astype(np.float32)


def _curve(s: Array, a: float) -> Array:
    """The weight of a pixel at a distance of less than 2."""
    near = ((a + 2) * s - (a + 3)) * s * s + 1
    far = ((a * s - 5 * a) * s + 8 * a) * s - 4 * a
    return np.where(s <= 1, near, far)
