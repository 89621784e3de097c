"""The beats of the ALU: with fewer lanes than values in a tile, a micro-op takes several cycles.

A tile has ``2**log_beats`` parts of equal size, lane 0 in part 0. A micro-op becomes one micro-op
for each part, in this order: beat ``b`` reads and writes part ``b`` of its tiles. To the pipeline
(:mod:`vta.hw.compute.alu_pipeline`) a part is what a tile is on a machine with all lanes: its index
is ``tile << log_beats | b``. Hazards and forwarding compare these indices, so a beat depends only
on the beats of older micro-ops with the same number.

The accumulators hold whole tiles: a read returns a tile, of which the beat takes its part, and a
write has a mask with a bit for each part.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.compute.lookahead import LookaheadSignature
from vta.hw.compute.sequencer import IndexedUopLayout
from vta.hw.interfaces import SramReadSignature, SramWriteSignature

__all__ = ["BeatPorts", "Beats"]


class Beats(wiring.Component):
    """Repeats each micro-op for each part of its tile. Combinational but for the number of the
    beat.

    Parameters
    ----------
    uop, beat : IndexedUopLayout
        Of a micro-op, and of a beat: the indices have ``log_beats`` bits more.
    log_beats : int
        log2 of the beats of a micro-op, at least 1.

    Attributes
    ----------
    i : stream of ``uop``, in
        Ready in the last beat. An ``empty`` micro-op has one beat.
    o : stream of ``beat``, out
        ``last`` in the last beat of the last micro-op.
    i_ahead, ahead : In(uop), Out(beat)
        What ``i`` and ``o`` offer in the next cycle, if this cycle transfers it or it is not valid.
    """

    def __init__(
        self, uop: IndexedUopLayout, beat: IndexedUopLayout, *, log_beats: int
    ) -> None:  # fmt: skip
        self.log_beats = log_beats
        super().__init__({
            "i": In(stream.Signature(uop)), "i_ahead": In(uop),
            "o": Out(stream.Signature(beat)), "ahead": Out(beat),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        uop, out = self.i.payload, self.o.payload
        beat = Signal(self.log_beats)
        is_last = uop.empty | beat.all()
        next_uop, next_beat, ahead = self.i_ahead, Signal(self.log_beats), self.ahead
        remains = self.i.valid & ~is_last  # the next beat is of the same micro-op
        m.d.comb += [
            next_beat.eq(Mux(remains, beat + 1, 0)),
            ahead.dst.eq(Cat(next_beat, Mux(remains, uop.dst, next_uop.dst))),
            ahead.src.eq(Cat(next_beat, Mux(remains, uop.src, next_uop.src))),
            ahead.insn.eq(Mux(remains, uop.insn.as_value(), next_uop.insn.as_value())),
            ahead.empty.eq(Mux(remains, uop.empty, next_uop.empty)),
            ahead.last.eq(Mux(remains, uop.last, next_uop.last)),
            out.dst.eq(Cat(beat, uop.dst)),
            out.src.eq(Cat(beat, uop.src)),
            out.insn.eq(uop.insn),
            out.empty.eq(uop.empty),
            out.last.eq(uop.last & is_last),
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready & is_last),
        ]
        with m.If(self.o.valid & self.o.ready & ~uop.empty):
            m.d.sync += beat.eq(beat + 1)
        return m


class BeatPorts(wiring.Component):
    """The ports of the pipeline, which access parts, on accumulators that hold whole tiles.
    Combinational but for the part of the data that a read returns.

    Parameters
    ----------
    log_depth, bits : int
        log2 of the number of tiles, and the width of a tile.
    log_beats : int
        log2 of the parts of a tile, at least 1.
    one_bank : bool
        The accumulators have one bank, so both ports return what the last read of any of them
        does: they share the selection of the part.

    Attributes
    ----------
    dst_part, src_part, write_part, part_lookahead : In
        The ports of the pipeline, with ``log_depth + log_beats`` bits of address.
    dst_read, src_read, write, write_lookahead : Out
        The accumulators. ``write`` has a bit of its mask for each part.
    """

    def __init__(
        self, *, log_depth: int, bits: int, log_beats: int, one_bank: bool = False
    ) -> None:  # fmt: skip
        self.log_beats, self.one_bank = log_beats, one_bank
        part = {"log_depth": log_depth + log_beats, "bits": bits >> log_beats}
        read, read_part = (
            SramReadSignature(log_depth=log_depth, bits=bits),
            SramReadSignature(**part),
        )
        super().__init__({
            "dst_part": In(read_part), "src_part": In(read_part),
            "write_part": In(SramWriteSignature(**part, granule=part["bits"])),
            "part_lookahead": In(LookaheadSignature(log_depth=part["log_depth"])),
            "dst_read": Out(read), "src_read": Out(read),
            "write": Out(SramWriteSignature(
                log_depth=log_depth, bits=bits, granule=part["bits"]
            )),
            "write_lookahead": Out(LookaheadSignature(log_depth=log_depth)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        bits, beats = len(self.write_part.data), 1 << self.log_beats
        dst_beat, src_beat = (
            Signal(self.log_beats, name=f"{name}_beat", reset_less=True) for name in ("dst", "src")
        )
        ports = (
            (self.dst_part, self.dst_read, dst_beat),
            (self.src_part, self.src_read, dst_beat if self.one_bank else src_beat),
        )
        for part, read, beat in ports:
            with m.If(part.en):
                m.d.sync += beat.eq(part.addr[: self.log_beats])
            m.d.comb += [
                read.en.eq(part.en),
                read.addr.eq(part.addr[self.log_beats :]),
                part.data.eq(read.data.word_select(beat, bits)),
            ]
        beat = self.write_part.addr[: self.log_beats]
        m.d.comb += [
            self.write_lookahead.valid.eq(self.part_lookahead.valid),
            self.write_lookahead.addr.eq(self.part_lookahead.addr[self.log_beats :]),
            self.write.addr.eq(self.write_part.addr[self.log_beats :]),
            self.write.data.eq(self.write_part.data.replicate(beats)),
            self.write.mask.eq(Cat(self.write_part.mask & (beat == n) for n in range(beats))),
        ]
        return m
