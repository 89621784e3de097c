"""Two slots for the sums: GEMM has a block while the ALU finishes the block before.

The default has one slot with a block of 42 tiles, 6 of 16 channels wide. Products, the four passes
of the ALU and the store of a block take turns then, and inputs are loaded three times. Blocks of 14
tiles leave room for a second slot, two channels divide 16, and inputs are loaded once: all blocks
of channels of a place come before the next place. Weights are loaded for each place, which is
hidden behind the products.
"""

from vta import ops
from vta.compiler.ops.cost import Tiling

REQUANTISE = ops.Requantise(8, low=0)


def layer():
    """The layer as an operator with a schedule."""
    tiling = Tiling(
        outputs=2, rows=1, columns=7, inputs=8, order="yo", inp_slots=1, wgt_slots=4, acc_slots=2
    )
    return ops.conv2d((1, 32, 14, 14), 64, 1, requantise=REQUANTISE, tiling=tiling)
