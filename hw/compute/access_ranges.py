"""What an instruction of the compute module touches: ranges of accumulators and of micro-ops.

GEMM and ALU, over the micro-ops ``u`` of the instruction:
``low = min u.dst``, ``high = max u.dst + (iter_out - 1) * factor_out + (iter_in - 1) * factor_in``

LOAD: ``low = sram_base``, ``high = low + (rows with padding) * (columns with padding) - 1``

A range is everything from the lowest to the highest entry: too large now and then, never too small.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.uop_bounds import UopBounds
from vta.hw.compute.uop_memory import UopReadSignature
from vta.hw.interfaces import layout_of
from vta.isa import Isa, MemId, Opcode

__all__ = [
    "AccessRanges",
    "AccessRangesLayout",
    "ExecutionUnit",
    "IssueRequest",
    "RangeLayout",
    "UopRangeLayout",
    "conflict",
    "meet",
]


class ExecutionUnit(enum.Enum, shape=2):
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


class UopRangeLayout(data.StructLayout):
    """Micro-ops from ``low`` to the one before ``end``."""

    def __init__(self, log_depth: int) -> None:
        super().__init__({"low": log_depth, "end": log_depth + 1})


class AccessRangesLayout(data.StructLayout):
    """What an instruction touches: accumulators that it ``writes`` (and may read), accumulators
    that it only ``reads``, and ``uops``, which LOAD writes and GEMM and ALU read."""

    def __init__(self, isa: Isa) -> None:
        acc, uop = RangeLayout(isa.cfg.log_acc_depth), RangeLayout(isa.cfg.log_uop_depth)
        super().__init__({"writes": acc, "reads": acc, "uops": uop})


class IssueRequest(data.StructLayout):
    """An instruction, who executes it, and what it touches."""

    def __init__(self, isa: Isa) -> None:
        super().__init__({
            "insn": isa.memory.bits, "unit": ExecutionUnit, "footprint": AccessRangesLayout(isa),
        })  # fmt: skip


def meet(one, other):
    """Whether two ranges have an entry in common."""
    return one.used & other.used & (one.low <= other.high) & (other.low <= one.high)


def conflict(new, new_unit, old, old_unit):
    """Whether an instruction must wait for one before it, which is of another unit."""
    touches_uops = (new_unit == ExecutionUnit.LOAD) | (old_unit == ExecutionUnit.LOAD)
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
        a = Signal.like(self.a, reset_less=True)
        b = Signal.like(self.b, reset_less=True)
        product = Signal(2 * self.FACTOR_BITS, reset_less=True)
        # Which sum it is for, one bit each.
        there = Signal(2)
        times = Signal(2)
        m.d.sync += [
            a.eq(self.a),
            b.eq(self.b),
            there.eq(Mux(self.valid, 1 << self.second, 0)),
            product.eq(a * b),
            times.eq(there),
        ]
        for n in range(2):
            with m.If(self.clear):
                m.d.sync += self.sums[n].eq(0)
            with m.Elif(times[n]):
                m.d.sync += self.sums[n].eq(self.sums[n] + _clipped(product, self.bits))
        return m


def _clipped(value, bits: int):
    """``value``, or the largest number of so many bits if it has more."""
    return Mux(value[bits:].any(), (1 << bits) - 1, value[:bits]) if len(value) > bits else value


class _Exact:
    """A range before it is clipped to its memory, in registers; its ends have so many bits."""

    def __init__(self, name: str, bits: int) -> None:
        self.used = Signal(name=f"{name}_used")
        self.low, self.high = (
            Signal(bits, name=f"{name}_{end}", reset_less=True) for end in ("low", "high")
        )

    def set(self, used, low, high) -> list:
        """Assignments."""
        return [self.used.eq(used), self.low.eq(low), self.high.eq(high)]

    def clip_into(self, target) -> list:
        """Assignments to a range; what is beyond its memory counts as its last entry."""
        low, high = (_clipped(value, len(target.low)) for value in (self.low, self.high))
        return [target.used.eq(self.used), target.low.eq(low), target.high.eq(high)]


class AccessRanges(wiring.Component):
    """Finds out what each instruction touches, while the ones before it wait or run.

    Attributes
    ----------
    insn : stream of words, in
        Legal instructions.
    work : stream of IssueRequest, out
        The same, in order, a few cycles later.
    uops : Out(UopRangeLayout)
        The micro-ops of the instruction at hand, if it has any.
    uops_pending : In(1)
        A LOAD that came out before is yet to write some of ``uops``; a cycle late.
    busy : Out(1)
        An instruction is at hand.
    uop_read : Out(UopReadSignature)
        The micro-op SRAM.
    """

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        log_uop_depth = isa.cfg.log_uop_depth
        super().__init__({
            "insn": In(stream.Signature(isa.memory.bits)),
            "work": Out(stream.Signature(IssueRequest(isa))),
            "uops": Out(UopRangeLayout(log_uop_depth)), "uops_pending": In(1),
            "busy": Out(1),
            "uop_read": Out(UopReadSignature(log_depth=log_uop_depth, bits=isa.uop.bits)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, isa = self.isa.cfg, self.isa
        word = Signal(isa.memory.bits, reset_less=True)
        unit = Signal(ExecutionUnit)
        next_unit = Signal(ExecutionUnit)
        at_hand = Signal()
        taken = Signal()
        moves = Signal()
        x_pads = Signal(5, reset_less=True)
        y_pads = Signal(5, reset_less=True)
        self._classify(m, self.insn.payload, next_unit)
        m.d.comb += [taken.eq(self.insn.valid & ~at_hand), self.insn.ready.eq(~at_hand)]
        with m.If(taken):
            new = data.View(layout_of(isa.memory), self.insn.payload)
            m.d.sync += [
                at_hand.eq(1), word.eq(self.insn.payload), unit.eq(next_unit),
                x_pads.eq(new.x_pad_0 + new.x_pad_1), y_pads.eq(new.y_pad_0 + new.y_pad_1),
            ]  # fmt: skip
        with m.Elif(moves):
            m.d.sync += at_hand.eq(0)

        # The one at hand: its products, and its micro-ops.
        m.submodules.span = span = Span(max(cfg.log_acc_depth, cfg.log_uop_depth) + 1)
        m.submodules.scan = scan = UopBounds(isa)
        wiring.connect(m, scan.read, wiring.flipped(self.uop_read))
        load = data.View(layout_of(isa.memory), word)
        nest = data.View(layout_of(isa.alu), word)  # dst and src of GEMM are in the same places
        is_load = Signal()
        is_nest = Signal()
        one_row = Signal()
        two = Signal()
        rows = Signal(17, reset_less=True)
        columns = Signal(17, reset_less=True)
        empty = (
            (nest.uop_bgn == nest.uop_end) | (nest.iter_out == 0) | (nest.iter_in == 0)
        )  # fmt: skip
        into_uops = load.memory == MemId.UOP
        known = Signal()  # it has been at hand for a cycle, so that its kind is in registers
        m.d.sync += [
            known.eq(at_hand & ~moves),
            is_load.eq((unit == ExecutionUnit.LOAD) & ((load.y_size != 0) | (y_pads != 0))),
            one_row.eq(
                (unit == ExecutionUnit.LOAD) & (load.y_size < 2) & (load.y_size[0] + y_pads == 1)
            ),
            is_nest.eq(((unit == ExecutionUnit.GEMM) | (unit == ExecutionUnit.ALU)) & ~empty),
            two.eq((unit == ExecutionUnit.ALU) & ~nest.use_imm),
            rows.eq(load.y_size + y_pads),
            columns.eq(load.x_size + x_pads),
        ]
        m.d.comb += [
            self.uops.low.eq(nest.uop_bgn),
            self.uops.end.eq(nest.uop_end),
            scan.start.eq(known & is_nest),
            scan.wait.eq(self.uops_pending),
            scan.low.eq(nest.uop_bgn),
            scan.end.eq(nest.uop_end),
            scan.forget.eq(moves & (unit == ExecutionUnit.LOAD) & into_uops),
        ]
        summed = self._multiply(m, span, taken, known, (is_load, one_row, is_nest, two), [
            (rows, columns),
            (nest.dst_factor_out, nest.iter_out - 1), (nest.dst_factor_in, nest.iter_in - 1),
            (nest.src_factor_out, nest.iter_out - 1), (nest.src_factor_in, nest.iter_in - 1),
        ])  # fmt: skip

        # It goes on a cycle after all is known, when the one before has gone: its ranges are summed
        # up in that cycle and clipped in the next.
        out = self.work.payload
        settled = Signal()
        ranged = Signal()
        bounds = Signal.like(scan.bounds)
        more = Signal(len(span.sums[0]))
        m.d.comb += [moves.eq(settled & ~self.work.valid & ~ranged), self.busy.eq(at_hand | ranged)]
        m.d.sync += [
            settled.eq(known & ~moves & (~(is_load | is_nest) | (summed & (is_load | scan.done)))),
            bounds.eq(scan.bounds),
            more.eq(Mux(one_row, _clipped(columns, span.bits), span.sums[0]) - 1),
            ranged.eq(moves),
        ]
        reach = max(len(load.sram_base), len(more)) + 1  # bits of a base and what is added to it
        exact = {name: _Exact(name, reach) for name in ("writes", "reads", "uops")}
        with m.If(moves):
            sums, transfer = span.sums, (load.sram_base, load.sram_base + more)
            m.d.sync += [
                out.insn.eq(word),
                out.unit.eq(unit),
                *exact["writes"].set(is_nest, bounds.dst_low, bounds.dst_high + sums[0]),
                *exact["reads"].set(is_nest & two, bounds.src_low, bounds.src_high + sums[1]),
                *exact["uops"].set(is_nest, nest.uop_bgn, nest.uop_end - 1),
            ]
            with m.If(is_load):
                m.d.sync += [
                    *exact["writes"].set(~into_uops, *transfer),
                    *exact["uops"].set(into_uops, *transfer),
                ]
        with m.If(self.work.ready):
            m.d.sync += self.work.valid.eq(0)
        with m.If(ranged):
            m.d.sync += self.work.valid.eq(1)
            for name, ends in exact.items():
                m.d.sync += ends.clip_into(out.footprint[name])
        return m

    def _classify(self, m: Module, word, unit) -> None:
        """The unit of an instruction."""
        insn = data.View(layout_of(self.isa.memory), word)
        with m.Switch(insn.opcode):
            with m.Case(Opcode.GEMM):
                m.d.comb += unit.eq(ExecutionUnit.GEMM)
            with m.Case(Opcode.ALU):
                m.d.comb += unit.eq(ExecutionUnit.ALU)
            with m.Case(Opcode.LOAD):
                m.d.comb += unit.eq(Mux(insn.x_size == 0, ExecutionUnit.NONE, ExecutionUnit.LOAD))
            with m.Default():
                m.d.comb += unit.eq(ExecutionUnit.NONE)

    def _multiply(self, m: Module, span: Span, taken, known, kinds, products):
        """Feeds the factors of the products one by one: the first for a LOAD of several rows, else
        two or four of the others. Gives whether all are summed.
        """
        is_load, one_row, is_nest, two = kinds
        step = Signal(range(len(products) + Span.LATENCY))
        last = Signal(2)
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
