"""A core that does on its memory port what a script says, right or wrong: a peer for the
simulator's harness.
 It has the ports of the real one. Its control port takes any write; INSN_COUNT is the row of the
script to begin with, and CONTROL launches. Reading any register gives an event: what came back on R
and B, in the order in which it came.
"""

from dataclasses import dataclass, fields

from amaranth.back import verilog
from amaranth.hdl import Cat, Const, Elaboratable, Module, Signal
from amaranth.lib import data
from amaranth.lib.memory import Memory

from vta import memmap
from vta.hw.interfaces import AXI4LiteSignature, AXISignature
from vta.memory_timing import MemoryTiming
from vta.sim.rtl.build import Build
from vta.sim.rtl.harness import Harness

ADDR_BITS = 32
EVENTS = 64


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the core drives for one cycle, or with ``hold`` until every VALID of the row has met its
    READY.

    ``events``: stay in the row until so many beats and responses have come back. ``end``: raise the
    interrupt.
    """

    arvalid: int = 0
    araddr: int = 0
    arid: int = 1
    arlen: int = 0
    arsize: int = 3
    arburst: int = 1
    rready: int = 1
    awvalid: int = 0
    awaddr: int = 0
    awid: int = 0
    awlen: int = 0
    awsize: int = 3
    awburst: int = 1
    wvalid: int = 0
    wdata: int = 0
    wstrb: int = 0xFF
    wlast: int = 0
    bready: int = 1
    hold: int = 0
    events: int = 0
    end: int = 0


_WIDTHS = {
    "araddr": ADDR_BITS, "arid": 4, "arlen": 8, "arsize": 3, "arburst": 2,
    "awaddr": ADDR_BITS, "awid": 4, "awlen": 8, "awsize": 3, "awburst": 2,
    "wdata": 64, "wstrb": 8, "events": 10,
}  # fmt: skip
ROW = data.StructLayout({field.name: _WIDTHS.get(field.name, 1) for field in fields(Row)})


def read(addr, *, beats=1, **changes):
    """A read that waits for ARREADY, as a master should."""
    return Row(arvalid=1, araddr=addr, arlen=beats - 1, hold=1, **changes)


def write(addr, words, **changes):
    """A write burst of 64-bit words: the address with the first beat, then the others."""
    rows = []
    for index, word in enumerate(words):
        first, last = index == 0, index == len(words) - 1
        address = {"awvalid": first, "awaddr": addr, "awlen": len(words) - 1}
        rows.append(Row(**address, wvalid=1, wdata=word, wlast=last, hold=1, **changes))
    return rows


def await_events(count):
    """Wait until so many read beats and write responses have come back, and be done."""
    return [Row(events=count), Row(end=1)]


@dataclass(frozen=True)
class Event:
    """A beat of R (``id``, ``last``, low 24 bits of ``data``) or a response of B (``write``)."""

    write: bool
    resp: int
    id: int
    last: bool
    data: int


EVENT = data.StructLayout({"data": 24, "last": 1, "resp": 2, "id": 4, "write": 1})


def events_of(report):
    """The events of a run in a :class:`vta.sim.rtl.harness.BusReport`, by register offset / 4:
    those that no register shows are missing, and a read of zeros with ID 0 would be too."""
    words = {memmap.register(name).offset // 4: word for name, word in report.registers.items()}
    return {index: _event(word) for index, word in words.items() if word}


def _event(word):
    bits = EVENT.from_bits(word)
    return Event(bool(bits.write), bits.resp, bits.id, bool(bits.last), bits.data)


class ScriptedCore(Elaboratable):
    def __init__(self, rows):
        self.rows = list(rows)
        self.m_axi = AXISignature(addr_bits=ADDR_BITS, data_bits=64).create()
        self.s_axi = AXI4LiteSignature(addr_bits=memmap.ADDR_BITS).flip().create()
        self.irq = Signal()

    def elaborate(self, platform):
        m = Module()
        m.submodules.events = self.events = Memory(shape=EVENT, depth=EVENTS, init=[])
        start, launch = Signal(16), Signal()
        busy = Signal()
        self._control_port(m, start, launch)

        rows = [
            {field.name: getattr(row, field.name) for field in fields(Row)} for row in self.rows
        ]
        m.submodules.script = script = Memory(shape=ROW, depth=len(rows), init=rows)
        port = script.read_port()
        number, advance = Signal(16), Signal()
        m.d.comb += port.addr.eq(number + advance)
        m.d.sync += number.eq(port.addr)
        row = port.data

        with m.If(launch):
            m.d.comb += port.addr.eq(start)
            m.d.sync += [busy.eq(1), self.irq.eq(0)]

        bus = self.m_axi
        accepted = {}
        for channel in ("ar", "aw", "w"):
            taken = Signal(name=f"{channel}_taken")
            valid, ready = getattr(bus, f"{channel}valid"), getattr(bus, f"{channel}ready")
            m.d.comb += valid.eq(busy & row[f"{channel}valid"] & ~taken)
            m.d.sync += taken.eq(~advance & ((valid & ready) | taken))
            accepted[channel] = ~row[f"{channel}valid"] | taken | ready
        for field in fields(Row):
            if field.name.startswith(("ar", "aw", "w")) and not field.name.endswith("valid"):
                m.d.comb += getattr(bus, field.name).eq(row[field.name])
        m.d.comb += [bus.rready.eq(row.rready), bus.bready.eq(row.bready)]

        seen = self._events(m, launch)
        m.d.comb += advance.eq(
            busy & ~row.end & (~row.hold | Cat(*accepted.values()).all()) & (seen >= row.events)
        )
        with m.If(busy & row.end):
            m.d.sync += [busy.eq(0), self.irq.eq(1)]
        return m

    def _events(self, m, launch):
        """Keep what comes back; returns how much has come."""
        bus = self.m_axi
        beat, response = self.events.write_port(), self.events.write_port()
        seen = Signal(10)
        after_beat = Signal(10)
        m.d.comb += [
            beat.addr.eq(seen),
            beat.en.eq(bus.rvalid & bus.rready),
            beat.data.eq(Cat(bus.rdata[:24], bus.rlast, bus.rresp, bus.rid, 0)),
            after_beat.eq(seen + beat.en),
            response.addr.eq(after_beat),
            response.en.eq(bus.bvalid & bus.bready),
            response.data.eq(Cat(Const(0, 24), 0, bus.bresp, bus.bid, 1)),
        ]
        m.d.sync += seen.eq(after_beat + response.en)
        with m.If(launch):
            m.d.sync += seen.eq(0)
        return seen

    def _control_port(self, m, start, launch):
        bus = self.s_axi
        both = Signal()
        m.d.comb += [
            both.eq(bus.awvalid & bus.wvalid & ~bus.bvalid),
            bus.awready.eq(both),
            bus.wready.eq(both),
            launch.eq(both & (bus.awaddr == memmap.register("CONTROL").offset)),
            bus.arready.eq(~bus.rvalid),
        ]
        with m.If(both):
            m.d.sync += bus.bvalid.eq(1)
            with m.If(bus.awaddr == memmap.register("INSN_COUNT").offset):
                m.d.sync += start.eq(bus.wdata)
            with m.If(bus.awaddr == memmap.register("STATUS").offset):
                m.d.sync += self.irq.eq(0)
        with m.If(bus.bvalid & bus.bready):
            m.d.sync += bus.bvalid.eq(0)

        reader = self.events.read_port()
        m.d.comb += [reader.addr.eq(bus.araddr >> 2), bus.rdata.eq(reader.data)]
        m.d.comb += reader.en.eq(bus.arvalid & bus.arready)
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += bus.rvalid.eq(1)
        with m.If(bus.rvalid & bus.rready):
            m.d.sync += bus.rvalid.eq(0)

    def to_verilog(self):
        ports = {}
        for prefix, interface in (("m_axi_", self.m_axi), ("s_axi_", self.s_axi)):
            for path, _, signal in interface.signature.flatten(interface):
                ports[prefix + path[-1]] = (signal, None)
        ports["irq"] = (self.irq, None)
        return verilog.convert(self, name="vta_core", ports=ports, emit_src=False)


class ScriptedMachine:
    """The scripted core in the simulator's harness.

    Parameters
    ----------
    scripts : mapping of str to sequence of Row
        Everything that the core can be told to do; all of it is in one build.
    """

    def __init__(self, scripts):
        self.starts, rows = {}, []
        for name, script in scripts.items():
            self.starts[name] = len(rows)
            rows += script
        self.verilog = ScriptedCore(rows).to_verilog()
        self.library = Build(self.verilog, bus_bytes=8).library()

    def run(self, name, regions=(), *, timing=None, cycles=20_000, **options):
        """Run one script on a fresh machine to its end; returns the BusReport."""
        harness = Harness(self.library, timing or MemoryTiming())
        harness.start(regions, 0, self.starts[name], **options)
        assert harness.advance(cycles), f"the script {name} does not end"
        return harness.finish()
