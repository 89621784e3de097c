"""The memory side of a PCIe card at the signals of the hard block, by their names there."""

from amaranth.hdl import ClockDomain, Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Member, Out, connect, flipped

from vta.boards.shells.pcie_memory import WRITE_NUMBER, PcieMemory
from vta.boards.shells.pcie_streams import DATA_BITS, RC, RQ
from vta.hw.interfaces import AXISignature

__all__ = ["PcieMemoryTop"]

FIELDS = ("data", "keep", "last", "user")


def _pins(prefix: str, layout: data.StructLayout, flow, back) -> dict[str, Member]:
    """A stream; ``flow`` is the direction of the packets."""
    return {
        **{f"{prefix}_t{field}": flow(layout[field].width) for field in FIELDS},
        f"{prefix}_tvalid": flow(1), f"{prefix}_tready": back(1),
    }  # fmt: skip


class PcieMemoryTop(wiring.Component):
    """The core's memory port in front, the hard block behind.

    Attributes
    ----------
    user_clk, user_reset : in
        Clock and reset of everything.
    axi : AXISignature, in
        The memory port.
    s_axis_rq_*, m_axis_rc_*, pcie_rq_seq_num0, pcie_rq_seq_num_vld0
        Signals of the hard block.
    """

    def __init__(self, *, addr_bits: int = 48) -> None:
        self.addr_bits = addr_bits
        super().__init__({
            "user_clk": In(1), "user_reset": In(1),
            "axi": In(AXISignature(addr_bits=addr_bits, data_bits=DATA_BITS)),
            **_pins("s_axis_rq", RQ, Out, In), **_pins("m_axis_rc", RC, In, Out),
            "pcie_rq_seq_num0": In(6), "pcie_rq_seq_num_vld0": In(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = sync = ClockDomain()
        m.submodules.memory = memory = PcieMemory(addr_bits=self.addr_bits)
        connect(m, flipped(self.axi), memory.axi)
        m.d.comb += [
            sync.clk.eq(self.user_clk),
            sync.rst.eq(self.user_reset),
            self.s_axis_rq_tvalid.eq(memory.rq.valid),
            memory.rq.ready.eq(self.s_axis_rq_tready),
            memory.rc.valid.eq(self.m_axis_rc_tvalid),
            self.m_axis_rc_tready.eq(memory.rc.ready),
            memory.sent.eq(self.pcie_rq_seq_num_vld0 & (self.pcie_rq_seq_num0 == WRITE_NUMBER)),
        ]
        for field in FIELDS:
            request, answer = (
                Value.cast(getattr(packets.payload, field)) for packets in (memory.rq, memory.rc)
            )
            m.d.comb += [
                getattr(self, f"s_axis_rq_t{field}").eq(request),
                answer.eq(getattr(self, f"m_axis_rc_t{field}")),
            ]
        return m
