"""The micro-op sequencer of GEMM and ALU: one micro-op with its final indices a cycle.

``for o < iter_out: for i < iter_in: for u in [uop_bgn, uop_end):``
``    index = uop[u].index + o * factor_out + i * factor_in``, for each index (dst, src, wgt)

=====  ===========================================================================
cycle  of an instruction, from the cycle in which ``insn`` is accepted
=====  ===========================================================================
0      loop decode (:mod:`vta.hw.compute.loop_counter`)
1      loop decode: the counters are loaded
2      select: the counters give micro-op number, offsets and the word to prefetch
3      skid buffer; the prefetch of the selected micro-op's word is requested
4      fetch: the micro-op is taken from the prefetch buffer
5      add: micro-op + offset, for each index
6      check: each index against the depth of its memory
7      skid buffer; ``op`` is offered
=====  ===========================================================================

Stalls: ``op.ready`` low stops all stages. A miss in the prefetch buffer stops fetch and the stages
before it, and leaves a gap behind. Words are prefetched across instructions, so a miss is rare
unless another reader has the port of the micro-op SRAM. The skid buffers keep both stalls from
reaching the loop counters in the same cycle.

The sequencer does not resolve hazards: micro-ops are read when their number is selected, and an
instruction must not start before its micro-ops are loaded.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.loop_counter import IndexOffset, LoopCounter
from vta.hw.compute.uop_memory import UopBuffer, log_lanes, uop_ports
from vta.hw.interfaces import ERROR_ADDR_BITS, ErrorLayout, layout_of
from vta.hw.lib.skid_buffer import SkidBuffer
from vta.isa import Format
from vta.memmap import ErrorCode, Source

__all__ = ["Index", "IndexedUopLayout", "Sequencer"]


@dataclass(frozen=True)
class Index:
    """One index of a micro-op.

    Attributes
    ----------
    name : str
        Field of the micro-op. The factors of the instruction are ``<name>_factor_out`` and
        ``<name>_factor_in``.
    log_depth : int
        log2 of the number of elements of the memory that the index addresses.
    unused_if : str or None
        A carried flag of the instruction; while the flag is set the index is neither used nor
        checked.
    """

    name: str
    log_depth: int
    unused_if: str | None = None


class IndexedUopLayout(data.StructLayout):
    """A micro-op with its final indices.

    ``insn``: the carried fields of its instruction. ``last``: the last micro-op of the instruction.
    ``empty``: a placeholder that carries ``last`` and is not executed.
    """

    def __init__(self, insn: Format, indices: Sequence[Index], carried: Sequence[str]) -> None:
        fields = layout_of(insn)
        super().__init__({
            **{index.name: index.log_depth for index in indices},
            "insn": data.StructLayout({name: fields[name].shape for name in carried}),
            "empty": 1,
            "last": 1,
        })  # fmt: skip


class TagsLayout(data.StructLayout):
    """The members of an :class:`IndexedUopLayout` that are not indices."""

    def __init__(self, op: IndexedUopLayout) -> None:
        super().__init__({name: op[name].shape for name in ("insn", "empty", "last")})


class SelectedUopLayout(data.StructLayout):
    """A micro-op before it is read: its ``number`` in the SRAM, its offsets, and the word of the
    micro-op behind it in program order (``prefetch_word``, valid with ``prefetch``)."""

    def __init__(self, op: IndexedUopLayout, offset_bits: dict[str, int], log_depth: int) -> None:
        super().__init__({
            "tags": TagsLayout(op),
            "number": log_depth,
            **{f"{name}_offset": bits for name, bits in offset_bits.items()},
            "prefetch": 1, "prefetch_word": log_depth - log_lanes(log_depth),
        })  # fmt: skip


class UopSelect(wiring.Component):
    """Cycles 0 to 2: loop counters and offsets select a micro-op and the word to prefetch after it.

    Attributes
    ----------
    insn : stream of the instruction's layout, in
        Legal instructions.
    selected : stream of SelectedUopLayout, out
        Micro-ops in program order.
    """

    def __init__(
        self, insn: Format, names: Sequence[str], carried: Sequence[str],
        selected: SelectedUopLayout,
    ) -> None:  # fmt: skip
        self.format, self.names, self.carried = insn, tuple(names), tuple(carried)
        super().__init__({
            "insn": In(stream.Signature(layout_of(insn))),
            "selected": Out(stream.Signature(selected)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.loops = loops = LoopCounter(self.format)
        wiring.connect(m, loops.insn, wiring.flipped(self.insn))
        selected, insn = self.selected.payload, loops.current_insn
        m.d.comb += [
            self.selected.valid.eq(loops.valid),
            loops.advance.eq(self.selected.ready),
            selected.number.eq(loops.u),
            selected.tags.empty.eq(loops.empty),
            selected.tags.last.eq(loops.last),
            *(selected.tags.insn[name].eq(insn[name]) for name in self.carried),
        ]
        for name in self.names:
            factor_out, factor_in = insn[f"{name}_factor_out"], insn[f"{name}_factor_in"]
            m.submodules[f"{name}_offset"] = offset = IndexOffset(len(factor_out))
            m.d.comb += [
                offset.clear.eq(loops.clear),
                offset.step_in.eq(loops.step_in),
                offset.step_out.eq(loops.step_out),
                offset.factor_out.eq(factor_out),
                offset.factor_in.eq(factor_in),
                selected[f"{name}_offset"].eq(offset.value),
            ]

        # The word behind the current one: of this pass, of the next pass, of the next instruction.
        lanes = log_lanes(len(selected.number))
        word, last_word = loops.u >> lanes, (insn.uop_end - 1) >> lanes
        with m.If(~loops.empty & (word != last_word)):
            m.d.comb += [selected.prefetch_word.eq(word + 1), selected.prefetch.eq(1)]
        with m.Elif(~loops.empty & ~loops.last_pass):
            m.d.comb += [
                selected.prefetch_word.eq(insn.uop_bgn >> lanes),
                selected.prefetch.eq(1),
            ]
        with m.Else():
            m.d.comb += [
                selected.prefetch_word.eq(loops.next_insn.uop_bgn >> lanes),
                selected.prefetch.eq(loops.next_valid),
            ]
        return m


class IndexCheck(wiring.Component):
    """Reports the first index that is beyond its memory.

    Attributes
    ----------
    valid : In(1)
        ``insn`` and the sums belong to a micro-op that is to be executed.
    insn : In
        Carried fields of the instruction.
    dst_sum, ... : In
        The exact indices, by name.
    out_of_range : Out(1)
        An index of this micro-op is beyond its memory, and no error was reported before.
    error : ErrorLayout, out
        From the next cycle on, until reset: SRAM_RANGE with the first such index.
    """

    def __init__(
        self, indices: Sequence[Index], insn, sum_bits: dict[str, int],
        error_addr_bits: int = ERROR_ADDR_BITS,
    ) -> None:  # fmt: skip
        self.indices = tuple(indices)
        super().__init__({
            "valid": In(1), "insn": In(insn),
            **{f"{name}_sum": In(bits) for name, bits in sum_bits.items()},
            "out_of_range": Out(1), "error": Out(ErrorLayout(error_addr_bits)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        with m.If(self.error.code == ErrorCode.NONE):
            for index in reversed(self.indices):
                total = getattr(self, f"{index.name}_sum")
                used = self.valid
                if index.unused_if is not None:
                    used = used & ~self.insn[index.unused_if]
                with m.If(used & total[index.log_depth :].any()):
                    m.d.comb += self.out_of_range.eq(1)
                    m.d.sync += self.error.addr.eq(total)
        with m.If(self.out_of_range):
            m.d.sync += [
                self.error.code.eq(ErrorCode.SRAM_RANGE),
                self.error.source.eq(Source.COMPUTE),
            ]
        return m


class Sequencer(wiring.Component):
    """Executes the loops of instructions, one after the other without a gap.

    Parameters
    ----------
    insn, uop : Format
        Layouts of the instruction (``Isa.gemm`` or ``Isa.alu``) and of a micro-op.
    indices : sequence of Index
        The indices to compute.
    carried : sequence of str
        Fields of the instruction that each micro-op carries.
    log_depth : int
        log2 of the number of micro-ops that the SRAM holds.
    error_addr_bits : int
        As of :class:`~vta.hw.interfaces.ErrorLayout`.

    Attributes
    ----------
    insn : stream of the instruction's layout, in
        Legal instructions. One instruction is accepted while the older one executes. An instruction
        without micro-ops takes a cycle and gives one ``empty`` item.
    uop_read, uop_written, uop_written_addr
        The micro-op SRAM (:class:`~vta.hw.compute.uop_memory.UopMemory`).
    op : stream of IndexedUopLayout, out
        The first item is offered :attr:`LATENCY` cycles after the cycle in which ``insn`` was
        accepted.
    ahead : Out(IndexedUopLayout)
        What ``op`` offers in the next cycle, if this cycle transfers it or it is not valid.
    error : ErrorLayout, out
        SRAM_RANGE with the first index (in the order of ``indices``) that is beyond its memory.
        That micro-op and all younger ones are not offered; the sequencer must be reset.
    """

    LATENCY = LoopCounter.LATENCY + 3 + 2 * SkidBuffer.LATENCY

    def __init__(
        self, insn: Format, uop: Format, indices: Sequence[Index], carried: Sequence[str], *,
        log_depth: int, error_addr_bits: int = ERROR_ADDR_BITS,
    ) -> None:  # fmt: skip
        self.error_addr_bits = error_addr_bits
        self.format, self.uop, self.log_depth = insn, uop, log_depth
        self.indices, self.carried = tuple(indices), tuple(carried)
        assert all(index.unused_if is None or index.unused_if in carried for index in indices)
        self.op_layout = IndexedUopLayout(insn, indices, carried)
        offset_bits = {i.name: insn[f"{i.name}_factor_out"].width + 1 for i in self.indices}
        self.selected_layout = SelectedUopLayout(self.op_layout, offset_bits, log_depth)
        self.sum_bits = {name: max(bits, uop[name].width) + 1 for name, bits in offset_bits.items()}
        super().__init__({
            "insn": In(stream.Signature(layout_of(insn))),
            **uop_ports(log_depth=log_depth, bits=uop.bits),
            "op": Out(stream.Signature(self.op_layout)), "ahead": Out(self.op_layout),
            "error": Out(ErrorLayout(error_addr_bits)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.select = select = UopSelect(
            self.format, list(self.sum_bits), self.carried, self.selected_layout
        )
        m.submodules.selected = selected = SkidBuffer(self.selected_layout)
        m.submodules.buffer = buffer = UopBuffer(log_depth=self.log_depth, bits=self.uop.bits)
        m.submodules.check = check = IndexCheck(
            self.indices, self.op_layout["insn"].shape, self.sum_bits, self.error_addr_bits
        )
        m.submodules.checked = checked = SkidBuffer(self.op_layout)
        wiring.connect(m, wiring.flipped(self.insn), select.insn)
        wiring.connect(m, select.selected, selected.i)
        wiring.connect(m, checked.o, wiring.flipped(self.op))
        m.d.comb += self.ahead.eq(checked.ahead)
        wiring.connect(m, buffer.read, wiring.flipped(self.uop_read))

        # Fetch: the prefetch buffer has the word of the micro-op. The word behind the micro-op in
        # the skid buffer is prefetched; while that is empty, the word of the selected micro-op.
        # During a stall nothing is prefetched: the two words of the buffer may be those of the
        # micro-ops in the fetch register and in the skid buffer.
        fetch_valid = Signal()
        fetch = Signal(self.selected_layout, reset_less=True)
        fetched = Signal()
        advance = Signal()
        skid, new = selected.o.payload, select.selected.payload
        lanes = log_lanes(self.log_depth)
        m.d.comb += [
            advance.eq(checked.i.ready),
            fetched.eq(fetch_valid & (fetch.tags.empty | buffer.hit)),
            selected.o.ready.eq(~fetch_valid | (advance & fetched)),
            buffer.required.eq(fetch_valid & ~fetch.tags.empty),
            buffer.number.eq(fetch.number),
            buffer.written.eq(self.uop_written),
            buffer.written_addr.eq(self.uop_written_addr),
        ]
        with m.If(selected.o.valid):
            m.d.comb += [
                buffer.prefetch.eq(skid.prefetch & advance),
                buffer.prefetch_word.eq(skid.prefetch_word),
            ]
        with m.Else():
            m.d.comb += [
                buffer.prefetch.eq(select.selected.valid & ~new.tags.empty),
                buffer.prefetch_word.eq(new.number >> lanes),
            ]
        with m.If(selected.o.ready):
            m.d.sync += [fetch_valid.eq(selected.o.valid), fetch.eq(selected.o.payload)]

        # Add: the offsets to the indices of the micro-op.
        add_valid = Signal()
        add = Signal(self.selected_layout, reset_less=True)
        uop = Signal(layout_of(self.uop), reset_less=True)
        with m.If(advance):
            m.d.sync += [add_valid.eq(fetched), add.eq(fetch), uop.eq(buffer.uop)]

        # Check: a micro-op with an index out of range, and all younger ones, are not offered.
        check_valid = Signal()
        tags = Signal(TagsLayout(self.op_layout), reset_less=True)
        op = checked.i.payload
        with m.If(advance):
            m.d.sync += [check_valid.eq(add_valid), tags.eq(add.tags)]
        for name, bits in self.sum_bits.items():
            index_sum = Signal(bits, name=f"{name}_sum", reset_less=True)
            with m.If(advance):
                m.d.sync += index_sum.eq(add[f"{name}_offset"] + uop[name])
            m.d.comb += [getattr(check, f"{name}_sum").eq(index_sum), op[name].eq(index_sum)]
        m.d.comb += [
            check.valid.eq(check_valid & ~tags.empty),
            check.insn.eq(tags.insn),
            self.error.eq(check.error),
            checked.i.valid.eq(
                check_valid & ~check.out_of_range & (self.error.code == ErrorCode.NONE)
            ),
            op.insn.eq(tags.insn),
            op.empty.eq(tags.empty),
            op.last.eq(tags.last),
        ]
        return m
