"""The shell of a PCIe card with an UltraScale+ part: the core between the packet streams of the
part's hard block.

host's reads and writes of BAR 0 --CQ--> PcieRegisters --> control registers of the core
                                 <--CC--
the PC's memory  <--RQ-- PcieMemory <-- memory port of the core
                 --RC-->

The hard block with its transceivers is Vivado's IP ``pcie4_uscale_plus``; everything else is in
this project. The packet streams have the clock of the hard block (domain ``pcie``), the rest has
the core's (``sync``).
"""

from typing import Any

from amaranth.hdl import (
    ClockDomain,
    ClockSignal,
    Const,
    Elaboratable,
    Instance,
    Module,
    ResetSignal,
    Signal,
)
from amaranth.lib import io, stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.fifo import AsyncFIFO
from amaranth.lib.wiring import In, Out

from vta.boards.board import MemoryPort
from vta.boards.shells.pcie_block import HARD_BLOCK, READY_COPIES, TIED
from vta.boards.shells.pcie_clock import MmcmClock, MmcmSettings
from vta.boards.shells.pcie_crossing import PacketCrossing
from vta.boards.shells.pcie_memory import BURST_BEATS, WRITE_NUMBER, WRITES_IN_FLIGHT, PcieMemory
from vta.boards.shells.pcie_registers import PcieRegisters
from vta.boards.shells.pcie_streams import CC, CQ, DATA_BITS, RC, RQ
from vta.config import VTAConfig
from vta.hw.bus.axi import BusTraits
from vta.hw.core import Core

__all__ = ["PCIE_MEMORY", "REFERENCE_HZ", "USER_HZ", "PcieMachine", "pcie_shell"]

USER_HZ = 125_000_000
"""Clock of the packet streams: 128 bits at 125 MHz are four lanes of 5 GT/s."""
REFERENCE_HZ = 100_000_000
"""The clock of the slot."""
CLOCK_FILE = "vta_clock.xdc"
STORE_BEATS = 64
"""Beats of packets that wait for the hard block: seven of the longest."""
BLINK_BITS = 26

PCIE_MEMORY = MemoryPort(
    name="the PCIe requester",
    bits=DATA_BITS,
    addr_bits=64,
    coherent=True,
    why="the core reads and writes the PC's memory at the addresses that the IOMMU gives the card; "
    "on a PC the processor's caches see these accesses",
)


class PcieMachine(wiring.Component):
    """A core behind the four packet streams. The streams are in the domain ``pcie``.

    Parameters
    ----------
    cfg : VTAConfig
        The machine; its bus has 128 bits.

    Attributes
    ----------
    cq, rc : streams of CQ and RC, in
    cc, rq : streams of CC and RQ, out
        Packets leave without gaps.
    seq_num, seq_num_valid : in
        ``pcie_rq_seq_num0`` and its strobe.
    irq : out
        See :class:`~vta.hw.core.Core`; in the domain ``sync``.
    """

    def __init__(self, cfg: VTAConfig) -> None:
        # What a user can get wrong has been refused by Board.accept.
        assert cfg.bus_bits == DATA_BITS
        self.core = Core(cfg, dsp48=True, wide_luts=True, bus=BusTraits(burst_beats=BURST_BEATS))
        self.memory = PcieMemory(addr_bits=cfg.addr_bits)
        super().__init__({
            "cq": In(stream.Signature(CQ)),
            "cc": Out(stream.Signature(CC)),
            "rq": Out(stream.Signature(RQ)),
            "rc": In(stream.Signature(RC)),
            "seq_num": In(6),
            "seq_num_valid": In(1),
            "irq": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = core = self.core
        m.submodules.registers = registers = PcieRegisters()
        m.submodules.memory = memory = self.memory
        wiring.connect(m, registers.lite, core.s_axi)
        wiring.connect(m, core.m_axi, memory.axi)
        m.d.comb += self.irq.eq(core.irq)

        for name, packet, block in (("cq", CQ, registers), ("rc", RC, memory)):
            m.submodules[name] = crossing = PacketCrossing(packet, i_domain="pcie", o_domain="sync")
            wiring.connect(m, wiring.flipped(getattr(self, name)), crossing.i)
            wiring.connect(m, crossing.o, getattr(block, name))
        for name, packet, block in (("cc", CC, registers), ("rq", RQ, memory)):
            m.submodules[name] = crossing = PacketCrossing(
                packet, i_domain="sync", o_domain="pcie", store=STORE_BEATS
            )
            wiring.connect(m, getattr(block, name), crossing.i)
            wiring.connect(m, crossing.o, wiring.flipped(getattr(self, name)))

        # Never full: it holds as many as there are writes in flight.
        m.submodules.sent = sent = AsyncFIFO(
            width=1, depth=WRITES_IN_FLIGHT, w_domain="pcie", r_domain="sync"
        )
        m.d.comb += [
            sent.w_en.eq(self.seq_num_valid & (self.seq_num == WRITE_NUMBER)),
            sent.r_en.eq(1),
            memory.sent.eq(sent.r_rdy),
        ]
        return m


def pcie_shell(cfg: VTAConfig, clock_hz: int) -> Elaboratable:
    """The shell of a card, for :class:`~vta.boards.board.Board`.

    Raises
    ------
    ConfigError
        If the MMCM does not make that clock.
    """
    settings = MmcmSettings.find(USER_HZ, clock_hz)  # before anything is made
    return PcieShell(cfg, settings)


class PcieShell(Elaboratable):
    """The whole design of a card. LED 0 blinks while there is a clock and no reset, LED 1 is on
    from the end of a run to the next, LED 2 while the link is up.

    Parameters
    ----------
    cfg : VTAConfig
        The machine.
    settings : MmcmSettings
        The clock of the core.
    """

    def __init__(self, cfg: VTAConfig, settings: MmcmSettings) -> None:
        self.settings, self.machine = settings, PcieMachine(cfg)

    def elaborate(self, platform):
        m = Module()
        m.submodules.machine = self.machine
        m.domains.sync = ClockDomain()
        m.domains.pcie = ClockDomain()
        m.submodules.clock = clock = MmcmClock(self.settings)
        m.d.comb += [clock.clock.eq(ClockSignal("pcie")), clock.reset.eq(ResetSignal("pcie"))]

        pins = platform.request("pcie", dir="-")
        link_up = self._hard_block(m, pins)
        platform.add_file(
            CLOCK_FILE,
            f"create_clock -name reference -period {1e9 / REFERENCE_HZ:.3f} "
            f"[get_ports {{{pins.clock.p.name}}}]\n",
        )
        beat = Signal(BLINK_BITS)
        m.d.sync += beat.eq(beat + 1)
        up = Signal()
        m.submodules.up = FFSynchronizer(link_up, up)
        for number, value in enumerate((beat[-1], self.machine.irq, up)):
            led = io.Buffer("o", platform.request("led", number, dir="-"))
            m.submodules[f"led{number}"] = led
            m.d.comb += led.o.eq(value)
        return m

    def _hard_block(self, m, pins):
        """The IP, its clocks and pins; returns the signal that the link is up."""
        machine = self.machine
        reference, reference_gt, link_up = Signal(), Signal(), Signal()
        m.submodules.reset_pin = reset_n = io.Buffer("i", pins.reset_n)
        # The reference clock for the transceivers, and at full rate (0b00) for logic.
        m.submodules.reference = Instance(
            "IBUFDS_GTE4",
            p_REFCLK_HROW_CK_SEL=Const(0b00, 2),
            i_I=pins.clock.p,
            i_IB=pins.clock.n,
            i_CEB=Const(0),
            o_O=reference_gt,
            o_ODIV2=reference,
        )
        streams: dict[str, Any] = {}
        for name, prefix in (
            ("cq", "m_axis"),
            ("rc", "m_axis"),
            ("cc", "s_axis"),
            ("rq", "s_axis"),
        ):
            port, beat = getattr(machine, name), getattr(machine, name).payload
            given, taken = ("o", "i") if prefix == "m_axis" else ("i", "o")
            ready = port.ready
            if prefix == "s_axis":
                copies = Signal(READY_COPIES, name=f"{name}_ready")
                m.d.comb += ready.eq(copies[0])
                ready = copies
            streams |= {
                f"{given}_{prefix}_{name}_tdata": beat.data,
                f"{given}_{prefix}_{name}_tkeep": beat.keep,
                f"{given}_{prefix}_{name}_tlast": beat.last,
                f"{given}_{prefix}_{name}_tuser": beat.user.as_value(),
                f"{given}_{prefix}_{name}_tvalid": port.valid,
                f"{taken}_{prefix}_{name}_tready": ready,
            }
        m.submodules.pcie = Instance(
            HARD_BLOCK,
            i_sys_clk=reference,
            i_sys_clk_gt=reference_gt,
            i_sys_reset=reset_n.i,  # active low, whatever the name says
            i_pci_exp_rxp=pins.rx.p,
            i_pci_exp_rxn=pins.rx.n,
            o_pci_exp_txp=pins.tx.p,
            o_pci_exp_txn=pins.tx.n,
            o_user_clk=ClockSignal("pcie"),
            o_user_reset=ResetSignal("pcie"),
            o_user_lnk_up=link_up,
            o_pcie_rq_seq_num0=machine.seq_num,
            o_pcie_rq_seq_num_vld0=machine.seq_num_valid,
            **streams,
            **{f"i_{name}": Const(value, bits) for name, (value, bits) in TIED.items()},
        )
        return link_up
