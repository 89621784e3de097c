"""The smallest and largest indices that a range of micro-ops names.

``low = min u.field``, ``high = max u.field``, ``field`` being ``dst`` and ``src``, for
``begin <= u < end``: a word of micro-ops a cycle
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.uop_memory import UopReadSignature, log_lanes
from vta.hw.interfaces import layout_of
from vta.isa import Isa

__all__ = ["UopBounds"]


class UopBounds(wiring.Component):
    """The smallest and largest ``dst`` and ``src`` of a range of micro-ops.

    The last :attr:`ENTRIES` ranges are remembered.

    Attributes
    ----------
    start : In(1)
        Begin with the range ``low <= number < end``, which must not be empty, and must have been
        there in the cycle before; held until ``done``.
    wait : In(1)
        The range is not there yet: do not read.
    forget : In(1)
        Micro-ops will be loaded: remember nothing.
    done : Out(1)
        ``bounds`` are those of the range.
    bounds : Out
        ``dst_low``, ``dst_high``, ``src_low``, ``src_high``.
    read : Out(UopReadSignature)
        The micro-op SRAM.
    """

    ENTRIES = 4

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        log_depth, uop = isa.cfg.log_uop_depth, isa.uop
        self.bounds_layout = data.StructLayout({
            f"{name}_{side}": uop[name].width for name in ("dst", "src") for side in ("low", "high")
        })  # fmt: skip
        super().__init__({
            "start": In(1), "wait": In(1), "forget": In(1), "done": Out(1),
            "low": In(log_depth), "end": In(log_depth + 1),
            "bounds": Out(self.bounds_layout),
            "read": Out(UopReadSignature(log_depth=log_depth, bits=uop.bits)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        begun = Signal()
        asks = Signal()
        arrives = Signal()
        wanted = Signal.like(self.read.addr)
        number = Signal.like(wanted)
        lanes = log_lanes(self.isa.cfg.log_uop_depth)
        entry = data.StructLayout({
            "valid": 1, "low": len(self.low), "end": len(self.end), "bounds": self.bounds_layout,
        })  # fmt: skip
        entries = [Signal(entry, name=f"known{n}") for n in range(self.ENTRIES)]

        # Known, as was found out a cycle ago, or read word by word.
        hits = Signal(self.ENTRIES)
        m.d.sync += hits.eq(
            Cat(one.valid & (one.low == self.low) & (one.end == self.end) for one in entries)
        )
        for hit, one in zip(hits, entries):
            with m.If(hit):
                m.d.comb += self.bounds.eq(one.bounds)
        found = Signal(self.bounds_layout)
        on_its_way = self._narrow(m, found, number, arrives)
        m.d.comb += [
            self.done.eq(self.start & hits.any()),
            self.read.en.eq(asks & ~self.wait),
            self.read.addr.eq(wanted),
        ]
        with m.If(self.read.en & self.read.ready):
            m.d.sync += [
                number.eq(wanted),
                wanted.eq(wanted + 1),
                asks.eq(wanted != (self.end - 1) >> lanes),
            ]
        m.d.sync += arrives.eq(self.read.en & self.read.ready)
        with m.If(~self.start | self.done):
            m.d.sync += begun.eq(0)
        with m.Elif(~begun):
            m.d.sync += [begun.eq(1), asks.eq(1), wanted.eq(self.low >> lanes)]
            for field in ("dst", "src"):
                m.d.sync += [found[f"{field}_low"].eq(~0), found[f"{field}_high"].eq(0)]
        with m.Elif(~asks & ~on_its_way):
            # The oldest entry is replaced.
            m.d.sync += [
                hits.eq(1),
                entries[0].valid.eq(1),
                entries[0].low.eq(self.low),
                entries[0].end.eq(self.end),
                entries[0].bounds.eq(found),
                *(entries[n].eq(entries[n - 1]) for n in range(1, self.ENTRIES)),
            ]
        with m.If(self.forget):
            m.d.sync += [hits.eq(0), *(one.valid.eq(0) for one in entries)]
        return m

    def _narrow(self, m: Module, bounds, number, arrives):
        """Takes words into the bounds, a cycle for each step: the word into a register; of its
        micro-ops those that are inside; the smallest and largest two by two; and of all words.
        Gives whether a word is on its way.
        """
        uop = layout_of(self.isa.uop)
        log = log_lanes(self.isa.cfg.log_uop_depth)
        lanes = range(1 << log)
        word = Signal.like(self.read.data, reset_less=True)
        at = Signal.like(number, reset_less=True)
        coming = Signal(2 + log)  # a bit for each step that is behind a word
        m.d.sync += [word.eq(self.read.data), at.eq(number), coming.eq(Cat(arrives, coming))]
        places = [Cat(Const(n, log), at) for n in lanes]
        inside = [(place >= self.low) & (place < self.end) for place in places]
        uops = [data.View(uop, word.word_select(n, uop.size)) for n in lanes]

        def smaller(x, y):
            return Mux(x < y, x, y)

        def larger(x, y):
            return Mux(x < y, y, x)

        for field, width in ((field, uop[field].width) for field in ("dst", "src")):
            for side, better, none in (("low", smaller, 2**width - 1), ("high", larger, 0)):
                values = [Mux(there, item[field], none) for there, item in zip(inside, uops)]
                while True:
                    kept = Signal(data.ArrayLayout(width, len(values)), reset_less=True,
                                  name=f"{field}_{side}{len(values)}")  # fmt: skip
                    m.d.sync += [one.eq(value) for one, value in zip(kept, values)]
                    if len(values) == 1:
                        break
                    values = [better(*kept[n : n + 2]) for n in range(0, len(values), 2)]
                bound = bounds[f"{field}_{side}"]
                with m.If(coming[-1]):
                    m.d.sync += bound.eq(better(bound, kept[0]))
        return arrives | coming.any()
