"""The micro-op sequencer: the loop nest of GEMM and ALU, one micro-op a cycle.

``for o < iter_out: for i < iter_in: for u in [uop_bgn, uop_end):``
``    index = uop[u].index + o * factor_out + i * factor_in``, for each index (dst, src, wgt)

There is no multiplier: an offset moves by a factor when its loop moves by one. Sums are exact as
far as anyone looks: the first index beyond its memory of ``depth`` elements stops the sequencer,
so every offset before it is below ``depth``, and as a factor is below ``depth`` too, the offset
that goes too far is below ``2 * depth``. One bit more than an index holds it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.config import ITER_BITS
from vta.hw.interfaces import ErrorLayout, layout_of
from vta.hw.microops import MicroOpBuffer, log_lanes, micro_op_ports
from vta.isa import Format
from vta.memmap import ErrorCode, Source

__all__ = ["Index", "MicroOpLayout", "Offset", "Sequencer"]


@dataclass(frozen=True)
class Index:
    """One index of a micro-op.

    Attributes
    ----------
    name : str
        Its field in the micro-op; the instruction's factors are ``<name>_factor_out`` and
        ``<name>_factor_in``.
    log_depth : int
        log2 of the elements of the memory that it points into.
    unless : str or None
        A carried flag of the instruction with which the index is not used, and so not checked.
    """

    name: str
    log_depth: int
    unless: str | None = None


class MicroOpLayout(data.StructLayout):
    """A micro-op with its final indices, and ``insn``: fields of its instruction that go with it,
    ``last``: it ends the instruction, ``empty``: it only carries ``last`` and is not executed."""

    def __init__(self, insn: Format, indices: Sequence[Index], carried: Sequence[str]) -> None:
        fields = layout_of(insn)
        super().__init__({
            **{index.name: index.log_depth for index in indices},
            "insn": data.StructLayout({name: fields[name].shape for name in carried}),
            "empty": 1,
            "last": 1,
        })  # fmt: skip


class Offset(wiring.Component):
    """``value = o * factor_out + i * factor_in``, exact up to the first value beyond the factors'
    range.

    ``clear`` goes to o = i = 0, ``step_in`` to the next i, ``step_out`` to i = 0 of the next o.
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


class Nest(wiring.Component):
    """The loop counters: which micro-op is read, and how the offsets move after it.

    Parameters
    ----------
    insn : Format
        Layout of the instruction.

    Attributes
    ----------
    start : stream of the instruction's layout, in
        Taken when idle, or in the cycle in which the last micro-op of the one before moves on.
    advance : In(1)
        The micro-op may move on.
    insn : out
        The instruction of this micro-op.
    valid, empty, last : Out(1)
        There is a micro-op; it stands for an instruction without any; it is its instruction's
        last.
    u : out
        Its number in the micro-op SRAM.
    last_round : Out(1)
        The range of micro-ops is walked for the last time.
    clear, step_in, step_out : Out(1)
        How the offsets (:class:`Offset`) change at the end of this cycle.
    """

    def __init__(self, insn: Format) -> None:
        super().__init__({
            "start": In(stream.Signature(layout_of(insn))),
            "advance": In(1),
            "insn": Out(layout_of(insn)),
            "valid": Out(1), "empty": Out(1), "last": Out(1), "last_round": Out(1),
            "u": Out(insn["uop_bgn"].width),
            "clear": Out(1), "step_in": Out(1), "step_out": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        i, o = Signal(ITER_BITS), Signal(ITER_BITS)
        end_u, end_i, end_o, moves = Signal(), Signal(), Signal(), Signal()
        start, insn = self.start.payload, self.insn
        none = (start.uop_bgn == start.uop_end) | (start.iter_out == 0) | (start.iter_in == 0)
        m.d.comb += [
            end_u.eq(self.u + 1 == insn.uop_end),
            end_i.eq(i + 1 == insn.iter_in),
            end_o.eq(o + 1 == insn.iter_out),
            moves.eq(self.valid & self.advance),
            self.last_round.eq(end_i & end_o),
            self.last.eq(self.empty | (end_u & self.last_round)),
            self.step_in.eq(moves & end_u),
            self.step_out.eq(moves & end_u & end_i),
            self.start.ready.eq(~self.valid | (self.advance & self.last)),
            self.clear.eq(self.start.valid & self.start.ready),
        ]
        with m.If(self.clear):
            m.d.sync += [
                insn.eq(start), self.valid.eq(1), self.empty.eq(none),
                self.u.eq(start.uop_bgn), i.eq(0), o.eq(0),
            ]  # fmt: skip
        with m.Elif(moves):
            m.d.sync += [
                self.valid.eq(~self.last),
                self.u.eq(Mux(end_u, insn.uop_bgn, self.u + 1)),
            ]
            with m.If(end_u):
                m.d.sync += [i.eq(Mux(end_i, 0, i + 1)), o.eq(o + end_i)]
        return m


class Sequencer(wiring.Component):
    """Walks the loop nests of instructions, one after the other without a gap.

    Three stages move together: the loop counters choose the micro-op, the micro-op is added to its
    offsets, the sums are checked and offered.

    Parameters
    ----------
    insn, uop : Format
        Layouts of the instruction (``Isa.gemm`` or ``Isa.alu``) and of a micro-op.
    indices : sequence of Index
        What to compute.
    carried : sequence of str
        Fields of the instruction that each micro-op carries along.
    log_depth : int
        log2 of the micro-ops that the SRAM holds.

    Attributes
    ----------
    start : stream of the instruction's layout, in
        Legal instructions. The next is taken in the cycle in which the last micro-op of the one
        before is read. One without micro-ops takes a cycle and gives one ``empty`` item.
    uop_read, uop_changed, uop_changed_addr
        The micro-op SRAM (:class:`~vta.hw.microops.MicroOps`). A micro-op that is not there yet
        leaves a gap; reading ahead, across instructions too, sees to it that this is rare.
    op : stream of MicroOpLayout, out
        The first comes :attr:`LATENCY` cycles after the cycle in which ``start`` was taken.
    error : ErrorLayout, out
        SRAM_RANGE with the first index (in the order of ``indices``) that is beyond its memory.
        That micro-op and all after it do not come out; the sequencer must be reset.
    """

    LATENCY = 3

    def __init__(
        self, insn: Format, uop: Format, indices: Sequence[Index], carried: Sequence[str], *,
        log_depth: int,
    ) -> None:  # fmt: skip
        self.insn, self.uop, self.log_depth = insn, uop, log_depth
        self.indices, self.carried = tuple(indices), tuple(carried)
        assert all(index.unless is None or index.unless in carried for index in indices)
        super().__init__({
            "start": In(stream.Signature(layout_of(insn))),
            **micro_op_ports(log_depth=log_depth, bits=uop.bits),
            "op": Out(stream.Signature(MicroOpLayout(insn, indices, carried))),
            "error": Out(ErrorLayout()),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        advance = Signal()

        # The loop counters choose the micro-op; the offsets follow them.
        m.submodules.nest = nest = Nest(self.insn)
        wiring.connect(m, nest.start, wiring.flipped(self.start))
        buffer = self._buffer(m, nest)
        there = Signal()
        m.d.comb += [
            there.eq(nest.valid & (nest.empty | buffer.hit)),
            nest.advance.eq(advance & there),
        ]
        offsets = {index.name: self._offset(m, nest, index.name) for index in self.indices}

        # The micro-op is added to its offsets.
        uop = Signal(layout_of(self.uop), reset_less=True)
        layout = data.StructLayout({"insn": self.op.payload.insn.shape(), "empty": 1, "last": 1})
        read, summed = Signal(), Signal()
        read_with = Signal(layout, reset_less=True)
        summed_with = Signal(layout, reset_less=True)
        with m.If(advance):
            m.d.sync += [read.eq(there), summed.eq(read)]
            with m.If(there):
                m.d.sync += uop.eq(buffer.uop)
                m.d.sync += [read_with.empty.eq(nest.empty), read_with.last.eq(nest.last)]
                m.d.sync += [
                    read_with.insn[name].eq(nest.insn[name]) for name in self.carried
                ]  # fmt: skip
            with m.If(read):
                m.d.sync += summed_with.eq(read_with)
        sums = {}
        for name, now in offsets.items():
            offset = Signal.like(now, name=f"{name}_read_offset", reset_less=True)
            total = offset + uop[name]
            sums[name] = Signal(total.shape(), name=f"{name}_sum", reset_less=True)
            with m.If(advance & there):
                m.d.sync += offset.eq(now)
            with m.If(advance & read):
                m.d.sync += sums[name].eq(total)

        # It is offered if all of its indices are inside; else everything stops here.
        wrong = self._report(m, summed & ~summed_with.empty, summed_with.insn, sums)
        m.d.comb += [
            self.op.valid.eq(summed & ~wrong),
            self.op.payload.insn.eq(summed_with.insn),
            self.op.payload.empty.eq(summed_with.empty),
            self.op.payload.last.eq(summed_with.last),
            *(self.op.payload[name].eq(total) for name, total in sums.items()),
            advance.eq(~summed | (self.op.valid & self.op.ready)),
        ]
        return m

    def _buffer(self, m: Module, nest: Nest) -> MicroOpBuffer:
        """The micro-ops of the loop counters, and reading ahead in their order."""
        lanes = log_lanes(self.log_depth)
        m.submodules.buffer = buffer = MicroOpBuffer(
            log_depth=self.log_depth, bits=self.uop.bits
        )  # fmt: skip
        insn, follows = nest.insn, self.start.payload
        word, last_word = nest.u >> lanes, (insn.uop_end - 1) >> lanes
        with m.If(buffer.want & (word != last_word)):
            m.d.comb += [buffer.next_word.eq(word + 1), buffer.next_want.eq(1)]
        with m.Elif(buffer.want & ~nest.last_round):
            m.d.comb += [buffer.next_word.eq(insn.uop_bgn >> lanes), buffer.next_want.eq(1)]
        with m.Else():
            m.d.comb += [
                buffer.next_word.eq(follows.uop_bgn >> lanes),
                buffer.next_want.eq(self.start.valid & (follows.uop_bgn != follows.uop_end)),
            ]
        m.d.comb += [
            buffer.want.eq(nest.valid & ~nest.empty),
            buffer.number.eq(nest.u),
            buffer.changed.eq(self.uop_changed),
            buffer.changed_addr.eq(self.uop_changed_addr),
        ]
        wiring.connect(m, buffer.read, wiring.flipped(self.uop_read))
        return buffer

    @staticmethod
    def _offset(m: Module, nest: Nest, name: str):
        """The offset of one index, which moves with the nest."""
        factor_out, factor_in = nest.insn[f"{name}_factor_out"], nest.insn[f"{name}_factor_in"]
        m.submodules[f"{name}_offset"] = offset = Offset(len(factor_out))
        m.d.comb += [
            offset.clear.eq(nest.clear),
            offset.step_in.eq(nest.step_in),
            offset.step_out.eq(nest.step_out),
            offset.factor_out.eq(factor_out),
            offset.factor_in.eq(factor_in),
        ]
        return offset.value

    def _report(self, m: Module, valid, insn, sums):
        """Drives ``error``; gives whether an index is beyond its memory."""
        wrong = Signal()
        for index in reversed(self.indices):
            used = valid if index.unless is None else valid & ~insn[index.unless]
            with m.If(used & sums[index.name][index.log_depth :].any()):
                m.d.comb += [wrong.eq(1), self.error.addr.eq(sums[index.name])]
        with m.If(wrong):
            m.d.comb += [
                self.error.code.eq(ErrorCode.SRAM_RANGE),
                self.error.source.eq(Source.COMPUTE),
            ]
        return wrong
