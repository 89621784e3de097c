"""Two slots for the sums: GEMM has a block while the ALU finishes the block before.

The default has one slot with a block of 42 tiles, 3 of 16 channels wide. Products, the four passes
of the ALU and the store of a block take turns then, and the last block of channels has one tile,
which costs as many instructions as three. The model of the library counts the instructions of a
block too low. Blocks of 24 tiles leave room for a second slot, four channels divide 16, and inputs
are loaded four times in place of six.
"""

from vta import ops
from vta.compiler.ops.cost import Tiling

REQUANTISE = ops.Requantise(8, low=0)


def layer():
    """The layer as an operator with a schedule."""
    tiling = Tiling(
        outputs=4, rows=3, columns=2, inputs=4, order="oy", inp_slots=2, wgt_slots=4, acc_slots=2
    )
    return ops.conv2d((1, 16, 14, 14), 64, 1, requantise=REQUANTISE, tiling=tiling)
