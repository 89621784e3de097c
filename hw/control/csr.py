"""The control and status registers: an AXI4-Lite slave generated from :mod:`vta.memmap`.

A read of an address without a register returns 0; a write to a read-only register is ignored.
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
COUNTERS = ("CYCLES", *(name.upper() for name in memmap.COUNTERS))
"""The counters of 64 bits, in the order of their registers, which are 8 bytes apart."""

COUNTERS_BASE = memmap.register("CYCLES").offset

assert COUNTERS_BASE % 64 == 0
assert [memmap.register(name).offset for name in COUNTERS] == [
    COUNTERS_BASE + 8 * index for index in range(8)
]

_HI = "_HI"
_NAMES = {register.name for register in REGISTERS}


class Values(data.StructLayout):
    """The values of the read-only registers without the counters of 64 bits: 64 bits where a
    ``<name>_HI`` exists, else 32."""

    def __init__(self) -> None:
        super().__init__({
            register.name.lower(): 64 if register.name + _HI in _NAMES else 32
            for register in REGISTERS
            if register.access == "ro"
            and register.name not in (*CONSTANTS, *COUNTERS)
            and not register.name.endswith(_HI)
        })  # fmt: skip


class ControlRegisters(wiring.Component):
    """The control port.

    The address and the data of a write may arrive in any order. RVALID follows the read address by
    :attr:`READ_LATENCY` cycles; BVALID follows the later of write address and write data by
    :attr:`WRITE_LATENCY` cycles.

    Parameters
    ----------
    config_words : tuple of int
        CONFIG0 and CONFIG1.
    capabilities : int
        CAPS (:class:`vta.isa.Capability`); 0: the base instruction set only.

    Attributes
    ----------
    bus : AXI4LiteSignature, in
        The port.
    values : Values, in
        The read-only registers. A read of the low half of a 64-bit register latches its high half
        for the next read.
    counter_read, counter_index, counter_value : out, out, in
        A counter of 64 bits, by its index in :data:`COUNTERS`: its value in a cycle with
        ``counter_read``, in the cycle after it; 0 in the other cycles.
    busy, done, failed : in
        The bits of STATUS.
    launch, reset, clear_done : out
        Strobe, once for each such write.
    insn_count, insn_addr : out
        Length and address of the instruction stream, 32 and 64 bits.
    """

    READ_LATENCY = 3
    WRITE_LATENCY = 2

    def __init__(self, config_words: tuple[int, int], capabilities: int = 0) -> None:
        self.config_words, self.capabilities = config_words, capabilities
        super().__init__({
            "bus": In(AXI4LiteSignature(addr_bits=memmap.ADDR_BITS)),
            "values": In(Values()),
            "counter_read": Out(1), "counter_index": Out(range(len(COUNTERS))),
            "counter_value": In(64),
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
        write = Signal()
        m.d.comb += [
            bus.awready.eq(~has_addr),
            bus.wready.eq(~has_data),
            write.eq(has_addr & has_data & ~bus.bvalid),
        ]
        with m.If(bus.awvalid & bus.awready):
            m.d.sync += [has_addr.eq(1), addr.eq(bus.awaddr)]
        with m.If(bus.wvalid & bus.wready):
            m.d.sync += [has_data.eq(1), word.eq(bus.wdata), strb.eq(bus.wstrb)]
        with m.If(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(write):
            m.d.sync += [has_addr.eq(0), has_data.eq(0), bus.bvalid.eq(1)]

        bits = word & Cat(bit.replicate(8) for bit in strb)
        targets = {
            "INSN_COUNT": self.insn_count,
            "INSN_ADDR": self.insn_addr[:32],
            "INSN_ADDR_HI": self.insn_addr[32:],
        }
        with m.If(write), m.Switch(addr[2:]):
            with m.Case(memmap.register("CONTROL").offset >> 2):
                m.d.comb += [
                    self.launch.eq((bits & memmap.CONTROL_LAUNCH) != 0),
                    self.reset.eq((bits & memmap.CONTROL_RESET) != 0),
                ]
            with m.Case(memmap.register("STATUS").offset >> 2):
                m.d.comb += self.clear_done.eq((bits & memmap.STATUS_DONE) != 0)
            for name, target in targets.items():
                with m.Case(memmap.register(name).offset >> 2):
                    for byte in range(4):  # an enable for each byte, and no logic for its bits
                        with m.If(strb[byte]):
                            part = slice(8 * byte, 8 * byte + 8)
                            m.d.sync += target[part].eq(word[part])

    def _read(self, m):
        bus = self.bus
        addr_valid = Signal()
        select_valid = Signal()
        addr = Signal.like(bus.araddr)
        # The register of the address, one-hot; the word is an AND-OR over all registers.
        select = Signal(len(REGISTERS), reset_less=True)
        high = Signal(32)
        reads_counter = Signal()
        m.d.comb += bus.arready.eq(~addr_valid & ~select_valid & ~bus.rvalid)
        m.d.sync += [
            select_valid.eq(addr_valid),
            select.eq(Cat(addr[2:] == register.offset >> 2 for register in REGISTERS)),
            reads_counter.eq(self.counter_read),
            self.counter_read.eq(0),
        ]
        m.d.comb += self.counter_index.eq(addr[3:6])
        with m.If(bus.arvalid & bus.arready):
            is_counter = (bus.araddr[6:] == COUNTERS_BASE >> 6) & ~bus.araddr[2]
            m.d.sync += [addr_valid.eq(1), addr.eq(bus.araddr), self.counter_read.eq(is_counter)]
        with m.If(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        with m.If(addr_valid):
            m.d.sync += addr_valid.eq(0)

        readable = {
            "ID": memmap.IDENTITY,
            "VERSION": memmap.VERSION,
            "CONFIG0": self.config_words[0],
            "CONFIG1": self.config_words[1],
            "CAPS": self.capabilities,
            "STATUS": Mux(self.busy, memmap.STATUS_BUSY, 0)
            | Mux(self.done, memmap.STATUS_DONE, 0)
            | Mux(self.failed, memmap.STATUS_ERROR, 0),
            "INSN_COUNT": self.insn_count,
            "INSN_ADDR": self.insn_addr[:32],
            "INSN_ADDR_HI": self.insn_addr[32:],
        }
        words = [self.counter_value[:32]]
        highs = [(reads_counter, self.counter_value[32:])]
        for selected, register in zip(select, REGISTERS, strict=True):
            name = register.name
            if name in COUNTERS:
                continue
            if name in readable:
                words.append(Mux(selected, readable[name], 0))
            elif register.access == "ro" and name.endswith(_HI):
                words.append(Mux(selected, high, 0))
            elif register.access == "ro":
                value = self.values[name.lower()]
                words.append(Mux(selected, value[:32], 0))
                if len(value) > 32:
                    highs.append((selected, Mux(selected, value[32:], 0)))
        with m.If(select_valid):
            m.d.sync += [bus.rvalid.eq(1), bus.rdata.eq(reduce(or_, words))]
            with m.If(Cat(selected for selected, _ in highs).any()):
                m.d.sync += high.eq(reduce(or_, (word for _, word in highs)))
