"""Fetch behind its read master: a cocotbext-axi slave holds the stream, three queues come out."""

import random

import cocotb
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiReadBus, AxiResp, AxiSlaveRead

from tests.support.cocotb_bus import Dram, say_which_error, stall, watch_master
from tests.support.cocotb_streams import StallGenerator, error_at, power_up, receive, until
from tests.support.cocotb_tops import ISA
from vta.config import INSN_QUEUE_DEPTH
from vta.isa import Alu, Finish, Gemm, Load, MemId, Store
from vta.memmap import ErrorCode, Source

BASE, BYTES = 0x1_0000, 0x1_0000
QUEUES = ("load", "compute", "store")
KINDS = {
    "load": [lambda n: Load(memory=MemId.INP, dram_base=n), lambda n: Load(memory=MemId.WGT,
             dram_base=n, pop_next=True)],
    "compute": [lambda n: Load(memory=MemId.UOP, dram_base=n), lambda n: Load(memory=MemId.ACC,
                dram_base=n), lambda n: Gemm(iter_out=n % 1000), lambda n: Alu(imm=n % 1000)],
    "store": [lambda n: Store(dram_base=n), lambda n: Store(dram_base=n, push_prev=True)],
}  # fmt: skip
"""Instructions for each queue, told apart by a number."""


class FetchBench:
    """The fetch module, its memory, and the instructions received from its queues."""

    def __init__(self, dut) -> None:
        self.dut = dut
        self.dram = Dram(image=(BASE, bytes(BYTES)))
        bus = AxiReadBus.from_prefix(dut, "m_axi")
        self.slave = AxiSlaveRead(bus, dut.clk, dut.rst, target=self.dram)
        say_which_error(self.slave)
        watch_master(dut, "m_axi_", "ar")
        self.got: dict[str, list[int]] = {name: [] for name in QUEUES}

    async def start(self, probability: float = 0.0) -> None:
        idle = {f"{name}_ready": 0 for name in QUEUES}
        await power_up(self.dut, restart=0, start=0, **idle)
        stall(probability, "fetch", self.slave.ar_channel, self.slave.r_channel)

    def drain(self, share: float, *queues: str) -> None:
        """Receive from these queues in this share of the cycles."""
        for name in queues or QUEUES:
            is_ready = StallGenerator(share, name)
            cocotb.start_soon(receive(self.dut, name, self.got[name], is_ready))

    async def fetch(self, addr: int, count: int) -> None:
        dut = self.dut
        dut.addr.value, dut.count.value, dut.start.value = addr, count, 1
        await ClockCycles(dut.clk, 1)
        dut.start.value = 0
        await ClockCycles(dut.clk, 1)

    def dispatched(self) -> int:
        return sum(map(len, self.got.values()))


def random_stream(rng, count, queues=QUEUES):
    """Its bytes, and the words for each queue."""
    words = {name: [] for name in QUEUES}
    stream = b""
    for number in range(count):
        name = rng.choice(queues)
        word = ISA.encode(rng.choice(KINDS[name])(number))
        words[name].append(int.from_bytes(word, "little"))
        stream += word
    return stream, words


@cocotb.test()
@cocotb.parametrize(
    (("bus", "taken"), [(0.0, 1.0), (0.5, 0.5), (0.0, 0.1), (0.8, 1.0)]),
    count=[1, 2, 3, 31, 32, 33, 90],
)
async def deals_in_order(dut, bus, taken, count):
    """Streams of every length, at any place."""
    rng = random.Random(f"{bus} {taken} {count}")
    stream, words = random_stream(rng, count)
    addr = BASE + 16 * rng.randrange(1024)
    bench = FetchBench(dut)
    bench.dram[addr] = stream
    await bench.start(bus)
    bench.drain(taken)
    await bench.fetch(addr, count)
    await until(dut, lambda: bench.dispatched() == count)
    await ClockCycles(dut.clk, 20)
    assert bench.got == words
    assert not int(dut.busy.value) and int(dut.bus_idle.value)
    assert error_at(dut)[0] == ErrorCode.NONE


@cocotb.test()
async def restart_in_the_middle(dut):
    """The block and its master are stopped while they work: the queues are empty, nothing comes
    any more."""
    bench = FetchBench(dut)
    stream, _ = random_stream(random.Random(3), 60)
    bench.dram[BASE] = stream
    await bench.start(0.5)
    await bench.fetch(BASE, 60)
    await ClockCycles(dut.clk, 90)
    assert any(int(getattr(dut, f"{name}_valid").value) for name in QUEUES)
    dut.restart.value = 1
    await ClockCycles(dut.clk, 2)
    await until(dut, lambda: int(dut.bus_idle.value))
    dut.restart.value = 0
    bench.drain(1.0)
    await ClockCycles(dut.clk, 100)
    assert bench.dispatched() == 0 and not int(dut.busy.value)
    assert error_at(dut)[0] == ErrorCode.NONE


@cocotb.test()
@cocotb.parametrize(full=list(QUEUES))
async def full_queue(dut, full):
    """A queue that nobody empties holds what it should, stops fetch, and nothing is lost."""
    bench = FetchBench(dut)
    await bench.start(0.2)
    others = [name for name in QUEUES if name != full]
    bench.drain(1.0, *others)
    rng = random.Random(full)
    first, words = random_stream(rng, INSN_QUEUE_DEPTH, (full,))
    then, more = random_stream(rng, 60)
    bench.dram[BASE] = first + then
    await bench.fetch(BASE, INSN_QUEUE_DEPTH + 60)
    await until(dut, lambda: int(dut.blocked.value))
    await ClockCycles(dut.clk, 200)
    assert int(dut.blocked.value) and int(dut.busy.value)
    assert int(dut.bus_idle.value), "beats that nobody can take keep the bus from others"
    bench.drain(1.0, full)
    await until(dut, lambda: bench.dispatched() == INSN_QUEUE_DEPTH + 60)
    assert bench.got == {name: words[name] + more[name] for name in QUEUES}


@cocotb.test()
@cocotb.parametrize(place=[0, 1, 7, 40])
async def illegal(dut, place):
    """Instructions before the illegal word are dispatched, none after it; the error has its
    address."""
    bench = FetchBench(dut)
    await bench.start(0.3)
    bench.drain(1.0)
    stream, _ = random_stream(random.Random(place), 60)
    addr = BASE + 0x230
    wrong = ISA.encode(Load(memory=MemId.OUT, x_size=1, y_size=1))
    bench.dram[addr] = stream[: 16 * place] + wrong + stream[16 * place + 16 :]
    await bench.fetch(addr, 60)
    await until(dut, lambda: error_at(dut)[0] != ErrorCode.NONE)
    await ClockCycles(dut.clk, 300)
    assert error_at(dut) == (ErrorCode.ILLEGAL_INSTRUCTION, Source.FETCH, addr + 16 * place)
    assert bench.dispatched() == place


@cocotb.test()
@cocotb.parametrize(addr=[BASE + 8, 0xFFFF_FFF0, 1 << 32])
async def bad_address(dut, addr):
    """A stream that is not aligned or leaves the bus: an error, and no read."""
    bench = FetchBench(dut)
    await bench.start()
    bench.drain(1.0)
    await bench.fetch(addr, 2)
    for _ in range(60):
        await ClockCycles(dut.clk, 1)
        assert not int(dut.m_axi_arvalid.value)
    assert error_at(dut) == (ErrorCode.ADDRESS, Source.FETCH, addr)
    assert bench.dispatched() == 0


@cocotb.test()
@cocotb.parametrize(answer=[AxiResp.SLVERR, AxiResp.DECERR])
async def refused(dut, answer):
    """The master reports the beat."""
    bench = FetchBench(dut)
    await bench.start()
    bench.drain(1.0)
    bench.dram[BASE] = ISA.encode_all([Finish()] * 40)
    bench.dram.refuse(range(BASE + 0x108, BASE + 0x110), answer)
    await bench.fetch(BASE, 40)
    await until(dut, lambda: error_at(dut, "bus_error")[0] != ErrorCode.NONE)
    codes = {AxiResp.SLVERR: ErrorCode.AXI_SLVERR, AxiResp.DECERR: ErrorCode.AXI_DECERR}
    assert error_at(dut, "bus_error") == (codes[answer], Source.FETCH, BASE + 0x108)
