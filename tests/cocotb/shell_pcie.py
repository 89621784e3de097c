"""The whole design of a PCIe card: a PC, its memory and the card's hard block are models that
exchange packets of PCIe; the bench is what runs on the PC."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi.address_space import Region

from tests.support.cocotb_bus import Dram
from tests.support.cocotb_driver import compiled_programs
from tests.support.cocotb_machine import CYCLE_NS, Machine, Sample
from tests.support.cocotb_pcie import PcieHost
from vta import memmap, pcie_ids

BASE = 0x9000_0000
"""Where the card finds the memory: the model of the PC has its own below 2 GiB."""
NBYTES = 1 << 18


class InPc(Sample):
    """The program, with its memory in the PC."""

    BASE = BASE
    A, B, C, UOPS, STREAM, X, W = range(BASE + 0x1000, BASE + 0x8000, 0x1000)


class Mapped(Region):
    """What the IOMMU maps for the card: the memory of the bench."""

    def __init__(self, card: "Card") -> None:
        super().__init__(NBYTES)
        self.card = card

    async def _read(self, address: int, length: int, **_) -> bytes:
        address += BASE
        assert not any(byte in self.card.broken for byte in range(address, address + length))
        return self.card.dram[address : address + length]

    async def _write(self, address: int, data: bytes, **_) -> None:
        self.card.dram[BASE + address] = bytes(data)


class Card(Machine):
    """The card in a PC.

    Attributes
    ----------
    broken : range
        Addresses whose reads the PC aborts.
    """

    def __init__(self, dut, dram: Dram) -> None:
        self.dut, self.broken = dut, range(0)
        cocotb.start_soon(Clock(dut.core_clk, CYCLE_NS, "ns").start())
        self.pc = PcieHost(
            dut, bars={0: 1 << memmap.ADDR_BITS}, vendor=pcie_ids.VENDOR_ID,
            device=pcie_ids.DEVICE_ID,
        )  # fmt: skip
        self.pc.root.mem_address_space.register_region(Mapped(self), BASE)
        self.pc.root.split_on_all_rcb = True
        self.use(dram)

    def use(self, dram: Dram) -> None:
        self.dram = dram

    def stall(self, probability: float, seed: str = "") -> None:
        self.pc.stall(probability, seed)

    async def power_up(self) -> None:
        self.dut.user_lnk_up.value = 1
        await self.pc.start()
        self.host = self.pc.bar(0)

    async def cycles(self, count: int) -> None:
        await ClockCycles(self.dut.core_clk, count)

    async def finished(self, limit: int = 40_000) -> None:
        """Poll STATUS, as the driver does."""
        for _ in range(limit // 50):
            await self.cycles(50)
            if await self.read("STATUS") & memmap.STATUS_DONE:
                return
        raise AssertionError(f"no end in {limit} cycles")


async def prepared(dut, probability=0.0):
    sample = InPc()
    card = Card(dut, sample.dram())
    await card.power_up()
    card.stall(probability, "card")
    return card, sample


@cocotb.test()
async def program(dut):
    """A program; then once more with the hard block pausing. Who reads DONE finds the results."""
    card, sample = await prepared(dut)
    assert await card.read("ID") == memmap.IDENTITY
    for probability in (0.0, 0.5):
        card.use(sample.dram())
        card.stall(probability, "program")
        await sample.launch(card)
        await card.finished()
        await sample.check(card)
        assert int(dut.led.value) >> 1 == 0b11
        await card.write("STATUS", memmap.STATUS_DONE)


@cocotb.test()
async def from_the_compiler_through_the_driver(dut):
    """Programs that the compiler made, run by the driver."""
    card = Card(dut, Dram(all=(BASE, bytes(NBYTES))))
    await card.power_up()
    await compiled_programs(card, BASE, NBYTES)


@cocotb.test()
async def memory_that_is_not_mapped(dut):
    """A read of it ends the run with DECERR; the next run is as ever."""
    card, sample = await prepared(dut, 0.2)
    outside = 0xA000_0000
    await card.launch(outside, sample.count)
    await card.finished()
    assert await card.error() == (memmap.ErrorCode.AXI_DECERR, memmap.Source.FETCH, outside)
    await sample.launch(card)
    await card.finished()
    await sample.check(card)


@cocotb.test()
async def memory_that_aborts(dut):
    """A read that the PC aborts ends the run with SLVERR; the next run is as ever."""
    card, sample = await prepared(dut, 0.2)
    card.broken = range(sample.X, sample.X + 0x1000)
    await sample.launch(card)
    await card.finished()
    assert await card.error() == (memmap.ErrorCode.AXI_SLVERR, memmap.Source.LOAD, sample.X)
    card.broken = range(0)
    card.use(sample.dram())
    await sample.launch(card)
    await card.finished()
    await sample.check(card)
