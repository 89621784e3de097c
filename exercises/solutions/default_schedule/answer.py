"""All output channels in a block of one row, inputs in two chunks.

A block of the default has one tile of output channels: each of the three loads all inputs again,
and with the memory `ddr` loads bind the layer. With all three tiles in a block, inputs are loaded
once. Two chunks of the inputs let products begin when the first half is there, and three slots keep
the bus busy while a block is computed.
"""

from vta import ops
from vta.compiler.ops.cost import Tiling

REQUANTISE = ops.Requantise(8, low=0)


def layer():
    """The layer as an operator with a schedule."""
    tiling = Tiling(
        outputs=3, rows=1, columns=13, inputs=8, order="oy", inp_slots=3, wgt_slots=3, acc_slots=3
    )
    return ops.conv2d((1, 256, 13, 13), 48, 1, requantise=REQUANTISE, tiling=tiling)
