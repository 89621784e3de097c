"""Loads: 2D transfers from DRAM into an SRAM, with zeros around them.

``sram[base + zeros + r * pitch + c] = dram[dram_base + r * x_stride + c]``, zeros everywhere else

:class:`LoadEngine` moves the data, for the load module (INP, WGT) and the compute module (UOP, ACC,
ACC_8BIT). :class:`LoadModule` is the first of the three modules.
"""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out, connect, flipped

from vta.hw.dma.row_generator import MemoryKind, RowGenerator
from vta.hw.dma.row_writer import RowWriter, write_signature
from vta.hw.interfaces import (
    ErrorLayout,
    ReadPortSignature,
    layout_of,
    module_status,
)
from vta.isa import Format, Isa
from vta.memmap import ErrorCode, ModuleState, Source

ROWS_AHEAD = 32
"""Rows that the generator may be ahead of the data. More than the reads that a memory of 60 cycles
latency must have under way, when each row is two beats."""

INSTRUCTIONS_AHEAD = 16
"""LOADs of the load module that may be under way at the same time."""


class LoadEngine(wiring.Component):
    """Executes LOAD instructions one after the other, in the order of the requests.

    An element is written a cycle, or a beat of it where it is wider than the bus; padding takes a
    cycle an element too. Elements of DRAM that are smaller than a beat may begin anywhere in it.

    Parameters
    ----------
    insn : Format
        The layout of a LOAD (``Isa.memory``).
    kinds : sequence of MemoryKind
        The memories that requests may name. Those with the same ``sram`` share a write port.
    addr_bits, data_bits : int
        Of the bus.
    source : Source
        Who reports the errors.

    Attributes
    ----------
    request : stream of the LOAD layout, in
        Legal instructions (``Isa.why_illegal``) for the memories of ``kinds``. Further requests are
        accepted while the ones before are under way, so their reads overlap. A NOP (``x_size = 0``)
        writes nothing. The opcode and the token flags are ignored.
    done : out
        One pulse for each request, in their order, in the cycle of its last write: a read that is
        issued in the next cycle sees all of the elements.
    busy : out
        From the cycle after a request is accepted to the cycle of its ``done``.
    read : ReadPortSignature, out
        The bus.
    write_<sram> : SramWriteSignature, out
        One for each SRAM; ``granule`` is the smaller of a beat and an element of the SRAM.
    stall : in
        The write of this cycle is not done (it must not be) and is offered again in the next.
    loaded_<sram> : out
        One pulse for each element that came from DRAM (padding does not count), for the counters.
    error : ErrorLayout, out
        ADDRESS (``addr``: the byte address of the row) or SRAM_RANGE (``addr``: the index). The
        engine stops for good; it must be reset.
    """

    def __init__(
        self,
        insn: Format,
        kinds: Sequence[MemoryKind],
        *,
        addr_bits: int,
        data_bits: int,
        source: Source,
    ) -> None:
        self.insn, self.kinds = insn, tuple(kinds)
        self.addr_bits, self.data_bits, self.source = addr_bits, data_bits, source
        self.srams = {kind.sram: kind for kind in self.kinds}
        members = {
            "request": In(stream.Signature(layout_of(insn))),
            "done": Out(1),
            "busy": Out(1),
            "stall": In(1),
            "read": Out(ReadPortSignature(addr_bits=addr_bits, data_bits=data_bits)),
            "error": Out(ErrorLayout()),
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
        )
        m.submodules.writer = writer = RowWriter(
            self.kinds, addr_bits=self.addr_bits, data_bits=self.data_bits, source=self.source
        )
        m.submodules.rows = rows = SyncFIFO(
            width=len(generator.row.payload.as_value()), depth=ROWS_AHEAD
        )

        # A row goes to the bus and, through the queue, to the writer: to both or to none.
        row = generator.row.payload
        asks = row.beats != 0
        m.d.comb += [
            self.read.request.valid.eq(generator.row.valid & asks & rows.w_rdy),
            self.read.request.payload.addr.eq(row.addr),
            self.read.request.payload.beats.eq(row.beats),
            rows.w_en.eq(generator.row.valid & (~asks | self.read.request.ready)),
            rows.w_data.eq(row),
            generator.row.ready.eq(rows.w_rdy & (~asks | self.read.request.ready)),
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

        under_way = Signal(range(ROWS_AHEAD + 2 * generator.LATENCY))
        m.d.sync += under_way.eq(
            under_way + (self.request.valid & self.request.ready) - writer.done
        )
        m.d.comb += [self.done.eq(writer.done), self.busy.eq(under_way != 0)]
        return m


class LoadModule(wiring.Component):
    """The load module: instructions in order, tokens with the compute module, INP and WGT.

    The next instruction starts when its token is there, while the ones before are under way: their
    reads overlap. Tokens are pushed in order, each when its instruction has written everything.

    Parameters
    ----------
    isa : Isa
        Instruction set.
    kinds : sequence of MemoryKind
        INP and WGT.
    addr_bits, data_bits : int
        Of the bus.

    Attributes
    ----------
    insn, tokens, state, retired, error
        As every module has them (:func:`~vta.hw.interfaces.module_status`).
    read, write_<sram>, loaded_<sram>
        As of :class:`LoadEngine`.
    """

    def __init__(
        self, isa: Isa, kinds: Sequence[MemoryKind], *, addr_bits: int, data_bits: int
    ) -> None:
        self.isa = isa
        self.engine = LoadEngine(
            isa.memory, kinds, addr_bits=addr_bits, data_bits=data_bits, source=Source.LOAD
        )
        members = dict(self.engine.signature.members)
        self.passed = [name for name in members if name.startswith(("read", "write_", "loaded_"))]
        super().__init__({
            **module_status(isa),
            **{name: members[name] for name in self.passed},
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.engine = engine = self.engine
        m.submodules.pushes = pushes = SyncFIFO(width=1, depth=INSTRUCTIONS_AHEAD)
        insn = data.View(layout_of(self.isa.memory), self.insn.payload)

        waits = Signal()
        starts = Signal()
        m.d.comb += [
            waits.eq(self.insn.valid & insn.pop_next & ~self.tokens.next_avail),
            starts.eq(self.insn.valid & ~waits & pushes.w_rdy & engine.request.ready),
            self.insn.ready.eq(starts),
            engine.request.valid.eq(starts),
            engine.request.payload.eq(self.insn.payload),
            pushes.w_en.eq(starts),
            pushes.w_data.eq(insn.push_next),
            self.tokens.pop_next.eq(starts & insn.pop_next),
            pushes.r_en.eq(engine.done),
            self.tokens.push_next.eq(engine.done & pushes.r_data),
            self.retired.eq(engine.done),
            self.error.eq(engine.error),
        ]
        with m.If(engine.busy | (self.insn.valid & ~waits)):
            m.d.comb += self.state.eq(ModuleState.RUNNING)
        with m.Elif(waits):
            m.d.comb += self.state.eq(ModuleState.WAITING)
        for name in self.passed:
            mine, inner = getattr(self, name), getattr(engine, name)
            if name.startswith("loaded_"):
                m.d.comb += mine.eq(inner)
            else:
                connect(m, flipped(mine), inner)
        return m
