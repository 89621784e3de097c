"""What kind of operator defines a tensor: the ``tag`` of its operation.

:mod:`.topi` tags what it makes; ``te.compute(tag=...)`` and :func:`tag_scope` tag a user's own.
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
"""An element of the result is a function of the element of the operand at the same index."""
BROADCAST = "broadcast"
"""The same, of operands that are repeated to one shape."""
INJECTIVE = "injective"
"""An element of the operand is read at most once, at another index, as by ``injective,pad``."""


def is_broadcast(tag: str) -> bool:
    """Whether a tag is that of an element-wise operation, with or without broadcasting."""
    return tag in (ELEMWISE, BROADCAST)


def is_injective(tag: str) -> bool:
    """Whether an operation with this tag uses no element of an operand for two of its result, or
    is :func:`is_broadcast`."""
    return is_broadcast(tag) or tag.startswith(INJECTIVE)


_current: ContextVar[str] = ContextVar("tag", default="")


def current_tag() -> str:
    """The tag of the innermost :func:`tag_scope`; empty outside."""
    return _current.get()


class tag_scope(ContextDecorator):  # noqa: N801 - named as the function of the original
    """A context, or a decorator, that gives its tag to every ``te.compute`` in it which names none
    itself.

    Parameters
    ----------
    tag : str

    Raises
    ------
    TensorError
        If ``tag`` is no text.
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
