"""A PC with a card in it, in a cocotb test bench: cocotbext-pcie is the root complex, its memory,
the link, and the hard block of the card.

The bench's top has the signals of the hard block that the card's logic sees, by the names that the
hard block gives them (``s_axis_rq_tdata``, ...), and is clocked by it.
"""

import itertools
import logging
import random
from collections.abc import Iterator

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from cocotbext.axi import AxiStreamBus
from cocotbext.axi.address_space import MemoryRegion, Region
from cocotbext.pcie.core import RootComplex
from cocotbext.pcie.xilinx.us import UltraScalePlusPcieDevice

__all__ = ["BrokenMemory", "PcieHost", "random_pauses", "watch_packets"]

CLOCK_HZ = 125e6
STREAMS = {
    "rq": "s_axis_rq", "rc": "m_axis_rc", "cq": "m_axis_cq", "cc": "s_axis_cc",
}  # fmt: skip
"""The prefixes of the streams, as the hard block names them."""


def random_pauses(probability: float, seed: str) -> Iterator[bool] | None:
    """For each cycle whether to pause, with this probability; None for never."""
    rng = random.Random(seed)
    return (rng.random() < probability for _ in itertools.count()) if probability else None


class BrokenMemory(Region):
    """Memory whose reads the host answers with "completer abort"."""

    async def _read(self, address, length, **_):
        raise OSError(f"broken at 0x{address:x}")

    async def _write(self, address, data, **_):
        raise OSError(f"broken at 0x{address:x}")


class PcieHost:
    """The PC: PCIe of the second generation, four lanes, 125 MHz, packets of up to 128 bytes.

    Drives ``user_clk`` and ``user_reset``, RQ, RC, ``pcie_rq_seq_num0`` and
    ``pcie_rq_seq_num_vld0``; CQ and CC if the top has them.

    Parameters
    ----------
    dut : handle
        The top module.
    bars : dict of int to int
        Bytes of the card's memory BARs (of 32 bits) by number.
    vendor, device : int
        IDs of the card.

    Attributes
    ----------
    root : RootComplex
    card : UltraScalePlusPcieDevice
    function : PciDevice
        What the PC knows of the card, after :meth:`start`.
    """

    def __init__(
        self, dut, *, bars: dict[int, int] | None = None, vendor: int = 0x10EE,
        device: int = 0x9034,
    ) -> None:  # fmt: skip
        self.dut, self.clk = dut, dut.user_clk
        dut._log.setLevel("WARNING")  # the model tells of every packet
        logging.getLogger("cocotb.pcie").setLevel("ERROR")  # and warns of what it refuses
        self.root = RootComplex()
        has_registers = hasattr(dut, f"{STREAMS['cq']}_tdata")
        used = STREAMS if has_registers else {name: STREAMS[name] for name in ("rq", "rc")}
        self.card = UltraScalePlusPcieDevice(
            pcie_generation=2,
            pcie_link_width=4,
            user_clk_frequency=CLOCK_HZ,
            alignment="dword",
            max_payload_size=128,
            enable_client_tag=True,
            user_clk=dut.user_clk,
            user_reset=dut.user_reset,
            pcie_rq_seq_num0=dut.pcie_rq_seq_num0,
            pcie_rq_seq_num_vld0=dut.pcie_rq_seq_num_vld0,
            **{f"{name}_bus": AxiStreamBus.from_prefix(dut, prefix)
               for name, prefix in used.items()},
        )  # fmt: skip
        function = self.card.functions[0]
        function.vendor_id, function.device_id = vendor, device
        for number, nbytes in (bars or {}).items():
            function.configure_bar(number, nbytes)
        self.root.make_port().connect(self.card)
        for prefix in (STREAMS["rq"], STREAMS["cc"]) if has_registers else (STREAMS["rq"],):
            cocotb.start_soon(watch_packets(dut, prefix, self.clk))

    async def start(self) -> None:
        """Wait for the end of the reset, find the card, and let it be bus master."""
        await RisingEdge(self.dut.user_reset)
        await FallingEdge(self.dut.user_reset)
        await self.cycles(10)
        await self.root.enumerate()
        self.function = self.root.find_device(self.card.functions[0].pcie_id)
        assert self.function is not None, "the card was not found"
        await self.function.enable_device()
        await self.function.set_master()
        await self.cycles(10)

    async def cycles(self, count: int) -> None:
        await ClockCycles(self.clk, count)

    def memory(self, nbytes: int, base: int | None = None) -> tuple[int, MemoryRegion]:
        """Memory of the PC, at an address of its choice or at ``base``: (address, region);
        ``region[n]`` is byte ``n``."""
        if base is None:
            region = self.root.mem_pool.alloc_region(nbytes)
            return region.get_absolute_address(0), region
        region = MemoryRegion(nbytes)
        self.root.mem_address_space.register_region(region, base)
        return base, region

    def bar(self, number: int):
        """A BAR of the card, with ``read_dword(offset)``, ``write_dword(offset, value)``, ...;
        after :meth:`start`."""
        return self.function.bar_window[number]

    def stall(self, probability: float, seed: str = "pcie") -> None:
        """How often the hard block pauses on each of its streams; 0 does not pause it."""
        card = self.card
        for end in (card.rq_sink, card.rc_source, card.cq_source, card.cc_sink):
            if end is not None:
                end.set_pause_generator(
                    random_pauses(probability, f"{seed}.{type(end).__name__}.{probability}")
                )
                end.pause = False


async def watch_packets(dut, prefix: str, clock) -> None:
    """For ever, on a stream that the card drives: an offer stays until it is taken, and a packet
    has no gap, which the hard block would take for an error."""

    def pin(name: str):
        return getattr(dut, f"{prefix}_t{name}")

    payload = [pin(name) for name in ("data", "keep", "last", "user")]
    edge, within, held = RisingEdge(clock), False, None
    while True:
        await edge
        valid = bool(int(pin("valid").value)) and not int(dut.user_reset.value)
        assert valid or not within, f"{prefix}: a gap in a packet"
        values = [int(each.value) for each in payload] if valid else None
        if held is not None:
            assert values == held, f"{prefix}: {held} was not taken and became {values}"
        taken = valid and int(pin("ready").value) & 1
        held = values if valid and not taken else None
        if taken:
            within = not int(pin("last").value)
