"""Stores: accumulator tiles, narrowed to output values or whole, from the chip to DRAM.

``dram[dram_base + r * x_stride + c] = out[sram_base + r * x_size + c]``, or ``acc[...]``

    request -> RowGenerator -> { write requests, row queue } -> RowReader of the memory -> beats

The out SRAM, a mirror of the low bits of the accumulators, has a read port for stores. Whole tiles
are read from the accumulators themselves, in cycles in which GEMM does not read
(:mod:`vta.hw.compute.tile_reader`), while the beats of the tile before are sent.
"""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out

from vta.hw.dma.row_generator import RowGenerator
from vta.hw.dma.row_reader import RowReader
from vta.hw.dma.rows import MemoryKind, beats_bits
from vta.hw.interfaces import (
    SramReadSignature,
    TileReadSignature,
    WritePortSignature,
    error_addr_bits,
    layout_of,
    module_status,
)
from vta.hw.lib.output_queue import OutputQueue
from vta.isa import Capability, Isa, MemId
from vta.memmap import ErrorCode, ModuleState, Source

ROWS_IN_FLIGHT = 8
"""Rows that may be requested of the bus and not yet be read from the SRAM."""

STORES_IN_FLIGHT = 32
"""STOREs whose write responses may be outstanding."""


def stored_memories(isa: Isa) -> list[MemId]:
    """What a STORE can read."""
    stores_acc = Capability.STORE_ACC in isa.capabilities
    return [MemId.OUT, MemId.ACC] if stores_acc else [MemId.OUT]


class StoreModule(wiring.Component):
    """The store module: STOREs in order, tokens to and from the compute module.

    An instruction issues when its token is available; the writes of older instructions may be
    outstanding. Instructions retire in order. A token is pushed with the last write response of its
    instruction.

    Parameters
    ----------
    isa : Isa
        Instruction set.
    kinds : sequence of MemoryKind
        OUT, and ACC on a machine that stores whole accumulators.
    addr_bits, data_bits : int
        Widths of the bus.

    Attributes
    ----------
    insn, tokens, state, retired, error
        See :func:`~vta.hw.interfaces.module_status`.
    out_read : SramReadSignature, out
        The out SRAM.
    acc_read : TileReadSignature, out
        The accumulators, if ACC is among the kinds.
    write : WritePortSignature, out
        The bus.
    stored : out
        For the byte counter, in units of an element of OUT: the bytes of the element that is read
        in this cycle.
    """

    def __init__(
        self, isa: Isa, kinds: Sequence[MemoryKind], *, addr_bits: int, data_bits: int
    ) -> None:
        self.isa, self.kinds = isa, tuple(kinds)
        self.addr_bits, self.data_bits = addr_bits, data_bits
        self.beats_bits = beats_bits(self.kinds, data_bits)
        """Width of the number of beats of a request."""
        self.sizes = [kind.elem_bytes // kinds[0].elem_bytes for kind in kinds]
        """Elements of OUT that an element of each kind is as large as."""
        ports = {"out": SramReadSignature, "acc": TileReadSignature}
        super().__init__({
            **module_status(isa),
            **{f"{kind.sram}_read": Out(
                ports[kind.sram](log_depth=kind.log_depth, bits=kind.sram_bits)
            ) for kind in kinds},
            "write": Out(WritePortSignature(addr_bits=addr_bits, data_bits=data_bits)),
            "stored": Out(range(max(self.sizes) + 1)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.generator = generator = RowGenerator(
            self.isa.memory, self.kinds, addr_bits=self.addr_bits, data_bits=self.data_bits,
            source=Source.STORE, pads=False, error_addr_bits=error_addr_bits(self.isa.cfg),
        )  # fmt: skip
        # A row forks to the bus and to the row queue; both accept it in the same cycle.
        row, request = generator.row.payload, self.write.request
        m.submodules.rows = rows = OutputQueue(width=len(row.row.as_value()), depth=ROWS_IN_FLIGHT)
        has_beats = row.beats != 0
        m.d.comb += [
            request.valid.eq(generator.row.valid & has_beats & rows.w_rdy),
            request.payload.addr.eq(row.addr),
            request.payload.beats.eq(row.beats),
            request.payload.last.eq(row.row.last),
            rows.w_en.eq(generator.row.valid & (~has_beats | request.ready)),
            rows.w_data.eq(row.row),
            generator.row.ready.eq(rows.w_rdy & (~has_beats | request.ready)),
        ]
        m.d.comb += self.error.eq(generator.error)
        self._read(m, rows, row.row.shape())
        self._issue_and_retire(m, generator.request)
        return m

    def _read(self, m, rows, row_layout):
        """The readers, one for each memory. A row goes to its reader when the others are idle, so
        beats are in the order of the rows, and one reader at most has a beat."""
        readers = []
        for kind in self.kinds:
            waits = kind.memory is MemId.ACC
            reader = RowReader(
                kind, self.kinds, addr_bits=self.addr_bits, data_bits=self.data_bits,
                waits=waits, ask_ahead=TileReadSignature.LATENCY if waits else 0,
                error_addr_bits=error_addr_bits(self.isa.cfg),
            )  # fmt: skip
            m.submodules[f"{kind.sram}_reader"] = reader
            port = getattr(self, f"{kind.sram}_read")
            m.d.comb += [
                port.en.eq(reader.sram.en),
                port.addr.eq(reader.sram.addr),
                reader.sram.data.eq(port.data),
            ]
            if waits:
                m.d.comb += [reader.sram_ready.eq(port.ready), port.take.eq(reader.sram_take)]
            readers.append(reader)
        row, beat = data.View(row_layout, rows.r_data), self.write.beat
        m.d.comb += [
            beat.valid.eq(reduce(or_, (reader.beat.valid for reader in readers))),
            beat.payload.eq(readers[0].beat.payload),
        ]
        for number, reader in enumerate(readers):
            selected = row.kind == number if len(readers) > 1 else 1
            for other in readers:
                selected &= other.idle if other is not reader else 1
            m.d.comb += [
                reader.row.payload.eq(rows.r_data),
                reader.row.valid.eq(rows.r_rdy & selected),
                reader.beat.ready.eq(beat.ready),
            ]
            with m.If(selected):
                m.d.comb += rows.r_en.eq(reader.row.ready)
            if number:
                with m.If(reader.beat.valid):
                    m.d.comb += beat.payload.eq(reader.beat.payload)
            with m.If(reader.read):
                m.d.comb += self.stored.eq(self.sizes[number])
            with m.If(reader.error.code != ErrorCode.NONE):
                m.d.comb += self.error.eq(reader.error)

    def _issue_and_retire(self, m, request):
        """Issue instructions with their tokens; retire them in order with their responses."""
        m.submodules.in_flight = in_flight = OutputQueue(width=2, depth=STORES_IN_FLIGHT)
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
