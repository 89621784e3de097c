"""The sum of a convolution's result and a tensor of equal shape, as of a residual connection.

``out = clip((result * multipliers[0] + residual * multipliers[1] + offset) >> shift, low, high)``
with the requantised result of the convolution, in int8: the rule of :mod:`.elementwise`. The result
never leaves the accumulators in between, and the operations of the ALU run beside the products of
the next block.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.ops.alu_chain import needed
from vta.compiler.ops.elementwise import weighted_steps
from vta.compiler.ops.narrowing import Narrowed, narrowed
from vta.compiler.te.tensor import compute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vta.compiler.ops.operator import Array
    from vta.compiler.te.tensor import Tensor
    from vta.config import VTAConfig

__all__ = ["KEYS", "Residual"]

KEYS = ("convolved", "residual_wide")


@dataclass(frozen=True)
class Residual:
    """How a tensor is added to the requantised result of a convolution.

    Attributes
    ----------
    multipliers : (int, int)
        Of the result and of the tensor, 16 bits signed.
    offset : int
        32 bits signed; added before the shift.
    shift, low, high : int
        As in the rule.
    """

    multipliers: tuple[int, int]
    offset: int
    shift: int
    low: int = -128
    high: int = 127

    def chain(self, name: str, cfg: VTAConfig) -> Narrowed:
        """The operations of the ALU, on operands of the names :data:`KEYS`, and their constants.

        Raises
        ------
        OperatorError
            As :func:`~vta.compiler.ops.elementwise.weighted_sum`; ``name`` is the operator's.
        """
        steps, narrow = weighted_steps(
            name, KEYS, self.multipliers, cfg,
            offset=self.offset, shift=self.shift, low=self.low, high=self.high,
        )  # fmt: skip
        steps, numbers = needed(steps), {"offset": self.offset}
        chain = narrowed(steps, numbers, (), cfg) if narrow else Narrowed(steps, numbers)
        names = {name: f"added_{name}" for name in chain.numbers}  # not those of the convolution
        return Narrowed(
            [
                replace(step, second=names.get(str(step.second), step.second))
                for step in chain.steps
            ],
            {names[name]: value for name, value in chain.numbers.items()},
        )

    def stages(
        self, chain: Narrowed, convolved: Tensor, wide: Tensor, numbers: Mapping[str, Tensor]
    ) -> list[Tensor]:
        """The stages after the requantised result; each is one vector operation.

        Parameters
        ----------
        chain : Narrowed
            Of :meth:`chain`.
        convolved, wide : Tensor
            The requantised result, and the tensor in the accumulators, of equal shape.
        numbers : mapping of str to Tensor
            A tile of each constant, in the accumulators.
        """
        values = dict(zip(KEYS, (convolved, wide)))
        stages = []
        for step in chain.steps:

            def element(*at, step=step):  # type: ignore[no-untyped-def]
                second = step.second
                if isinstance(second, str):
                    tile = second in numbers
                    second = numbers[second](0, *at[-2:]) if tile else values[second](*at)
                return step.apply(values[step.first](*at), second)

            stages.append(compute(convolved.shape, element, name=f"added_{step.name}"))
            values[step.name] = stages[-1]
        return stages

    def reference(self, result: Array, residual: Array) -> Array:
        """The rule, of arrays of equal shape; int64."""
        operands = zip((result, residual), self.multipliers)
        total = sum((np.asarray(a, np.int64) * m for a, m in operands), np.int64(self.offset))
        return np.asarray(np.clip(total >> self.shift, self.low, self.high))
