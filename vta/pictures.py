"""Pictures that commands write: PNG files, and differences of tensors."""

from __future__ import annotations

import io
from math import ceil, prod, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from vta.extras import importing

__all__ = ["error_picture", "png_bytes"]

_GAP = 1
"""Pixels between two channels."""
_FRAME = 64
"""Gray of these."""


def png_bytes(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A PNG file of an RGB (height, width, 3) or gray (height, width) picture.

    Raises
    ------
    ToolError
        If Pillow is not installed.
    """
    with importing("writing pictures", "onnx"):
        from PIL import Image
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def error_picture(got: npt.NDArray[Any], want: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Where two tensors differ: black where they are equal, white where they differ most.

    Parameters
    ----------
    got, want : ndarray
        Of one shape. The last two axes are rows and columns of a panel; there is a panel for each
        index of the others. A tensor of one axis is one row.

    Returns
    -------
    ndarray of uint8, shape (height, width)
        The panels in about a square, gray between them.
    """
    apart = np.abs(got.astype(np.float64) - want.astype(np.float64))
    rows, columns = (1, 1, *apart.shape)[-2:]
    panels = apart.reshape(prod(apart.shape[:-2]), rows, columns)
    most = apart.max(initial=0)
    gray = np.rint(panels * (255 / most if most else 0)).astype(np.uint8)
    across = max(1, min(len(gray), ceil(sqrt(len(gray) * rows / columns))))
    down = -(-len(gray) // across)
    picture = np.full(
        (down * (rows + _GAP) - _GAP, across * (columns + _GAP) - _GAP), _FRAME, np.uint8
    )
    for number, panel in enumerate(gray):
        top, left = number // across * (rows + _GAP), number % across * (columns + _GAP)
        picture[top : top + rows, left : left + columns] = panel
    return picture
