"""The device's memory in an SDRAM: an AXI4 slave for the core, and a byte port for the host, around
the controller of LiteDRAM.

core: AXI4 -> addresses checked ------> AXI4     --.
host: bytes -> lanes of a word --------> Wishbone --+-> LiteDRAM -> pins
after reset: list of register writes --> Wishbone --'
"""

import hashlib

from amaranth.hdl import Array, ClockSignal, Const, Instance, Module, Mux, ResetSignal, Signal
from amaranth.lib import io, wiring
from amaranth.lib.wiring import In

from vta.boards.shells.litedram import CORE, Controller
from vta.boards.shells.uart_memory import BytePortSignature, require_memory
from vta.hw.bus.axi import INCR, Resp
from vta.hw.interfaces import AXISignature

__all__ = ["SdramMemory"]

POWER_UP = 20_000
"""Cycles until the first command: 200 us at 100 MHz, as data sheets of SDRAMs ask for."""
BETWEEN = 16
"""Cycles between commands of the initialisation: more than the time of a refresh."""

_CKE, _BY_CORE = 0b1110, 0b0001
"""Values of the register ``sdram_dfii_control``: clock enable (with on-die termination and reset,
which an SDRAM does not have), and the pins left to the controller."""

_PRECHARGE_ALL = (0x400, 0b01011)
_REFRESH = (0, 0b01101)
_MODE = (0x020, 0b01111)
"""Address pins, and CS, WE, CAS, RAS from bit 0: the mode is CAS latency 2, bursts of one word."""


def _initialisation(registers):
    """Register writes (byte address, value, cycles to wait then), as the data sheets of SDRAMs
    have them."""
    control = registers["sdram_dfii_control"]
    yield control, _CKE, POWER_UP
    for address, command in (_PRECHARGE_ALL, _REFRESH, _REFRESH, _MODE):
        yield registers["sdram_dfii_pi0_address"], address, 0
        yield registers["sdram_dfii_pi0_baddress"], 0, 0
        yield registers["sdram_dfii_pi0_command"], command, 0
        yield registers["sdram_dfii_pi0_command_issue"], 1, BETWEEN
    yield control, _BY_CORE, 0
    yield registers["ddrctrl_init_done"], 1, 0


class SdramMemory(wiring.Component):
    """``nbytes`` bytes from address ``base`` on, with the ports and rules of
    :class:`~.uart_memory.OnChipMemory`. Its pins are the resource ``sdram`` of the platform; their
    clock is the inverted one of ``sync``, so that each side samples in the middle of a cycle.

    One burst is under way in each direction at a time. Contents are not defined after power-up.
    Requests wait until the memory is initialised.

    Parameters
    ----------
    controller : Controller
        The core of LiteDRAM.
    base, nbytes, addr_bits, data_bits : int
        As for :class:`~.uart_memory.OnChipMemory`; ``data_bits`` is 64.

    Attributes
    ----------
    bus, host : in
        As for :class:`~.uart_memory.OnChipMemory`.

    Raises
    ------
    ConfigError
        As :func:`~.uart_memory.require_memory`.
    """

    def __init__(
        self, controller: Controller, *, base: int, nbytes: int, addr_bits: int, data_bits: int
    ) -> None:
        require_memory(base, nbytes, addr_bits)
        assert data_bits == 64
        self.controller = controller
        self.base, self.nbytes = base, nbytes
        self.log_bytes = nbytes.bit_length() - 1
        super().__init__({
            "bus": In(AXISignature(addr_bits=addr_bits, data_bits=data_bits)),
            "host": In(BytePortSignature(addr_bits=self.log_bytes)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        platform.add_file(f"{CORE}.v", self.controller.verilog)
        ports = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
        ports |= self._pins(m, platform.request("sdram", 0, dir="-"))
        ports |= self._initialise(m) | self._host(m) | self._write(m) | self._read(m)
        # The digest makes the text of the design, and with it the usercode, depend on the core's.
        digest = hashlib.sha256(self.controller.verilog.encode()).hexdigest()
        m.submodules.core = Instance(CORE, a_sha256=digest, **ports)
        return m

    def _pins(self, m, pins):
        """Buffers of the pins, but for the data pins: the core has those."""
        ports = {"io_sdram_dq": pins.dq.io}
        for name, low in (("a", 0), ("ba", 0), ("dqm", 0), ("clk_en", 0), ("cs", 1), ("ras", 1),
                          ("cas", 1), ("we", 1)):  # fmt: skip
            port = getattr(pins, name)
            level = Signal(len(port), name=name)
            m.submodules[f"pin_{name}"] = buffer = io.Buffer("o", port)
            m.d.comb += buffer.o.eq(~level if low else level)
            pin = {"dqm": "dm", "clk_en": "cke"}.get(name, name)
            ports[f"o_sdram_{pin}{'_n' if low else ''}"] = level
        m.submodules.pin_clk = clock = io.DDRBuffer("o", pins.clk, o_domain="sync")
        m.d.comb += [clock.o[0].eq(0), clock.o[1].eq(1)]
        return ports

    def _wishbone(self, port, width):
        """The signals of a Wishbone port of the core, as (the core's ports, signals by name)."""
        signals = {
            "adr": Signal(width, name=f"{port}_adr"), "dat_w": Signal(64, name=f"{port}_dat_w"),
            "sel": Signal(8, name=f"{port}_sel"), "cyc": Signal(name=f"{port}_cyc"),
            "we": Signal(name=f"{port}_we"),
        }  # fmt: skip
        ports = {f"i_{port}_{name}": signal for name, signal in signals.items()}
        ports[f"i_{port}_stb"] = signals["cyc"]
        return ports, signals

    def _initialise(self, m):
        """The writes of the initialisation, one after the other; each is followed by its wait."""
        ports, wb = self._wishbone("wb_ctrl", 30)
        ack = Signal(name="wb_ctrl_ack")
        ports |= {"o_wb_ctrl_ack": ack, "i_wb_ctrl_cti": Const(0, 3), "i_wb_ctrl_bte": Const(0, 2)}
        ports["i_wb_ctrl_dat_w"] = wb["dat_w"][:32]
        ports["i_wb_ctrl_sel"] = Const(0xF, 4)
        steps = list(_initialisation(self.controller.registers))
        step, wait = Signal(range(len(steps) + 1)), Signal(range(POWER_UP + 1))
        addresses, values, waits = (
            Array(Const(step[column], bits) for step in steps)
            for column, bits in ((0, 32), (1, 16), (2, len(wait)))
        )
        m.d.comb += [
            wb["cyc"].eq((step != len(steps)) & (wait == 0)),
            wb["we"].eq(1),
            wb["adr"].eq(addresses[step] >> 2),
            wb["dat_w"].eq(values[step]),
        ]
        with m.If(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Elif(ack):
            m.d.sync += [step.eq(step + 1), wait.eq(waits[step])]
        return ports

    def _host(self, m):
        """A byte is a lane of a word; one access at a time."""
        host = self.host
        ports, wb = self._wishbone("user_port_host", self.log_bytes - 3)
        ack, word = Signal(name="host_ack"), Signal(64, name="host_dat_r")
        ports |= {"o_user_port_host_ack": ack, "o_user_port_host_dat_r": word}
        addr, data = Signal(self.log_bytes), Signal(8)
        busy = wb["cyc"]
        m.d.comb += [
            host.ready.eq(~busy & ~host.r_valid),
            wb["adr"].eq(addr[3:]),
            wb["sel"].eq(1 << addr[:3]),
            wb["dat_w"].eq(data.replicate(8)),
        ]
        m.d.sync += host.r_valid.eq(busy & ack & ~wb["we"])
        with m.If(host.valid & host.ready):
            m.d.sync += [
                busy.eq(1), wb["we"].eq(host.write), addr.eq(host.addr), data.eq(host.w_data)
            ]  # fmt: skip
        with m.If(busy & ack):
            m.d.sync += [busy.eq(0), host.r_data.eq(word.word_select(addr[:3], 8))]
        return ports

    def _response(self, addr, size, burst):
        """The xRESP of a burst, as that of memory on chip."""
        inside = (addr >> self.log_bytes) == self.base >> self.log_bytes
        whole = (size == 3) & (burst == INCR)
        return Mux(inside, Mux(whole, Resp.OKAY, Resp.SLVERR), Resp.DECERR)

    def _address(self, prefix, chan, valid, ready):
        """The core's ports of an address channel that is driven from registers."""
        return {
            f"i_user_port_core_{prefix}valid": valid, f"o_user_port_core_{prefix}ready": ready,
            f"i_user_port_core_{prefix}addr": chan["addr"],
            f"i_user_port_core_{prefix}len": chan["len"],
            f"i_user_port_core_{prefix}burst": Const(1, 2),
            f"i_user_port_core_{prefix}size": Const(3, 4),
            f"i_user_port_core_{prefix}id": Const(0, 1),
        }  # fmt: skip

    def _write(self, m):
        """AW is kept; then W passes to the controller, or is dropped; then B."""
        bus = self.bus
        chan = {"addr": Signal(self.log_bytes, name="w_addr"), "len": Signal(8, name="w_len")}
        valid, ready = Signal(name="w_valid"), Signal(name="w_ready")
        w_ready, b_valid = Signal(name="core_wready"), Signal(name="core_bvalid")
        w_valid, b_ready = Signal(name="core_wvalid"), Signal(name="core_bready")
        ports = self._address("aw", chan, valid, ready) | {
            "i_user_port_core_wvalid": w_valid, "o_user_port_core_wready": w_ready,
            "i_user_port_core_wdata": bus.wdata, "i_user_port_core_wstrb": bus.wstrb,
            "i_user_port_core_wlast": bus.wlast,
            "o_user_port_core_bvalid": b_valid, "i_user_port_core_bready": b_ready,
        }  # fmt: skip
        okay = bus.bresp == Resp.OKAY
        with m.FSM(name="write"):
            with m.State("ADDRESS"):
                m.d.comb += bus.awready.eq(1)
                with m.If(bus.awvalid):
                    response = self._response(bus.awaddr, bus.awsize, bus.awburst)
                    m.d.sync += [
                        chan["addr"].eq(bus.awaddr), chan["len"].eq(bus.awlen),
                        bus.bid.eq(bus.awid), bus.bresp.eq(response),
                        valid.eq(response == Resp.OKAY),
                    ]  # fmt: skip
                    m.next = "DATA"
            with m.State("DATA"):
                m.d.comb += [w_valid.eq(bus.wvalid & okay), bus.wready.eq(w_ready | ~okay)]
                with m.If(ready):
                    m.d.sync += valid.eq(0)
                with m.If(bus.wvalid & bus.wready & bus.wlast):
                    m.next = "RESPONSE"
            with m.State("RESPONSE"):
                with m.If(ready):
                    m.d.sync += valid.eq(0)
                m.d.comb += [bus.bvalid.eq(b_valid | ~okay), b_ready.eq(bus.bready & okay)]
                with m.If(bus.bvalid & bus.bready):
                    m.next = "ADDRESS"
        return ports

    def _read(self, m):
        """AR is kept; then R passes from the controller, or is made here."""
        bus = self.bus
        chan = {"addr": Signal(self.log_bytes, name="r_addr"), "len": Signal(8, name="r_len")}
        valid, ready = Signal(name="r_valid"), Signal(name="r_ready")
        came, wanted = Signal(name="core_rvalid"), Signal(name="core_rready")
        ports = self._address("ar", chan, valid, ready) | {
            "o_user_port_core_rvalid": came, "i_user_port_core_rready": wanted,
            "o_user_port_core_rdata": bus.rdata,
        }  # fmt: skip
        left = Signal(8)
        okay = bus.rresp == Resp.OKAY
        m.d.comb += bus.rlast.eq(left == 0)
        with m.FSM(name="read"):
            with m.State("ADDRESS"):
                m.d.comb += bus.arready.eq(1)
                with m.If(bus.arvalid):
                    response = self._response(bus.araddr, bus.arsize, bus.arburst)
                    m.d.sync += [
                        chan["addr"].eq(bus.araddr), chan["len"].eq(bus.arlen), left.eq(bus.arlen),
                        bus.rid.eq(bus.arid), bus.rresp.eq(response),
                        valid.eq(response == Resp.OKAY),
                    ]  # fmt: skip
                    m.next = "DATA"
            with m.State("DATA"):
                with m.If(ready):
                    m.d.sync += valid.eq(0)
                m.d.comb += [bus.rvalid.eq(came | ~okay), wanted.eq(bus.rready & okay)]
                with m.If(bus.rvalid & bus.rready):
                    m.d.sync += left.eq(left - 1)
                    with m.If(left == 0):
                        m.next = "ADDRESS"
        return ports
