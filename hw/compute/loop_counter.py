"""The loop counters of GEMM and ALU instructions, and the index offsets that follow them.

``for o < iter_out: for i < iter_in: for u in [uop_bgn, uop_end): offset = o * factor_out
+ i * factor_in``, for each index of a micro-op

There is no multiplier: an offset grows by a factor when its loop advances. An offset has one bit
more than its factors. That is enough: the first index beyond its memory stops the sequencer, and
while all indices are inside, an offset is below the depth of the memory and so is the factor that
is added to it.

No comparison is in the path from one instruction to the next, or from one iteration to the next:

=====  ===========================================================================
cycle  of an instruction
=====  ===========================================================================
0      ``insn`` is accepted
1      the instruction is in the decoded loop register: last-iteration values are known
2      the counters hold the first micro-op, and the flags of the last iterations
=====  ===========================================================================

The loop counter does not read micro-ops and does not check indices; see
:mod:`vta.hw.compute.sequencer`.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.config import ITER_BITS
from vta.hw.interfaces import layout_of
from vta.isa import Format

__all__ = ["DecodedLoop", "IndexOffset", "LoopCounter"]


class DecodedLoop(data.StructLayout):
    """An instruction with its loop limits.

    ``empty``: the instruction executes no micro-op. For each loop (``u``, ``i``, ``o``):
    ``single_*``: the first iteration is the last; ``second_last_*``: otherwise, the counter value
    in the iteration before the last.
    """

    def __init__(self, insn: Format) -> None:
        super().__init__({
            "insn": layout_of(insn), "empty": 1, "single_u": 1, "single_i": 1, "single_o": 1,
            "second_last_u": insn["uop_bgn"].width, "second_last_i": ITER_BITS,
            "second_last_o": ITER_BITS,
        })  # fmt: skip


class LoopCounter(wiring.Component):
    """Counts through the loops of one instruction after the other, without a gap.

    Parameters
    ----------
    insn : Format
        Layout of the instruction.

    Attributes
    ----------
    insn : stream of the instruction's layout, in
        Legal instructions. One instruction is accepted while the older one executes.
    advance : In(1)
        The consumer takes the current micro-op.
    current_insn : out
        The instruction of the current micro-op.
    valid, empty, last : Out(1)
        ``valid``: there is a current micro-op. ``empty``: a placeholder for an instruction without
        micro-ops. ``last``: the last micro-op of its instruction.
    u : out
        The number of the current micro-op in the micro-op SRAM.
    last_pass : Out(1)
        The loops ``i`` and ``o`` are in their last iterations.
    next_valid, next_insn : out
        The instruction that executes next.
    clear, step_in, step_out : Out(1)
        Updates of the offsets (:class:`IndexOffset`) at the end of this cycle.
    """

    LATENCY = 2
    """Cycles from ``insn`` to the first micro-op."""

    def __init__(self, insn: Format) -> None:
        self.format = insn
        super().__init__({
            "insn": In(stream.Signature(layout_of(insn))),
            "advance": In(1),
            "current_insn": Out(layout_of(insn)),
            "valid": Out(1), "empty": Out(1), "last": Out(1), "last_pass": Out(1),
            "u": Out(insn["uop_bgn"].width),
            "next_valid": Out(1), "next_insn": Out(layout_of(insn)),
            "clear": Out(1), "step_in": Out(1), "step_out": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        next_loop = Signal(DecodedLoop(self.format))
        loop = Signal(DecodedLoop(self.format))
        self._decode(m, next_loop)

        i = Signal(ITER_BITS)
        o = Signal(ITER_BITS)
        last_u = Signal()
        last_i = Signal()
        last_o = Signal()
        step = Signal()
        m.d.comb += [
            self.current_insn.eq(loop.insn),
            self.empty.eq(loop.empty),
            step.eq(self.valid & self.advance),
            self.last_pass.eq(last_i & last_o),
            self.last.eq(self.empty | (last_u & self.last_pass)),
            self.step_in.eq(step & last_u),
            self.step_out.eq(step & last_u & last_i),
            self.clear.eq(self.next_valid & (~self.valid | (step & self.last))),
        ]
        with m.If(self.clear):
            m.d.sync += [
                loop.eq(next_loop), self.valid.eq(1),
                self.u.eq(next_loop.insn.uop_bgn), i.eq(0), o.eq(0),
                last_u.eq(next_loop.single_u), last_i.eq(next_loop.single_i),
                last_o.eq(next_loop.single_o),
            ]  # fmt: skip
        with m.Elif(step):
            m.d.sync += self.valid.eq(~self.last)
            with m.If(last_u):
                m.d.sync += [self.u.eq(loop.insn.uop_bgn), last_u.eq(loop.single_u)]
                with m.If(last_i):
                    m.d.sync += [i.eq(0), last_i.eq(loop.single_i)]
                    m.d.sync += [o.eq(o + 1), last_o.eq(o == loop.second_last_o)]
                with m.Else():
                    m.d.sync += [i.eq(i + 1), last_i.eq(i == loop.second_last_i)]
            with m.Else():
                m.d.sync += [self.u.eq(self.u + 1), last_u.eq(self.u == loop.second_last_u)]
        return m

    def _decode(self, m: Module, next_loop) -> None:
        """Accepts the next instruction into the register ``next_loop``, with its limits."""
        insn = self.insn.payload
        m.d.comb += [
            self.next_insn.eq(next_loop.insn),
            self.insn.ready.eq(~self.next_valid | self.clear),
        ]
        with m.If(self.insn.ready):
            m.d.sync += [
                self.next_valid.eq(self.insn.valid),
                next_loop.insn.eq(insn),
                next_loop.empty.eq(
                    (insn.uop_bgn == insn.uop_end) | (insn.iter_out == 0) | (insn.iter_in == 0)
                ),
                next_loop.single_u.eq(insn.uop_bgn + 1 == insn.uop_end),
                next_loop.single_i.eq(insn.iter_in == 1),
                next_loop.single_o.eq(insn.iter_out == 1),
                next_loop.second_last_u.eq(insn.uop_end - 2),
                next_loop.second_last_i.eq(insn.iter_in - 2),
                next_loop.second_last_o.eq(insn.iter_out - 2),
            ]


class IndexOffset(wiring.Component):
    """``value = o * factor_out + i * factor_in``, exact up to the first value beyond the range of
    the factors.

    Attributes
    ----------
    clear, step_in, step_out : In(1)
        At the end of the cycle: ``clear`` sets o = i = 0; ``step_in`` increments i; ``step_out``
        increments o and sets i = 0. ``clear`` goes before ``step_out`` before ``step_in``.
    factor_out, factor_in : In
        Factors of the current instruction.
    value : Out
        The offset of the current micro-op.
    """

    def __init__(self, factor_bits: int) -> None:
        super().__init__({
            "clear": In(1), "step_in": In(1), "step_out": In(1),
            "factor_out": In(factor_bits), "factor_in": In(factor_bits),
            "value": Out(factor_bits + 1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        outer = Signal.like(self.value)
        with m.If(self.clear):
            m.d.sync += [outer.eq(0), self.value.eq(0)]
        with m.Elif(self.step_out):
            m.d.sync += [
                outer.eq(outer + self.factor_out),
                self.value.eq(outer + self.factor_out),
            ]
        with m.Elif(self.step_in):
            m.d.sync += self.value.eq(self.value + self.factor_in)
        return m
