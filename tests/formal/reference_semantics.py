"""What an instruction of the compute module touches, by the contract, for proofs: the word may have
any value, but its loops and rows are small."""

from amaranth.hdl import Assert, Cat, Mux, Signal
from amaranth.lib.data import View

from vta.config import VTAConfig
from vta.hw.compute.access_ranges import ExecutionUnit
from vta.hw.interfaces import layout_of
from vta.isa import Isa, MemId, Opcode

__all__ = ["ISA", "LOG_UOP", "ROUNDS", "SIZES", "Meaning", "clip"]

CFG = VTAConfig.preset("tiny").replace(log_acc_buff_size=7, log_uop_buff_size=5)
"""With 8 accumulators and 8 micro-ops, in two words."""
ISA = Isa.of(CFG)
LOG_ACC, LOG_UOP = CFG.log_acc_depth, CFG.log_uop_depth
SIZES = {"y_size": 3, "x_size": 3, "y_pad_0": 2, "y_pad_1": 2, "x_pad_0": 2, "x_pad_1": 2}
"""Bits of the sizes of a LOAD that may have any value; the others are 0."""
ROUNDS = 3
"""The same of the rounds of a loop; the factors have all of theirs."""


def clip(place, bits):
    """``place``, or the largest number of so many bits if it has more."""
    return Mux(place >> bits != 0, (1 << bits) - 1, place[:bits])


class Meaning:
    """What a word says, by the contract: of the place that is looked at, and as a whole.

    A nest ``runs`` with ``factors`` of its products; ``two`` operands; ``has_u``: the micro-op,
    ``alone`` if it is the only one, which says where the ranges end.
    ``looks`` at ``dst`` and ``src``. A LOAD ``moves`` rows and columns ``into_uops`` or
    accumulators, up to ``last``; ``loads_u``: over the micro-op; ``writes``: at ``place``.
    """

    def __init__(self, m, word, places, uop, name):
        load, nest = (View(layout_of(one), word) for one in (ISA.memory, ISA.alu))
        self.load, self.nest = load, nest
        o, i, u, r, c = places
        is_load = load.opcode == Opcode.LOAD
        self.is_nest = (nest.opcode == Opcode.GEMM) | (nest.opcode == Opcode.ALU)
        fits = (load[name] >> bits == 0 for name, bits in SIZES.items())
        kinds = (load.memory == one for one in (MemId.UOP, MemId.ACC, MemId.ACC_8BIT))
        self.legal = Mux(
            is_load, Cat(fits).all() & Cat(kinds).any(),
            (nest.opcode == Opcode.FINISH) | self.is_nest
            & (nest.iter_out >> ROUNDS == 0) & (nest.iter_in >> ROUNDS == 0)
            & (nest.uop_bgn <= nest.uop_end) & (nest.uop_end <= 1 << LOG_UOP),
        )  # fmt: skip
        other = Mux(
            is_load & (load.x_size != 0), ExecutionUnit.LOAD.value, ExecutionUnit.NONE.value
        )
        alu = Mux(load.opcode == Opcode.ALU, ExecutionUnit.ALU.value, other)
        self.unit = Mux(load.opcode == Opcode.GEMM, ExecutionUnit.GEMM.value, alu)

        def signal(what, bits, value):
            held = Signal(bits, name=f"{name}_{what}")
            m.d.comb += held.eq(value)
            return held

        size = {field: load[field][:bits] for field, bits in SIZES.items()}
        self.rows = signal("rows", 4, size["y_pad_0"] + size["y_size"] + size["y_pad_1"])
        self.columns = signal("columns", 4, size["x_pad_0"] + size["x_size"] + size["x_pad_1"])
        self.places = signal("places", 8, self.rows * self.columns)
        self.moves = signal("moves", 1, is_load & (load.x_size != 0) & (self.rows != 0))
        self.into_uops = load.memory == MemId.UOP
        self.place = signal("place", 18, load.sram_base + r * self.columns + c)
        self.last = signal("last", 18, load.sram_base + self.places - 1)
        self.writes = signal("writes", 1, self.moves & (r < self.rows) & (c < self.columns))
        over_u = (load.sram_base <= u) & (u <= self.last)
        self.loads_u = signal("loads_u", 1, self.moves & self.into_uops & over_u)

        outer, inner = nest.iter_out[:ROUNDS], nest.iter_in[:ROUNDS]
        some = (outer != 0) & (inner != 0) & (nest.uop_bgn != nest.uop_end)
        self.runs = signal("runs", 1, self.is_nest & some)
        self.two = signal("two", 1, (nest.opcode == Opcode.ALU) & ~nest.use_imm)
        has_u = (nest.uop_bgn <= u) & (u < nest.uop_end)
        self.has_u = signal("has_u", 1, self.runs & has_u)
        self.alone = signal("alone", 1, self.has_u & (nest.uop_bgn + 1 == nest.uop_end))
        self.looks = signal("looks", 1, self.has_u & (o < outer) & (i < inner))
        rounds = [signal(f"round{n}", ROUNDS, loop - 1) for n, loop in enumerate((outer, inner))]
        self.factors = [
            (factor, last_round)
            for side in ("dst", "src")
            for factor, last_round in zip(
                (nest[f"{side}_factor_out"], nest[f"{side}_factor_in"]), rounds
            )
        ]
        self.dst, self.src = (
            signal(side, 8, uop[side] + o * nest[f"{side}_factor_out"]
                   + i * nest[f"{side}_factor_in"])
            for side in ("dst", "src")
        )  # fmt: skip
        dst, src = (
            tuple(
                clip(end, LOG_ACC)
                for end in (uop[side], uop[side] + sum(a * b for a, b in factors))
            )
            for side, factors in (("dst", self.factors[:2]), ("src", self.factors[2:]))
        )
        self.alone_ends = dst, src

    def check(self, m, ranges, clipped=lambda end, bits: end):
        """Asserts that ``ranges`` hold what is looked at, that what is known of their ends is
        right, and that there are no others."""
        load, nest = self.load, self.nest
        writes, reads, uops = (
            (ranges[name].used, clipped(ranges[name].low, bits), clipped(ranges[name].high, bits))
            for name, bits in (("writes", LOG_ACC), ("reads", LOG_ACC), ("uops", LOG_UOP))
        )

        def holds(one, place, bits):
            used, low, high = one
            return used & (low <= clip(place, bits)) & (clip(place, bits) <= high)

        def ends(one, low, high):
            return ~one[0] | ((one[1] == low) & (one[2] == high))

        into_acc = self.moves & ~self.into_uops
        m.d.comb += [
            Assert(writes[0] == (self.runs | into_acc)),
            Assert(reads[0] == (self.runs & self.two)),
            Assert(uops[0] == (self.runs | (self.moves & self.into_uops))),
            Assert(~self.looks | holds(writes, self.dst, LOG_ACC)),
            Assert(~(self.looks & self.two) | holds(reads, self.src, LOG_ACC)),
            Assert(~self.alone | ends(writes, *self.alone_ends[0])),
            Assert(~(self.alone & self.two) | ends(reads, *self.alone_ends[1])),
            Assert(~self.has_u | ends(uops, nest.uop_bgn, nest.uop_end - 1)),
        ]
        for one, mine, bits in (
            (writes, into_acc, LOG_ACC), (uops, self.moves & self.into_uops, LOG_UOP),
        ):  # fmt: skip
            m.d.comb += [
                Assert(~(self.writes & mine) | holds(one, self.place, bits)),
                Assert(~mine | ends(one, clip(load.sram_base, bits), clip(self.last, bits))),
            ]
