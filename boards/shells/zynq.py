"""The shells of the Zynq boards: the processing system as a primitive, and the accelerator.

There is no block design: PS7 and PS8 are instanced as they are, so that the whole design is open to
Yosys and to simulation. What the boot loader sets for a block design (the clock FCLK_CLK0 or
PL_CLK0, the widths of the ports, the reset) the driver sets when it programs the FPGA. Port facts:
UG585 and UG1085, chapters on the interfaces between processing system and logic.
"""

from amaranth.hdl import (
    Cat,
    ClockDomain,
    ClockSignal,
    Const,
    Elaboratable,
    Instance,
    Module,
    Signal,
)
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import In

from vta.boards.board import MemoryPort
from vta.boards.shells.machine import ProcessorMachine
from vta.boards.shells.ports import AXIPort
from vta.config import AXI3_BURST_BEATS, VTAConfig
from vta.hw.bus.axi import BusTraits

__all__ = ["ULTRASCALE_REGISTERS", "ZYNQ_REGISTERS", "UltraScaleShell", "ZynqShell"]

ZYNQ_REGISTERS = 0x43C0_0000
"""In the 1 GiB of M_AXI_GP0, where Vivado's block designs put the first peripheral."""

ULTRASCALE_REGISTERS = 0xA000_0000
"""The first of the 256 MiB of M_AXI_HPM0_FPD."""

GP0 = AXIPort(version=3, addr_bits=32, data_bits=32, id_bits=12)
HP0 = AXIPort(version=3, addr_bits=32, data_bits=64, id_bits=6)
HPM0_FPD = AXIPort(version=4, addr_bits=40, data_bits=128, id_bits=16)
HP0_FPD = AXIPort(version=4, addr_bits=49, data_bits=128, id_bits=6)

HP0_TRAITS = BusTraits(burst_beats=AXI3_BURST_BEATS)
HP0_FPD_TRAITS = BusTraits(burst_beats=AXI3_BURST_BEATS, prot=0b010)
"""Inside the processing system of an UltraScale+ bursts have at most 16 beats (UG1085), so that
longer ones would only be cut. Accesses are non-secure, as Linux's memory is."""

HP0_MEMORY = MemoryPort(
    name="S_AXI_HP0",
    bits=HP0.data_bits,
    addr_bits=HP0.addr_bits,
    coherent=False,
    why="straight to the DDR controller, with FIFOs of its own: full rate, and weights that are "
    "read once do not push the processor's data out of its second-level cache, which they would "
    "through S_AXI_ACP; the driver flushes and invalidates its buffers instead",
)

HP0_FPD_MEMORY = MemoryPort(
    name="S_AXI_HP0_FPD",
    bits=HP0_FPD.data_bits,
    addr_bits=HP0_FPD.addr_bits,
    coherent=False,
    why="straight to the DDR controller; S_AXI_HPC0_FPD would snoop the processor's caches at "
    "every access, and needs a boot loader that lets it; the driver flushes and invalidates its "
    "buffers instead",
)

CLOCK_FILE = "vta_clock.xdc"
"""The constraint of the clock. It is at the pin of the primitive, where Vivado's own constraints of
a block design have it: a net may get another name."""

BLINK_BITS = 26
"""The heartbeat changes every 2^25 cycles: three times a second at 100 MHz."""


def _pins(prefix: str, port: AXIPort, axi, *, master: bool, size_bits: int) -> dict:
    """The connections of a primitive's port ``prefix`` (``MAXIGP0``, ...) to ``axi``.

    ``master``: the primitive is the master. Its AxSIZE may have two bits only.
    """
    pins = {}
    for name, member in port.signature.members.items():
        value = getattr(axi, name)
        if name.endswith("size"):
            value = value[:size_bits]
        driven_by_primitive = (member.flow is not In) == master
        pins[f"{'o' if driven_by_primitive else 'i'}_{prefix}{name.upper()}"] = value
    return pins


class _Shell(Elaboratable):
    """What the two have in common: clock, reset, the machine, LEDs where the board has some.

    LED 0 blinks while there is a clock and no reset, LED 1 is on from the end of a run to the next.

    Parameters
    ----------
    cfg : VTAConfig
        The machine.
    clock_hz : int
        Frequency of the clock that the processing system gives.
    """

    BUFFER = "BUFG"
    """The primitive that drives a global clock net from the processing system."""
    CLOCK_PIN = "ps/FCLKCLK[0]"

    def __init__(self, cfg: VTAConfig, clock_hz: int) -> None:
        self.cfg, self.clock_hz = cfg, clock_hz
        self.machine = self._machine(cfg)

    def elaborate(self, platform):
        m = Module()
        m.submodules.machine = self.machine
        m.domains.sync = ClockDomain()
        fclk, reset_n = Signal(), Signal()
        # Without a buffer the clock would be routed like data.
        m.submodules.clock_buffer = Instance(self.BUFFER, i_I=fclk, o_O=ClockSignal())
        m.submodules.reset = ResetSynchronizer(~reset_n, domain="sync")
        m.submodules.ps = self._processing_system(fclk, reset_n)
        platform.add_file(
            CLOCK_FILE,
            f"create_clock -name fclk -period {1e9 / self.clock_hz:.3f} "
            f"[get_pins {{{self.CLOCK_PIN}}}]\n",
        )
        beat = Signal(BLINK_BITS)
        m.d.sync += beat.eq(beat + 1)
        for number, value in enumerate((beat[-1], self.machine.irq)):
            if ("led", number) in platform.resources:
                led = io.Buffer("o", platform.request("led", number, dir="-"))
                m.submodules[f"led{number}"] = led
                m.d.comb += led.o.eq(value)
        return m


class ZynqShell(_Shell):
    """Zynq-7000: registers at M_AXI_GP0, memory through S_AXI_HP0, interrupt IRQ_F2P[0]."""

    def _machine(self, cfg):
        return ProcessorMachine(
            cfg, control=GP0, memory=HP0, base=ZYNQ_REGISTERS, bus=HP0_TRAITS, dsp48=True,
            wide_luts=True,
        )  # fmt: skip

    def _processing_system(self, fclk, reset_n):
        return Instance(
            "PS7",
            a_DONT_TOUCH="TRUE",  # it may have no way to a pin, and would be taken for unused
            o_FCLKCLK=Cat(fclk, Signal(3)),
            o_FCLKRESETN=Cat(reset_n, Signal(3)),
            i_IRQF2P=Cat(self.machine.irq, Const(0, 19)),
            i_FPGAIDLEN=1,
            i_MAXIGP0ACLK=ClockSignal(),
            i_SAXIHP0ACLK=ClockSignal(),
            i_SAXIHP0RDISSUECAP1EN=0,
            i_SAXIHP0WRISSUECAP1EN=0,
            **_pins("MAXIGP0", GP0, self.machine.control, master=True, size_bits=2),
            **_pins("SAXIHP0", HP0, self.machine.memory, master=False, size_bits=2),
        )


class UltraScaleShell(_Shell):
    """Zynq UltraScale+: registers at M_AXI_HPM0_FPD, memory through S_AXI_HP0_FPD, interrupt
    PL_PS_IRQ0[0]. The reset is bit 95 of the GPIO outputs to the logic, which boot loader and
    FPGA manager drive as PL_RESETN0."""

    BUFFER = "BUFG_PS"
    CLOCK_PIN = "ps/PLCLK[0]"

    def _machine(self, cfg):
        return ProcessorMachine(
            cfg, control=HPM0_FPD, memory=HP0_FPD, base=ULTRASCALE_REGISTERS, bus=HP0_FPD_TRAITS,
            dsp48=True, wide_luts=True,
        )  # fmt: skip

    def _processing_system(self, fclk, reset_n):
        return Instance(
            "PS8",
            a_DONT_TOUCH="TRUE",  # it may have no way to a pin, and would be taken for unused
            o_PLCLK=Cat(fclk, Signal(3)),
            o_EMIOGPIOO=Cat(Signal(95), reset_n),
            i_PLPSIRQ0=Cat(self.machine.irq, Const(0, 7)),
            i_MAXIGP0ACLK=ClockSignal(),
            i_SAXIGP2RCLK=ClockSignal(),
            i_SAXIGP2WCLK=ClockSignal(),
            **_pins("MAXIGP0", HPM0_FPD, self.machine.control, master=True, size_bits=3),
            **_pins("SAXIGP2", HP0_FPD, self.machine.memory, master=False, size_bits=3),
        )
