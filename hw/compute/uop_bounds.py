"""Micro-op bounds: the smallest and largest indices in a range of micro-ops.

``low = min u.field``, ``high = max u.field`` for ``begin <= u < end``, ``field`` being ``dst`` and
``src``

=====  ==========================================================================
cycle  of a range of one word that is not cached
=====  ==========================================================================
0      ``valid`` rises
1      read: the word is read, if the port is granted and ``stall_read`` is low
2      arrive: the word is at the port
3      hold: the word is in a register
4      select: the micro-ops, and which of them are inside the range, are in registers
5      pairs: minima and maxima of pairs are in registers
6      word: the bounds of the word are in registers, and are merged into the range
7      cache: the bounds of the range go into the cache
8      ``done``
=====  ==========================================================================

Each further word takes a cycle more, and so does each cycle without a grant. The bounds of the last
four ranges are cached; a cached range is ``done`` in the cycle in which ``valid`` rises. Nothing
here orders the reads after the write of a LOAD: ``stall_read`` and ``invalidate`` come from the
blocks that know the LOADs in flight.
"""

from itertools import pairwise

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.uop_memory import UopReadSignature, log_lanes
from vta.hw.interfaces import layout_of
from vta.isa import Isa

__all__ = ["BoundsLayout", "UopBounds", "WordBounds"]

FIELDS = ("dst", "src")


class BoundsLayout(data.StructLayout):
    """``dst_low``, ``dst_high``, ``src_low``, ``src_high``: both ends are included."""

    def __init__(self, isa: Isa) -> None:
        super().__init__({
            f"{field}_{end}": isa.uop[field].width for field in FIELDS for end in ("low", "high")
        })  # fmt: skip


def _min(x, y):
    return Mux(x < y, x, y)


def _max(x, y):
    return Mux(x < y, y, x)


class WordBounds(wiring.Component):
    """The bounds of those micro-ops of a word that are inside the range, a word a cycle.

    Attributes
    ----------
    valid, number, word : In
        A word of the micro-op SRAM and its number.
    begin, end : In
        The range; constant while a word is in the pipeline.
    bounds_valid, bounds : Out
        ``latency`` cycles after ``valid``. At least one micro-op of the word must be inside.
    busy : Out(1)
        A word is in the pipeline, or enters it in this cycle.
    """

    def __init__(self, isa: Isa) -> None:
        self.isa, log_depth = isa, isa.cfg.log_uop_depth
        self.log_lanes = log_lanes(log_depth)
        self.latency = 2 + self.log_lanes
        """The word register, the registers of its micro-ops, and one for each level of the tree."""
        super().__init__({
            "valid": In(1), "number": In(log_depth - self.log_lanes),
            "word": In(isa.uop.bits << self.log_lanes),
            "begin": In(log_depth), "end": In(log_depth + 1),
            "bounds_valid": Out(1), "bounds": Out(BoundsLayout(isa)), "busy": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        uop = layout_of(self.isa.uop)
        lanes = range(1 << self.log_lanes)
        stage_valid = Signal(self.latency)
        held = Signal.like(self.word, reset_less=True)
        held_number = Signal.like(self.number, reset_less=True)
        m.d.sync += [
            stage_valid.eq(Cat(self.valid, stage_valid)),
            held.eq(self.word),
            held_number.eq(self.number),
        ]
        m.d.comb += [
            self.busy.eq(self.valid | stage_valid.any()),
            self.bounds_valid.eq(stage_valid[-1]),
        ]
        numbers = [Cat(Const(n, self.log_lanes), held_number) for n in lanes]
        inside = [(number >= self.begin) & (number < self.end) for number in numbers]
        uops = [data.View(uop, held.word_select(n, uop.size)) for n in lanes]
        values = {field: [u[field] for u in uops] for field in FIELDS}
        self._reduce(m, inside, values)
        return m

    def _reduce(self, m: Module, inside, values) -> None:
        """Drives ``bounds``: a tree with a register in front and one after each level. A node has
        the bounds of its micro-ops inside the range, and whether there are any; two micro-ops are
        compared once for both ends."""
        any_inside = self._registers(m, "any", 1, inside)
        ends = {}
        for field in FIELDS:
            registers = self._registers(m, field, self.isa.uop[field].width, values[field])
            ends[field] = (registers, registers)
        while len(any_inside) > 1:
            pairs = range(0, len(any_inside), 2)
            for field, (lows, highs) in ends.items():
                smaller, larger = [], []
                for n in pairs:
                    only_second = ~any_inside[n]
                    second_is_smaller = lows[n + 1] < lows[n]
                    second_is_larger = (
                        ~second_is_smaller if lows is highs else highs[n] < highs[n + 1]
                    )
                    take_low = any_inside[n + 1] & (only_second | second_is_smaller)
                    take_high = any_inside[n + 1] & (only_second | second_is_larger)
                    smaller.append(Mux(take_low, lows[n + 1], lows[n]))
                    larger.append(Mux(take_high, highs[n + 1], highs[n]))
                width = self.isa.uop[field].width
                ends[field] = (
                    self._registers(m, f"{field}_low", width, smaller),
                    self._registers(m, f"{field}_high", width, larger),
                )
            any_inside = self._registers(
                m, "any", 1, [any_inside[n] | any_inside[n + 1] for n in pairs]
            )
        for field, (lows, highs) in ends.items():
            m.d.comb += [
                self.bounds[f"{field}_low"].eq(lows[0]), self.bounds[f"{field}_high"].eq(highs[0]),
            ]  # fmt: skip

    @staticmethod
    def _registers(m: Module, name: str, width: int, values):
        """A register for each of ``values``; their number is a part of the name."""
        level = Signal(
            data.ArrayLayout(width, len(values)), name=f"{name}{len(values)}", reset_less=True
        )
        m.d.sync += [register.eq(value) for register, value in zip(level, values)]
        return list(level)


class UopBounds(wiring.Component):
    """The bounds of ranges of micro-ops, with a cache of :attr:`ENTRIES` ranges.

    Attributes
    ----------
    valid, begin, end : In
        A range, not empty. ``begin`` and ``end`` are valid a cycle before ``valid`` rises, and are
        held, with ``valid``, until ``done``.
    stall_read : In(1)
        A LOAD is going to write micro-ops of the range: do not read.
    invalidate : In(1)
        A LOAD of micro-ops enters: remove all ranges from the cache.
    done : Out(1)
        ``bounds`` are those of the range.
    bounds : Out(BoundsLayout)
    read : Out(UopReadSignature)
        The micro-op SRAM.
    """

    ENTRIES = 4

    def __init__(self, isa: Isa) -> None:
        self.isa, log_depth = isa, isa.cfg.log_uop_depth
        self.bounds_layout = BoundsLayout(isa)
        super().__init__({
            "valid": In(1), "stall_read": In(1), "invalidate": In(1), "done": Out(1),
            "begin": In(log_depth), "end": In(log_depth + 1),
            "bounds": Out(self.bounds_layout),
            "read": Out(UopReadSignature(log_depth=log_depth, bits=isa.uop.bits)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        entry = data.StructLayout({
            "valid": 1, "begin": len(self.begin), "end": len(self.end),
            "bounds": self.bounds_layout,
        })  # fmt: skip
        cache = [Signal(entry, name=f"cache{n}") for n in range(self.ENTRIES)]
        running = Signal(self.bounds_layout)
        scan_done = Signal()

        # Cache lookup; the hits are registered.
        hits = Signal(self.ENTRIES)
        m.d.sync += hits.eq(
            Cat(e.valid & (e.begin == self.begin) & (e.end == self.end) for e in cache)
        )
        for hit, cached in zip(hits, cache):
            with m.If(hit):
                m.d.comb += self.bounds.eq(cached.bounds)
        m.d.comb += self.done.eq(self.valid & hits.any())

        self._scan(m, running, scan_done)
        with m.If(scan_done):
            # The new range replaces the oldest one.
            m.d.sync += [
                hits.eq(1),
                cache[0].valid.eq(1),
                cache[0].begin.eq(self.begin),
                cache[0].end.eq(self.end),
                cache[0].bounds.eq(running),
                *(older.eq(newer) for newer, older in pairwise(cache)),
            ]
        with m.If(self.invalidate):
            m.d.sync += [hits.eq(0), *(cached.valid.eq(0) for cached in cache)]
        return m

    def _scan(self, m: Module, running, scan_done) -> None:
        """Reads the words of the range one after the other and merges their bounds into
        ``running``; ``scan_done``: all are merged."""
        lanes = log_lanes(self.isa.cfg.log_uop_depth)
        scanning = Signal()
        read_pending = Signal()
        next_word = Signal.like(self.read.addr)
        arriving_word = Signal.like(self.read.addr)
        arrives = Signal()
        m.submodules.word_bounds = word_bounds = WordBounds(self.isa)
        granted = self.read.en & self.read.ready
        m.d.comb += [
            self.read.en.eq(read_pending & ~self.stall_read),
            self.read.addr.eq(next_word),
            word_bounds.valid.eq(arrives),
            word_bounds.number.eq(arriving_word),
            word_bounds.word.eq(self.read.data),
            word_bounds.begin.eq(self.begin),
            word_bounds.end.eq(self.end),
        ]
        m.d.sync += arrives.eq(granted)
        with m.If(granted):
            m.d.sync += [
                arriving_word.eq(next_word),
                next_word.eq(next_word + 1),
                read_pending.eq(next_word != (self.end - 1) >> lanes),
            ]
        with m.If(word_bounds.bounds_valid):
            for field in FIELDS:
                low, high = f"{field}_low", f"{field}_high"
                m.d.sync += [
                    running[low].eq(_min(running[low], word_bounds.bounds[low])),
                    running[high].eq(_max(running[high], word_bounds.bounds[high])),
                ]
        with m.If(~self.valid | self.done):
            m.d.sync += scanning.eq(0)
        with m.Elif(~scanning):
            m.d.sync += [scanning.eq(1), read_pending.eq(1), next_word.eq(self.begin >> lanes)]
            for field in FIELDS:
                m.d.sync += [running[f"{field}_low"].eq(~0), running[f"{field}_high"].eq(0)]
        with m.Else():
            m.d.comb += scan_done.eq(~read_pending & ~word_bounds.busy)
