"""Access lookahead: GEMM and the ALU announce accumulator accesses before they make them.

The arbiter of the banks (:mod:`vta.hw.compute.accumulators`) turns each announcement into a set of
reserved banks and keeps that set in a register until the cycle of the access. A unit with a lower
priority then stalls on a register, and not on the address that another unit computes in the same
cycle.

====================  ===================  ===================================================
access                cycles in advance    units that stall for it
====================  ===================  ===================================================
read of GEMM          1                    ALU
write of GEMM         5                    ALU (before it reads the tile that it would write in
                                           the cycle of that write), LOAD
write of the ALU      1                    LOAD
====================  ===================  ===================================================
"""

from amaranth.lib import wiring
from amaranth.lib.wiring import Out

__all__ = [
    "ALU_WRITE_LOOKAHEAD",
    "GEMM_READ_LOOKAHEAD",
    "GEMM_WRITE_LOOKAHEAD",
    "LookaheadSignature",
]

GEMM_READ_LOOKAHEAD = 1
GEMM_WRITE_LOOKAHEAD = 5
"""The cycle in which the reserved banks are registered, and those from an ALU read to its write."""
ALU_WRITE_LOOKAHEAD = 1


class LookaheadSignature(wiring.Signature):
    """An access in the near future, from the side of the unit that will make it.

    Members
    -------
    valid : Out(1)
        The unit accesses the tile ``addr`` a fixed number of cycles later.
    addr : Out(log_depth)
        Index of the tile.
    """

    def __init__(self, *, log_depth: int) -> None:
        super().__init__({"valid": Out(1), "addr": Out(log_depth)})
