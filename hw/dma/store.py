"""Stores: accumulator tiles, narrowed to output values, from the out SRAM to DRAM.

``dram[dram_base + r * x_stride + c] = out[sram_base + r * x_size + c]``
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import Out, connect, flipped

from vta.hw.dma.row_generator import MemoryKind, RowGenerator
from vta.hw.dma.row_reader import RowReader
from vta.hw.interfaces import (
    SramReadSignature,
    WritePortSignature,
    layout_of,
    module_status,
)
from vta.isa import Isa
from vta.memmap import ErrorCode, ModuleState, Source

ROWS_AHEAD = 8
"""Rows that have been asked of the bus and not yet been read from the SRAM."""

INSTRUCTIONS_AHEAD = 32
"""STOREs that may wait for the answers to their writes."""


class StoreModule(wiring.Component):
    """The store module: instructions in order, tokens with the compute module.

    The next instruction starts when its token is there, while the writes of the ones before are
    under way. Tokens are pushed in order, each when all writes of its instruction were answered.

    Parameters
    ----------
    isa : Isa
        Instruction set.
    kind : MemoryKind
        OUT.
    addr_bits, data_bits : int
        Of the bus.

    Attributes
    ----------
    insn, tokens, state, retired, error
        As every module has them (:func:`~vta.hw.interfaces.module_status`).
    out_read : SramReadSignature, out
        The out SRAM.
    write : WritePortSignature, out
        The bus.
    stored : out
        One pulse for each element, for the byte counter.
    """

    def __init__(self, isa: Isa, kind: MemoryKind, *, addr_bits: int, data_bits: int) -> None:
        self.isa, self.kind, self.addr_bits, self.data_bits = isa, kind, addr_bits, data_bits
        super().__init__({
            **module_status(isa),
            "out_read": Out(SramReadSignature(log_depth=kind.log_depth, bits=kind.sram_bits)),
            "write": Out(WritePortSignature(addr_bits=addr_bits, data_bits=data_bits)),
            "stored": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        bus = {"addr_bits": self.addr_bits, "data_bits": self.data_bits}
        m.submodules.generator = generator = RowGenerator(
            self.isa.memory, (self.kind,), **bus, source=Source.STORE
        )
        m.submodules.reader = reader = RowReader(self.kind, **bus)
        m.submodules.rows = rows = SyncFIFO(
            width=len(generator.row.payload.as_value()), depth=ROWS_AHEAD
        )

        # A row goes to the bus and, through the queue, to the reader: to both or to none.
        row, request = generator.row.payload, self.write.request
        asks = row.beats != 0
        m.d.comb += [
            request.valid.eq(generator.row.valid & asks & rows.w_rdy),
            request.payload.addr.eq(row.addr),
            request.payload.beats.eq(row.beats),
            request.payload.last.eq(row.last),
            rows.w_en.eq(generator.row.valid & (~asks | request.ready)),
            rows.w_data.eq(row),
            generator.row.ready.eq(rows.w_rdy & (~asks | request.ready)),
        ]
        connect(m, rows.r_stream, reader.row)
        connect(m, reader.sram, flipped(self.out_read))
        connect(m, reader.beat, flipped(self.write.beat))
        m.d.comb += [
            self.stored.eq(reader.read),
            self.error.eq(Mux(reader.error.code != ErrorCode.NONE, reader.error, generator.error)),
        ]
        self._sequence(m, generator.request)
        return m

    def _sequence(self, m, request):
        """Start instructions with their tokens; end them, in order, with the answers."""
        m.submodules.started = started = SyncFIFO(width=2, depth=INSTRUCTIONS_AHEAD)
        insn = data.View(layout_of(self.isa.memory), self.insn.payload)
        waits = Signal()
        starts = Signal()
        moves = (insn.x_size != 0) & (insn.y_size != 0)
        m.d.comb += [
            waits.eq(self.insn.valid & insn.pop_prev & ~self.tokens.prev_avail),
            starts.eq(self.insn.valid & ~waits & started.w_rdy & request.ready),
            self.insn.ready.eq(starts),
            request.valid.eq(starts),
            request.payload.eq(self.insn.payload),
            self.tokens.pop_prev.eq(starts & insn.pop_prev),
            started.w_en.eq(starts),
            started.w_data.eq(Cat(insn.push_prev, moves)),
        ]

        push, moved = started.r_data[0], started.r_data[1]
        answered = Signal(range(INSTRUCTIONS_AHEAD + 1))
        m.d.sync += answered.eq(answered + self.write.done - (self.retired & moved))
        m.d.comb += [
            self.retired.eq(started.r_rdy & (~moved | (answered != 0))),
            started.r_en.eq(self.retired),
            self.tokens.push_prev.eq(self.retired & push),
        ]
        with m.If(started.r_rdy | (self.insn.valid & ~waits)):
            m.d.comb += self.state.eq(ModuleState.RUNNING)
        with m.Elif(waits):
            m.d.comb += self.state.eq(ModuleState.WAITING)
