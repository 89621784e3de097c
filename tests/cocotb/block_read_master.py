"""The read master on its own: three readers in front, a cocotbext-axi slave behind."""

import random

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiReadBus, AxiResp, AxiSlaveRead

from tests.support.cocotb_bus import Dram, say_which_error, stall, watch_master
from tests.support.cocotb_streams import StallGenerator, error_at, power_up, receive, send, until
from tests.support.cocotb_tops import BUS, READERS
from vta.hw.interfaces import ReadRequest
from vta.memmap import ErrorCode

BASE, BYTES = 0x4000, 0x8000
BEAT = BUS["data_bits"] // 8
LAYOUT = ReadRequest(BUS["addr_bits"])


class Readers:
    """The readers, the slave, and what the readers asked for and got."""

    def __init__(self, dut) -> None:
        self.dut = dut
        image = np.random.default_rng(5).integers(0, 256, BYTES, np.uint8).tobytes()
        self.dram = Dram(image=(BASE, image))
        self.slave = AxiSlaveRead(AxiReadBus.from_entity(dut), dut.clk, dut.rst, target=self.dram)
        say_which_error(self.slave)
        watch_master(dut, "", "ar")
        self.got: list[list[int]] = [[] for _ in range(READERS)]
        self.want: list[list[int]] = [[] for _ in range(READERS)]

    async def start(self, bus: float, reader: float) -> None:
        """``bus``: how often the slave stalls; ``reader``: how often a reader is ready."""
        await power_up(
            self.dut, abort=0, **{f"client_{n}_request_valid": 0 for n in range(READERS)}
        )
        stall(bus, "read", self.slave.ar_channel, self.slave.r_channel)
        for number, got in enumerate(self.got):
            is_ready = StallGenerator(reader, f"take {number}")
            cocotb.start_soon(receive(self.dut, f"client_{number}_beat", got, is_ready))

    def ask(
        self, number: int, requests: list[tuple[int, int]], ready_probability: float = 1.0
    ) -> None:
        """Let a reader ask for (addr, beats), one after the other."""
        for addr, beats in requests:
            for at in range(addr, addr + beats * BEAT, BEAT):
                self.want[number].append(int.from_bytes(self.dram[at : at + BEAT], "little"))
        items = [LAYOUT.const({"addr": addr, "beats": beats}).as_bits() for addr, beats in requests]
        is_ready = StallGenerator(ready_probability, f"ask {number}")
        cocotb.start_soon(send(self.dut, f"client_{number}_request", items, is_ready))


def requests_of(rng, count):
    """The smallest, whole pages, some that cross pages, and any."""
    sizes = [1, 2, 513, *(rng.randint(1, 90) for _ in range(count))]
    return [(rng.randrange(BASE, BASE + BYTES - size * BEAT, BEAT), size) for size in sizes]


@cocotb.test()
@cocotb.parametrize(
    (("bus", "reader"), [(0.0, 1.0), (0.5, 0.5), (0.0, 0.2), (0.8, 1.0)]),
)
async def beats_come_back(dut, bus, reader):
    """Each reader gets its own beats in order, whoever is slow."""
    readers = Readers(dut)
    await readers.start(bus, reader)
    rng = random.Random(f"{bus} {reader}")
    for number in range(READERS):
        readers.ask(number, requests_of(rng, 4), reader)
    await until(dut, lambda: list(map(len, readers.got)) == list(map(len, readers.want)), 60_000)
    await ClockCycles(dut.clk, 5)
    assert readers.got == readers.want
    assert int(dut.idle.value)
    assert error_at(dut)[0] == ErrorCode.NONE


@cocotb.test()
@cocotb.parametrize(number=range(READERS), answer=[AxiResp.SLVERR, AxiResp.DECERR])
async def refused(dut, number, answer):
    """The error names the reader and the beat, and stays."""
    readers = Readers(dut)
    await readers.start(0.3, 0.7)
    where = BASE + 0x1008
    readers.dram.refuse(range(where, where + BEAT), answer)
    for other in range(READERS):
        first = BASE + 0x1000 - 40 * BEAT if other == number else BASE + 0x4000
        readers.ask(other, [(first, 60), (BASE + 0x3000, 4)])
    await until(dut, lambda: list(map(len, readers.got)) == list(map(len, readers.want)))
    codes = {AxiResp.SLVERR: ErrorCode.AXI_SLVERR, AxiResp.DECERR: ErrorCode.AXI_DECERR}
    assert error_at(dut) == (codes[answer], number, where)


@cocotb.test()
@cocotb.parametrize(bus=[0.0, 0.6], moment=range(8))
async def abort(dut, bus, moment):
    """What was begun is finished and thrown away at whatever moment."""
    rng = random.Random(f"abort {bus} {moment}")
    readers = Readers(dut)
    await readers.start(bus, 0.5)
    for number in range(READERS):
        readers.ask(number, requests_of(rng, 2))
    await ClockCycles(dut.clk, rng.randrange(1, 300))
    dut.abort.value = 1
    await ClockCycles(dut.clk, 2)
    await until(dut, lambda: int(dut.idle.value))
    for _ in range(40):
        await ClockCycles(dut.clk, 1)
        assert int(dut.idle.value)
        assert not int(dut.arvalid.value) and not int(dut.rvalid.value)
    for got, want in zip(readers.got, readers.want, strict=True):
        assert got == want[: len(got)]
