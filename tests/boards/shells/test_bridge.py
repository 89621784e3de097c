"""The bridge from a processor's AXI port to the registers: every access is done or refused."""

import random

import pytest
from amaranth.sim import Simulator

from tests.support.hwpeers import StallGenerator
from tests.support.register_page import OKAY, PAGE, SLVERR, RegisterPage
from vta.boards.shells.bridge import RegisterBridge
from vta.boards.shells.ports import AXIPort

DECERR = 3
FIXED, INCR, WRAP = 0, 1, 2
BASE = 0x43C0_0000
AXI3 = AXIPort(version=3, addr_bits=32, data_bits=32, id_bits=12)
AXI4 = AXIPort(version=4, addr_bits=40, data_bits=128, id_bits=16)
PORTS = {"AXI3, 32 bits": AXI3, "AXI4, 128 bits": AXI4}


class Processor:
    """The master: whole bursts, with byte lanes as the standard has them (A3.4 of ARM IHI 0022)."""

    def __init__(self, axi, port, probability, seed) -> None:
        self.axi, self.port, self.lanes = axi, port, port.data_bits // 8
        self.generators = [StallGenerator(probability, f"{seed} {n}") for n in range(4)]
        self.ident = random.Random(seed)

    def beats(self, addr, beats, size):
        """(first byte, end) of each beat of an INCR burst."""
        step = 1 << size
        first = addr
        for _ in range(beats):
            end = first // step * step + step
            yield first, end
            first = end

    async def _offer(self, ctx, channel, is_ready):
        valid, ready = getattr(self.axi, f"{channel}valid"), getattr(self.axi, f"{channel}ready")
        while not is_ready():
            await ctx.tick()
        ctx.set(valid, 1)
        await ctx.tick().until(ready)
        ctx.set(valid, 0)

    def _address(self, ctx, channel, addr, beats, size, burst):
        ident = self.ident.getrandbits(self.port.id_bits)
        fields = {"id": ident, "addr": addr, "len": beats - 1, "size": size, "burst": burst}
        for name, value in fields.items():
            ctx.set(getattr(self.axi, channel + name), value)
        return ident

    async def write(self, ctx, addr, content, *, size=2, burst=INCR, strobe=None):
        """Write the bytes of ``content``; ``strobe`` (address to bool) leaves some out. Returns the
        response."""
        axi, spans, at = self.axi, [], 0
        while at < len(content):
            first = addr + at
            at += (first // (1 << size) + 1) * (1 << size) - first
            spans.append(first)
        beats = list(self.beats(addr, len(spans), size))
        assert beats[-1][1] == addr + len(content)
        ident = self._address(ctx, "aw", addr, len(beats), size, burst)
        await self._offer(ctx, "aw", self.generators[0])
        for number, (first, end) in enumerate(beats):
            word = strobes = 0
            for byte in range(first, end):
                lane = byte % self.lanes
                word |= content[byte - addr] << 8 * lane
                strobes |= (strobe is None or strobe(byte)) << lane
            ctx.set(axi.wdata, word)
            ctx.set(axi.wstrb, strobes)
            ctx.set(axi.wlast, number == len(beats) - 1)
            await self._offer(ctx, "w", self.generators[1])
        while not self.generators[2]():
            await ctx.tick()
        ctx.set(axi.bready, 1)
        got, resp = await ctx.tick().sample(axi.bid, axi.bresp).until(axi.bvalid)
        ctx.set(axi.bready, 0)
        assert got == ident
        return resp

    async def read(self, ctx, addr, beats=1, *, size=2, burst=INCR):
        """The bytes of a burst, and the response of each beat."""
        axi, content, responses = self.axi, b"", []
        ident = self._address(ctx, "ar", addr, beats, size, burst)
        await self._offer(ctx, "ar", self.generators[0])
        for number, (first, end) in enumerate(self.beats(addr, beats, size)):
            while not self.generators[3]():
                await ctx.tick()
            ctx.set(axi.rready, 1)
            got, last, word, resp = (
                await ctx.tick().sample(axi.rid, axi.rlast, axi.rdata, axi.rresp).until(axi.rvalid)
            )
            ctx.set(axi.rready, 0)
            assert got == ident and last == (number == beats - 1)
            lanes = word.to_bytes(self.lanes, "little")
            content += bytes(lanes[byte % self.lanes] for byte in range(first, end))
            responses.append(resp)
        return content, responses


def simulate(port, body, *, probability=1.0, seed="x"):
    dut = RegisterBridge(port, base=BASE)
    page = RegisterPage(dut.lite, probability, seed)
    master = Processor(dut.axi, port, probability, seed)

    async def bench(ctx):
        await body(ctx, master, page)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(page.writes, background=True)
    sim.add_testbench(page.reads, background=True)
    sim.add_testbench(bench)
    sim.run()
    return page


@pytest.mark.parametrize("port", PORTS.values(), ids=PORTS)
@pytest.mark.parametrize("probability", [1.0, 0.4], ids=["no stalls", "random stalls"])
def test_bursts_of_every_size_and_alignment(port, probability):
    """Against bytes: INCR bursts of beats of 1, 2, 4 bytes from any address, with strobes left
    out; what comes back is what was written, and nothing else changed."""

    async def body(ctx, master, page):
        rng = random.Random(f"{port} {probability}")
        expected = bytearray(page.data)
        for _ in range(60):
            size, beats = rng.choice([0, 1, 2]), rng.choice([1, 1, 1, 2, 3, 16])
            addr = rng.randrange(0, PAGE - 4 - 4 * beats)
            spans = list(master.beats(addr, beats, size))
            end = spans[-1][1]
            content = rng.randbytes(end - addr)
            left_out = {byte for byte in range(addr, end) if rng.random() < 0.2}
            resp = await master.write(
                ctx, BASE + addr, content, size=size,
                strobe=lambda byte, out=left_out: byte - BASE not in out,
            )  # fmt: skip
            assert resp == OKAY
            for byte in set(range(addr, end)) - left_out:
                expected[byte] = content[byte - addr]
            assert page.data == expected
            addr = rng.randrange(0, PAGE - 4 - 4 * beats)
            got, responses = await master.read(ctx, BASE + addr, beats, size=size)
            assert got == expected[addr : addr + len(got)] and set(responses) == {OKAY}

    page = simulate(port, body, probability=probability)
    assert len(page.log) > 200


@pytest.mark.parametrize("port", PORTS.values(), ids=PORTS)
def test_what_the_registers_cannot_do_is_refused(port):
    """And reaches none of them."""

    async def body(ctx, master, page):
        before = bytes(page.data)
        for addr in (BASE - 4, BASE + PAGE, 0, 1 << 31, (1 << port.addr_bits) - 4):
            assert await master.write(ctx, addr, b"abcd") == DECERR
            assert await master.read(ctx, addr) == (bytes(4), [DECERR])
        for burst in (FIXED, WRAP):
            assert await master.write(ctx, BASE, bytes(8), burst=burst) == SLVERR
            assert (await master.read(ctx, BASE, 2, burst=burst))[1] == [SLVERR] * 2
        if port.data_bits > 32:
            assert await master.write(ctx, BASE, bytes(8), size=3) == SLVERR
            assert await master.write(ctx, BASE, bytes(32), size=4) == SLVERR
            assert (await master.read(ctx, BASE, size=3))[1] == [SLVERR]
        assert page.log == [] and page.data == before
        # A burst of one beat has no direction.
        for burst in (FIXED, WRAP):
            assert await master.write(ctx, BASE + 8, b"abcd", burst=burst) == OKAY
            assert await master.read(ctx, BASE + 8, burst=burst) == (b"abcd", [OKAY])

    simulate(port, body)


@pytest.mark.parametrize("port", PORTS.values(), ids=PORTS)
def test_an_error_of_a_register_is_passed_on(port):
    """Of each read beat; a write has one answer, for all its beats."""

    async def body(ctx, master, page):
        last = BASE + page.REFUSES
        assert await master.write(ctx, last - 4, bytes(8)) == SLVERR
        assert (await master.read(ctx, last - 4, 2))[1] == [OKAY, SLVERR]
        assert await master.write(ctx, last - 4, bytes(4)) == OKAY

    simulate(port, body)


def test_reads_and_writes_do_not_wait_for_each_other():
    """A write whose data never comes does not hold up a read."""

    async def body(ctx, master, page):
        ctx.set(master.axi.awaddr, BASE)
        ctx.set(master.axi.awvalid, 1)
        await ctx.tick().until(master.axi.awready)
        ctx.set(master.axi.awvalid, 0)
        got, _ = await master.read(ctx, BASE)
        assert got == page.data[:4]

    simulate(AXI3, body)


def test_lanes_of_a_port_that_is_set_to_32_bits():
    """The same 128-bit pins where the processor uses the lowest lane only."""

    async def body(ctx, master, page):
        master.lanes = 4
        assert await master.write(ctx, BASE + 8, b"abcd") == OKAY
        assert page.data[8:12] == b"abcd"
        axi = master.axi
        master._address(ctx, "ar", BASE + 8, 1, 2, INCR)
        await master._offer(ctx, "ar", StallGenerator())
        ctx.set(axi.rready, 1)
        (word,) = await ctx.tick().sample(axi.rdata).until(axi.rvalid)
        assert (word & 0xFFFF_FFFF).to_bytes(4, "little") == b"abcd"

    simulate(AXI4, body)
