"""The write master on its own: a writer in front, a cocotbext-axi slave behind."""

import random

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiResp, AxiSlaveWrite, AxiWriteBus

from tests.support.cocotb_bus import Dram, say_which_error, stall, watch_master
from tests.support.cocotb_streams import StallGenerator, error_at, power_up, send, until
from tests.support.cocotb_tops import BUS
from vta.hw.interfaces import WriteRequest
from vta.memmap import ErrorCode, Source

BASE, BYTES = 0x4000, 0x8000
BEAT = BUS["data_bits"] // 8
LAYOUT = WriteRequest(BUS["addr_bits"])


class Writer:
    """The writer, the slave, and what the memory is to be.

    Attributes
    ----------
    images : list of bytes
        The memory after each request with ``last``.
    done : list of bytes
        The memory at each ``done``.
    """

    def __init__(self, dut) -> None:
        self.dut = dut
        self.rng = random.Random(9)
        self.before = np.random.default_rng(6).integers(0, 256, BYTES, np.uint8).tobytes()
        self.dram = Dram(image=(BASE, self.before))
        self.slave = AxiSlaveWrite(AxiWriteBus.from_entity(dut), dut.clk, dut.rst, target=self.dram)
        say_which_error(self.slave)
        watch_master(dut, "", "aw", "w")
        self.images: list[bytes] = []
        self.done: list[bytes] = []

    async def start(self, probability: float) -> None:
        """``probability``: how often the slave stalls each of its channels."""
        await power_up(self.dut, abort=0, port_request_valid=0, port_beat_valid=0)
        slave = self.slave
        stall(probability, "write", slave.aw_channel, slave.w_channel, slave.b_channel)
        cocotb.start_soon(self._watch_done())

    async def _watch_done(self) -> None:
        while True:
            await RisingEdge(self.dut.clk)
            if int(self.dut.port_done.value):
                self.done.append(self.memory())

    def memory(self) -> bytes:
        return self.dram[BASE : BASE + BYTES]

    def write(self, requests: list[tuple[int, int, bool]], ready_probability: float) -> None:
        """Write (addr, beats, last) one after the other, random data with random strobes."""
        image, beats, items = bytearray(self.before), [], []
        for addr, count, last in requests:
            items.append(LAYOUT.const({"addr": addr, "beats": count, "last": last}).as_bits())
            for at in range(addr - BASE, addr - BASE + count * BEAT, BEAT):
                data = self.rng.randbytes(BEAT)
                strobes = self.rng.choice((0xFF, 0xFF, 0x0F, 0x3C, 0xA5, 0x00))
                beats.append(int.from_bytes(data, "little") | strobes << 8 * BEAT)
                for lane in range(BEAT):
                    if strobes >> lane & 1:
                        image[at + lane] = data[lane]
            if last:
                self.images.append(bytes(image))
        for name, values in (("request", items), ("beat", beats)):
            is_ready = StallGenerator(ready_probability, name)
            cocotb.start_soon(send(self.dut, f"port_{name}", values, is_ready))


def requests_of(rng, count):
    """One after the other in memory, of all sizes; the last one has ``last``."""
    sizes = [1, 2, 513, *(rng.randint(1, 20) for _ in range(count))]
    rng.shuffle(sizes)
    requests, addr = [], BASE + 8 * rng.randrange(20)
    for number, size in enumerate(sizes):
        requests.append((addr, size, number == len(sizes) - 1 or rng.random() < 0.5))
        addr += BEAT * (size + rng.randrange(30))
    return requests


@cocotb.test()
@cocotb.parametrize(
    (("bus", "writer"), [(0.0, 1.0), (0.5, 0.5), (0.0, 0.2), (0.8, 1.0)]),
)
async def beats_arrive(dut, bus, writer):
    """Every enabled byte is written, no other; ``done`` comes after the answers."""
    port = Writer(dut)
    await port.start(bus)
    requests = requests_of(random.Random(f"{bus} {writer}"), 12)
    port.write(requests, writer)
    await until(dut, lambda: len(port.done) == len(port.images))
    await ClockCycles(dut.clk, 50)
    assert int(dut.idle.value)
    assert error_at(dut)[0] == ErrorCode.NONE
    assert len(port.done) == len(port.images)
    assert port.memory() == port.images[-1]
    # at each done: everything up to there is written (what follows may be, too)
    ends = [addr + beats * BEAT - BASE for addr, beats, last in requests if last]
    for seen, image, end in zip(port.done, port.images, ends, strict=True):
        assert seen[:end] == image[:end]


@cocotb.test()
@cocotb.parametrize(answer=[AxiResp.SLVERR, AxiResp.DECERR], bus=[0.0, 0.6])
async def refused(dut, answer, bus):
    """The error names store and the burst; there is no ``done`` after it."""
    port = Writer(dut)
    await port.start(bus)
    where = BASE + 0x1000 + 20 * BEAT
    port.dram.refuse(range(where, where + BEAT), answer)
    requests = [(BASE, 4, True), (BASE + 0x1000 - 8 * BEAT, 40, True), (BASE + 0x3000, 4, True)]
    port.rng.choice = lambda strobes: strobes[0]  # a beat without strobes is not refused
    port.write(requests, 1.0)
    await until(dut, lambda: error_at(dut)[0] != ErrorCode.NONE)
    await ClockCycles(dut.clk, 100)
    codes = {AxiResp.SLVERR: ErrorCode.AXI_SLVERR, AxiResp.DECERR: ErrorCode.AXI_DECERR}
    assert error_at(dut) == (codes[answer], Source.STORE, BASE + 0x1000)
    assert len(port.done) == 1
    assert int(dut.idle.value)


@cocotb.test()
@cocotb.parametrize(bus=[0.0, 0.6], moment=range(8))
async def abort(dut, bus, moment):
    """The bursts that were begun end without another byte enabled, at whatever moment."""
    rng = random.Random(f"abort {bus} {moment}")
    port = Writer(dut)
    await port.start(bus)
    port.write(requests_of(rng, 6), 0.6)
    await ClockCycles(dut.clk, rng.randrange(1, 300))
    dut.abort.value = 1
    await ClockCycles(dut.clk, 2)
    await until(dut, lambda: int(dut.idle.value))
    after = port.memory()
    for _ in range(40):
        await ClockCycles(dut.clk, 1)
        assert int(dut.idle.value)
        assert not int(dut.awvalid.value) and not int(dut.wvalid.value)
    assert port.memory() == after
    allowed = zip(port.before, port.images[-1], after, strict=True)
    assert all(seen in (old, new) for old, new, seen in allowed)
