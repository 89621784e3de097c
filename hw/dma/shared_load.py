"""One load engine for two modules, where area counts more than cycles.

::

    load module -> first  --+
                            +-> round robin -> LoadEngine -> INP, WGT, UOP and accumulator SRAMs
    compute     -> second --+

Requests of both modules are in flight together, and are executed in the order in which they were
accepted. A request that was accepted waits for nothing but the memory, so no module waits for the
other one for ever.
"""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from vta.hw.dma.load import LoadEngine, pad_load_of
from vta.hw.dma.rows import MemoryKind
from vta.hw.interfaces import error_addr_bits, layout_of
from vta.isa import Isa
from vta.memmap import Source

__all__ = ["SharedLoadEngine"]


class SharedLoadEngine(wiring.Component):
    """A load engine with two request ports.

    Parameters
    ----------
    isa : Isa
        Instruction set.
    first, second : sequence of MemoryKind
        The memories of the load module and of the compute module.
    addr_bits, data_bits : int
        Widths of the bus.

    Attributes
    ----------
    first, second : stream of the LOAD layout, in
        As ``request`` of :class:`~vta.hw.dma.load.LoadEngine`. ``ready`` depends on the ``valid``
        of both.
    first_done, second_done : out
        As ``done``, for the requests of each port.
    read, stall, error, write_<sram>, loaded_<sram>
        As of :class:`~vta.hw.dma.load.LoadEngine`; errors name the module whose request it was.
    read_second : out
        With a request on the bus: it belongs to a request of ``second``.
    """

    def __init__(
        self, isa: Isa, first: Sequence[MemoryKind], second: Sequence[MemoryKind], *,
        addr_bits: int, data_bits: int,
    ) -> None:  # fmt: skip
        self.split = len(first)
        """The number of the first memory of ``second``."""
        self.engine = LoadEngine(
            isa.memory,
            [*first, *second],
            addr_bits=addr_bits,
            data_bits=data_bits,
            source=[Source.LOAD] * len(first) + [Source.COMPUTE] * len(second),
            pad_load=pad_load_of(isa),
            rows_in_flight=isa.cfg.load_rows,
            error_addr_bits=error_addr_bits(isa.cfg),
        )
        self.kinds = self.engine.kinds
        members = self.engine.signature.members
        self.streams = [name for name in members if name == "read" or name.startswith("write_")]
        self.strobes = [name for name in members if name.startswith("loaded_")]
        super().__init__({
            **{name: members[name] for name in (*self.streams, *self.strobes, "stall", "error")},
            **{name: In(stream.Signature(layout_of(isa.memory))) for name in ("first", "second")},
            "first_done": Out(1), "second_done": Out(1), "read_second": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.engine = engine = self.engine
        second_turn = Signal()
        """The second port goes first: the last request was one of the first port."""
        grant_second = Signal()
        accepted = Signal()
        done_second = engine.done_kind >= self.split
        m.d.comb += [
            grant_second.eq(self.second.valid & (second_turn | ~self.first.valid)),
            engine.request.valid.eq(self.first.valid | self.second.valid),
            engine.request.payload.eq(Mux(grant_second, self.second.payload, self.first.payload)),
            self.first.ready.eq(engine.request.ready & ~grant_second),
            self.second.ready.eq(engine.request.ready & grant_second),
            accepted.eq(engine.request.valid & engine.request.ready),
            self.first_done.eq(engine.done & ~done_second),
            self.second_done.eq(engine.done & done_second),
            self.read_second.eq(engine.read_kind >= self.split),
            engine.stall.eq(self.stall),
            self.error.eq(engine.error),
        ]
        with m.If(accepted):
            m.d.sync += second_turn.eq(~grant_second)
        for name in self.streams:
            connect(m, flipped(getattr(self, name)), getattr(engine, name))
        for name in self.strobes:
            m.d.comb += getattr(self, name).eq(getattr(engine, name))
        return m
