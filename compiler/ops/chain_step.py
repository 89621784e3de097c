"""A step of a chain of ALU operations."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from vta.compiler.te.expr import maximum, minimum
from vta.compiler.te.requantisation import requantise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vta.compiler.te.expr import Expr

__all__ = ["Step"]

_OPERATIONS: Mapping[str, Callable[[Expr, Expr], Expr]] = MappingProxyType({
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "shr": lambda a, b: a >> b,
    "max": maximum,
    "min": minimum,
})  # fmt: skip


@dataclass(frozen=True)
class Step:
    """``name = operation(first, second)``; each is one operation of the ALU.

    ``operation`` is ``add``, ``mul``, ``shr``, ``max``, ``min`` or ``requantise``. ``first`` is the
    name of an operand or of an earlier step, ``second`` one too, the name of a constant, or a
    number. A step that reads operands of one value a channel only, or steps of such, gives one
    value a channel. ``limits`` are those of ``requantise``.
    """

    name: str
    operation: str
    first: str
    second: str | int
    limits: tuple[int, int] = (-128, 127)

    def apply(self, first: Expr, second: Expr | int) -> Expr:
        """The expression of the step."""
        if self.operation == "requantise":
            return requantise(first, second, *self.limits)  # type: ignore[arg-type]
        return _OPERATIONS[self.operation](first, second)  # type: ignore[arg-type]
