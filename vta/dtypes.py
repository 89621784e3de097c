"""Scalar types by name (``int4``, ``int8``, ``uint16``, ``bool``): their sizes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import prod

__all__ = ["bits", "nbytes"]


@cache
def bits(dtype: str) -> int:
    """Width of a value in bits; 1 for bool."""
    return 1 if dtype == "bool" else int(dtype.lstrip("uint"))


def nbytes(shape: Sequence[int], dtype: str) -> int:
    """Bytes of a tensor in device memory; 4-bit values lie two in a byte, the last may be alone."""
    return (prod(shape) * bits(dtype) + 7) // 8
