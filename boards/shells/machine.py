"""The accelerator between two AXI ports of a processor: all of a shell but the processor itself.

processor's master port --> bridge --> control registers of the core
processor's slave port  <-- memory port of the core
"""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from vta.boards.shells.bridge import RegisterBridge
from vta.boards.shells.ports import AXIPort
from vta.config import VTAConfig
from vta.hw.bus.axi import BusTraits
from vta.hw.core import Core

__all__ = ["ProcessorMachine"]


class ProcessorMachine(wiring.Component):
    """A core with plain AXI ports.

    Parameters
    ----------
    cfg : VTAConfig
        The machine; its bus is as wide as the memory port, its addresses are not wider.
    control, memory : AXIPort
        The processor's master and slave port.
    base : int
        Address of the control registers at the master port.
    bus : BusTraits
        What the memory port asks for.
    dsp48, wide_luts : bool
        See :class:`~vta.hw.core.Core`.

    Attributes
    ----------
    control : AXISignature, in
        To the processor's master port.
    memory : AXISignature, out
        To its slave port. Writes have ID 0, reads the number of their reader, 0 to 2.
    irq : out
        See :class:`~vta.hw.core.Core`.
    """

    def __init__(
        self, cfg: VTAConfig, *, control: AXIPort, memory: AXIPort, base: int, bus: BusTraits,
        dsp48: bool, wide_luts: bool,
    ) -> None:  # fmt: skip
        # What a user can get wrong has been refused by Board.accept.
        assert cfg.bus_bits == memory.data_bits and cfg.addr_bits <= memory.addr_bits
        assert bus.burst_beats <= memory.burst_beats
        self.core = Core(cfg, dsp48=dsp48, wide_luts=wide_luts, bus=bus)
        self.bridge = RegisterBridge(control, base=base)
        super().__init__({
            "control": In(control.signature),
            "memory": Out(memory.signature),
            "irq": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = core = self.core
        m.submodules.bridge = bridge = self.bridge
        connect(m, wiring.flipped(self.control), bridge.axi)
        connect(m, bridge.lite, core.s_axi)
        # Members that only the port has stay 0: WID (the core's writes have ID 0), AxLOCK, AxQOS.
        # Its addresses and IDs are wider than the core's, its AxLEN holds the longest burst.
        for name, member in core.m_axi.signature.members.items():
            ends = (getattr(self.memory, name), getattr(core.m_axi, name))
            m.d.comb += ends[0].eq(ends[1]) if member.flow is Out else ends[1].eq(ends[0])
        m.d.comb += self.irq.eq(core.irq)
        return m
