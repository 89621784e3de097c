"""Runs: consecutive micro-ops of one instruction with the same ``dst``."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RunDetector"]


class RunDetector(wiring.Component):
    """Finds the runs: consecutive micro-ops of one instruction with the same ``dst``.

    Combinational, from the micro-op of this cycle and registers.

    Attributes
    ----------
    valid, last, dst : In
        A micro-op; ``last``: the last one of its instruction.
    first : Out(1)
        The micro-op is the first of a run.
    """

    def __init__(self, *, log_depth: int) -> None:
        super().__init__({
            "valid": In(1), "last": In(1), "dst": In(log_depth), "first": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        older_dst = Signal.like(self.dst, reset_less=True)
        same_instruction = Signal()
        m.d.comb += self.first.eq(~(same_instruction & (self.dst == older_dst)))
        with m.If(self.valid):
            m.d.sync += [older_dst.eq(self.dst), same_instruction.eq(~self.last)]
        return m
