"""ALU: ``acc[d][lane] = op(acc[d][lane], use_imm ? imm : acc[s][lane])``, wrap 32.

One tile a cycle:

=======  ================================================================================
cycle    of a micro-op
=======  ================================================================================
0        the sequencer offers the indices; which micro-ops before it write its tiles?
1        both tiles are read
2        the tiles, or results on their way to them, become the operands
3, 4     the two stages of a lane
5        the result is written
=======  ================================================================================

A micro-op may read what the ones before it wrote, however close. MIN, MAX and ADD are there after
the first stage of a lane, so that chains of them run at one a cycle; a micro-op that reads the
result of a SHR or MUL right before it waits for one cycle. A micro-op also waits while GEMM reads
the bank of one of its tiles, or will write the one of ``dst`` in cycle 5.
"""

from itertools import pairwise

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.acc import log_banks
from vta.hw.alulane import LANE_BITS, AluLane, is_long
from vta.hw.interfaces import ErrorLayout, SharedReadSignature, SramWriteSignature, layout_of
from vta.hw.microops import connect_micro_ops, micro_op_ports
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
    AHEAD = 5
    """It was read before the other operand (only ``src``)."""


class Compared(data.StructLayout):
    """A micro-op, and where results for its tiles are: a bit of ``dst_places`` and ``src_places``
    for each stage. ``clash``: its tiles are different ones of one bank."""

    def __init__(self, op: MicroOpLayout, stages: int) -> None:
        super().__init__({
            "op": op, "dst_places": stages, "src_places": stages, "clash": 1,
        })  # fmt: skip


class AluPipeline(wiring.Component):
    """From final indices to written tiles; knows what is on its way and not yet in the memory.

    The two operands of a micro-op are read in the same cycle, or, if they are in the same bank or
    ``dst`` is not to be had, ``src`` is read a cycle ahead. Then the next micro-op's ``src`` is
    read beside this one's ``dst``, and so on: a walk through consecutive tiles runs at one a cycle
    however its operands lie. Two when each ``src`` is in the bank of its ``dst`` and in that of the
    ``dst`` before it (as with ``src`` and ``dst`` that move by a multiple of the banks).

    Parameters
    ----------
    op : MicroOpLayout
        With ``dst``, ``src`` and the instruction's ``alu_opcode``, ``use_imm``, ``imm``.
    log_depth, log_banks : int
        log2 of the number of tiles and of the banks that they are dealt out to.
    lanes : int
        Values in a tile.

    Attributes
    ----------
    op : stream, in
        Micro-ops; refused while one must wait for a bank or, for a cycle, when it needs the result
        of a SHR or MUL right before it.
    dst_read, src_read, write : Out
        The accumulators. ``dst_read`` comes :attr:`COMPARES` cycles after ``op`` at the earliest
        and must be granted (``dst_read.ready``) even if nothing is read; ``write`` happens
        :attr:`LATENCY` cycles after it.
    tile : Out(1)
        A micro-op went into the lanes.
    done : Out(1)
        An instruction writes its last tile: a read in the next cycle sees it.
    """

    COMPARES = 1
    LATENCY = 4

    def __init__(self, op: MicroOpLayout, *, log_depth: int, log_banks: int, lanes: int) -> None:
        bits = lanes * LANE_BITS
        self.log_depth, self.log_banks = log_depth, log_banks
        self.tile_layout = data.ArrayLayout(signed(LANE_BITS), lanes)
        read = SharedReadSignature(log_depth=log_depth, bits=bits)
        super().__init__({
            "op": In(stream.Signature(op)),
            "dst_read": Out(read), "src_read": Out(read),
            "write": Out(SramWriteSignature(log_depth=log_depth, bits=bits, granule=bits)),
            "tile": Out(1), "done": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        stage = data.StructLayout({"live": 1, "last": 1, "dst": self.log_depth})
        stages = [Signal(stage, name=name) for name in ("fetched", "first", "second", "writing")]
        insn = Signal.like(self.op.payload.insn, name="fetched_insn", reset_less=True)
        origins = Signal(From, name="dst_from"), Signal(From, name="src_from")
        ahead = Signal(self.tile_layout, reset_less=True)
        self._read(m, stages, insn, origins, ahead)
        self._compute(m, stages, insn, origins, ahead)
        return m

    def _read(self, m: Module, stages, insn, origins, ahead) -> None:
        """Cycle 1: reads both tiles of a micro-op, or takes them from where they are."""
        fetched = stages[0]
        # The one whose dst is read now: the one whose src was read ahead, or the one that comes.
        layout = Compared(self.op.payload.shape(), len(stages))
        coming, waiting = (Signal(layout, name=name, reset_less=True)
                           for name in ("coming", "waiting"))  # fmt: skip
        comes = Signal()
        src_ahead = Signal()
        now = Signal(layout)
        m.d.comb += now.eq(Mux(src_ahead, waiting, coming))
        op = now.op
        src, use_imm = coming.op.src, coming.op.insn.use_imm

        def newest(places):
            """Where the newest of them will be in the next cycle."""
            found = From.MEMORY
            for place, where in zip(
                reversed(places), (From.KEPT, From.WRITTEN, From.RESULT, From.SHORT)
            ):
                found = Mux(place, where, found)
            return found

        needs_fetched = now.dst_places[0] | (~op.insn.use_imm & ~src_ahead & coming.src_places[0])
        reads_dst = ~op.empty & ~now.dst_places.any()
        reads_src = ~op.empty & ~op.insn.use_imm & ~src_ahead & ~coming.src_places.any()
        # The src of the one that comes may be read if nobody before it will write it.
        may_read_src = (
            comes & ~coming.op.empty & ~use_imm & ~coming.src_places.any()
            & ~(src_ahead & ((waiting.op.dst == src)
                           | (reads_dst & self._clash(src, waiting.op.dst))))
        )  # fmt: skip
        src_first = reads_src & reads_dst & coming.clash
        granted = self.dst_read.ready & (~reads_src | self.src_read.ready) & ~src_first
        goes, goes_ahead = Signal(), Signal()
        m.d.comb += [
            goes.eq(
                (src_ahead | comes)
                & (op.empty | (granted & ~(needs_fetched & is_long(insn.alu_opcode))))
            ),
            goes_ahead.eq(may_read_src & (src_ahead == goes) & self.src_read.ready),
            self.op.ready.eq(~comes | goes_ahead | (goes & ~src_ahead)),
            self.tile.eq(goes & ~op.empty),
            # What is read and then does not go is read again: the memories need not know who goes.
            self.dst_read.en.eq((src_ahead | comes) & reads_dst & ~src_first),
            self.dst_read.addr.eq(op.dst),
            self.src_read.en.eq(may_read_src),
            self.src_read.addr.eq(src),
        ]
        self._compare(m, stages, comes, coming, op.dst)
        m.d.sync += [fetched.live.eq(self.tile), fetched.last.eq(goes & op.last)]
        with m.If(self.tile):
            m.d.sync += [
                fetched.dst.eq(op.dst),
                insn.eq(op.insn),
                origins[0].eq(newest(now.dst_places)),
                origins[1].eq(Mux(src_ahead, From.AHEAD, newest(coming.src_places))),
            ]
        arrives = Signal()
        m.d.sync += arrives.eq(goes_ahead)
        m.d.sync += waiting.dst_places.eq(waiting.dst_places << 1)
        with m.If(goes_ahead):
            m.d.sync += [
                src_ahead.eq(1),
                waiting.eq(coming),
                waiting.dst_places.eq(self._moved(coming.dst_places, coming.op.dst, op.dst)),
            ]
        with m.Elif(goes):
            m.d.sync += src_ahead.eq(0)
        with m.If(arrives):
            m.d.sync += ahead.eq(self.src_read.data)

    def _clash(self, one, other):
        """Whether two tiles are different ones of one bank."""
        return (one[: self.log_banks] == other[: self.log_banks]) & (one != other)

    def _moved(self, places, index, goes_dst):
        """Where the results for a tile will be in the next cycle: each a stage on, and the one that
        may go now, to ``goes_dst``, in the first."""
        return Cat(self.tile & (index == goes_dst), places[:-1])

    def _compare(self, m: Module, stages, comes, coming, goes_dst) -> None:
        """Cycle 0: takes a micro-op in and compares its tiles with those of the ones before it.
        While it waits they move on."""
        new = self.op.payload

        def on_its_way(index):
            """In which of the stages a result for a tile is."""
            return Cat(place.live & (place.dst == index) for place in stages)

        with m.If(self.op.ready):
            m.d.sync += [
                comes.eq(self.op.valid),
                coming.op.eq(new),
                coming.clash.eq(self._clash(new.src, new.dst)),
            ]
        for name in ("dst", "src"):
            places, index = coming[f"{name}_places"], coming.op[name]
            with m.If(self.op.ready):
                m.d.sync += places.eq(self._moved(on_its_way(new[name]), new[name], goes_dst))
            with m.Else():
                m.d.sync += places.eq(self._moved(places, index, goes_dst))

    def _compute(self, m: Module, stages, insn, origins, ahead) -> None:
        """Cycle 2: chooses the operands. Cycles 3 to 5: the lanes and the write."""
        fetched, first, second, writing = stages
        first_opcode = Signal(AluOpcode)
        for before, after in pairwise(stages):
            m.d.sync += after.eq(before)
        tile = self.tile_layout
        short, result = Signal(tile), Signal(tile)
        written, kept = Signal(tile, reset_less=True), Signal(tile, reset_less=True)
        x, y = Signal(tile, reset_less=True), Signal(tile, reset_less=True)
        with m.If(fetched.live):
            m.d.sync += first_opcode.eq(insn.alu_opcode)
            for operand, where, port in zip((x, y), origins, (self.dst_read, self.src_read)):
                with m.Switch(where):
                    for source, value in (
                        (From.MEMORY, port.data),
                        (From.SHORT, short),
                        (From.RESULT, result),
                        (From.WRITTEN, written),
                        (From.KEPT, kept),
                        (From.AHEAD, ahead),
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
    uop_read, uop_changed, uop_changed_addr, dst_read, src_read, acc_write
        The memories.
    error : ErrorLayout, out
        SRAM_RANGE, see :class:`~vta.hw.uop.Sequencer`. What was issued before is still written.
    """

    LATENCY = Sequencer.LATENCY + AluPipeline.COMPARES + AluPipeline.LATENCY
    """Cycles from ``start`` to the write of the first tile."""

    def __init__(self, isa: Isa) -> None:
        self.isa, cfg = isa, isa.cfg
        bits = cfg.acc_elem_bits
        read = SharedReadSignature(log_depth=cfg.log_acc_depth, bits=bits)
        write = SramWriteSignature(log_depth=cfg.log_acc_depth, bits=bits, granule=bits)
        super().__init__({
            "start": In(stream.Signature(layout_of(isa.alu))),
            "done": Out(1), "tile": Out(1),
            **micro_op_ports(log_depth=cfg.log_uop_depth, bits=isa.uop.bits),
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
            log_banks=log_banks(cfg.log_acc_depth),
            lanes=cfg.batch * cfg.block_out,
        )
        wiring.connect(m, wiring.flipped(self.start), sequencer.start)
        wiring.connect(m, sequencer.op, pipeline.op)
        connect_micro_ops(m, sequencer, wiring.flipped(self))
        wiring.connect(m, pipeline.dst_read, wiring.flipped(self.dst_read))
        wiring.connect(m, pipeline.src_read, wiring.flipped(self.src_read))
        wiring.connect(m, pipeline.write, wiring.flipped(self.acc_write))
        m.d.comb += [
            self.done.eq(pipeline.done),
            self.tile.eq(pipeline.tile),
            self.error.eq(sequencer.error),
        ]
        return m
