"""The memory side of a PCIe card on its own: the core's bursts in front, a PC behind."""

import random

import cocotb
from cocotbext.axi import AxiResp

from tests.support.cocotb_bursts import BEAT, BLOCK, Core, random_run, random_span
from tests.support.cocotb_pcie import BrokenMemory, PcieHost

HIGH = 0x12_3400_0000
"""An address above 4 GiB: the packets have longer headers."""


async def prepared(dut) -> tuple[PcieHost, Core]:
    host, core = PcieHost(dut), Core(dut)
    await host.start()
    return host, core


async def worker(core: Core, base: int, image: bytearray, memory, seed: str, count: int) -> None:
    """Write and read a part of the memory that no other worker has: what a read gives that is
    issued after the response of a write."""
    rng = random.Random(seed)
    for _ in range(count):
        block = rng.randrange(len(image) // BLOCK) * BLOCK
        beat, beats = random_span(rng)
        at, length = block + beat * BEAT, beats * BEAT
        if rng.random() < 0.5:
            content, begin, end = rng.randbytes(length), *random_run(rng, length)
            strobes = (1 << end) - (1 << begin)
            assert await core.write(base + at, content, strobes, rng.randrange(16)) == AxiResp.OKAY
            image[at + begin : at + end] = content[begin:end]
        else:
            content, responses = await core.read(base + at, beats, rng.randrange(16))
            assert responses == {AxiResp.OKAY} and content == image[at : at + length], hex(at)
    # A write is sent when it is answered, and has arrived when a read after it is answered.
    await core.read(base, 1)
    assert memory[: len(image)] == bytes(image)


@cocotb.test()
async def reads_and_writes(dut):
    """Many workers at once, with completions whole and split, with stalls and without, in memory
    below and above 4 GiB."""
    host, core = await prepared(dut)
    nbytes, workers = 4 * BLOCK, 20
    for round_, (probability, split) in enumerate([(0.0, False), (0.0, True), (0.4, True)]):
        host.root.split_on_all_rcb = split
        host.stall(probability)
        core.stall(probability)
        tasks = []
        for number in range(workers):
            place = HIGH + (round_ * workers + number << 16) if number % 2 else None
            base, memory = host.memory(nbytes, place)
            image = bytearray(random.Random(number).randbytes(nbytes))
            memory[:] = bytes(image)
            seed = f"{round_} {number}"
            tasks.append(cocotb.start_soon(worker(core, base, image, memory, seed, 30)))
        for task in tasks:
            await task


@cocotb.test()
async def refusals(dut):
    """Where the PC has nothing, and where its memory fails; what is around it is as ever."""
    host, core = await prepared(dut)
    base, memory = host.memory(BLOCK * 4)
    memory[:] = content = bytes(range(256)) * 2
    host.root.mem_address_space.register_region(BrokenMemory(4096), 0x3_0000_0000)
    for probability in (0.0, 0.4):
        host.stall(probability)
        core.stall(probability)
        answers = [
            cocotb.start_soon(core.read(addr, beats, ident))
            for ident, (addr, beats) in enumerate([
                (base, 8), (0x7_0000_0000, 8), (base + BLOCK, 8), (0x3_0000_0010, 3),
                (0x7_0000_0000, 1), (base + 2 * BLOCK, 2),
            ])
        ]  # fmt: skip
        got = [await answer for answer in answers]
        assert [responses for _, responses in got] == [
            {AxiResp.OKAY}, {AxiResp.DECERR}, {AxiResp.OKAY}, {AxiResp.SLVERR}, {AxiResp.DECERR},
            {AxiResp.OKAY},
        ]  # fmt: skip
        assert got[0][0] + got[2][0] + got[5][0] == content[: 2 * BLOCK + 32]
        # Of writes, the card is not told.
        assert await core.write(0x7_0000_0000, bytes(BLOCK), (1 << BLOCK) - 1) == AxiResp.OKAY


@cocotb.test()
async def writes_without_a_packet(dut):
    """Bursts without an enabled byte, and bursts with a hole, in between others."""
    host, core = await prepared(dut)
    base, memory = host.memory(BLOCK * 4)
    image = bytearray(BLOCK * 4)
    memory[:] = bytes(image)
    everything, holes = (1 << BLOCK) - 1, [0b101, 1 << 127 | 1, (1 << 128) - 1 - (1 << 64)]
    for probability in (0.0, 0.4):
        core.stall(probability)
        tasks, expected = [], []
        for strobes in [0, everything, *holes, 0, 1 << 15 | 1 << 16, holes[2], 1 << 127]:
            content, addr = random.randbytes(BLOCK), random.randrange(4) * BLOCK
            tasks.append(cocotb.start_soon(core.write(base + addr, content, strobes)))
            expected.append(AxiResp.SLVERR if strobes in holes else AxiResp.OKAY)
            for byte in range(BLOCK) if strobes not in holes else ():
                if strobes >> byte & 1:
                    image[addr + byte] = content[byte]
        assert [await task for task in tasks] == expected
        assert (await core.read(base, 1))[1] == {AxiResp.OKAY}
        assert memory[:] == bytes(image)
