"""Operators on whole tensors: ``from vta import topi``, then ``topi.add``, ``topi.nn.pad``, ..."""

from vta.compiler.te import topi_nn as nn
from vta.compiler.te.topi import (
    add,
    broadcast_to,
    cast,
    clip,
    identity,
    left_shift,
    maximum,
    minimum,
    multiply,
    right_shift,
    subtract,
)

__all__ = [
    "add",
    "broadcast_to",
    "cast",
    "clip",
    "identity",
    "left_shift",
    "maximum",
    "minimum",
    "multiply",
    "nn",
    "right_shift",
    "subtract",
]
