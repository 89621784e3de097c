"""The blocks of the serial shell by themselves: symbols, frames, memory."""

import random

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator

from tests.support.hwpeers import StallGenerator, receive, send, simulate
from vta import uartlink
from vta.boards.shells.ecp5_pll import Ecp5PllSettings
from vta.boards.shells.uart_frames import FrameTransmitter
from vta.boards.shells.uart_memory import OnChipMemory, require_memory
from vta.boards.shells.uart_phy import UartReceiver, UartTransmitter, clocks_per_bit
from vta.errors import ConfigError
from vta.hw.bus.axi import Resp

BASE, NBYTES = 0x4000, 0x2000


# ---- symbols ------------------------------------------------------------------------------------


class Listener:
    """What a receiver says, as bytes and the word ``broken``."""

    def __init__(self, dut):
        self.dut, self.heard = dut, []

    async def listen(self, ctx):
        dut = self.dut
        async for _, _, valid, data, broken in ctx.tick().sample(dut.valid, dut.data, dut.broken):
            if valid:
                self.heard.append(data)
            if broken:
                self.heard.append("broken")


async def symbols(ctx, dut, levels, clocks):
    """Levels of the line, each ``clocks`` long, which need not be whole."""
    end = now = 0
    for level in levels:
        ctx.set(dut.rx, level)
        end += clocks
        while now < end:
            await ctx.tick()
            now += 1


def levels_of(byte, stop=1):
    return [0, *(byte >> bit & 1 for bit in range(8)), stop]


@pytest.mark.parametrize(
    ("divisor", "error"), [(4, 1), (5, 1), (25, 0.97), (25, 1), (25, 1.03), (40, 0.97), (40, 1.03)]
)
def test_bytes_from_a_line_that_is_a_little_fast_or_slow(divisor, error):
    dut = UartReceiver(divisor)
    listener = Listener(dut)
    data = [0x55, 0x00, 0xFF, 0x7E, 0x80, 0x01]

    async def body(ctx):
        ctx.set(dut.rx, 1)
        await ctx.tick().repeat(50)
        for byte in data:
            await symbols(ctx, dut, levels_of(byte), divisor * error)
        await ctx.tick().repeat(divisor)

    simulate(dut, body, listener.listen)
    assert listener.heard == data


def test_short_pulses_and_breaks():
    dut = UartReceiver(16)
    listener = Listener(dut)

    async def body(ctx):
        await symbols(ctx, dut, [1, 1], 16)
        await symbols(ctx, dut, [0, 1, 1, 1, 1], 5)  # shorter than half a bit
        await symbols(ctx, dut, levels_of(0x12), 16)
        await symbols(ctx, dut, levels_of(0x34, stop=0), 16)
        await symbols(ctx, dut, [0] * 40 + [1], 16)  # one break, not three bytes
        await symbols(ctx, dut, levels_of(0x56), 16)

    simulate(dut, body, listener.listen)
    assert listener.heard == [0x12, "broken", 0x56]


@pytest.mark.parametrize("divisor", [4, 7])
def test_bytes_to_a_line_and_back(divisor):
    m = Module()
    m.submodules.to = to = UartTransmitter(divisor)
    m.submodules.back = back = UartReceiver(divisor)
    m.d.comb += back.rx.eq(to.tx)
    listener = Listener(back)

    async def body(ctx):
        await send(ctx, to.bytes, range(256), StallGenerator(0.1, seed=1))
        await ctx.tick().repeat(12 * divisor)

    simulate(m, body, listener.listen)
    assert listener.heard == list(range(256))


def test_bytes_follow_each_other_without_a_gap():
    dut = UartTransmitter(5)
    line = []

    async def watch(ctx):
        async for _, _, tx in ctx.tick().sample(dut.tx):
            line.append(tx)

    async def body(ctx):
        await send(ctx, dut.bytes, [0x0F, 0xA5], StallGenerator())
        await ctx.tick().repeat(60)

    simulate(dut, body, watch)
    sampled = line[line.index(0) + 2 :: 5]
    assert sampled[:20] == levels_of(0x0F) + levels_of(0xA5)


def test_rates():
    assert clocks_per_bit(40_000_000, 1_000_000) == 40
    assert clocks_per_bit(12_000_000, 115_200) == 104
    for clock, baud in ((3_000_000, 1_000_000), (6_500_000, 1_000_000)):
        with pytest.raises(ConfigError, match=rf"a clock of {clock} Hz does not give {baud} baud"):
            clocks_per_bit(clock, baud)


# ---- frames -------------------------------------------------------------------------------------


@pytest.mark.parametrize("probability", [1.0, 0.3])
def test_frames_are_those_of_the_host(probability):
    dut = FrameTransmitter()
    rng = random.Random(5)
    payloads = [b"\x00", b"~}~}", bytes(range(256)), rng.randbytes(40)]
    out = []

    async def body(ctx):
        items = [
            {"data": byte, "last": at == len(payload) - 1}
            for payload in payloads
            for at, byte in enumerate(payload)
        ]
        await send(ctx, dut.payload, items, StallGenerator(probability, seed=2))
        while len(out) < len(expected):
            await ctx.tick()
        await ctx.tick().repeat(20)

    async def listen(ctx):
        await receive(ctx, dut.bytes, out, StallGenerator(probability, seed=3))

    expected = b"".join(map(uartlink.frame, payloads))
    simulate(dut, body, listen)
    assert bytes(out) == expected


# ---- memory -------------------------------------------------------------------------------------


class Core:
    """An AXI4 master that stalls; one burst of each direction at a time."""

    def __init__(self, ctx, dut, probability, seed):
        self.ctx, self.bus, self.is_ready = ctx, dut.bus, StallGenerator(probability, seed)
        self.size = dut.data_bits // 8

    async def _hold(self, valid, ready):
        while not self.is_ready():
            await self.ctx.tick()
        self.ctx.set(valid, 1)
        while not (await self.ctx.tick().sample(ready))[-1]:
            pass
        self.ctx.set(valid, 0)

    def _address(self, prefix, ident, addr, beats, size, burst):
        log = self.size.bit_length() - 1 if size is None else size
        values = {"id": ident, "addr": addr, "len": beats - 1, "size": log, "burst": burst}
        for name, value in values.items():
            self.ctx.set(getattr(self.bus, prefix + name), value)

    async def read(self, addr, beats, ident=2, *, size=None, burst=1):
        """The data, or the response if it is an error."""
        bus, found, worst = self.bus, b"", 0
        self._address("ar", ident, addr, beats, size, burst)
        await self._hold(bus.arvalid, bus.arready)
        for beat in range(beats):
            while True:
                ready = self.is_ready()
                self.ctx.set(bus.rready, ready)
                signals = (bus.rvalid, bus.rid, bus.rdata, bus.rresp, bus.rlast)
                *_, valid, rid, data, resp, last = await self.ctx.tick().sample(*signals)
                if ready and valid:
                    break
            assert (rid, last) == (ident, beat == beats - 1)
            found += data.to_bytes(self.size, "little")
            worst = max(worst, Resp(resp).value)
        self.ctx.set(bus.rready, 0)
        return worst or found

    async def write(self, addr, data, strobes=None, ident=5, *, size=None, burst=1):
        """The response."""
        bus, beats = self.bus, len(data) // self.size
        self._address("aw", ident, addr, beats, size, burst)
        await self._hold(bus.awvalid, bus.awready)
        for beat in range(beats):
            piece = data[beat * self.size :][: self.size]
            self.ctx.set(bus.wdata, int.from_bytes(piece, "little"))
            self.ctx.set(bus.wstrb, strobes[beat] if strobes else -1)
            self.ctx.set(bus.wlast, beat == beats - 1)
            await self._hold(bus.wvalid, bus.wready)
        while True:
            ready = self.is_ready()
            self.ctx.set(bus.bready, ready)
            *_, valid, bid, resp = await self.ctx.tick().sample(bus.bvalid, bus.bid, bus.bresp)
            if ready and valid:
                self.ctx.set(bus.bready, 0)
                assert bid == ident
                return Resp(resp).value


class Host:
    """The byte port."""

    def __init__(self, ctx, dut):
        self.ctx, self.port = ctx, dut.host

    async def _request(self, addr, write, byte=0):
        port = self.port
        for signal, value in ((port.addr, addr), (port.write, write), (port.w_data, byte)):
            self.ctx.set(signal, value)
        self.ctx.set(port.valid, 1)
        while not (await self.ctx.tick().sample(port.ready))[-1]:
            pass
        self.ctx.set(port.valid, 0)

    async def write(self, addr, data):
        for at, byte in enumerate(data):
            await self._request(addr + at, 1, byte)

    async def read(self, addr, count):
        found = []
        for at in range(count):
            await self._request(addr + at, 0)
            while True:
                *_, valid, byte = await self.ctx.tick().sample(self.port.r_valid, self.port.r_data)
                if valid:
                    break
            found.append(byte)
        return bytes(found)


def memory(bits=64):
    return OnChipMemory(base=BASE, nbytes=NBYTES, addr_bits=32, data_bits=bits)


@pytest.mark.parametrize("probability", [1.0, 0.5, 0.1])
def test_core_and_host_at_once(probability):
    """The core has the lower half and the host the upper one; then each reads the other's."""
    dut = memory()
    half = NBYTES // 2
    image = np.zeros(NBYTES, np.uint8)
    done = []

    async def core(ctx):
        bus, rng = Core(ctx, dut, probability, 1), random.Random(7)
        for beats in [1, 2, 64, *(rng.randint(1, 40) for _ in range(12))]:
            addr = rng.randrange(0, half - 8 * beats + 1, 8)
            data, strobes = rng.randbytes(8 * beats), [rng.randrange(256) for _ in range(beats)]
            assert await bus.write(BASE + addr, data, strobes) == 0
            for at, byte in enumerate(data):
                if strobes[at // 8] >> at % 8 & 1:
                    image[addr + at] = byte
            addr = rng.randrange(0, half - 8 * beats + 1, 8)
            assert await bus.read(BASE + addr, beats) == image[addr : addr + 8 * beats].tobytes()
        done.append("core")
        while len(done) < 2:
            await ctx.tick()
        assert await bus.read(BASE + half, 16) == image[half : half + 128].tobytes()

    async def host(ctx):
        port, rng = Host(ctx, dut), random.Random(8)
        for count in [1, 3, *(rng.randint(1, 30) for _ in range(12)), 128]:
            addr = half if count == 128 else rng.randrange(half, NBYTES - count)
            data = rng.randbytes(count)
            await port.write(addr, data)
            image[addr : addr + count] = list(data)
            assert await port.read(addr, count) == data
        done.append("host")
        while len(done) < 2:
            await ctx.tick()
        assert await port.read(0, 200) == image[:200].tobytes()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(core)
    sim.add_testbench(host)
    sim.run()


@pytest.mark.parametrize("bits", [64, 256])
def test_a_beat_a_cycle(bits):
    dut = memory(bits)
    cycles = []

    async def count(ctx):
        async for _ in ctx.tick():
            cycles.append(0)

    async def body(ctx):
        bus = Core(ctx, dut, 1.0, 0)
        await bus.write(BASE, bytes(64 * bits // 8))
        before = len(cycles)
        await bus.read(BASE, 64)
        assert len(cycles) - before <= 64 + 8
        before = len(cycles)
        await bus.write(BASE, bytes(64 * bits // 8))
        assert len(cycles) - before <= 64 + 4

    simulate(dut, body, count)


def test_what_is_outside_or_not_whole():
    dut = memory()

    async def body(ctx):
        bus = Core(ctx, dut, 1.0, 0)
        await bus.write(BASE, b"12345678")
        for addr in (0, BASE - 8, BASE + NBYTES, 0xFFFF_FFF8):
            assert await bus.read(addr, 3) == Resp.DECERR.value
            assert await bus.write(addr, bytes(16)) == Resp.DECERR.value
        for wrong in ({"size": 2}, {"burst": 0}, {"burst": 2}):
            assert await bus.read(BASE, 2, **wrong) == Resp.SLVERR.value
            assert await bus.write(BASE, bytes(16), **wrong) == Resp.SLVERR.value
        assert await bus.read(BASE, 2) == b"12345678" + bytes(8)
        assert await bus.read(BASE + NBYTES - 16, 2) == bytes(16)

    simulate(dut, body)


def test_the_host_is_served_while_the_core_takes_nothing():
    """A machine that hangs with a read half done does not hang the host."""
    dut = memory()

    async def body(ctx):
        ctx.set(dut.bus.araddr, BASE)
        ctx.set(dut.bus.arlen, 63)
        ctx.set(dut.bus.arsize, 3)
        ctx.set(dut.bus.arburst, 1)
        ctx.set(dut.bus.arvalid, 1)
        await ctx.tick()
        ctx.set(dut.bus.arvalid, 0)
        await ctx.tick().repeat(100)
        port = Host(ctx, dut)
        await port.write(5, b"hello")
        assert await port.read(5, 5) == b"hello"

    simulate(dut, body)


@pytest.mark.parametrize(
    ("base", "nbytes", "message"),
    [
        (0x1000, 3000, "power of two"),
        (0x1000, 2048, "at least 4096"),
        (0, 4096, "multiple of it above 0"),
        (0x1000, 0x2000, "multiple of it above 0"),
        (1 << 32, 4096, "not in 32 address bits"),
    ],
)
def test_memories_that_cannot_be(base, nbytes, message):
    with pytest.raises(ConfigError, match=message):
        require_memory(base, nbytes, 32)


# ---- clock --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mhz", [10, 25, 31.25, 40, 50, 62.5, 75, 100])
def test_clocks_of_the_pll(mhz):
    found = Ecp5PllSettings.find(25_000_000, round(mhz * 1e6))
    assert 25 / found.refclk * found.feedback == mhz
    assert 400 <= mhz * found.output <= 800 and 25 / found.refclk >= 3.125


@pytest.mark.parametrize("mhz", [33.3, 48, 1, 900])
def test_clocks_that_the_pll_does_not_make(mhz):
    with pytest.raises(ConfigError, match=f"the PLL does not make {mhz:g} MHz of 25 MHz exactly"):
        Ecp5PllSettings.find(25_000_000, round(mhz * 1e6))
