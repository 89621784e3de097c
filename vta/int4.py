"""``int4`` and ``uint4`` as NumPy types: importing this module registers them.

``x.astype(A.dtype)`` then works whatever the width of the machine's values: NumPy itself has no
type below 8 bits. Such an array takes a byte for each value on the host. Its operators wrap at
4 bits, and it mixes with int8, which is what device arrays of 4 bits are read into.

Without ml_dtypes, as on a 32-bit ARM board that has no wheel of it, NumPy refuses the name
``int4``; int8 arrays with values of 4 bits do the same.
"""

from __future__ import annotations

from contextlib import suppress

__all__ = ["REGISTERED"]

REGISTERED = False
"""Whether NumPy knows the two types."""

with suppress(ImportError):
    import ml_dtypes  # noqa: F401

    REGISTERED = True
