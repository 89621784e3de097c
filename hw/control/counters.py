"""Performance counters: cycles of a run, and ``value += weight`` for each event."""

from collections.abc import Mapping

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

COUNT_BITS = 64


class Counters(wiring.Component):
    """64-bit counters. The count includes an event two cycles after it: the event is registered
    first, which ends the long path from its block.

    Parameters
    ----------
    weights : mapping of str to int
        For each counter the increment of one event, a power of two.

    Attributes
    ----------
    clear : in
        Strobe. All counts become 0.
    run : in
        Asserted in the cycles that ``cycles`` counts.
    event_<name> : in
        Strobe. One event.
    cycles, <name> : out
        The counts.
    """

    def __init__(self, weights: Mapping[str, int]) -> None:
        for name, weight in weights.items():
            assert weight > 0 and weight & (weight - 1) == 0, f"{name}: {weight}"
        self.weights = dict(weights)
        super().__init__({
            "clear": In(1), "run": In(1), "cycles": Out(COUNT_BITS),
            **{f"event_{name}": In(1) for name in weights},
            **{name: Out(COUNT_BITS) for name in weights},
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        for name, weight in {"cycles": 1, **self.weights}.items():
            shift = weight.bit_length() - 1
            events = Signal(COUNT_BITS - shift, name=f"{name}_events")
            m.d.comb += getattr(self, name).eq(events << shift)
            if name == "cycles":
                increment = self.run
            else:
                increment = Signal(name=f"{name}_increment")
                m.d.sync += increment.eq(getattr(self, f"event_{name}") & ~self.clear)
            with m.If(self.clear):
                m.d.sync += events.eq(0)
            with m.Elif(increment):
                m.d.sync += events.eq(events + 1)
        return m
