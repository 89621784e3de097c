"""Operand fetch and forwarding of the ALU: the stages READ and OP.

``x = newest acc[dst]``, ``y = use_imm ? imm : newest acc[src]``

READ issues a micro-op and starts the reads of its tiles. OP takes each operand from its read port
or from a forwarding path; the hazard information selects (:mod:`vta.hw.compute.alu_hazards`).
"""

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.alu_hazards import OperandSource, ReadCandidateLayout, forwarding_sources
from vta.hw.compute.alu_product import OperationLayout, operation_of
from vta.hw.compute.sequencer import IndexedUopLayout
from vta.hw.interfaces import SramReadSignature
from vta.hw.lib.selection import code_of, selected_by_bits, selected_by_code
from vta.isa import AluOpcode

__all__ = ["OPERATION_COPIES", "FetchedLayout", "OperandFetch", "OperandForwarding"]


OPERATION_COPIES = 2
"""Registers that hold the operation in EX1."""


class OperandCode(data.StructLayout):
    """The source of an operand as codes, so that two LUTs of six inputs select a bit of it.

    ``forwarded`` is the number of the stage in
    :func:`~vta.hw.compute.alu_hazards.forwarding_sources`. ``read`` is a code of two bits. Of
    ``dst``: bit 0 for a forwarded result, bit 1 for any source; without a source the operand is 0.
    Of ``src``: 0 for the bank, 1 for the early source read, 2 for the immediate, 3 for a forwarded
    result.
    """

    def __init__(self) -> None:
        super().__init__({"read": 2, "forwarded": 2})

    @staticmethod
    def of(source, name: str, log_beats: int):
        """The codes of an OperandSource of the operand ``name``, as a value."""
        bits = {one: (Value.cast(source) & one.value).any() for one in OperandSource}
        forwarded = [bits[one] for one in forwarding_sources(log_beats)]
        is_forwarded = Cat(forwarded).any()
        if name == "src":
            read = (bits[OperandSource.EARLY], bits[OperandSource.IMMEDIATE])
        else:
            read = (0, bits[OperandSource.BANK])
        return Cat(read[0] | is_forwarded, read[1] | is_forwarded, code_of(forwarded))


class FetchedLayout(data.StructLayout):
    """A micro-op in stage OP: what it computes, and the sources of its operands, as a bit for each
    or, with ``wide_luts``, as codes."""

    def __init__(self, uop: IndexedUopLayout, *, wide_luts: bool = False) -> None:
        source = OperandCode() if wide_luts else OperandSource
        super().__init__({
            "opcode": AluOpcode, "imm": uop["insn"].shape["imm"].shape,
            "dst_source": source, "src_source": source,
        })  # fmt: skip


class OperandFetch(wiring.Component):
    """READ: issues one micro-op a cycle at most, and reads its tiles.

    The older of the two candidates goes first. A micro-op is issued in the cycle in which its
    ``dst`` is read, or would be read if it were not forwarded. Its ``src`` is read

    - in the same cycle, if the early slot is empty; or
    - early, if ``dst`` is not ready, or if the early slot holds an older micro-op that is issued
      in this cycle. The micro-op then moves to the early slot.

    A read is requested whether or not its micro-op is issued. While the micro-op stays in its slot,
    the read is repeated.

    Parameters
    ----------
    uop : IndexedUopLayout
        With ``dst``, ``src`` and the instruction's ``alu_opcode``, ``use_imm``, ``imm``.
    log_depth, bits : int
        log2 of the number of tiles, and the width of a tile.
    log_beats, wide_luts
        As of :class:`OperandForwarding`.

    Attributes
    ----------
    early, current : In(ReadCandidateLayout)
        The micro-ops in READ, ``early`` the older one.
    current_leaves, current_to_early : Out(1)
        As of :class:`~vta.hw.compute.alu_hazards.AluHazards`.
    dst_read, src_read : Out(SramReadSignature)
        The accumulators. Data that is read from a reserved bank is not used.
    issue_valid : Out(1)
        A micro-op is issued: it is in OP in the next cycle.
    issue_last : Out(1)
        The issued micro-op is the last one of its instruction, or an empty instruction leaves READ.
    issue_dst : Out
        The tile that the issued micro-op will write.
    fetched : Out(FetchedLayout)
        The micro-op in OP; held until the next one.
    early_src : Out
        Data of the last early source read, from two cycles after the read on.
    """

    def __init__(
        self, uop: IndexedUopLayout, *, log_depth: int, bits: int, log_beats: int = 0,
        wide_luts: bool = False,
    ) -> None:  # fmt: skip
        self.log_beats, self.wide_luts = log_beats, wide_luts
        read = SramReadSignature(log_depth=log_depth, bits=bits)
        candidate = ReadCandidateLayout(uop)
        super().__init__({
            "early": In(candidate), "current": In(candidate),
            "current_leaves": Out(1), "current_to_early": Out(1),
            "dst_read": Out(read), "src_read": Out(read),
            "issue_valid": Out(1), "issue_last": Out(1), "issue_dst": Out(log_depth),
            "fetched": Out(FetchedLayout(uop, wide_luts=wide_luts)), "early_src": Out(bits),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        early, current = self.early, self.current
        issue_early = Signal()
        issue_current = Signal()
        src_granted = Signal()
        # At most one of the two is issued: the early slot has the older micro-op. An empty
        # micro-op reads nothing, and is never in the early slot.
        m.d.comb += [
            issue_early.eq(early.valid & early.dst.ready),
            issue_current.eq(
                current.valid
                & ~early.valid
                & (
                    current.uop.empty
                    | (current.dst.ready & (~current.src.read | current.src.ready))
                )
            ),
            src_granted.eq(current.valid & current.src.read & current.src.ready),
            self.current_to_early.eq(
                src_granted & Mux(early.valid, early.dst.ready, ~current.dst.ready)
            ),
            self.current_leaves.eq(
                Mux(
                    early.valid,
                    src_granted & early.dst.ready,
                    current.uop.empty | Mux(current.src.read, current.src.ready, current.dst.ready),
                )
            ),
        ]
        m.d.comb += [
            self.issue_valid.eq(issue_early | (issue_current & ~current.uop.empty)),
            self.issue_last.eq((issue_early & early.uop.last) | (issue_current & current.uop.last)),
            self.issue_dst.eq(self.dst_read.addr),
        ]
        # The enables depend on registers only, and not on the reserved banks of this cycle.
        m.d.comb += [
            self.dst_read.en.eq(Mux(early.valid, early.dst.read, current.valid & current.dst.read)),
            self.dst_read.addr.eq(Mux(early.valid, early.uop.dst, current.uop.dst)),
            self.src_read.en.eq(current.valid & current.src.select),
            self.src_read.addr.eq(current.uop.src),
        ]

        fetched = Signal(self.fetched.shape(), reset_less=True)
        m.d.comb += self.fetched.eq(fetched)
        with m.If(self.issue_valid):
            for candidate, is_selected in ((early, early.valid), (current, ~early.valid)):
                with m.If(is_selected):
                    m.d.sync += [
                        fetched.opcode.eq(candidate.uop.insn.alu_opcode),
                        fetched.imm.eq(candidate.uop.insn.imm),
                        fetched.dst_source.eq(self._source("dst", candidate.dst.source)),
                        fetched.src_source.eq(self._source("src", candidate.src.source)),
                    ]

        early_src = Signal(self.early_src.shape(), reset_less=True)
        early_data_valid = Signal()  # the data of an early source read is at the port
        m.d.sync += early_data_valid.eq(self.current_to_early)
        with m.If(early_data_valid):
            m.d.sync += early_src.eq(self.src_read.data)
        m.d.comb += self.early_src.eq(early_src)
        return m

    def _source(self, name, source):
        """The source of the operand ``name`` as :class:`FetchedLayout` has it."""
        return OperandCode.of(source, name, self.log_beats) if self.wide_luts else source


class OperandForwarding(wiring.Component):
    """OP: chooses each operand among its sources, and registers both for EX1.

    Parameters
    ----------
    uop : IndexedUopLayout
        As of :class:`OperandFetch`.
    tile : ArrayLayout
        Of the lanes of a tile.
    log_beats : int
        log2 of the parts of a tile, as of :class:`~vta.hw.compute.alu_hazards.AluHazards`.
    wide_luts : bool
        The part has LUTs of six inputs (:mod:`vta.hw.lib.selection`).

    Attributes
    ----------
    valid : In(1)
        OP holds a micro-op.
    fetched : In(FetchedLayout)
        That micro-op.
    dst_bank, src_bank : In
        Data of the reads that were made in READ.
    early_src : In
        Data of the early source read.
    ex1, ex2, wb, after_wb : In
        The result in each of these stages in this cycle.
    operation, imm, x, y : Out
        The operation (equal copies of it, each for a part of the lanes), the immediate and the
        operands, in EX1; held until the next.
    """

    LATENCY = 1

    def __init__(
        self, uop: IndexedUopLayout, *, tile: data.ArrayLayout, log_beats: int = 0,
        wide_luts: bool = False,
    ) -> None:  # fmt: skip
        self.log_beats, self.wide_luts = log_beats, wide_luts
        bits = Shape.cast(tile).width
        super().__init__({
            "valid": In(1), "fetched": In(FetchedLayout(uop, wide_luts=wide_luts)),
            "dst_bank": In(bits), "src_bank": In(bits), "early_src": In(bits),
            "ex1": In(bits), "ex2": In(bits), "wb": In(bits), "after_wb": In(bits),
            "operation": Out(data.ArrayLayout(OperationLayout(), OPERATION_COPIES)),
            "imm": Out(FetchedLayout(uop)["imm"].shape),
            "x": Out(tile), "y": Out(tile),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        imm = Signal(self.y.shape())
        m.d.comb += [lane.eq(self.fetched.imm) for lane in imm]
        forwarded = {
            OperandSource.EX1: self.ex1,
            OperandSource.EX2: self.ex2,
            OperandSource.WB: self.wb,
            OperandSource.AFTER_WB: self.after_wb,
        }
        forwarded = {source: forwarded[source] for source in forwarding_sources(self.log_beats)}
        select = self._select_by_code if self.wide_luts else self._select_by_bits
        next_x, next_y = select(forwarded, imm.as_value())
        x = Signal(self.x.shape(), reset_less=True)
        y = Signal(self.y.shape(), reset_less=True)
        # Two registers, so that each has half of the loads; synthesis would merge two equal ones.
        operation = Signal(len(AluOpcode), reset_less=True)
        inverted = Signal(len(AluOpcode), reset_less=True)
        copies = Cat(operation, ~inverted)
        with m.If(self.valid):
            m.d.sync += [
                operation.eq(operation_of(self.fetched.opcode)),
                inverted.eq(~operation_of(self.fetched.opcode)),
                self.imm.eq(self.fetched.imm),
                Value.cast(x).eq(next_x),
                Value.cast(y).eq(next_y),
            ]
        m.d.comb += [self.x.eq(x), self.y.eq(y), Value.cast(self.operation).eq(copies)]
        return m

    def _select_by_bits(self, forwarded, imm):
        """Both operands, for LUTs of four inputs; a late value passes few gates."""

        def select(source, values):
            bits = [(Value.cast(source) & one.value).any() for one in values]
            return selected_by_bits(bits, list(values.values()))

        src_sources = {
            OperandSource.BANK: self.src_bank,
            OperandSource.EARLY: self.early_src,
            OperandSource.IMMEDIATE: imm,
        }
        return (
            select(self.fetched.dst_source, {OperandSource.BANK: self.dst_bank} | forwarded),
            select(self.fetched.src_source, src_sources | forwarded),
        )

    def _select_by_code(self, forwarded, imm):
        """Both operands, for LUTs of six inputs: one for the forwarded result, one for the
        operand."""
        dst, src = self.fetched.dst_source, self.fetched.src_source
        results = list(forwarded.values())
        late_x, late_y = (selected_by_code(one.forwarded, results) for one in (dst, src))
        x = Mux(dst.read[1], Mux(dst.read[0], late_x, self.dst_bank), 0)
        y = selected_by_code(src.read, [self.src_bank, self.early_src, imm, late_y])
        return x, y
