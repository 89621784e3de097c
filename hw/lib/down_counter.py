"""A counter down to 0 with registered flags."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["DownCounter"]


class DownCounter(wiring.Component):
    """``value' = value - 1``, with registered flags, so that no comparison is on the path.

    Parameters
    ----------
    bits : int
        Width of the counter.

    Attributes
    ----------
    load : in
        Strobe. The counter becomes ``load_value``; has precedence over ``step``.
    step : in
        Strobe. Decrements the counter. Must not be asserted while ``nonzero`` is low.
    value : out
        The count.
    nonzero, is_one : out
        Asserted while ``value`` is not 0, and while it is 1.
    """

    def __init__(self, bits: int) -> None:
        super().__init__({
            "load": In(1), "load_value": In(bits), "step": In(1),
            "value": Out(bits), "nonzero": Out(1), "is_one": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        with m.If(self.load):
            m.d.sync += [
                self.value.eq(self.load_value),
                self.nonzero.eq(self.load_value != 0),
                self.is_one.eq(self.load_value == 1),
            ]
        with m.Elif(self.step):
            m.d.sync += [
                self.value.eq(self.value - 1),
                self.nonzero.eq(~self.is_one),
                self.is_one.eq(self.value == 2),
            ]
        return m
