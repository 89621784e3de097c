"""Performance counters: cycles of a run, and ``value += weight`` for each event.

The low bits of a counter are a register with an adder of its own. The high bits of the counters in
``stored`` are words of one memory with one adder: a counter that overflows sets its carry, and a
walk over the memory, a word a cycle, adds the carries. A read of a counter takes the place of a
step of the walk; it returns the word and the carry, so the value is exact in each cycle.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

COUNT_BITS = 64
WORDS = 16
"""Words of the memory. The last one is 0: it is what a counter that is cleared has."""
WALK_CYCLES = 4 * WORDS
"""More cycles than a walk takes, with a read of a counter in every other cycle."""


class Counters(wiring.Component):
    """64-bit counters. The count includes an event two cycles after it: the event is registered
    first, which ends the long path from its block.

    Parameters
    ----------
    weights : mapping of str to int
        For each counter the increment of one event, a power of two.
    most : mapping of str to int
        The most events of a counter in one cycle, where that is not 1.
    stored : sequence of str
        The counters that are read by their index in this sequence, at most 8; ``cycles`` can be one
        of them.

    Attributes
    ----------
    clear : in
        Strobe. All counts become 0.
    run : in
        Asserted in the cycles that ``cycles`` counts.
    event_<name> : in
        The events of the cycle: a strobe, or a number where there can be more than one.
    cycles, <name> : out
        The counts of the counters that are not stored.
    read, index, value : in, in, out
        With ``stored``. In the cycle after ``read``, at most every other one, ``value`` is the
        count ``index`` of the cycle of ``read``; in the other cycles it is 0. It is a register.
    """

    def __init__(
        self, weights: Mapping[str, int], *, most: Mapping[str, int] = MappingProxyType({}),
        stored: Sequence[str] = (),
    ) -> None:  # fmt: skip
        for name, weight in weights.items():
            assert weight > 0 and weight & (weight - 1) == 0, f"{name}: {weight}"
        assert len(stored) < WORDS
        self.weights, self.most, self.stored = dict(weights), dict(most), tuple(stored)
        super().__init__({
            "clear": In(1), "run": In(1),
            **{f"event_{name}": In(range(self.most.get(name, 1) + 1)) for name in weights},
            **{name: Out(COUNT_BITS) for name in ("cycles", *weights) if name not in stored},
            **({"read": In(1), "index": In(range(len(stored))), "value": Out(COUNT_BITS)}
               if stored else {}),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        # The low bits of a stored counter take as many events as can happen in a walk.
        shifts = {
            name: weight.bit_length() - 1 for name, weight in {"cycles": 1, **self.weights}.items()
        }
        most = max(self.most.values(), default=1)
        low_bits = max(shifts.values()) + (WALK_CYCLES * most - 1).bit_length()
        lows, wraps = {}, {}
        for name, shift in shifts.items():
            bits = (low_bits if name in self.stored else COUNT_BITS) - shift
            events = Signal(bits, name=f"{name}_events")
            after = Signal(bits + 1, name=f"{name}_after")
            if name == "cycles":
                increment = self.run
            else:
                event = getattr(self, f"event_{name}")
                increment = Signal.like(event, name=f"{name}_increment")
                m.d.sync += increment.eq(Mux(self.clear, 0, event))
            m.d.comb += after.eq(events + increment)
            with m.If(self.clear):
                m.d.sync += events.eq(0)
            with m.Elif(increment.any()):
                m.d.sync += events.eq(after)
            lows[name], wraps[name] = events << shift, after[-1]
            if name not in self.stored:
                m.d.comb += getattr(self, name).eq(lows[name])
        if self.stored:
            self._store(m, low_bits, [(lows[name], wraps[name]) for name in self.stored])
        return m

    def _store(self, m: Module, low_bits: int, counters) -> None:
        """The high bits of the stored counters, of which ``counters`` has the low bits and whether
        they overflow in this cycle."""
        m.submodules.memory = memory = Memory(
            shape=COUNT_BITS - low_bits, depth=WORDS, init=[], attrs={"no_rw_check": 1}
        )
        read, write = memory.read_port(domain="comb"), memory.write_port()
        walk = Signal(range(len(self.stored)))
        cleared = Signal(range(WORDS + 1), init=WORDS)
        """The words that the walk has cleared; until all are, it writes 0, and 0 is read."""
        clearing = ~cleared[-1]
        index = Mux(self.read, self.index, walk)
        carries = Signal(len(self.stored))
        low = Array(low for low, _ in counters)[self.index]
        high = Signal(COUNT_BITS - low_bits)
        m.d.comb += [
            read.addr.eq(Mux(clearing, WORDS - 1, index)),
            high.eq(read.data + (Array(carries)[index] & ~clearing)),
            write.addr.eq(index), write.data.eq(high), write.en.eq(1),
        ]  # fmt: skip
        m.d.sync += self.value.eq(Mux(self.read, Cat(low[:low_bits], high), 0))
        with m.If(~self.read):
            m.d.sync += walk.eq(Mux(walk == len(self.stored) - 1, 0, walk + 1))
            with m.If(clearing):
                m.d.sync += cleared.eq(cleared + 1)
        for number, (_, wraps) in enumerate(counters):
            added = (index == number) & ~clearing
            m.d.sync += carries[number].eq((carries[number] & ~added) | wraps)
        with m.If(self.clear):
            m.d.sync += [carries.eq(0), cleared.eq(0)]
