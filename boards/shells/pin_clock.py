"""A clock that comes from its pin as it is."""

from amaranth.hdl import ClockSignal, Module
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import In

__all__ = ["PinClock"]


class PinClock(wiring.Component):
    """Drives the domain ``sync`` with the clock of a pin; the domain's reset is released
    synchronously.

    Attributes
    ----------
    clock : in
        The clock, from its pin.
    reset : in
        Resets the domain while high; asynchronous.
    """

    def __init__(self) -> None:
        super().__init__({"clock": In(1), "reset": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += ClockSignal().eq(self.clock)
        m.submodules.reset = ResetSynchronizer(self.reset)
        return m
