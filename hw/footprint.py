"""What an instruction of the compute module touches: ranges of accumulators and of micro-ops.

GEMM and ALU, over the micro-ops ``u`` of the instruction:
``low = min u.dst``, ``high = max u.dst + (iter_out - 1) * factor_out + (iter_in - 1) * factor_in``

LOAD: ``low = sram_base``, ``high = low + (rows with padding) * (columns with padding) - 1``

A range is everything from the lowest to the highest entry: too large now and then, never too small.
"""

from functools import reduce

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.interfaces import layout_of
from vta.hw.microops import MicroOpReadSignature, log_lanes
from vta.isa import Isa, MemId, Opcode

__all__ = [
    "FootprintLayout",
    "Footprints",
    "RangeLayout",
    "Unit",
    "UopsLayout",
    "Work",
    "conflict",
    "meet",
]


class Unit(enum.Enum, shape=2):
    """Who executes an instruction."""

    LOAD = 0
    GEMM = 1
    ALU = 2
    NONE = 3
    """Nobody: it only carries tokens (a NOP), or ends the run (FINISH)."""


class RangeLayout(data.StructLayout):
    """Entries ``low`` to ``high``, both included, of a memory of ``2**log_depth``; or, without
    ``used``, none."""

    def __init__(self, log_depth: int) -> None:
        super().__init__({"used": 1, "low": log_depth, "high": log_depth})


class UopsLayout(data.StructLayout):
    """Micro-ops from ``low`` to the one before ``end``."""

    def __init__(self, log_depth: int) -> None:
        super().__init__({"low": log_depth, "end": log_depth + 1})


class FootprintLayout(data.StructLayout):
    """What an instruction touches: accumulators that it ``writes`` (and may read), accumulators
    that it only ``reads``, and ``uops``, which LOAD writes and GEMM and ALU read."""

    def __init__(self, isa: Isa) -> None:
        acc, uop = RangeLayout(isa.cfg.log_acc_depth), RangeLayout(isa.cfg.log_uop_depth)
        super().__init__({"writes": acc, "reads": acc, "uops": uop})


class Work(data.StructLayout):
    """An instruction, who executes it, and what it touches."""

    def __init__(self, isa: Isa) -> None:
        super().__init__({
            "insn": isa.memory.bits, "unit": Unit, "footprint": FootprintLayout(isa),
        })  # fmt: skip


def meet(one, other):
    """Whether two ranges have an entry in common."""
    return one.used & other.used & (one.low <= other.high) & (other.low <= one.high)


def conflict(new, new_unit, old, old_unit):
    """Whether an instruction must wait for one before it, which is of another unit."""
    touches_uops = (new_unit == Unit.LOAD) | (old_unit == Unit.LOAD)
    return (
        meet(new.writes, old.writes)
        | meet(new.writes, old.reads)
        | meet(new.reads, old.writes)
        | (touches_uops & meet(new.uops, old.uops))
    )


class Span(wiring.Component):
    """``span = a[0] * b[0] + a[1] * b[1] ...``, clipped: one product a cycle.

    Parameters
    ----------
    bits : int
        A product, or a sum, of ``2**bits - 1`` or more is given as some such value.

    Attributes
    ----------
    valid, a, b, second : In
        Factors of a product of the first or the second sum.
    clear : In
        Both sums begin again with the next product; nothing may be on its way.
    sums : Out
        Include a product from the third cycle after ``valid`` on.
    """

    FACTOR_BITS = 17
    LATENCY = 3

    def __init__(self, bits: int) -> None:
        self.bits = bits
        super().__init__({
            "valid": In(1), "second": In(1), "clear": In(1),
            "a": In(self.FACTOR_BITS), "b": In(self.FACTOR_BITS),
            "sums": Out(data.ArrayLayout(bits + 1, 2)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        a, b = Signal.like(self.a, reset_less=True), Signal.like(self.b, reset_less=True)
        product = Signal(2 * self.FACTOR_BITS, reset_less=True)
        there, times = Signal(2), Signal(2)  # which sum it is for, one bit each
        m.d.sync += [
            a.eq(self.a),
            b.eq(self.b),
            there.eq(Mux(self.valid, 1 << self.second, 0)),
            product.eq(a * b),
            times.eq(there),
        ]
        clipped = Mux(product[self.bits :].any(), (1 << self.bits) - 1, product[: self.bits])
        for n in range(2):
            with m.If(self.clear):
                m.d.sync += self.sums[n].eq(0)
            with m.Elif(times[n]):
                m.d.sync += self.sums[n].eq(self.sums[n] + clipped)
        return m


class Scan(wiring.Component):
    """The smallest and largest ``dst`` and ``src`` of a range of micro-ops.

    The last :attr:`ENTRIES` ranges are remembered.

    Attributes
    ----------
    start : In(1)
        Begin with the range ``low <= number < end``, which must not be empty; held until ``done``.
    wait : In(1)
        The range is not there yet: do not read.
    forget : In(1)
        Micro-ops will be loaded: remember nothing.
    done : Out(1)
        ``bounds`` are those of the range.
    bounds : Out
        ``dst_low``, ``dst_high``, ``src_low``, ``src_high``.
    read : Out(MicroOpReadSignature)
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
            "read": Out(MicroOpReadSignature(log_depth=log_depth, bits=uop.bits)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        begun, asks, arrives, fresh = Signal(), Signal(), Signal(), Signal()
        wanted = Signal.like(self.read.addr)
        number = Signal.like(wanted)
        lanes = log_lanes(self.isa.cfg.log_uop_depth)
        entry = data.StructLayout({
            "valid": 1, "low": len(self.low), "end": len(self.end), "bounds": self.bounds_layout,
        })  # fmt: skip
        entries = [Signal(entry, name=f"known{n}") for n in range(self.ENTRIES)]

        # Known, or read word by word.
        known = Signal()
        for one in entries:
            with m.If(one.valid & (one.low == self.low) & (one.end == self.end)):
                m.d.comb += [known.eq(1), self.bounds.eq(one.bounds)]
        bounds = Signal(self.bounds_layout)
        m.d.comb += [
            self.done.eq(self.start & known),
            self.read.en.eq(asks & ~self.wait),
            self.read.addr.eq(wanted),
        ]
        with m.If(~self.start | known):
            m.d.sync += begun.eq(0)
        with m.Elif(~begun):
            m.d.sync += [begun.eq(1), asks.eq(1), wanted.eq(self.low >> lanes)]
            for field in ("dst", "src"):
                m.d.sync += [bounds[f"{field}_low"].eq(~0), bounds[f"{field}_high"].eq(0)]
        with m.If(self.read.en & self.read.ready):
            m.d.sync += [
                number.eq(wanted),
                wanted.eq(wanted + 1),
                asks.eq(wanted != (self.end - 1) >> lanes),
            ]
        m.d.sync += [arrives.eq(self.read.en & self.read.ready), fresh.eq(arrives)]
        self._narrow(m, bounds, number, arrives, fresh)

        # The oldest entry is replaced.
        with m.If(begun & ~known & ~asks & ~arrives & ~fresh):
            m.d.sync += [
                entries[0].valid.eq(1),
                entries[0].low.eq(self.low),
                entries[0].end.eq(self.end),
                entries[0].bounds.eq(bounds),
                *(entries[n].eq(entries[n - 1]) for n in range(1, self.ENTRIES)),
            ]
        with m.If(self.forget):
            m.d.sync += [one.valid.eq(0) for one in entries]
        return m

    def _narrow(self, m: Module, bounds, number, arrives, fresh) -> None:
        """Takes a word into the bounds: a cycle in a register, then all lanes at once."""
        uop = layout_of(self.isa.uop)
        lanes = 1 << log_lanes(self.isa.cfg.log_uop_depth)
        word = Signal.like(self.read.data, reset_less=True)
        first = Signal(len(self.end), reset_less=True)  # number of the word's first micro-op
        with m.If(arrives):
            m.d.sync += [word.eq(self.read.data), first.eq(number * lanes)]
        inside = [(first + n >= self.low) & (first + n < self.end) for n in range(lanes)]
        uops = [data.View(uop, word.word_select(n, uop.size)) for n in range(lanes)]

        def smaller(x, y):
            return Mux(x < y, x, y)

        def larger(x, y):
            return Mux(x < y, y, x)

        for field in ("dst", "src"):
            low, high = bounds[f"{field}_low"], bounds[f"{field}_high"]
            lows = (Mux(there, item[field], ~0) for there, item in zip(inside, uops))
            highs = (Mux(there, item[field], 0) for there, item in zip(inside, uops))
            lows = (value[: len(low)] for value in lows)
            with m.If(fresh):
                m.d.sync += [
                    low.eq(reduce(smaller, lows, low)),
                    high.eq(reduce(larger, highs, high)),
                ]


class Footprints(wiring.Component):
    """Finds out what each instruction touches, while the ones before it wait or run.

    Attributes
    ----------
    insn : stream of words, in
        Legal instructions.
    work : stream of Work, out
        The same, in order, a few cycles later.
    uops : Out(UopsLayout)
        The micro-ops of the instruction at hand, if it has any.
    uops_pending : In(1)
        A LOAD that came out before is yet to write some of ``uops``; a cycle late.
    busy : Out(1)
        An instruction is at hand.
    uop_read : Out(MicroOpReadSignature)
        The micro-op SRAM.
    """

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        log_uop_depth = isa.cfg.log_uop_depth
        super().__init__({
            "insn": In(stream.Signature(isa.memory.bits)),
            "work": Out(stream.Signature(Work(isa))),
            "uops": Out(UopsLayout(log_uop_depth)), "uops_pending": In(1),
            "busy": Out(1),
            "uop_read": Out(MicroOpReadSignature(log_depth=log_uop_depth, bits=isa.uop.bits)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, isa = self.isa.cfg, self.isa
        word = Signal(isa.memory.bits, reset_less=True)
        unit = Signal(Unit)
        next_unit = Signal(Unit)
        taken, moves = Signal(), Signal()
        self._classify(m, self.insn.payload, next_unit)
        m.d.comb += [
            taken.eq(self.insn.valid & ~self.busy),
            self.insn.ready.eq(~self.busy),
        ]
        with m.If(taken):
            m.d.sync += [self.busy.eq(1), word.eq(self.insn.payload), unit.eq(next_unit)]
        with m.Elif(moves):
            m.d.sync += self.busy.eq(0)

        # The one at hand: its products, and its micro-ops.
        m.submodules.span = span = Span(max(cfg.log_acc_depth, cfg.log_uop_depth) + 1)
        m.submodules.scan = scan = Scan(isa)
        wiring.connect(m, scan.read, wiring.flipped(self.uop_read))
        load = data.View(layout_of(isa.memory), word)
        nest = data.View(layout_of(isa.alu), word)  # dst and src of GEMM are in the same places
        is_load = Signal()
        is_nest = Signal()
        one_row, two = Signal(), Signal()
        empty = (
            (nest.uop_bgn == nest.uop_end) | (nest.iter_out == 0) | (nest.iter_in == 0)
        )  # fmt: skip
        rows = load.y_pad_0 + load.y_size + load.y_pad_1
        columns = load.x_pad_0 + load.x_size + load.x_pad_1
        into_uops = load.memory == MemId.UOP
        known = Signal()  # it has been at hand for a cycle, so that its kind is in registers
        m.d.sync += [
            known.eq(self.busy & ~moves),
            is_load.eq((unit == Unit.LOAD) & (rows != 0)),
            one_row.eq((unit == Unit.LOAD) & (rows == 1)),
            is_nest.eq(((unit == Unit.GEMM) | (unit == Unit.ALU)) & ~empty),
            two.eq((unit == Unit.ALU) & ~nest.use_imm),
        ]
        m.d.comb += [
            self.uops.low.eq(nest.uop_bgn),
            self.uops.end.eq(nest.uop_end),
            scan.start.eq(known & is_nest),
            scan.wait.eq(self.uops_pending),
            scan.low.eq(nest.uop_bgn),
            scan.end.eq(nest.uop_end),
            scan.forget.eq(moves & (unit == Unit.LOAD) & into_uops),
        ]
        summed = self._multiply(m, span, taken, known, (is_load, one_row, is_nest, two), [
            (rows, columns),
            (nest.dst_factor_out, nest.iter_out - 1), (nest.dst_factor_in, nest.iter_in - 1),
            (nest.src_factor_out, nest.iter_out - 1), (nest.src_factor_in, nest.iter_in - 1),
        ])  # fmt: skip

        # It goes on a cycle after all is known, when the one before has gone.
        out, settled = self.work.payload, Signal()
        bounds, entries = Signal.like(scan.bounds), Signal(len(span.sums[0]))
        m.d.comb += moves.eq(settled & ~self.work.valid)
        m.d.sync += [
            settled.eq(known & ~moves & (~(is_load | is_nest) | (summed & (is_load | scan.done)))),
            bounds.eq(scan.bounds),
            entries.eq(Mux(one_row, columns, span.sums[0])),
        ]
        with m.If(self.work.ready):
            m.d.sync += self.work.valid.eq(0)
        with m.If(moves):
            m.d.sync += self.work.valid.eq(1)
            m.d.sync += [out.insn.eq(word), out.unit.eq(unit)]
            sums = span.sums
            transfer = (load.sram_base, load.sram_base + entries - 1)
            for target, used, (low, high) in (
                (out.footprint.writes, is_nest, (bounds.dst_low, bounds.dst_high + sums[0])),
                (out.footprint.reads, is_nest & two, (bounds.src_low, bounds.src_high + sums[1])),
                (out.footprint.uops, is_nest, (nest.uop_bgn, nest.uop_end - 1)),
            ):
                self._set(m, target, used, low, high)
            with m.If(is_load):
                self._set(m, out.footprint.writes, ~into_uops, *transfer)
                self._set(m, out.footprint.uops, into_uops, *transfer)
        return m

    def _classify(self, m: Module, word, unit) -> None:
        """The unit of an instruction."""
        insn = data.View(layout_of(self.isa.memory), word)
        with m.Switch(insn.opcode):
            with m.Case(Opcode.GEMM):
                m.d.comb += unit.eq(Unit.GEMM)
            with m.Case(Opcode.ALU):
                m.d.comb += unit.eq(Unit.ALU)
            with m.Case(Opcode.LOAD):
                m.d.comb += unit.eq(Mux(insn.x_size == 0, Unit.NONE, Unit.LOAD))
            with m.Default():
                m.d.comb += unit.eq(Unit.NONE)

    @staticmethod
    def _set(m: Module, target, used, low, high) -> None:
        """Sets a range; what is beyond its memory counts as its last entry."""
        m.d.sync += target.used.eq(used)
        for field, value in ((target.low, low), (target.high, high)):
            beyond = value[len(field) :]
            m.d.sync += field.eq(Mux(beyond.any(), ~0, value) if len(beyond) else value)

    def _multiply(self, m: Module, span: Span, taken, known, kinds, products):
        """Feeds the factors of the products one by one: the first for a LOAD of several rows, else
        two or four of the others. Gives whether all are summed.
        """
        is_load, one_row, is_nest, two = kinds
        step, last = Signal(range(len(products) + Span.LATENCY)), Signal(2)
        summed = Signal()
        m.d.comb += [
            last.eq(Mux(is_load, 0, Mux(two, 3, 1))),
            summed.eq((step == last + Span.LATENCY) | one_row),
            span.clear.eq(taken),
            span.valid.eq(known & ((is_load & ~one_row) | is_nest) & (step <= last)),
            span.second.eq(step[1]),
        ]
        with m.If(taken):
            m.d.sync += step.eq(0)
        with m.Elif(known & ~summed):
            m.d.sync += step.eq(step + 1)
        transfer, *nest = products
        with m.If(is_load):
            m.d.comb += [span.a.eq(transfer[0]), span.b.eq(transfer[1])]
        with m.Else(), m.Switch(step):
            for number, (a, b) in enumerate(nest):
                with m.Case(number):
                    m.d.comb += [span.a.eq(a), span.b.eq(b)]
        return summed
