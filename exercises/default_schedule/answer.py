"""A schedule for the layer. Change the tiling, then: make exercise EXERCISE=default_schedule"""

from vta import ops
from vta.compiler.ops.cost import Tiling

REQUANTISE = ops.Requantise(8, low=0)


def layer():
    """The layer as an operator with a schedule."""
    tiling: Tiling | None = None  # None: the one that the library chooses
    return ops.conv2d((1, 32, 14, 14), 64, 1, requantise=REQUANTISE, tiling=tiling)
