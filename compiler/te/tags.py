"""Tags: the kind of the operator that defines a tensor.

:mod:`.topi` tags its operators. ``te.compute(tag=...)`` and :func:`tag_scope` tag a user's own.
"""

from __future__ import annotations

from contextlib import ContextDecorator
from contextvars import ContextVar
from typing import TYPE_CHECKING

from vta.errors import TensorError

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

__all__ = [
    "BROADCAST",
    "ELEMWISE",
    "INJECTIVE",
    "current_tag",
    "is_broadcast",
    "is_injective",
    "tag_scope",
]

ELEMWISE = "elemwise"
"""Each element of the result is a function of the operand's element at the same index."""
BROADCAST = "broadcast"
"""As :data:`ELEMWISE`, of operands that are broadcast to one shape."""
INJECTIVE = "injective"
"""Each element of the operand is read at most once, maybe at another index (``injective,pad``)."""


def is_broadcast(tag: str) -> bool:
    """Whether the tag stands for an element-wise operation, with or without broadcasting."""
    return tag in (ELEMWISE, BROADCAST)


def is_injective(tag: str) -> bool:
    """Whether the tag stands for an operation that reads each element of an operand at most once,
    or for a broadcast.
    """
    return is_broadcast(tag) or tag.startswith(INJECTIVE)


_current: ContextVar[str] = ContextVar("tag", default="")


def current_tag() -> str:
    """The tag of the innermost :func:`tag_scope`; empty outside."""
    return _current.get()


class tag_scope(ContextDecorator):  # noqa: N801 - named as the function of the original
    """A context or a decorator: the tag of every ``te.compute`` inside that has no tag itself.

    Parameters
    ----------
    tag : str

    Raises
    ------
    TensorError
        If ``tag`` is not a string.
    """

    def __init__(self, tag: str) -> None:
        if not isinstance(tag, str):
            raise TensorError(f"te.tag_scope: tag is {tag!r}; must be a string")
        self.tag = tag
        self._outer: list[Token[str]] = []

    def __enter__(self) -> tag_scope:
        self._outer.append(_current.set(self.tag))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _current.reset(self._outer.pop())
