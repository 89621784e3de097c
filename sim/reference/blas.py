"""The BLAS of this process on one thread, for as long as a product of the model takes.

The products of one instruction are small. A second BLAS thread gains little on an idle machine, and
on a busy one each product waits until the scheduler has run both.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["one_blas_thread"]

_LOCK = Lock()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread inside the ``with`` block; afterwards the number is as before.

    The number belongs to the process, so that one Python thread at a time is inside: of two that
    overlap, the second would save the limit of the first as the number to go back to.
    """
    with _LOCK, _blas().limit(limits=1):
        yield


@cache
def _blas() -> ThreadpoolController:
    """The BLAS libraries that are loaded; finding them takes a millisecond."""
    return ThreadpoolController().select(user_api="blas")
