"""Performance counters: cycles of a run, and ``value += weight`` for each event."""

from collections.abc import Mapping
from types import MappingProxyType

from amaranth.hdl import Module, Mux, Signal
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
    most : mapping of str to int
        The most events of a counter in one cycle, where that is not 1.

    Attributes
    ----------
    clear : in
        Strobe. All counts become 0.
    run : in
        Asserted in the cycles that ``cycles`` counts.
    event_<name> : in
        The events of the cycle: a strobe, or a number where there can be more than one.
    cycles, <name> : out
        The counts.
    """

    def __init__(
        self, weights: Mapping[str, int], *, most: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        for name, weight in weights.items():
            assert weight > 0 and weight & (weight - 1) == 0, f"{name}: {weight}"
        self.weights, self.most = dict(weights), dict(most)
        super().__init__({
            "clear": In(1), "run": In(1), "cycles": Out(COUNT_BITS),
            **{f"event_{name}": In(range(self.most.get(name, 1) + 1)) for name in weights},
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
                event = getattr(self, f"event_{name}")
                increment = Signal.like(event, name=f"{name}_increment")
                m.d.sync += increment.eq(Mux(self.clear, 0, event))
            with m.If(self.clear):
                m.d.sync += events.eq(0)
            with m.Elif(increment.any()):
                m.d.sync += events.eq(events + increment)
        return m
