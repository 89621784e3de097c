"""Loads: 2D transfers from DRAM into an SRAM, with padding around them.

``sram[base + zeros + r * pitch + c] = dram[dram_base + r * x_stride + c]``, around it the padding:
zeros, or the pad value in each lane

    LoadEngine: request -> RowGenerator -> { read requests, row queue } -> RowWriter -> SRAM

:class:`LoadEngine` executes the LOADs of the load module (INP, WGT) and of the compute module (UOP,
ACC, ACC_8BIT), or of both
(:mod:`vta.hw.dma.shared_load`). :class:`LoadModule` adds the instruction
queue and the tokens of the load module.
"""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from vta.config import VTAConfig
from vta.hw.dma.row_generator import RowGenerator
from vta.hw.dma.row_writer import RowWriter, write_signature
from vta.hw.dma.rows import MemoryKind, beats_bits, index_range
from vta.hw.interfaces import (
    ERROR_ADDR_BITS,
    ErrorLayout,
    ReadPortSignature,
    error_addr_bits,
    layout_of,
    module_status,
)
from vta.hw.lib.output_queue import OutputQueue
from vta.isa import Capability, Format, Isa
from vta.memmap import ErrorCode, ModuleState, Source

LOADS_IN_FLIGHT = 16
"""LOADs of the load module that may be in flight."""


def pad_load_of(isa: Isa) -> Format | None:
    """The layout of a LOAD with a pad value, if the machine has it."""
    return isa.pad_load if Capability.PAD_VALUE in isa.capabilities else None


class LoadEngine(wiring.Component):
    """Executes LOAD instructions in the order of the requests.

    One element is written in a cycle, or one beat of an element that is wider than the bus; an
    element of padding takes a cycle too. Elements that are smaller than a beat may begin at any
    multiple of their size.

    Parameters
    ----------
    insn : Format
        The layout of a LOAD (``Isa.memory``).
    kinds : sequence of MemoryKind
        The memories that requests may name. Those with the same ``sram`` share a write port.
    addr_bits, data_bits : int
        Widths of the bus.
    source : Source or sequence of Source
        The reporter of the errors, or that of each memory.
    pad_load : Format or None
        The layout of a LOAD with a pad value (``Isa.pad_load``); None on a machine without the
        extension.
    rows_in_flight : int
        Rows whose data may be outstanding. With rows of two beats, 32 cover a memory latency of 60
        cycles.
    error_addr_bits : int
        As of :class:`~vta.hw.interfaces.ErrorLayout`.

    Attributes
    ----------
    request : stream of the LOAD layout, in
        Legal instructions (``Isa.why_illegal``) for the memories of ``kinds``. A request is
        accepted while older requests are in flight, so their reads overlap. A NOP (``x_size = 0``)
        writes nothing. The opcode and the token flags are ignored.
    done : out
        Strobe, once for each request, in order, in the cycle of its last write: a read that is
        issued in the next cycle returns the new elements.
    done_kind : out
        With ``done``: the memory of the request, an index into ``kinds``.
    busy : out
        Asserted from the cycle after a request is accepted to the cycle of its ``done``.
    read : ReadPortSignature, out
        The bus.
    read_kind : out
        With a request on the bus: the memory that the request is for.
    write_<sram> : SramWriteSignature, out
        One for each SRAM; ``granule`` is the smaller of a beat and an element of the SRAM.
    stall : in
        Asserted: the write of this cycle is not performed (the SRAM must ignore it) and is offered
        again in the next cycle.
    loaded_<sram> : out
        Strobe, once for each element from DRAM (not for padding), for the counters.
    error : ErrorLayout, out
        ADDRESS (``addr``: the byte address of the row) or SRAM_RANGE (``addr``: the index). The
        engine executes nothing more until it is reset.
    """

    def __init__(
        self,
        insn: Format,
        kinds: Sequence[MemoryKind],
        *,
        addr_bits: int,
        data_bits: int,
        source: Source | Sequence[Source],
        pad_load: Format | None = None,
        rows_in_flight: int = VTAConfig.load_rows,
        error_addr_bits: int = ERROR_ADDR_BITS,
    ) -> None:
        self.insn, self.kinds, self.pad_load = insn, tuple(kinds), pad_load
        self.rows_in_flight, self.error_addr_bits = rows_in_flight, error_addr_bits
        self.addr_bits, self.data_bits, self.source = addr_bits, data_bits, source
        self.srams = {kind.sram: kind for kind in self.kinds}
        members = {
            "request": In(stream.Signature(layout_of(insn))),
            "done": Out(1),
            "done_kind": Out(index_range(len(self.kinds))),
            "busy": Out(1),
            "read_kind": Out(index_range(len(self.kinds))),
            "stall": In(1),
            "read": Out(ReadPortSignature(addr_bits=addr_bits, data_bits=data_bits)),
            "error": Out(ErrorLayout(error_addr_bits)),
        }
        for name, kind in self.srams.items():
            members[f"write_{name}"] = Out(write_signature(kind, data_bits))
            members[f"loaded_{name}"] = Out(1)
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        m.submodules.generator = generator = RowGenerator(
            self.insn,
            self.kinds,
            addr_bits=self.addr_bits,
            data_bits=self.data_bits,
            source=self.source,
            pad_load=self.pad_load,
            error_addr_bits=self.error_addr_bits,
        )
        m.submodules.writer = writer = RowWriter(
            self.kinds,
            data_bits=self.data_bits,
            source=self.source,
            has_pad_value=self.pad_load is not None,
            error_addr_bits=self.error_addr_bits,
        )
        # A row forks to the bus and to the row queue; both accept it in the same cycle.
        row = generator.row.payload
        m.submodules.rows = rows = OutputQueue(
            width=len(row.row.as_value()), depth=self.rows_in_flight
        )
        has_beats = row.beats != 0
        m.d.comb += [
            self.read.request.valid.eq(generator.row.valid & has_beats & rows.w_rdy),
            self.read.request.payload.addr.eq(row.addr),
            self.read.request.payload.beats.eq(row.beats),
            rows.w_en.eq(generator.row.valid & (~has_beats | self.read.request.ready)),
            rows.w_data.eq(row.row),
            generator.row.ready.eq(rows.w_rdy & (~has_beats | self.read.request.ready)),
        ]
        m.d.comb += writer.stall.eq(self.stall)
        connect(m, flipped(self.request), generator.request)
        connect(m, rows.r_stream, writer.row)
        connect(m, flipped(self.read.beat), writer.beat)
        for name in self.srams:
            connect(m, flipped(getattr(self, f"write_{name}")), getattr(writer, f"write_{name}"))
            m.d.comb += getattr(self, f"loaded_{name}").eq(getattr(writer, f"loaded_{name}"))
        m.d.comb += self.error.eq(
            Mux(writer.error.code != ErrorCode.NONE, writer.error, generator.error)
        )

        in_flight = Signal(range(self.rows_in_flight + 2 * generator.LATENCY))
        m.d.sync += in_flight.eq(
            in_flight + (self.request.valid & self.request.ready) - writer.done
        )
        m.d.comb += [
            self.done.eq(writer.done),
            self.done_kind.eq(writer.done_kind),
            self.read_kind.eq(row.row.kind),
            self.busy.eq(in_flight != 0),
        ]
        return m


class LoadModule(wiring.Component):
    """The load module: LOADs of INP and WGT in order, tokens to and from the compute module.

    An instruction issues when its token is available; older instructions may be in flight, so their
    reads overlap. Instructions retire in order. A token is pushed in the cycle of the last write of
    its instruction.

    Parameters
    ----------
    isa : Isa
        Instruction set.
    kinds : sequence of MemoryKind
        INP and WGT.
    addr_bits, data_bits : int
        Widths of the bus.

    Attributes
    ----------
    insn, tokens, state, retired, error
        See :func:`~vta.hw.interfaces.module_status`.
    read, write_<sram>, loaded_<sram>
        As of :class:`LoadEngine`, on a machine with two load engines.
    request, done
        As of :class:`LoadEngine`, to the engine that the module shares with the compute module, on
        a machine with one.
    """

    def __init__(
        self, isa: Isa, kinds: Sequence[MemoryKind], *, addr_bits: int, data_bits: int
    ) -> None:
        self.isa = isa
        self.beats_bits = beats_bits(tuple(kinds), data_bits)
        """Width of the number of beats of a request."""
        self.engine = None
        if isa.cfg.load_engines == 1:
            request = stream.Signature(layout_of(isa.memory))
            super().__init__({**module_status(isa), "request": Out(request), "done": In(1)})
            return
        self.engine = LoadEngine(
            isa.memory,
            kinds,
            addr_bits=addr_bits,
            data_bits=data_bits,
            source=Source.LOAD,
            pad_load=pad_load_of(isa),
            rows_in_flight=isa.cfg.load_rows,
            error_addr_bits=error_addr_bits(isa.cfg),
        )
        members = dict(self.engine.signature.members)
        self.forwarded = [
            name for name in members if name == "read" or name.startswith(("write_", "loaded_"))
        ]
        super().__init__({
            **module_status(isa),
            **{name: members[name] for name in self.forwarded},
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.in_flight = in_flight = OutputQueue(width=1, depth=LOADS_IN_FLIGHT)
        insn = data.View(layout_of(self.isa.memory), self.insn.payload)
        if self.engine is None:
            request, done = self.request, self.done
        else:
            request, done = self._own_engine(m, self.engine)

        token_stall = Signal()
        issue = Signal()
        m.d.comb += [
            token_stall.eq(self.insn.valid & insn.pop_next & ~self.tokens.next_avail),
            request.valid.eq(self.insn.valid & ~token_stall & in_flight.w_rdy),
            request.payload.eq(self.insn.payload),
            issue.eq(request.valid & request.ready),
            self.insn.ready.eq(issue),
            in_flight.w_en.eq(issue),
            in_flight.w_data.eq(insn.push_next),
            self.tokens.pop_next.eq(issue & insn.pop_next),
            in_flight.r_en.eq(done),
            self.tokens.push_next.eq(done & in_flight.r_data),
            self.retired.eq(done),
        ]
        with m.If(in_flight.r_rdy | (self.insn.valid & ~token_stall)):
            m.d.comb += self.state.eq(ModuleState.RUNNING)
        with m.Elif(token_stall):
            m.d.comb += self.state.eq(ModuleState.WAITING)
        return m

    def _own_engine(self, m: Module, engine: LoadEngine):
        """The request stream and the completions of the engine of this module."""
        m.submodules.engine = engine
        m.d.comb += self.error.eq(engine.error)
        for name in self.forwarded:
            outer, inner = getattr(self, name), getattr(engine, name)
            if name.startswith("loaded_"):
                m.d.comb += outer.eq(inner)
            else:
                connect(m, flipped(outer), inner)
        return engine.request, engine.done
