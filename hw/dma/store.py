"""Stores: accumulator tiles, narrowed to output values, from the out SRAM to DRAM.

``dram[dram_base + r * x_stride + c] = out[sram_base + r * x_size + c]``

    request -> RowGenerator -> { write requests, row queue } -> RowReader -> beats
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import Out, connect, flipped

from vta.hw.dma.row_generator import RowGenerator
from vta.hw.dma.row_reader import RowReader
from vta.hw.dma.rows import MemoryKind
from vta.hw.interfaces import (
    SramReadSignature,
    WritePortSignature,
    layout_of,
    module_status,
)
from vta.isa import Isa
from vta.memmap import ErrorCode, ModuleState, Source

ROWS_IN_FLIGHT = 8
"""Rows that may be requested of the bus and not yet be read from the SRAM."""

STORES_IN_FLIGHT = 32
"""STOREs whose write responses may be outstanding."""


class StoreModule(wiring.Component):
    """The store module: STOREs in order, tokens to and from the compute module.

    An instruction issues when its token is available; the writes of older instructions may be
    outstanding. Instructions retire in order. A token is pushed with the last write response of its
    instruction.

    Parameters
    ----------
    isa : Isa
        Instruction set.
    kind : MemoryKind
        OUT.
    addr_bits, data_bits : int
        Widths of the bus.

    Attributes
    ----------
    insn, tokens, state, retired, error
        See :func:`~vta.hw.interfaces.module_status`.
    out_read : SramReadSignature, out
        The out SRAM.
    write : WritePortSignature, out
        The bus.
    stored : out
        Strobe, once for each element, for the byte counter.
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
            width=len(generator.row.payload.as_value()), depth=ROWS_IN_FLIGHT
        )

        # A row forks to the bus and to the row queue; both accept it in the same cycle.
        row, request = generator.row.payload, self.write.request
        has_beats = row.beats != 0
        m.d.comb += [
            request.valid.eq(generator.row.valid & has_beats & rows.w_rdy),
            request.payload.addr.eq(row.addr),
            request.payload.beats.eq(row.beats),
            request.payload.last.eq(row.last),
            rows.w_en.eq(generator.row.valid & (~has_beats | request.ready)),
            rows.w_data.eq(row),
            generator.row.ready.eq(rows.w_rdy & (~has_beats | request.ready)),
        ]
        connect(m, rows.r_stream, reader.row)
        connect(m, reader.sram, flipped(self.out_read))
        connect(m, reader.beat, flipped(self.write.beat))
        m.d.comb += [
            self.stored.eq(reader.read),
            self.error.eq(Mux(reader.error.code != ErrorCode.NONE, reader.error, generator.error)),
        ]
        self._issue_and_retire(m, generator.request)
        return m

    def _issue_and_retire(self, m, request):
        """Issue instructions with their tokens; retire them in order with their responses."""
        m.submodules.in_flight = in_flight = SyncFIFO(width=2, depth=STORES_IN_FLIGHT)
        insn = data.View(layout_of(self.isa.memory), self.insn.payload)
        token_stall = Signal()
        issue = Signal()
        is_nop = (insn.x_size == 0) | (insn.y_size == 0)
        m.d.comb += [
            token_stall.eq(self.insn.valid & insn.pop_prev & ~self.tokens.prev_avail),
            issue.eq(self.insn.valid & ~token_stall & in_flight.w_rdy & request.ready),
            self.insn.ready.eq(issue),
            request.valid.eq(issue),
            request.payload.eq(self.insn.payload),
            self.tokens.pop_prev.eq(issue & insn.pop_prev),
            in_flight.w_en.eq(issue),
            in_flight.w_data.eq(Cat(insn.push_prev, is_nop)),
        ]

        # Of the oldest instruction in flight; and STOREs that are answered and have not retired.
        pushes_token, writes_nothing = in_flight.r_data[0], in_flight.r_data[1]
        answered = Signal(range(STORES_IN_FLIGHT + 1))
        m.d.sync += answered.eq(answered + self.write.done - (self.retired & ~writes_nothing))
        m.d.comb += [
            self.retired.eq(in_flight.r_rdy & (writes_nothing | (answered != 0))),
            in_flight.r_en.eq(self.retired),
            self.tokens.push_prev.eq(self.retired & pushes_token),
        ]
        with m.If(in_flight.r_rdy | (self.insn.valid & ~token_stall)):
            m.d.comb += self.state.eq(ModuleState.RUNNING)
        with m.Elif(token_stall):
            m.d.comb += self.state.eq(ModuleState.WAITING)
