"""Requantisation as one expression: what the ALU does in one operation
(docs/hardware/machine.md)."""

from __future__ import annotations

from dataclasses import dataclass

from vta.compiler.te.expr import Expr
from vta.errors import EncodingError, TensorError, TensorTypeError
from vta.isa import Limits

__all__ = ["Requantisation", "requantise"]

_DTYPE = "int32"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Requantisation(Expr):
    """``clip(((value * multiplier + half) >> shift) + zero_point, *limits)``, exact, halves up;
    ``scale`` holds multiplier, shift and zero point (:data:`vta.isa.SCALE`)."""

    value: Expr
    scale: Expr
    limits: Limits

    @property
    def dtype(self) -> str:
        return self.value.dtype


def requantise(value: Expr, scale: Expr, low: int = -128, high: int = 127) -> Expr:
    """A sum scaled, rounded and clipped, in one operation of a machine with the extension.

    ``min(max(((value * multiplier + half) >> shift) + zero_point, low), high)`` with
    ``half = 2**(shift - 1)``, or 0 if ``shift`` is 0. Nothing wraps.

    Parameters
    ----------
    value : Expr of type int32
    scale : Expr of type int32
        An element of a tensor of packed parameters, :attr:`vta.isa.Scale.word`.
    low, high : int
        -128 to 127.

    Raises
    ------
    TensorError
        If a type is another one, or the limits do not fit or are crossed.
    """
    for name, part in (("value", value), ("scale", scale)):
        if not isinstance(part, Expr):
            raise TensorTypeError(
                f"requantise: {name} must be an expression of type {_DTYPE}; got {part!r}"
            )
        if part.dtype != _DTYPE:
            raise TensorError(f"requantise: {name} must be {_DTYPE}; `{part}` is {part.dtype}")
    limits = Limits(low, high)
    try:
        _ = limits.immediate
    except EncodingError as error:
        raise TensorError(f"requantise: {error}") from None
    return Requantisation(value, scale, limits)
