"""The timing model: the cycles of a program, and what each instruction waits for, without the RTL's
clock (docs/hardware/timing.md)."""

from vta.sim.timing.model import estimate, estimate_stream, estimate_until_deadlock, prepare
from vta.sim.timing.timing import Cause, InstructionTiming, Timing, Wait

__all__ = [
    "Cause",
    "InstructionTiming",
    "Timing",
    "Wait",
    "estimate",
    "estimate_stream",
    "estimate_until_deadlock",
    "prepare",
]
