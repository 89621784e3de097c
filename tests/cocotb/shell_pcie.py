"""The whole design of a PCIe card: a PC, its memory and the card's hard block are models that
exchange packets of PCIe; the bench is what runs on the PC."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi.address_space import Region

from tests.support.cocotb_bus import Dram
from tests.support.cocotb_driver import compiled_programs
from tests.support.cocotb_machine import CYCLE_NS, Machine, Sample
from tests.support.cocotb_pcie import PcieHost
from tests.support.cocotb_tops import CFG, ISA
from vta import memmap, pcie_ids
from vta.isa import Load, MemId
from vta.sim.fuzzing.random_programs import random_program
from vta.sim.reference.model import ReferenceModel

BASE = 0x1000_0000
"""Where the driver puts the memory."""
UNMAPPED = 0xA000_0000
NBYTES = 1 << 18
STALLS = (0.0, 0.2, 0.5, 0.8)
WIPE = ISA.encode(
    Load(memory=MemId.UOP, y_pad_0=CFG.uop_depth // 16, y_size=0, x_pad_0=15, x_size=1)
)
"""Zeros into the micro-op SRAM: a random program counts on them."""


class InPc(Sample):
    """The program, with its memory in the PC."""

    BASE = BASE
    A, B, C, UOPS, STREAM, X, W = range(BASE + 0x1000, BASE + 0x8000, 0x1000)


class Mapped(Region):
    """The memory of the bench, as the model of the PC calls it."""

    SIZE = 1 << 31
    """As much as the model has for regions."""

    def __init__(self, card: "Card") -> None:
        super().__init__(self.SIZE)
        self.card = card

    async def _read(self, address: int, length: int, **_) -> bytes:
        assert not any(byte in self.card.broken for byte in range(address, address + length))
        return self.card.dram[address : address + length]

    async def _write(self, address: int, data: bytes, **_) -> None:
        self.card.dram[address] = bytes(data)


class Card(Machine):
    """The card in a PC.

    Attributes
    ----------
    broken : range
        Addresses whose reads the PC aborts, beside those where ``dram`` has nothing.
    """

    def __init__(self, dut, dram: Dram, core_ns: float = CYCLE_NS) -> None:
        self.dut, self.broken = dut, range(0)
        cocotb.start_soon(Clock(dut.core_clk, core_ns, "ns").start())
        self.pc = PcieHost(
            dut, bars={0: 1 << memmap.ADDR_BITS}, vendor=pcie_ids.VENDOR_ID,
            device=pcie_ids.DEVICE_ID,
        )  # fmt: skip
        self.pc.root.mem_pool.register_region(Mapped(self), 0)
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


async def prepared(dut, probability=0.0, core_ns=CYCLE_NS):
    sample = InPc()
    card = Card(dut, sample.dram(), core_ns)
    await card.power_up()
    card.stall(probability, "card")
    return card, sample


@cocotb.test()
async def random_programs(dut):
    """Back to back, each with other pauses of the hard block; the reference model says what is in
    memory, and what the counters are. The first test: on-chip memories start as zeros, as the
    model's do."""
    rng = random.Random(11)
    card = Card(dut, Dram())
    await card.power_up()
    model = ReferenceModel(CFG)
    for number in range(8):
        program = random_program(CFG, rng, steps=30)
        while program.base > Mapped.SIZE - (1 << 20):
            program = random_program(CFG, rng, steps=30)
        memory, stream = program.memory(), WIPE + program.stream
        size = program.image.size
        stream_addr = program.base + size + 4096 * rng.randrange(1, 4) + 16 * rng.randrange(9)
        card.use(Dram(
            image=(program.base, program.image.tobytes()),
            stream=(stream_addr, stream + bytes(256)),
        ))  # fmt: skip
        card.stall(rng.choice(STALLS), f"{number}")
        await card.launch(stream_addr, len(stream) // 16)
        await card.finished(200_000)
        where = f"program {number}\n{program!r}"
        result = model.run(stream, memory)
        assert await card.error() == (0, 0, 0), where
        assert card.dram[program.base : program.base + size] == memory.data.tobytes(), where
        for name, value in result.counters.as_dict().items():
            assert await card.read(name.upper()) == value, f"{name}, {where}"
        await card.write("STATUS", memmap.STATUS_DONE)


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
    await card.launch(UNMAPPED, sample.count)
    await card.finished()
    assert await card.error() == (memmap.ErrorCode.AXI_DECERR, memmap.Source.FETCH, UNMAPPED)
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


@cocotb.test()
@cocotb.parametrize(core_ns=[4, 9.7, 16])
async def clocks(dut, core_ns):
    """A core that is faster than the hard block, one that is slower, and one whose edges drift."""
    card, sample = await prepared(dut, 0.3, core_ns)
    for _ in range(2):
        card.use(sample.dram())
        await sample.launch(card)
        await card.finished()
        await sample.check(card)
        await card.write("STATUS", memmap.STATUS_DONE)


@cocotb.test()
async def resets_of_the_bus(dut):
    """The hard block resets the design during runs, wherever they are: nothing is left of them."""
    card, sample = await prepared(dut)
    rng = random.Random(5)
    for _ in range(6):
        card.use(sample.dram())
        await sample.launch(card)
        await card.cycles(rng.randrange(20, 400))
        dut.user_reset.value = 1
        await card.cycles(1000)  # until the model of the PC has answered all that was asked
        dut.user_reset.value = 0
        await card.cycles(50)
        assert await card.read("STATUS") == 0
        card.use(sample.dram())
        await sample.launch(card)
        await card.finished()
        await sample.check(card)
