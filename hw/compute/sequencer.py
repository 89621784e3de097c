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
from vta.hw.compute.uop_memory import UopBuffer, log_lanes, uop_ports
from vta.hw.interfaces import ErrorLayout, layout_of
from vta.hw.lib.skid_buffer import SkidBuffer
from vta.isa import Format
from vta.memmap import ErrorCode, Source

__all__ = ["Index", "IndexedUopLayout", "Offset", "Sequencer"]


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
    unused_if : str or None
        A carried flag of the instruction with which the index is not used, and so not checked.
    """

    name: str
    log_depth: int
    unused_if: str | None = None


class IndexedUopLayout(data.StructLayout):
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


class Planned(data.StructLayout):
    """An instruction, whether it is ``empty`` (of no micro-ops), and for each of its loops (the
    range of micro-ops ``u``, ``i`` and ``o``) whether it ends with its first round (``once``), and
    its round before the last one otherwise."""

    def __init__(self, insn: Format) -> None:
        u = insn["uop_bgn"].width
        super().__init__({
            "insn": layout_of(insn), "empty": 1, "once_u": 1, "once_i": 1, "once_o": 1,
            "before_last_u": u, "before_last_i": ITER_BITS, "before_last_o": ITER_BITS,
        })  # fmt: skip


class Nest(wiring.Component):
    """The loop counters: which micro-op is read, and how the offsets move after it.

    The instruction that comes next waits in a register, where its loops are looked at; whether a
    loop is in its last round is found out a step ahead. So nothing is compared in the cycle in
    which one instruction follows another.

    Parameters
    ----------
    insn : Format
        Layout of the instruction.

    Attributes
    ----------
    start : stream of the instruction's layout, in
        Legal instructions.
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
    follows_valid, follows : out
        The instruction that comes next.
    clear, step_in, step_out : Out(1)
        How the offsets (:class:`Offset`) change at the end of this cycle.
    """

    LATENCY = 2
    """Cycles from the start of an instruction to its first micro-op."""

    def __init__(self, insn: Format) -> None:
        self.format = insn
        super().__init__({
            "start": In(stream.Signature(layout_of(insn))),
            "advance": In(1),
            "insn": Out(layout_of(insn)),
            "valid": Out(1), "empty": Out(1), "last": Out(1), "last_round": Out(1),
            "u": Out(insn["uop_bgn"].width),
            "follows_valid": Out(1), "follows": Out(layout_of(insn)),
            "clear": Out(1), "step_in": Out(1), "step_out": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        coming = Signal(Planned(self.format))
        now = Signal(Planned(self.format))
        self._plan(m, coming)

        i = Signal(ITER_BITS)
        o = Signal(ITER_BITS)
        end_u = Signal()
        end_i = Signal()
        end_o = Signal()
        moves = Signal()
        insn = now.insn
        m.d.comb += [
            self.insn.eq(insn),
            self.empty.eq(now.empty),
            moves.eq(self.valid & self.advance),
            self.last_round.eq(end_i & end_o),
            self.last.eq(self.empty | (end_u & self.last_round)),
            self.step_in.eq(moves & end_u),
            self.step_out.eq(moves & end_u & end_i),
            self.clear.eq(self.follows_valid & (~self.valid | (moves & self.last))),
        ]
        with m.If(self.clear):
            m.d.sync += [
                now.eq(coming), self.valid.eq(1), self.u.eq(coming.insn.uop_bgn), i.eq(0), o.eq(0),
                end_u.eq(coming.once_u), end_i.eq(coming.once_i), end_o.eq(coming.once_o),
            ]  # fmt: skip
        with m.Elif(moves):
            m.d.sync += self.valid.eq(~self.last)
            with m.If(end_u):
                m.d.sync += [self.u.eq(insn.uop_bgn), end_u.eq(now.once_u)]
                with m.If(end_i):
                    m.d.sync += [i.eq(0), end_i.eq(now.once_i)]
                    m.d.sync += [o.eq(o + 1), end_o.eq(o == now.before_last_o)]
                with m.Else():
                    m.d.sync += [i.eq(i + 1), end_i.eq(i == now.before_last_i)]
            with m.Else():
                m.d.sync += [self.u.eq(self.u + 1), end_u.eq(self.u == now.before_last_u)]
        return m

    def _plan(self, m: Module, coming) -> None:
        """Takes an instruction into ``coming``, and finds out about its loops."""
        start = self.start.payload
        m.d.comb += [
            self.follows.eq(coming.insn),
            self.start.ready.eq(~self.follows_valid | self.clear),
        ]
        with m.If(self.start.ready):
            m.d.sync += [
                self.follows_valid.eq(self.start.valid),
                coming.insn.eq(start),
                coming.empty.eq(
                    (start.uop_bgn == start.uop_end) | (start.iter_out == 0) | (start.iter_in == 0)
                ),
                coming.once_u.eq(start.uop_bgn + 1 == start.uop_end),
                coming.once_i.eq(start.iter_in == 1),
                coming.once_o.eq(start.iter_out == 1),
                coming.before_last_u.eq(start.uop_end - 2),
                coming.before_last_i.eq(start.iter_in - 2),
                coming.before_last_o.eq(start.iter_out - 2),
            ]


class Sequencer(wiring.Component):
    """Walks the loop nests of instructions, one after the other without a gap.

    The loop counters choose the micro-op; the word of the SRAM that is needed after it is asked
    for; the micro-op is taken out of what was read; it is added to its offsets; the sums are
    checked, and offered. A relay before the second and the last of these steps keeps ``op.ready``
    and a micro-op that is not there yet from reaching the loop counters in the same cycle.

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
        Legal instructions. One is taken ahead. One without micro-ops takes a cycle and gives one
        ``empty`` item.
    uop_read, uop_written, uop_written_addr
        The micro-op SRAM (:class:`~vta.hw.compute.uop_memory.UopMemory`). A micro-op that is not
        there yet leaves a gap; reading ahead, across instructions too, sees to it that this is
        rare.
    op : stream of IndexedUopLayout, out
        The first comes :attr:`LATENCY` cycles after the cycle in which ``start`` was taken.
    error : ErrorLayout, out
        SRAM_RANGE with the first index (in the order of ``indices``) that is beyond its memory.
        That micro-op and all after it do not come out; the sequencer must be reset.
    """

    LATENCY = Nest.LATENCY + 3 + 2 * SkidBuffer.LATENCY

    def __init__(
        self, insn: Format, uop: Format, indices: Sequence[Index], carried: Sequence[str], *,
        log_depth: int,
    ) -> None:  # fmt: skip
        self.insn, self.uop, self.log_depth = insn, uop, log_depth
        self.indices, self.carried = tuple(indices), tuple(carried)
        assert all(index.unused_if is None or index.unused_if in carried for index in indices)
        self.op_layout = IndexedUopLayout(insn, indices, carried)
        super().__init__({
            "start": In(stream.Signature(layout_of(insn))),
            **uop_ports(log_depth=log_depth, bits=uop.bits),
            "op": Out(stream.Signature(self.op_layout)),
            "error": Out(ErrorLayout()),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.nest = nest = Nest(self.insn)
        m.submodules.chosen = chosen = SkidBuffer(self._chosen_layout())
        m.submodules.checked = checked = SkidBuffer(self.op_layout)
        wiring.connect(m, nest.start, wiring.flipped(self.start))
        wiring.connect(m, checked.o, wiring.flipped(self.op))
        self._choose(m, nest, chosen.i)

        # The micro-op is taken out of the word, then added to its offsets.
        advance = Signal()
        there = Signal()
        wants = Signal()
        wanted = Signal(self._chosen_layout(), reset_less=True)
        buffer = self._buffer(m, nest, chosen.o, wants, wanted)
        m.d.comb += [
            there.eq(wants & (wanted.tags.empty | buffer.hit)),
            advance.eq(checked.i.ready),
            chosen.o.ready.eq(~wants | (advance & there)),
        ]
        with m.If(chosen.o.ready):
            m.d.sync += [wants.eq(chosen.o.valid), wanted.eq(chosen.o.payload)]
        uop = Signal(layout_of(self.uop), reset_less=True)
        taken = Signal()
        summed = Signal()
        taken_with = Signal(self._chosen_layout(), reset_less=True)
        summed_with = Signal(self._tags_layout(), reset_less=True)
        sums = {}
        with m.If(advance):
            m.d.sync += [taken.eq(there), summed.eq(taken)]
            m.d.sync += [uop.eq(buffer.uop), taken_with.eq(wanted)]
            m.d.sync += summed_with.eq(taken_with.tags)
            for index in self.indices:
                total = taken_with[f"{index.name}_offset"] + uop[index.name]
                sums[index.name] = Signal(total.shape(), name=f"{index.name}_sum", reset_less=True)
                m.d.sync += sums[index.name].eq(total)

        # It is offered if all of its indices are inside; else everything stops here.
        wrong = self._check(m, summed & ~summed_with.empty, summed_with.insn, sums)
        op = checked.i.payload
        m.d.comb += [
            checked.i.valid.eq(summed & ~wrong & (self.error.code == ErrorCode.NONE)),
            op.insn.eq(summed_with.insn),
            op.empty.eq(summed_with.empty),
            op.last.eq(summed_with.last),
            *(op[name].eq(total) for name, total in sums.items()),
        ]
        return m

    def _tags_layout(self) -> data.StructLayout:
        """What goes with a micro-op and is not an index."""
        return data.StructLayout({
            name: self.op_layout[name].shape for name in ("insn", "empty", "last")
        })  # fmt: skip

    def _chosen_layout(self) -> data.StructLayout:
        """A micro-op by its number, with its offsets, and the word to read after its own."""
        return data.StructLayout({
            "tags": self._tags_layout(),
            "number": self.log_depth,
            **{
                f"{index.name}_offset": self.insn[f"{index.name}_factor_out"].width + 1
                for index in self.indices
            },
            "next_want": 1, "next_word": self.log_depth - log_lanes(self.log_depth),
        })  # fmt: skip

    def _choose(self, m: Module, nest: Nest, chosen) -> None:
        """The micro-op of the loop counters; the word to read ahead is the one they get to next."""
        item, insn = chosen.payload, nest.insn
        m.d.comb += [
            chosen.valid.eq(nest.valid),
            nest.advance.eq(chosen.ready),
            item.number.eq(nest.u),
            item.tags.empty.eq(nest.empty),
            item.tags.last.eq(nest.last),
            *(item.tags.insn[name].eq(insn[name]) for name in self.carried),
            *(
                item[f"{index.name}_offset"].eq(self._offset(m, nest, index.name))
                for index in self.indices
            ),
        ]
        lanes = log_lanes(self.log_depth)
        word, last_word = nest.u >> lanes, (insn.uop_end - 1) >> lanes
        with m.If(~nest.empty & (word != last_word)):
            m.d.comb += [item.next_word.eq(word + 1), item.next_want.eq(1)]
        with m.Elif(~nest.empty & ~nest.last_round):
            m.d.comb += [item.next_word.eq(insn.uop_bgn >> lanes), item.next_want.eq(1)]
        with m.Else():
            m.d.comb += [
                item.next_word.eq(nest.follows.uop_bgn >> lanes),
                item.next_want.eq(nest.follows_valid),
            ]

    def _buffer(self, m: Module, nest: Nest, chosen, wants, wanted) -> UopBuffer:
        """The micro-op that is wanted, and the word after that of the one behind it; when there is
        none behind it, the first word of the next one."""
        lanes = log_lanes(self.log_depth)
        m.submodules.buffer = buffer = UopBuffer(
            log_depth=self.log_depth, bits=self.uop.bits
        )  # fmt: skip
        item = chosen.payload
        m.d.comb += [
            buffer.want.eq(wants & ~wanted.tags.empty),
            buffer.number.eq(wanted.number),
            buffer.next_want.eq(Mux(chosen.valid, item.next_want, nest.valid & ~nest.empty)),
            buffer.next_word.eq(Mux(chosen.valid, item.next_word, nest.u >> lanes)),
            buffer.changed.eq(self.uop_written),
            buffer.changed_addr.eq(self.uop_written_addr),
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

    def _check(self, m: Module, valid, insn, sums):
        """Sets ``error``; gives whether an index is beyond its memory."""
        wrong = Signal()
        with m.If(self.error.code == ErrorCode.NONE):
            for index in reversed(self.indices):
                used = valid if index.unused_if is None else valid & ~insn[index.unused_if]
                with m.If(used & sums[index.name][index.log_depth :].any()):
                    m.d.comb += wrong.eq(1)
                    m.d.sync += self.error.addr.eq(sums[index.name])
        with m.If(wrong):
            m.d.sync += [
                self.error.code.eq(ErrorCode.SRAM_RANGE),
                self.error.source.eq(Source.COMPUTE),
            ]
        return wrong
