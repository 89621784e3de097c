"""The registers of a PCIe card: every request of the host is carried out or refused.

The packets are those of cocotbext-pcie's model of the hard block.
"""

import random

import pytest
from amaranth.sim import Simulator
from cocotbext.pcie.core.tlp import CplStatus, TlpAt, TlpAttr, TlpTc, TlpType
from cocotbext.pcie.core.utils import PcieId
from cocotbext.pcie.xilinx.us.interface import UsPcieFrame
from cocotbext.pcie.xilinx.us.tlp import Tlp_us

from tests.support.hwpeers import StallGenerator
from tests.support.register_page import PAGE, RegisterPage
from vta.boards.shells.pcie_registers import PcieRegisters

BAR = 0xDFA0_0000
HOST = PcieId(0, 3, 1)
FUNCTION = 2


def request(kind, address, *, tag=7, enable=0xF, data=b"", dwords=1, last=0):
    """A request of the host."""
    tlp = Tlp_us()
    tlp.fmt_type = kind
    tlp.requester_id, tlp.completer_id, tlp.tag = HOST, PcieId(5, 0, FUNCTION), tag
    tlp.at = TlpAt.TRANSLATED
    tlp.tc, tlp.attr = TlpTc(3), TlpAttr(0b001)
    tlp.address, tlp.first_be, tlp.last_be, tlp.length = BAR + address, enable, last, dwords
    tlp.data, tlp.bar_id, tlp.bar_aperture = bytearray(data), 0, 12
    return tlp


class Host:
    """Sends requests on CQ and takes the answers from CC, with stalls."""

    def __init__(self, dut, probability, seed) -> None:
        self.cq, self.cc = dut.cq, dut.cc
        self.generators = [StallGenerator(probability, f"{seed} {n}") for n in range(2)]
        self.answers = []

    async def send(self, ctx, tlp, *, damaged=False):
        """One packet, as PG213 puts it on 128 bits, dword-aligned."""
        frame = tlp.pack_us_cq()
        beats = [frame.data[at : at + 4] for at in range(0, len(frame.data), 4)]
        for number, beat in enumerate(beats):
            while not self.generators[0]():
                await ctx.tick()
            payload, last = self.cq.payload, number == len(beats) - 1
            ctx.set(payload.data, sum(word << 32 * at for at, word in enumerate(beat)))
            ctx.set(payload.keep, (1 << len(beat)) - 1)
            ctx.set(payload.last, last)
            ctx.set(payload.user.first_be, 0 if number else frame.first_be)
            ctx.set(payload.user.last_be, 0 if number else frame.last_be)
            ctx.set(payload.user.discontinue, damaged and last)
            ctx.set(self.cq.valid, 1)
            await ctx.tick().until(self.cq.ready)
            ctx.set(self.cq.valid, 0)

    async def take(self, ctx):
        """Collect answers: the completion, and the dwords after its payload."""
        frame = UsPcieFrame()
        while True:
            ready = self.generators[1]()
            ctx.set(self.cc.ready, ready)
            payload = self.cc.payload
            _, _, valid, beat, keep, last, user = await ctx.tick().sample(
                self.cc.valid, payload.data, payload.keep, payload.last, payload.user.as_value()
            )
            if not (valid and ready):
                assert valid or not frame.data, "a gap in a packet"
                continue
            assert keep == 0xF and user == 0, "all packets fill their beats"
            frame.data += [beat >> 32 * at & 0xFFFF_FFFF for at in range(4)]
            if last:
                tlp = Tlp_us.unpack_us_cc(frame)
                self.answers.append((tlp, frame.data[3 + tlp.length :]))
                frame = UsPcieFrame()

    async def ask(self, ctx, tlp):
        """Send a request and wait for its answer, which is checked but for status and data."""
        before = len(self.answers)
        await self.send(ctx, tlp)
        while len(self.answers) == before:
            await ctx.tick()
        answer, log = self.answers.pop()
        assert answer.requester_id == HOST and answer.tag == tlp.tag
        assert answer.tc == tlp.tc and answer.attr == tlp.attr
        assert answer.at == tlp.at and answer.completer_id == PcieId(0, 0, FUNCTION)
        assert not answer.completer_id_enable and not answer.ep
        if answer.status == CplStatus.SC:
            assert not log
        else:
            enables = tlp.first_be | tlp.last_be << 4
            assert answer.length == 0 and log == [enables, *tlp.pack_us_cq().data[:4]]
        return answer


def simulate(body, *, probability=1.0, seed="x"):
    dut = PcieRegisters()
    page = RegisterPage(dut.lite, probability, seed)
    host = Host(dut, probability, seed)

    async def bench(ctx):
        await body(ctx, host, page)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    for process in (page.writes, page.reads, host.take):
        sim.add_testbench(process, background=True)
    sim.add_testbench(bench)
    sim.run()


@pytest.mark.parametrize("probability", [1.0, 0.5])
def test_random_reads_and_writes(probability):
    """Registers hold what is written to them, and nothing else changes."""
    rng = random.Random(4)

    async def body(ctx, host, page):
        expected = bytearray(page.data)
        for number in range(150):
            offset = rng.randrange(0, RegisterPage.REFUSES, 4)
            enable = rng.choice([0xF, 0xF, rng.randrange(16)])
            if rng.random() < 0.5:
                word = rng.randbytes(4)
                kind = rng.choice([TlpType.MEM_WRITE, TlpType.MEM_WRITE_64])
                await host.send(ctx, request(kind, offset, enable=enable, data=word))
                for lane in range(4):
                    if enable >> lane & 1:
                        expected[offset + lane] = word[lane]
                continue
            tlp = request(TlpType.MEM_READ, offset, enable=enable, tag=number % 256)
            answer = await host.ask(ctx, tlp)
            assert answer.status == CplStatus.SC and answer.length == 1
            assert bytes(answer.data) == expected[offset : offset + 4]
            lanes = [lane for lane in range(4) if enable >> lane & 1] or [0]
            assert answer.byte_count == lanes[-1] - lanes[0] + 1
            assert answer.lower_address == (BAR + offset + lanes[0]) % 128
        await host.ask(ctx, request(TlpType.MEM_READ, 0))  # all writes have ended
        assert page.data == expected and not host.answers

    simulate(body, probability=probability)


REFUSED = {
    "a register that refuses": (TlpType.MEM_READ, RegisterPage.REFUSES, {}, CplStatus.CA),
    "a read of two dwords": (TlpType.MEM_READ, 8, {"dwords": 2, "last": 0xF}, CplStatus.CA),
    "a locked read": (TlpType.MEM_READ_LOCKED, 8, {}, CplStatus.UR),
    "an I/O read": (TlpType.IO_READ, 8, {}, CplStatus.UR),
    "an I/O write": (TlpType.IO_WRITE, 8, {"data": b"abcd"}, CplStatus.UR),
    "a swap": (TlpType.SWAP, 8, {"data": b"abcd"}, CplStatus.UR),
    "a compare and swap": (TlpType.CAS, 8, {"data": bytes(8), "dwords": 2}, CplStatus.UR),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    """The registers stay as they are, and the next request is answered."""
    kind, address, options, status = REFUSED[name]

    async def body(ctx, host, page):
        before = bytes(page.data)
        answer = await host.ask(ctx, request(kind, address, **options))
        assert answer.status == status
        if kind == TlpType.MEM_READ_LOCKED:
            assert answer.fmt_type == TlpType.CPL_LOCKED
        assert page.data == before
        answer = await host.ask(ctx, request(TlpType.MEM_READ, 12))
        assert answer.data == page.data[12:16]

    simulate(body, probability=0.6)


def test_what_is_dropped():
    """Writes of memory that are not one dword, damaged packets; nothing is answered."""

    async def body(ctx, host, page):
        before = bytes(page.data)
        long = {"data": bytes(range(40)), "dwords": 10, "last": 0xF}
        await host.send(ctx, request(TlpType.MEM_WRITE, 16, **long))
        await host.send(ctx, request(TlpType.MEM_WRITE, 16, data=b"abcd"), damaged=True)
        await host.send(ctx, request(TlpType.MEM_READ, 16), damaged=True)
        answer = await host.ask(ctx, request(TlpType.MEM_READ, PAGE - 8))
        assert answer.data == page.data[PAGE - 8 : PAGE - 4]
        assert page.data == before and page.log == [("r", PAGE - 8)]

    simulate(body)


def test_a_lost_error_of_a_write():
    """The standard has no answer to a write; the next request goes on."""

    async def body(ctx, host, page):
        await host.send(ctx, request(TlpType.MEM_WRITE, RegisterPage.REFUSES, data=b"abcd"))
        answer = await host.ask(ctx, request(TlpType.MEM_READ, 0))
        assert answer.status == CplStatus.SC

    simulate(body)
