"""A clock as it comes from its pin."""

from amaranth.hdl import ClockSignal, Module
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import In

__all__ = ["PinClock"]


class PinClock(wiring.Component):
    """Drives the domain ``sync``: its clock is that of the pin, its reset the button's, and a few
    cycles after the FPGA was configured.

    Attributes
    ----------
    clock : in
        From the pin.
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
