"""The accesses of an instruction of the compute module, by the specification: for proofs. An
instruction word may have any value, but its loops and rows are short."""

from dataclasses import dataclass, field

from amaranth.hdl import Assert, Cat, Mux, Signal
from amaranth.lib.data import View

from vta.config import VTAConfig
from vta.hw.compute.issue_request import ExecutionUnit
from vta.hw.interfaces import layout_of
from vta.isa import Isa, MemId, Opcode

__all__ = ["ISA", "LOG_UOP", "Point", "ReferenceAccess", "clip"]

CFG = VTAConfig.preset("tiny").replace(log_acc_buff_size=7, log_uop_buff_size=5)
"""With 8 accumulators and 8 micro-ops, in two words."""
ISA = Isa.of(CFG)
LOG_ACC, LOG_UOP = CFG.log_acc_depth, CFG.log_uop_depth
DEPTHS = {"writes": LOG_ACC, "reads": LOG_ACC, "uops": LOG_UOP}
SIZE_BITS = {"y_size": 3, "x_size": 3, "y_pad_0": 2, "y_pad_1": 2, "x_pad_0": 2, "x_pad_1": 2}
"""Low bits of the sizes of a LOAD that may have any value; the others are 0."""
ITERATION_BITS = 3
"""The same of the iterations of a loop. Factors have all of their bits."""


@dataclass
class Point:
    """One place of the loops and of the rows, any: each access of an instruction is at some point.

    Iterations ``o`` and ``i`` of the loops, micro-op number ``u``, ``row`` and ``column``.
    """

    o: Signal = field(default_factory=lambda: Signal(ITERATION_BITS, name="o"))
    i: Signal = field(default_factory=lambda: Signal(ITERATION_BITS, name="i"))
    u: Signal = field(default_factory=lambda: Signal(LOG_UOP, name="u"))
    row: Signal = field(default_factory=lambda: Signal(4, name="row"))
    column: Signal = field(default_factory=lambda: Signal(4, name="column"))


def clip(value, bits):
    """``min(value, 2**bits - 1)``, in ``bits`` bits."""
    return Mux(value >> bits != 0, (1 << bits) - 1, value[:bits])


class ReferenceAccess:
    """The accesses of the instruction ``word``: at one point, and as a whole.

    Attributes
    ----------
    legal, unit
        Whether the word is a legal instruction within the limits of the proof; its unit.
    transfers, into_uops, rows, columns, size, last_entry
        A LOAD that writes, its memory, its size with padding, the last entry that it writes.
    writes_entry, entry, loads_uop
        Whether it writes ``entry`` at the point, and whether it writes the micro-op ``u``.
    executes, reads_src, factors
        A GEMM or ALU instruction that executes micro-ops; whether it has two operands; the factors
        of its four products.
    has_uop, only_uop, accesses, dst, src
        Whether ``u`` is one of its micro-ops, or the only one; whether it accesses ``dst`` and
        ``src`` at the point.
    """

    def __init__(self, m, word, point, uop, name):
        self.m, self.name = m, name
        self.load, self.loop = (View(layout_of(one), word) for one in (ISA.memory, ISA.alu))
        load, loop = self.load, self.loop
        self.is_load = load.opcode == Opcode.LOAD
        self.is_loop = (loop.opcode == Opcode.GEMM) | (loop.opcode == Opcode.ALU)
        load_or_none = Mux(
            self.is_load & (load.x_size != 0), ExecutionUnit.LOAD.value, ExecutionUnit.NONE.value
        )
        alu = Mux(load.opcode == Opcode.ALU, ExecutionUnit.ALU.value, load_or_none)
        self.unit = Mux(load.opcode == Opcode.GEMM, ExecutionUnit.GEMM.value, alu)
        self.legal = self._legal()
        self._describe_transfer(point)
        self._describe_loop(point, uop)

    def _signal(self, what, bits, value):
        signal = Signal(bits, name=f"{self.name}_{what}")
        self.m.d.comb += signal.eq(value)
        return signal

    def _legal(self):
        load, loop = self.load, self.loop
        short = (load[name] >> bits == 0 for name, bits in SIZE_BITS.items())
        memories = (load.memory == one for one in (MemId.UOP, MemId.ACC, MemId.ACC_8BIT))
        few = (loop.iter_out >> ITERATION_BITS == 0) & (loop.iter_in >> ITERATION_BITS == 0)
        uops = (loop.uop_bgn <= loop.uop_end) & (loop.uop_end <= 1 << LOG_UOP)
        return Mux(
            self.is_load,
            Cat(short).all() & Cat(memories).any(),
            (loop.opcode == Opcode.FINISH) | (self.is_loop & few & uops),
        )

    def _describe_transfer(self, point):
        load, signal = self.load, self._signal
        size = {name: load[name][:bits] for name, bits in SIZE_BITS.items()}
        self.rows = signal("rows", 4, size["y_pad_0"] + size["y_size"] + size["y_pad_1"])
        self.columns = signal("columns", 4, size["x_pad_0"] + size["x_size"] + size["x_pad_1"])
        self.size = signal("size", 8, self.rows * self.columns)
        self.transfers = signal(
            "transfers", 1, self.is_load & (load.x_size != 0) & (self.rows != 0)
        )
        self.into_uops = load.memory == MemId.UOP
        self.last_entry = signal("last_entry", 18, load.sram_base + self.size - 1)
        self.entry = signal("entry", 18, load.sram_base + point.row * self.columns + point.column)
        self.writes_entry = signal(
            "writes_entry", 1,
            self.transfers & (point.row < self.rows) & (point.column < self.columns),
        )  # fmt: skip
        over_uop = (load.sram_base <= point.u) & (point.u <= self.last_entry)
        self.loads_uop = signal("loads_uop", 1, self.transfers & self.into_uops & over_uop)

    def _describe_loop(self, point, uop):
        loop, signal = self.loop, self._signal
        iter_out, iter_in = loop.iter_out[:ITERATION_BITS], loop.iter_in[:ITERATION_BITS]
        iterates = (iter_out != 0) & (iter_in != 0) & (loop.uop_bgn != loop.uop_end)
        self.executes = signal("executes", 1, self.is_loop & iterates)
        self.reads_src = signal("reads_src", 1, (loop.opcode == Opcode.ALU) & ~loop.use_imm)
        has_uop = (loop.uop_bgn <= point.u) & (point.u < loop.uop_end)
        self.has_uop = signal("has_uop", 1, self.executes & has_uop)
        self.only_uop = signal("only_uop", 1, self.has_uop & (loop.uop_bgn + 1 == loop.uop_end))
        self.accesses = signal(
            "accesses", 1, self.has_uop & (point.o < iter_out) & (point.i < iter_in)
        )
        last_o = signal("last_o", ITERATION_BITS, iter_out - 1)
        last_i = signal("last_i", ITERATION_BITS, iter_in - 1)
        self.factors, self.ends_of_only_uop = [], {}
        for side in ("dst", "src"):
            out, inner = loop[f"{side}_factor_out"], loop[f"{side}_factor_in"]
            self.factors += [(out, last_o), (inner, last_i)]
            at_point = uop[side] + point.o * out + point.i * inner
            setattr(self, side, signal(side, 8, at_point))
            high = uop[side] + out * last_o + inner * last_i
            self.ends_of_only_uop[side] = clip(uop[side], LOG_ACC), clip(high, LOG_ACC)

    def check(self, ranges, clipped=lambda end, bits: end):
        """Asserts that ``ranges`` contain the accesses at the point, that no other range is used,
        and that the ends are exact where the watched micro-op is the only one.

        ``clipped(end, bits)`` is applied to the ends of ``ranges`` first.
        """
        m, loop = self.m, self.loop
        used = {name: ranges[name].used for name in DEPTHS}
        ends = {
            name: (clipped(ranges[name].low, bits), clipped(ranges[name].high, bits))
            for name, bits in DEPTHS.items()
        }

        def contains(name, entry):
            low, high = ends[name]
            place = clip(entry, DEPTHS[name])
            return used[name] & (low <= place) & (place <= high)

        def exact(name, low, high):
            return ~used[name] | ((ends[name][0] == low) & (ends[name][1] == high))

        into = {
            "writes": self.transfers & ~self.into_uops, "uops": self.transfers & self.into_uops,
        }  # fmt: skip
        two_operands = self.only_uop & self.reads_src
        m.d.comb += [
            Assert(used["writes"] == (self.executes | into["writes"])),
            Assert(used["reads"] == (self.executes & self.reads_src)),
            Assert(used["uops"] == (self.executes | into["uops"])),
            Assert(~self.accesses | contains("writes", self.dst)),
            Assert(~(self.accesses & self.reads_src) | contains("reads", self.src)),
            Assert(~self.only_uop | exact("writes", *self.ends_of_only_uop["dst"])),
            Assert(~two_operands | exact("reads", *self.ends_of_only_uop["src"])),
            Assert(~self.has_uop | exact("uops", loop.uop_bgn, loop.uop_end - 1)),
        ]
        for name, transfers in into.items():
            low, high = (clip(end, DEPTHS[name]) for end in (self.load.sram_base, self.last_entry))
            m.d.comb += [
                Assert(~(self.writes_entry & transfers) | contains(name, self.entry)),
                Assert(~transfers | exact(name, low, high)),
            ]
