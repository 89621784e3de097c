"""The control registers: an AXI4-Lite slave made from the table in :mod:`vta.memmap`.

Reads of an address that has no register give 0; writes to one that cannot be written do nothing.
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vta import memmap
from vta.hw.interfaces import AXI4LiteSignature
from vta.memmap import REGISTERS

CONSTANTS = ("ID", "VERSION", "CONFIG0", "CONFIG1", "CAPS")
CAPABILITIES = 0
"""No extensions of the instruction set."""

_HI = "_HI"
_NAMES = {register.name for register in REGISTERS}


class Values(data.StructLayout):
    """What the read-only registers show: 64 bits where there is a ``<name>_HI``, else 32."""

    def __init__(self) -> None:
        super().__init__({
            register.name.lower(): 64 if register.name + _HI in _NAMES else 32
            for register in REGISTERS
            if register.access == "ro"
            and register.name not in CONSTANTS
            and not register.name.endswith(_HI)
        })  # fmt: skip


class ControlRegisters(wiring.Component):
    """The control port.

    Writes need the address and the data, in any order. A read answers three cycles after its
    address, a write two cycles after the later of the two.

    Parameters
    ----------
    config_words : tuple of int
        CONFIG0 and CONFIG1.

    Attributes
    ----------
    bus : AXI4LiteSignature, in
        The port.
    values : Values, in
        The read-only registers. Reading the low half of one of 64 bits keeps its high half for the
        read that follows.
    busy, done, failed : in
        STATUS.
    launch, reset, clear_done : out
        One pulse for each such write.
    insn_count, insn_addr : out
        The stream, 32 and 64 bits.
    """

    def __init__(self, config_words: tuple[int, int]) -> None:
        self.config_words = config_words
        super().__init__({
            "bus": In(AXI4LiteSignature(addr_bits=memmap.ADDR_BITS)),
            "values": In(Values()),
            "busy": In(1), "done": In(1), "failed": In(1),
            "launch": Out(1), "reset": Out(1), "clear_done": Out(1),
            "insn_count": Out(32), "insn_addr": Out(64),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        self._write(m)
        self._read(m)
        return m

    def _write(self, m):
        bus = self.bus
        has_addr = Signal()
        has_data = Signal()
        addr = Signal.like(bus.awaddr)
        word = Signal.like(bus.wdata)
        strb = Signal.like(bus.wstrb)
        writes = Signal()
        m.d.comb += [
            bus.awready.eq(~has_addr),
            bus.wready.eq(~has_data),
            writes.eq(has_addr & has_data & ~bus.bvalid),
        ]
        with m.If(bus.awvalid & bus.awready):
            m.d.sync += [has_addr.eq(1), addr.eq(bus.awaddr)]
        with m.If(bus.wvalid & bus.wready):
            m.d.sync += [has_data.eq(1), word.eq(bus.wdata), strb.eq(bus.wstrb)]
        with m.If(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(writes):
            m.d.sync += [has_addr.eq(0), has_data.eq(0), bus.bvalid.eq(1)]

        enabled = Cat(bit.replicate(8) for bit in strb)
        bits = word & enabled
        targets = {
            "INSN_COUNT": self.insn_count,
            "INSN_ADDR": self.insn_addr[:32],
            "INSN_ADDR_HI": self.insn_addr[32:],
        }
        with m.If(writes), m.Switch(addr[2:]):
            with m.Case(memmap.register("CONTROL").offset >> 2):
                m.d.comb += [
                    self.launch.eq((bits & memmap.CONTROL_LAUNCH) != 0),
                    self.reset.eq((bits & memmap.CONTROL_RESET) != 0),
                ]
            with m.Case(memmap.register("STATUS").offset >> 2):
                m.d.comb += self.clear_done.eq((bits & memmap.STATUS_DONE) != 0)
            for name, target in targets.items():
                with m.Case(memmap.register(name).offset >> 2):
                    m.d.sync += target.eq((target & ~enabled) | bits)

    def _read(self, m):
        bus = self.bus
        asked = Signal()
        found = Signal()
        addr = Signal.like(bus.araddr)
        # Which register it is, a bit for each; the word is an AND and an OR of them all.
        chosen = Signal(len(REGISTERS), reset_less=True)
        high = Signal(32)
        m.d.comb += bus.arready.eq(~asked & ~found & ~bus.rvalid)
        m.d.sync += [
            found.eq(asked),
            chosen.eq(Cat(addr[2:] == register.offset >> 2 for register in REGISTERS)),
        ]
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [asked.eq(1), addr.eq(bus.araddr)]
        with m.If(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        with m.If(asked):
            m.d.sync += asked.eq(0)

        readable = {
            "ID": memmap.IDENTITY,
            "VERSION": memmap.VERSION,
            "CONFIG0": self.config_words[0],
            "CONFIG1": self.config_words[1],
            "CAPS": CAPABILITIES,
            "STATUS": Mux(self.busy, memmap.STATUS_BUSY, 0)
            | Mux(self.done, memmap.STATUS_DONE, 0)
            | Mux(self.failed, memmap.STATUS_ERROR, 0),
            "INSN_COUNT": self.insn_count,
            "INSN_ADDR": self.insn_addr[:32],
            "INSN_ADDR_HI": self.insn_addr[32:],
        }
        words, highs = [], []
        for here, register in zip(chosen, REGISTERS):
            name = register.name
            if name in readable:
                words.append(Mux(here, readable[name], 0))
            elif register.access == "ro" and name.endswith(_HI):
                words.append(Mux(here, high, 0))
            elif register.access == "ro":
                value = self.values[name.lower()]
                words.append(Mux(here, value[:32], 0))
                if len(value) > 32:
                    highs.append((here, Mux(here, value[32:], 0)))
        with m.If(found):
            m.d.sync += [bus.rvalid.eq(1), bus.rdata.eq(reduce(or_, words))]
            with m.If(Cat(here for here, _ in highs).any()):
                m.d.sync += high.eq(reduce(or_, (word for _, word in highs)))
