"""The ALU's pipeline: ``acc[d][lane] = op(acc[d][lane], use_imm ? imm : acc[s][lane])``, wrap 32.

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

from functools import reduce
from itertools import pairwise
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.alu_lane import LANE_BITS, AluLane, is_long
from vta.hw.compute.lookahead import LookaheadSignature
from vta.hw.compute.sequencer import IndexedUopLayout
from vta.hw.interfaces import SramReadSignature, SramWriteSignature
from vta.isa import AluOpcode

__all__ = ["AluPipeline"]


class From(enum.Enum, shape=7):
    """Where a micro-op finds an operand, when the tiles come out of the memory; a bit for each."""

    MEMORY = 1
    SHORT = 2
    """The micro-op before it is in the first stage of the lanes."""
    RESULT = 4
    """The one before that is in the second stage."""
    WRITTEN = 8
    """The third before it is being written."""
    KEPT = 16
    """The fourth before it was written while the memory was read."""
    AHEAD = 32
    """It was read before the other operand (only ``src``)."""
    IMM = 64
    """It is the immediate (only ``src``)."""


class Compared(data.StructLayout):
    """A micro-op, and what is known of its tiles before they are read.

    ``dst_places`` and ``src_places``: where results for them are, a bit for each stage;
    ``reads_dst`` and ``reads_src``: none are beyond the first, and the tile is needed. ``waits``:
    the micro-op right before it is a SHR or MUL whose result it needs. ``clash``: the tiles are
    different ones of one bank. Compared with ``dst`` of the micro-op whose ``src`` is read ahead:
    ``dst_is_its``, ``src_is_its``: they are that tile; ``src_beside_it``: ``src`` is another one of
    its bank.
    """

    def __init__(self, op: IndexedUopLayout, stages: int) -> None:
        super().__init__({
            "op": op, "dst_places": stages, "src_places": stages, "waits": 1, "clash": 1,
            "reads_dst": 1, "reads_src": 1, "dst_is_its": 1, "src_is_its": 1, "src_beside_it": 1,
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
    op : IndexedUopLayout
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
        The accumulators. ``dst_read`` comes :attr:`COMPARES` cycles after ``op`` at the earliest,
        ``write`` :attr:`LATENCY` cycles after it.
    dst_reserved, src_reserved : In
        A bit for each bank: ``dst_read``, ``src_read`` does not get what it reads there in this
        cycle, and asks again. A micro-op waits while the bank of its ``dst`` is busy even if
        nothing is read of it.
    write_lookahead : Out(LookaheadSignature)
        What ``write`` writes in the next cycle.
    tile : Out(1)
        A micro-op went into the lanes.
    done : Out(1)
        An instruction writes its last tile: a read in the next cycle sees it.
    """

    COMPARES = 1
    LATENCY = 4

    def __init__(self, op: IndexedUopLayout, *, log_depth: int, log_banks: int, lanes: int) -> None:
        bits = lanes * LANE_BITS
        self.log_depth, self.log_banks = log_depth, log_banks
        self.tile_layout = data.ArrayLayout(signed(LANE_BITS), lanes)
        read = SramReadSignature(log_depth=log_depth, bits=bits)
        super().__init__({
            "op": In(stream.Signature(op)),
            "dst_read": Out(read), "src_read": Out(read),
            "dst_reserved": In(1 << log_banks), "src_reserved": In(1 << log_banks),
            "write_lookahead": Out(LookaheadSignature(log_depth=log_depth)),
            "write": Out(SramWriteSignature(log_depth=log_depth, bits=bits, granule=bits)),
            "tile": Out(1), "done": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        stage = data.StructLayout({"live": 1, "last": 1, "dst": self.log_depth})
        stages = [Signal(stage, name=name) for name in ("fetched", "first", "second", "writing")]
        insn = Signal.like(self.op.payload.insn, name="fetched_insn", reset_less=True)
        origins = Signal(len(From), name="dst_from"), Signal(len(From), name="src_from")
        ahead = Signal(self.tile_layout, reset_less=True)
        self._read(m, stages, insn, origins, ahead)
        self._compute(m, stages, insn, origins, ahead)
        return m

    def _read(self, m: Module, stages, insn, origins, ahead) -> None:
        """Cycle 1: reads both tiles of a micro-op, or takes them from where they are."""
        fetched = stages[0]
        # The one that comes, and the one before it whose src was read ahead, if it was.
        layout = Compared(self.op.payload.shape(), len(stages))
        coming, waiting = (Signal(layout, name=name, reset_less=True)
                           for name in ("coming", "waiting"))  # fmt: skip
        comes = Signal()
        src_ahead = Signal()
        op = coming.op

        def newest(places):
            """Where the newest of them will be in the next cycle."""
            found = From.MEMORY
            for place, where in zip(
                reversed(places), (From.KEPT, From.WRITTEN, From.RESULT, From.SHORT)
            ):
                found = Mux(place, where, found)
            return found

        # What the one right before writes comes late: it is looked at here.
        coming_reads_dst = coming.reads_dst & ~coming.dst_places[0]
        coming_reads_src = coming.reads_src & ~coming.src_places[0]
        waiting_reads_dst = waiting.reads_dst & ~waiting.dst_places[0]

        # The one that waits needs dst only, and goes first.
        waiting_goes = Signal()
        coming_goes = Signal()
        goes_ahead = Signal()
        waiting_may_go = ~waiting.waits & self._free(self.dst_reserved, waiting.op.dst)
        m.d.comb += waiting_goes.eq(src_ahead & waiting_may_go)
        # The one that comes goes if nobody waits; if its tiles are in one bank, src is read first.
        src_first = coming_reads_src & coming_reads_dst & coming.clash
        src_free = self._free(self.src_reserved, op.src)
        may_go = ~coming.waits & self._free(self.dst_reserved, op.dst) & ~src_first
        m.d.comb += coming_goes.eq(
            comes & ~src_ahead & (op.empty | (may_go & (~coming_reads_src | src_free)))
        )
        # Else its src may be read ahead if nobody before it will write that.
        may_read_src = (
            comes & coming_reads_src
            & ~(src_ahead & (coming.src_is_its | (waiting_reads_dst & coming.src_beside_it)))
        )  # fmt: skip
        src_comes = may_read_src & src_free
        m.d.comb += [
            goes_ahead.eq(src_comes & Mux(src_ahead, waiting_may_go, ~may_go)),
            # It makes room when its src is read, or when it goes if none is to be read.
            self.op.ready.eq(
                ~comes
                | Mux(
                    src_ahead,
                    src_comes & waiting_may_go,
                    op.empty | Mux(coming_reads_src, src_free, may_go),
                )
            ),
            self.tile.eq(waiting_goes | (coming_goes & ~op.empty)),
            # What is read and then does not go is read again: the memories need not know who goes.
            self.dst_read.en.eq(
                Mux(src_ahead, waiting_reads_dst, comes & coming_reads_dst & ~src_first)
            ),
            self.dst_read.addr.eq(Mux(src_ahead, waiting.op.dst, op.dst)),
            self.src_read.en.eq(may_read_src),
            self.src_read.addr.eq(op.src),
        ]
        self._compare(m, stages, comes, coming, waiting, (src_ahead, waiting_may_go, may_go))
        m.d.sync += [
            fetched.live.eq(self.tile),
            fetched.last.eq((waiting_goes & waiting.op.last) | (coming_goes & op.last)),
        ]
        with m.If(self.tile):
            m.d.sync += [fetched.dst.eq(self.dst_read.addr)]
            with m.If(src_ahead):
                m.d.sync += [
                    insn.eq(waiting.op.insn),
                    origins[0].eq(newest(waiting.dst_places)),
                    origins[1].eq(From.AHEAD),
                ]
            with m.Else():
                m.d.sync += [
                    insn.eq(op.insn),
                    origins[0].eq(newest(coming.dst_places)),
                    origins[1].eq(Mux(op.insn.use_imm, From.IMM, newest(coming.src_places))),
                ]
        with m.If(goes_ahead):
            m.d.sync += src_ahead.eq(1)
        with m.Elif(waiting_goes):
            m.d.sync += src_ahead.eq(0)
        arrives = Signal()
        m.d.sync += arrives.eq(goes_ahead)
        with m.If(arrives):
            m.d.sync += ahead.eq(self.src_read.data)

    @staticmethod
    def _taken(where, sources):
        """The source that ``where`` names; late ones pass through few gates."""
        return reduce(
            or_,
            (
                Mux((where & place.value).any(), Value.cast(value), 0)
                for place, value in sources.items()
            ),
        )

    def _free(self, busy, index):
        """Whether the bank of a tile is."""
        return ~busy.bit_select(index[: self.log_banks], 1)

    def _clash(self, one, other):
        """Whether two tiles are different ones of one bank."""
        return (one[: self.log_banks] == other[: self.log_banks]) & (one != other)

    def _compare(self, m: Module, stages, comes, coming, waiting, may) -> None:
        """Cycle 0: takes a micro-op in and compares its tiles with those of the ones before it.
        While it waits they move on."""
        src_ahead, waiting_may_go, may_go = may
        new, old = self.op.payload, coming.op
        waiting_goes = src_ahead & waiting_may_go
        coming_may_go = comes & ~old.empty & may_go
        waiting_long, coming_long = (is_long(one.op.insn.alu_opcode) for one in (waiting, coming))

        def goes_now(of_waiting, of_coming):
            """Whether one of them goes that this is said of, if another micro-op is taken in."""
            return Mux(src_ahead, waiting_may_go & of_waiting, coming_may_go & of_coming)

        def move(one, name, places, now, used):
            """Where the results for a tile will be in the next cycle: each a stage on, and that of
            a micro-op that goes now in the first; whether the tile is read if not of that."""
            return [
                one[f"{name}_places"].eq(Cat(now, places[:-1])),
                one[f"reads_{name}"].eq(used & ~places[:-1].any()),
            ]

        # If one is taken in and the one that came does not go, that is who waits.
        with m.If(self.op.ready):
            m.d.sync += [
                comes.eq(self.op.valid),
                coming.op.eq(new),
                coming.clash.eq(self._clash(new.src, new.dst)),
                coming.src_beside_it.eq(
                    Mux(
                        comes,
                        self._clash(new.src, old.dst),
                        self._clash(new.src, waiting.op.dst),
                    )
                ),
            ]
        new_waits, old_waits = [], []
        for name in ("dst", "src"):
            index, places, is_its = new[name], coming[f"{name}_places"], coming[f"{name}_is_its"]
            of_waiting, of_coming = index == waiting.op.dst, index == old.dst
            used, old_used = (
                ~op.empty & ~(op.insn.use_imm if name == "src" else 0) for op in (new, old)
            )
            new_waits.append(used & goes_now(waiting_long & of_waiting, coming_long & of_coming))
            old_waits.append(old_used & waiting_goes & waiting_long & is_its)
            with m.If(self.op.ready):
                on_its_way = Cat(place.live & (place.dst == index) for place in stages)
                m.d.sync += [
                    *move(coming, name, on_its_way, goes_now(of_waiting, of_coming), used),
                    is_its.eq(Mux(comes, of_coming, of_waiting)),
                ]
            with m.Else():
                m.d.sync += move(coming, name, places, waiting_goes & is_its, old_used)
        m.d.sync += coming.waits.eq(Mux(self.op.ready, Cat(new_waits).any(), Cat(old_waits).any()))
        m.d.sync += waiting.waits.eq(0)
        m.d.sync += move(waiting, "dst", waiting.dst_places, 0, 1)
        # When nobody else does, the one that came may be who waits in the next cycle.
        with m.If(~src_ahead | waiting_may_go):
            now = waiting_goes & coming.dst_is_its
            m.d.sync += [
                waiting.eq(coming),
                waiting.waits.eq(now & waiting_long),
                *move(waiting, "dst", coming.dst_places, now, 1),
            ]

    def _compute(self, m: Module, stages, insn, origins, ahead) -> None:
        """Cycle 2: chooses the operands. Cycles 3 to 5: the lanes and the write."""
        fetched, first, second, writing = stages
        first_opcode = Signal(AluOpcode)
        for before, after in pairwise(stages):
            m.d.sync += after.eq(before)
        tile = self.tile_layout
        short = Signal(tile)
        result = Signal(tile)
        written = Signal(tile, reset_less=True)
        kept = Signal(tile, reset_less=True)
        x = Signal(tile, reset_less=True)
        y = Signal(tile, reset_less=True)
        imm = Signal(tile)
        m.d.comb += [imm[lane].eq(insn.imm) for lane in range(tile.length)]
        with m.If(fetched.live):
            m.d.sync += first_opcode.eq(insn.alu_opcode)
            results = {
                From.SHORT: short,
                From.RESULT: result,
                From.WRITTEN: written,
                From.KEPT: kept,
            }
            dst = {From.MEMORY: self.dst_read.data, **results}
            src = {From.MEMORY: self.src_read.data, From.AHEAD: ahead, From.IMM: imm, **results}
            m.d.sync += [
                Value.cast(operand).eq(self._taken(where, sources))
                for operand, where, sources in zip((x, y), origins, (dst, src))
            ]
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
            self.write_lookahead.valid.eq(second.live),
            self.write_lookahead.addr.eq(second.dst),
            self.write.mask.eq(writing.live),
            self.write.addr.eq(writing.dst),
            self.write.data.eq(written),
            self.done.eq(writing.last),
        ]
