"""The shell for a Cyclone V with its processor (HPS).

    clk50 --> PLL --> clock of all;    processor's reset, PLL's lock --> synchroniser --> reset
    processor --> lightweight bridge --> control registers of the core
    processor <-- FPGA-to-HPS bridge <-- memory port of the core
    processor <-- interrupt 0 from the FPGA <-- core

There is no Platform Designer system: the primitives are instanced as they are, so that the whole
design is open to Yosys and to simulation. The boot loader need not know of it. The core has a clock
of its own, since that of the processor's PLL is whatever the boot loader made it.

Memory goes through the bridge into the processor, not through a port of the SDRAM controller:
those can only be set up before Linux runs, and do not see the caches. At the bridge the address
chooses: physical addresses + 0x8000_0000 are the window of the accelerator coherency port (ACP),
which sees the caches; below it lies the same memory, past the caches.
"""

from typing import Any

from amaranth.hdl import (
    ClockDomain,
    ClockSignal,
    Elaboratable,
    Instance,
    Module,
    ResetSignal,
    Signal,
)

from vta.boards.shells import hps
from vta.boards.shells.machine import ProcessorMachine
from vta.boards.shells.ports import AXIPort
from vta.config import AXI3_BURST_BEATS, VTAConfig
from vta.hw.bus.axi import BusTraits

__all__ = ["BORDER", "FPGA2HPS", "REGISTERS", "CycloneVShell"]

LIGHT_WEIGHT = AXIPort(version=3, addr_bits=21, data_bits=32, id_bits=12)
FPGA2HPS = AXIPort(version=3, addr_bits=32, data_bits=64, id_bits=8)

REGISTERS = 0xFF20_0000
"""Physical address of the control registers: the first page of the lightweight bridge's window."""

TRAITS = BusTraits(burst_beats=AXI3_BURST_BEATS, cache=0b1111, prot=0b000)
"""AxCACHE: write back, allocate on reads and writes. AxPROT: data, secure, as Linux itself runs on
this processor: a non-secure access would not find its cache lines."""

USER = 0b11111
"""AxUSER: bit 0 is "shared", the others the inner cache policy, write back with allocation, as the
processor has it for its own accesses. The ACP takes an access as coherent if AxUSER[0] and
AxCACHE[1] are set (Cyclone V technical reference manual, 10.3.15 and 10.4.2.6)."""

PIN_HZ = 50_000_000
"""The oscillator at the pin."""

BLINK_BITS = 26
"""The heartbeat changes every 2^25 cycles."""

BORDER = "vta_hps_border"
"""An empty module that the settings mark as the processor's partition: without one, Quartus skips
its timing-driven synthesis in designs that hold primitives of the processor."""


class CycloneVShell(Elaboratable):
    """The whole design.

    LED 0 blinks while there is a clock and no reset, LED 1 is on from the end of a run to the next.

    Parameters
    ----------
    cfg : VTAConfig
        The machine; a bus of 64 bits, addresses of 32.
    clock_hz : int
        The clock that the PLL is to make of the 50 MHz of the pin.
    """

    def __init__(self, cfg: VTAConfig, clock_hz: int) -> None:
        self.cfg, self.clock_hz = cfg, clock_hz
        self.machine = ProcessorMachine(
            cfg, control=LIGHT_WEIGHT, memory=FPGA2HPS, base=0, bus=TRAITS, dsp48=False,
            wide_luts=True,
        )  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.machine = self.machine
        m.submodules.border = Instance(BORDER)
        reset_n = Signal()
        self._processor(m, reset_n)
        self._clock(m, platform, reset_n)
        self._lights(m, platform)
        return m

    def _clock(self, m, platform, reset_n):
        """The domain ``sync``."""
        m.domains.sync = ClockDomain()
        pin, locked, running = Signal(), Signal(), Signal()
        m.submodules.clock_buffer = Instance(
            "altiobuf_in",
            p_number_of_channels=1, p_enable_bus_hold="FALSE", p_use_differential_mode="FALSE",
            i_datain=platform.request("clk50", 0, dir="-").io, o_dataout=pin,
        )  # fmt: skip
        m.submodules.pll = Instance(
            "altera_pll",
            p_reference_clock_frequency=_mhz(PIN_HZ),
            p_output_clock_frequency0=_mhz(self.clock_hz),
            p_phase_shift0="0 ps", p_duty_cycle0=50, p_number_of_clocks=1,
            p_operation_mode="direct", p_fractional_vco_multiplier="false",
            p_pll_type="General", p_pll_subtype="General",
            i_refclk=pin, i_fbclk=0, i_rst=0, o_outclk=ClockSignal(), o_locked=locked,
        )  # fmt: skip
        m.submodules.reset = Instance(
            "altera_std_synchronizer",
            p_depth=3,
            i_clk=ClockSignal(), i_reset_n=reset_n & locked, i_din=1, o_dout=running,
        )  # fmt: skip
        m.d.comb += ResetSignal().eq(~running)

    def _lights(self, m, platform):
        beat = Signal(BLINK_BITS)
        m.d.sync += beat.eq(beat + 1)
        for number, value in enumerate((beat[-1], self.machine.irq)):
            # Not Amaranth's buffer: its enable is a port that Yosys' library does not know.
            m.submodules[f"led{number}"] = Instance(
                "altiobuf_out",
                p_number_of_channels=1, p_enable_bus_hold="FALSE", p_use_oe="FALSE",
                p_use_differential_mode="FALSE",
                i_datain=value, o_dataout=platform.request("led", number, dir="-").io,
            )  # fmt: skip

    def _processor(self, m, reset_n):
        """The primitives. Those of unused interfaces are set as the vendor's builder sets them."""
        m.submodules.clocks_resets = hps.CLOCKS_RESETS.instance(
            f2h_cold_rst_req_n=1, f2h_dbg_rst_req_n=1, f2h_warm_rst_req_n=1, f2h_pending_rst_ack=1,
            h2f_rst_n=reset_n,
        )  # fmt: skip
        # Before the PLL has its clock nothing is taken, so that it is answered after that: the
        # processor stands still at an access without an answer.
        control = self.machine.control
        ready = {
            name: getattr(control, name) & ~ResetSignal()
            for name in ("awready", "wready", "arready")
        }
        m.submodules.light_weight = hps.LIGHT_WEIGHT.instance(
            clk=ClockSignal(), **_wires(hps.LIGHT_WEIGHT, control) | ready
        )
        # The low bits of the widest port are used.
        wires = _wires(hps.FPGA2HPS, self.machine.memory)
        rdata = Signal(hps.FPGA2HPS.outputs["rdata"])
        m.d.comb += self.machine.memory.rdata.eq(rdata)
        m.submodules.fpga2hps = hps.FPGA2HPS.instance(
            **wires | {"rdata": rdata},
            clk=ClockSignal(),
            port_size_config=hps.PORT_SIZES[FPGA2HPS.data_bits],
            awuser=USER,
            aruser=USER,
        )
        m.submodules.interrupts = hps.INTERRUPTS.instance(irq=self.machine.irq)
        m.submodules.hps2fpga = hps.HPS2FPGA.instance(port_size_config=hps.PORT_SIZES[None])
        m.submodules.fpga2sdram = hps.FPGA2SDRAM.instance(**dict.fromkeys(hps.FPGA2SDRAM.inputs, 0))
        m.submodules.debug_apb = hps.DEBUG_APB.instance(DBG_APB_DISABLE=0, P_CLK_EN=0)
        m.submodules.trace = hps.TRACE.instance(traceclk_ctl=1)
        m.submodules.boot_from_fpga = hps.BOOT_FROM_FPGA.instance(
            boot_from_fpga_ready=0, boot_from_fpga_on_failure=0,
            bsel_en=0, csel_en=0, csel=0b01, bsel=0b001,
        )  # fmt: skip


def _mhz(hz: int) -> str:
    """A frequency as parameters of the PLL have it."""
    return f"{hz / 1e6:.6f} MHz"


def _wires(primitive: hps.Primitive, port: Any) -> dict[str, Any]:
    """The members of an AXI port by the names of the primitive's ports, those that it has."""
    names = {*primitive.inputs, *primitive.outputs}
    return {name: getattr(port, name) for name in port.signature.members if name in names}
