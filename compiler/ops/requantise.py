"""Requantisation: from 32-bit sums back to the few bits of an activation.

The rule, the same everywhere: ``out = clip((sum + half) >> shift, low, high)`` with ``half = 2 **
(shift - 1)`` (0 for a shift of 0): division by ``2 ** shift`` that rounds to the nearest integer,
halves up. The sum with bias and half wraps at 32 bits, as every sum of the machine does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.te.expr import maximum, minimum
from vta.compiler.te.tensor import Tensor, compute
from vta.errors import OperatorError

if TYPE_CHECKING:
    from vta.compiler.ops.operator import Array

__all__ = ["Requantise"]


@dataclass(frozen=True)
class Requantise:
    """How 32-bit sums become activations.

    Attributes
    ----------
    shift : int
        0 to 31; the scale of the sums over that of the result is ``2 ** -shift``.
    low, high : int
        The range that results are clipped to; ``low=0`` is a rectifier.
    """

    shift: int
    low: int = -128
    high: int = 127

    def __post_init__(self) -> None:
        if not 0 <= self.shift <= 31:
            raise OperatorError(f"requantise: shift is {self.shift}; must be 0 to 31")
        if not self.low <= self.high:
            raise OperatorError(
                f"requantise: low is {self.low} and high {self.high}; low must not be above high"
            )

    @property
    def half(self) -> int:
        """What is added to a sum, or to its bias, so that the shift rounds."""
        return 1 << (self.shift - 1) if self.shift else 0

    def check(self, bits: int) -> None:
        """Check that results fit the machine's activations of ``bits`` bits, signed.

        Raises
        ------
        OperatorError
            If ``low`` or ``high`` does not.
        """
        lowest, highest = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        if self.low < lowest or self.high > highest:
            raise OperatorError(
                f"requantise: the range is {self.low} to {self.high}; activations of {bits} bits "
                f"hold {lowest} to {highest}"
            )

    def stages(self, total: Tensor) -> list[Tensor]:
        """The stages after a sum that has its bias and :attr:`half` already: shift and clip."""
        chain = [total]

        def step(name: str, body) -> None:  # type: ignore[no-untyped-def]
            before = chain[-1]
            chain.append(compute(total.shape, lambda *i: body(before(*i)), name=name))

        if self.shift:
            step("shifted", lambda value: value >> self.shift)
        step("clipped_low", lambda value: maximum(value, self.low))
        step("clipped", lambda value: minimum(value, self.high))
        return chain[1:]

    def reference(self, sums: Array) -> Array:
        """The same of an array of sums (bias added, half not), any shape; int32."""
        wrapped = (np.asarray(sums, np.int64) + self.half).astype(np.uint32).astype(np.int32)
        clipped: Array = np.clip(wrapped >> self.shift, self.low, self.high)
        return clipped
