"""ALU: ``acc[d][lane] = op(acc[d][lane], use_imm ? imm : acc[s][lane])``, wrap 32.

One tile a cycle:

=======  ================================================================================
cycle    of a micro-op
=======  ================================================================================
0        the sequencer offers the indices; both tiles are read
1        the tiles, or results on their way to them, become the operands
2, 3     the two stages of a lane
4        the result is written
=======  ================================================================================

A micro-op may read what the ones before it wrote, however close. MIN, MAX and ADD are there after
the first stage of a lane, so that chains of them run at one a cycle; a micro-op that reads the
result of a SHR or MUL right before it waits for one cycle.
"""

from itertools import pairwise

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.alulane import LANE_BITS, AluLane, is_long
from vta.hw.interfaces import ErrorLayout, SramReadSignature, SramWriteSignature, layout_of
from vta.hw.uop import Index, MicroOpLayout, Sequencer
from vta.isa import AluOpcode, Isa

__all__ = ["Alu", "AluPipeline"]


class From(enum.Enum, shape=3):
    """Where a micro-op finds an operand, when the tiles come out of the memory."""

    MEMORY = 0
    SHORT = 1
    """The micro-op before it is in the first stage of the lanes."""
    RESULT = 2
    """The one before that is in the second stage."""
    WRITTEN = 3
    """The third before it is being written."""
    KEPT = 4
    """The fourth before it was written while the memory was read."""


class AluPipeline(wiring.Component):
    """From final indices to written tiles; knows what is on its way and not yet in the memory.

    Parameters
    ----------
    op : MicroOpLayout
        With ``dst``, ``src`` and the instruction's ``alu_opcode``, ``use_imm``, ``imm``.
    log_depth : int
        log2 of the number of tiles.
    lanes : int
        Values in a tile.

    Attributes
    ----------
    op : stream, in
        Micro-ops; refused for a cycle when one needs the result of a SHR or MUL right before it.
    dst_read, src_read, write : Out
        The accumulators. ``write`` happens :attr:`LATENCY` cycles after ``op`` was taken.
    tile : Out(1)
        A micro-op was taken.
    done : Out(1)
        An instruction writes its last tile: a read in the next cycle sees it.
    """

    LATENCY = 4

    def __init__(self, op: MicroOpLayout, *, log_depth: int, lanes: int) -> None:
        bits = lanes * LANE_BITS
        self.log_depth, self.tile_layout = log_depth, data.ArrayLayout(signed(LANE_BITS), lanes)
        read = SramReadSignature(log_depth=log_depth, bits=bits)
        super().__init__({
            "op": In(stream.Signature(op)),
            "dst_read": Out(read), "src_read": Out(read),
            "write": Out(SramWriteSignature(log_depth=log_depth, bits=bits, granule=bits)),
            "tile": Out(1), "done": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        op = self.op.payload
        stage = data.StructLayout({"live": 1, "last": 1, "dst": self.log_depth})
        fetched, first, second, writing = stages = [
            Signal(stage, name=name) for name in ("fetched", "first", "second", "writing")
        ]
        insn = Signal.like(op.insn, name="fetched_insn", reset_less=True)
        first_opcode = Signal(AluOpcode)
        dst_from, src_from = Signal(From), Signal(From)

        def on_its_way(index):
            """Where the newest result for a tile will be in the next cycle."""
            found = From.MEMORY
            for place, where in zip(
                reversed(stages), (From.KEPT, From.WRITTEN, From.RESULT, From.SHORT)
            ):
                found = Mux(place.live & (place.dst == index), where, found)
            return found

        # Cycle 0: read both tiles, unless an operand is not ready in time.
        needs_fetched = fetched.live & (
            (fetched.dst == op.dst) | (~op.insn.use_imm & (fetched.dst == op.src))
        )
        taken = self.op.valid & self.op.ready
        m.d.comb += [
            self.op.ready.eq(~(needs_fetched & is_long(insn.alu_opcode))),
            self.tile.eq(taken & ~op.empty),
            self.dst_read.en.eq(self.tile),
            self.dst_read.addr.eq(op.dst),
            self.src_read.en.eq(self.tile & ~op.insn.use_imm),
            self.src_read.addr.eq(op.src),
        ]
        m.d.sync += [fetched.live.eq(self.tile), fetched.last.eq(taken & op.last)]
        with m.If(self.tile):
            m.d.sync += [
                fetched.dst.eq(op.dst),
                insn.eq(op.insn),
                dst_from.eq(on_its_way(op.dst)),
                src_from.eq(on_its_way(op.src)),
            ]

        # Cycle 1: choose the operands. Cycles 2 to 4: the lanes and the write.
        for before, after in pairwise(stages):
            m.d.sync += after.eq(before)
        tile = self.tile_layout
        short, result = Signal(tile), Signal(tile)
        written, kept = Signal(tile, reset_less=True), Signal(tile, reset_less=True)
        x, y = Signal(tile, reset_less=True), Signal(tile, reset_less=True)
        with m.If(fetched.live):
            m.d.sync += first_opcode.eq(insn.alu_opcode)
            for operand, where, port in (
                (x, dst_from, self.dst_read),
                (y, src_from, self.src_read),
            ):
                with m.Switch(where):
                    for source, value in (
                        (From.MEMORY, port.data),
                        (From.SHORT, short),
                        (From.RESULT, result),
                        (From.WRITTEN, written),
                        (From.KEPT, kept),
                    ):
                        with m.Case(source):
                            m.d.sync += operand.eq(value)
            with m.If(insn.use_imm):
                m.d.sync += [y[lane].eq(insn.imm) for lane in range(tile.length)]
        for number in range(tile.length):
            m.submodules[f"lane{number}"] = lane = AluLane()
            m.d.comb += [
                lane.valid.eq(first.live),
                lane.opcode.eq(first_opcode),
                lane.x.eq(x[number]),
                lane.y.eq(y[number]),
                short[number].eq(lane.short),
                result[number].eq(lane.result),
            ]
        with m.If(second.live):
            m.d.sync += written.eq(result)
        with m.If(writing.live):
            m.d.sync += kept.eq(written)
        m.d.comb += [
            self.write.mask.eq(writing.live),
            self.write.addr.eq(writing.dst),
            self.write.data.eq(written),
            self.done.eq(writing.last),
        ]
        return m


class Alu(wiring.Component):
    """Executes ALU instructions, one after the other without a gap.

    Parameters
    ----------
    isa : Isa
        Formats of the instruction and the micro-op; the shape is that of ``isa.cfg``.

    Attributes
    ----------
    start : stream of the ALU layout, in
        Legal instructions; the next is taken while the one before is under way.
    done : Out(1)
        An instruction writes its last tile in this cycle: a read in the next cycle sees it.
    tile : Out(1)
        A tile is issued in this cycle.
    uop_read, dst_read, src_read, acc_write
        The memories.
    error : ErrorLayout, out
        SRAM_RANGE, see :class:`~vta.hw.uop.Sequencer`. What was issued before is still written.
    """

    LATENCY = Sequencer.LATENCY + AluPipeline.LATENCY
    """Cycles from ``start`` to the write of the first tile."""

    def __init__(self, isa: Isa) -> None:
        self.isa, cfg = isa, isa.cfg
        bits = cfg.acc_elem_bits
        read = SramReadSignature(log_depth=cfg.log_acc_depth, bits=bits)
        write = SramWriteSignature(log_depth=cfg.log_acc_depth, bits=bits, granule=bits)
        super().__init__({
            "start": In(stream.Signature(layout_of(isa.alu))),
            "done": Out(1), "tile": Out(1),
            "uop_read": Out(SramReadSignature(log_depth=cfg.log_uop_depth, bits=isa.uop.bits)),
            "dst_read": Out(read), "src_read": Out(read), "acc_write": Out(write),
            "error": Out(ErrorLayout()),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg = self.isa.cfg
        m.submodules.sequencer = sequencer = Sequencer(
            self.isa.alu,
            self.isa.uop,
            (Index("dst", cfg.log_acc_depth), Index("src", cfg.log_acc_depth, unless="use_imm")),
            ("alu_opcode", "use_imm", "imm"),
            log_depth=cfg.log_uop_depth,
        )
        m.submodules.pipeline = pipeline = AluPipeline(
            sequencer.op.payload.shape(),
            log_depth=cfg.log_acc_depth,
            lanes=cfg.batch * cfg.block_out,
        )
        wiring.connect(m, wiring.flipped(self.start), sequencer.start)
        wiring.connect(m, sequencer.op, pipeline.op)
        wiring.connect(m, sequencer.uop_read, wiring.flipped(self.uop_read))
        wiring.connect(m, pipeline.dst_read, wiring.flipped(self.dst_read))
        wiring.connect(m, pipeline.src_read, wiring.flipped(self.src_read))
        wiring.connect(m, pipeline.write, wiring.flipped(self.acc_write))
        m.d.comb += [
            self.done.eq(pipeline.done),
            self.tile.eq(pipeline.tile),
            self.error.eq(sequencer.error),
        ]
        return m
