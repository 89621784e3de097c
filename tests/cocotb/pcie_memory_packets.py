"""The memory side of a PCIe card on its own, packet by packet: the bench is the core in front and
the hard block behind, which may answer in all ways that its manual allows, right and wrong."""

import random
from collections import Counter, deque

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from tests.support.cocotb_bursts import BEAT, BLOCK, Core, random_run, random_span
from tests.support.cocotb_pcie import watch_packets
from tests.support.cocotb_streams import StallGenerator
from tests.support.pcie_packets import (
    HOLE,
    Answer,
    answer,
    completion_beats,
    failures,
    junk,
    masked,
    read_packet,
    write_packet,
)

OKAY, SLVERR = 0, 2
SLOTS = 32


class HardBlock:
    """The hard block.

    Attributes
    ----------
    writes : deque
        Packets that are to come, in their order.
    reads : deque of (int, int)
        Address and bytes of requests that are to come.
    answers : list of Answer
        What the requests got, in their order.
    active : dict of int to list of Completion
        What is left of the answers by tag.
    kinds : str
        The first letters of the packets that came, "r" and "w".
    cycles : list of int
        When their last beats were taken.
    sent : int
        Writes that were reported as sent.
    choose : callable
        From (tag, address, bytes) to an Answer.
    answering : bool
        False: requests are kept without an answer.
    junk : float
        Share of completions that belong to no request.
    """

    def __init__(self, dut, core: Core, probability: float, seed: str, choose) -> None:
        self.dut, self.core, self.clk, self.choose = dut, core, dut.user_clk, choose
        self.rng = random.Random(seed)
        self.is_ready, self.is_valid, self.is_sent = (
            StallGenerator(probability, f"{seed} {name}") for name in ("rq", "rc", "sent")
        )
        self.writes, self.reads, self.answers = deque(), deque(), []
        self.active, self.kinds, self.cycles, self.now = {}, "", [], 0
        self.sent, self.numbers = 0, deque()
        self.answering, self.junk = True, 0.0

    def start(self) -> None:
        for task in (self._take_requests(), self._report(), self._complete(), self._count()):
            cocotb.start_soon(task)

    async def _count(self) -> None:
        while True:
            await RisingEdge(self.clk)
            self.now += 1

    async def _take_requests(self) -> None:
        dut, beats = self.dut, []
        while True:
            ready = self.is_ready()
            dut.s_axis_rq_tready.value = ready
            await RisingEdge(self.clk)
            if not (ready and int(dut.s_axis_rq_tvalid.value)):
                continue
            beats.append(tuple(
                int(getattr(dut, f"s_axis_rq_t{name}").value)
                for name in ("data", "keep", "last", "user")
            ))  # fmt: skip
            if beats[-1][2]:
                self.cycles.append(self.now)
                self._take(beats)
                beats = []

    def _take(self, beats) -> None:
        descriptor, user = beats[0][0], beats[0][3]
        if descriptor >> 75 & 0xF:
            self.kinds += "w"
            assert masked(beats) == masked(self.writes.popleft())
        else:
            self.kinds += "r"
            tag, (addr, nbytes) = descriptor >> 96 & 0xFF, self.reads.popleft()
            assert masked(beats) == masked(read_packet(addr, nbytes, tag))
            assert tag < SLOTS and tag not in self.active, "this tag is in flight"
            found = self.choose(tag, addr, nbytes)
            self.answers.append(found)
            self.active[tag] = list(found.completions)
        self.numbers.append(user >> 24 & 0xF | (user >> 60) << 4)

    async def _report(self) -> None:
        """Sequence numbers, in the order of the packets, at any time."""
        dut = self.dut
        while True:
            reports = bool(self.numbers) and self.is_sent() and self.is_sent()
            dut.pcie_rq_seq_num_vld0.value = reports
            if reports:
                number = self.numbers.popleft()
                dut.pcie_rq_seq_num0.value = number
                self.sent += number
            await RisingEdge(self.clk)

    async def _complete(self) -> None:
        """Completions of all tags in any order, those of one tag in theirs."""
        dut, rng = self.dut, self.rng
        while True:
            for beat in completion_beats(packet, rng) if (packet := self._next()) else ():
                while not self.is_valid():
                    dut.m_axis_rc_tvalid.value = 0
                    await RisingEdge(self.clk)
                for name, value in zip(("data", "keep", "last", "user"), beat, strict=True):
                    getattr(dut, f"m_axis_rc_t{name}").value = value
                dut.m_axis_rc_tvalid.value = 1
                await RisingEdge(self.clk)
                assert int(dut.m_axis_rc_tready.value), "RC must always be ready"
            if packet is None:
                dut.m_axis_rc_tvalid.value = 0
                await RisingEdge(self.clk)
            elif packet.tag in self.active and not self.active[packet.tag]:
                del self.active[packet.tag]

    def _next(self):
        rng, busy = self.rng, list(self.active)
        if rng.random() < self.junk:
            # Tags that a request on its way may have already are none of these.
            newest = len(self.answers) - 1
            near = {(newest + n) % SLOTS for n in range(1, len(self.reads) + 1)}
            free = [tag for tag in range(SLOTS) if tag not in self.active and tag not in near]
            return junk(free, busy, rng)
        if not (self.answering and busy):
            return None
        return self.active[rng.choice(busy)].pop(0)


class Bench:
    """The core and the hard block around the memory side."""

    def __init__(self, dut, *, probability: float = 1.0, seed: str = "", choose=None) -> None:
        self.dut, self.rng = dut, random.Random(f"{seed} choices")
        dut._log.setLevel("WARNING")
        cocotb.start_soon(Clock(dut.user_clk, 8, "ns").start())
        self.core = Core(dut)
        self.core.stall(1 - probability)
        self.host = HardBlock(dut, self.core, probability, seed, choose or self.success)
        cocotb.start_soon(watch_packets(dut, "s_axis_rq", dut.user_clk))
        self.packets = 0

    async def start(self) -> None:
        dut = self.dut
        for pin in (dut.m_axis_rc_tvalid, dut.pcie_rq_seq_num_vld0, dut.s_axis_rq_tready):
            pin.value = 0
        dut.user_reset.value = 1
        await self.cycles(5)
        dut.user_reset.value = 0
        await self.cycles(2)
        self.host.start()

    async def cycles(self, count: int) -> None:
        await ClockCycles(self.dut.user_clk, count)

    def success(self, tag: int, addr: int, nbytes: int) -> Answer:
        return answer(tag, addr, self.rng.randbytes(nbytes), self.rng)

    def mixed(self, tag: int, addr: int, nbytes: int) -> Answer:
        """Every other answer is a failure."""
        content, rng = self.rng.randbytes(nbytes), self.rng
        if rng.random() < 0.5:
            return answer(tag, addr, content, rng)
        return rng.choice(failures(tag, addr, content, rng))

    async def read(self, addr: int, beats: int) -> Answer:
        """One burst; checks what it got."""
        number = len(self.host.answers) + len(self.host.reads)
        self.host.reads.append((addr, beats * BEAT))
        content, responses = await self.core.read(addr, beats, self.rng.randrange(16))
        found = self.host.answers[number]
        assert responses == {found.resp}, f"{found.name}: {responses}"
        assert found.resp != OKAY or content == found.content, found.name
        return found

    async def write(self, addr: int, content: bytes, strobes: int) -> None:
        """One burst; checks its packet, its response, and that this is not early."""
        packet = write_packet(addr, content, strobes)
        if packet is not None and packet != HOLE:
            self.packets += 1
            self.host.writes.append(packet)
        number = self.packets
        resp = await self.core.write(addr, content, strobes, self.rng.randrange(16))
        assert resp == (SLVERR if packet == HOLE else OKAY), packet
        assert self.host.sent >= number, "a response before its packet was sent"


async def reader(bench: Bench, count: int, seed: str, names: Counter) -> None:
    rng = random.Random(seed)
    for _ in range(count):
        beat, beats = random_span(rng)
        addr = rng.getrandbits(41) * BLOCK + beat * BEAT
        names[(await bench.read(addr, beats)).name] += 1
        await bench.cycles(rng.choice([1, 1, 1, 30]))


async def writer(bench: Bench, count: int, seed: str) -> None:
    rng = random.Random(seed)
    for _ in range(count):
        beat, beats = random_span(rng)
        addr, length = rng.getrandbits(41) * BLOCK + beat * BEAT, beats * BEAT
        begin, end = random_run(rng, length)
        strobes = (1 << end) - (1 << begin)
        if rng.random() < 0.1:
            strobes &= ~(1 << rng.randrange(length))
        if rng.random() < 0.05:
            strobes = rng.getrandbits(length)
        await bench.write(addr, rng.randbytes(length), strobes)
        await bench.cycles(rng.choice([1, 1, 1, 30]))


async def traffic(dut, probability: float) -> None:
    """Readers and writers at once, with failures and junk."""
    seed = f"traffic {probability}"
    bench = Bench(dut, probability=probability, seed=seed)
    bench.host.choose, bench.host.junk = bench.mixed, 0.2
    await bench.start()
    names: Counter = Counter()
    tasks = [cocotb.start_soon(reader(bench, 30, f"{seed} {n}", names)) for n in range(40)]
    tasks += [cocotb.start_soon(writer(bench, 30, f"{seed} {n}")) for n in range(40)]
    for task in tasks:
        await task
    kinds = {found.name for found in failures(0, 0, bytes(BLOCK), random.Random(0))}
    assert set(names) == {"success", *kinds}
    assert not bench.host.writes and not bench.host.reads and not bench.host.active


@cocotb.test()
async def traffic_without_stalls(dut):
    await traffic(dut, 1.0)


@cocotb.test()
async def traffic_with_stalls(dut):
    await traffic(dut, 0.5)


@cocotb.test()
async def no_more_requests_than_tags(dut):
    """Without answers, 32 requests are made; the next one follows the beats of the oldest."""
    bench = Bench(dut, seed="tags")
    host = bench.host
    host.answering = False
    await bench.start()
    tasks = [cocotb.start_soon(bench.read(n * BLOCK, 8)) for n in range(70)]
    await bench.cycles(300)
    assert host.kinds == "r" * SLOTS and set(host.active) == set(range(SLOTS))
    oldest, host.active = host.active.pop(0), {tag: host.active[tag] for tag in range(1, SLOTS)}
    host.answering = True  # all but the oldest: nothing can be delivered
    await bench.cycles(600)
    assert host.kinds == "r" * SLOTS and not host.active
    host.active[0] = oldest
    for task in tasks:
        await task
    assert len(host.kinds) == 70


@cocotb.test()
async def reads_a_cycle_each(dut):
    """Requests one a cycle; beats one a cycle, of bursts of eight and of one."""
    bench = Bench(dut, seed="pace")
    host = bench.host
    await bench.start()
    for beats in (8, 1):
        host.answering, host.cycles = False, []
        tasks = [cocotb.start_soon(bench.read(n * BLOCK, beats)) for n in range(SLOTS)]
        await bench.cycles(100)
        assert host.cycles[-1] - host.cycles[0] == SLOTS - 1
        oldest = host.active.pop(0)
        host.answering = True
        await bench.cycles(600)
        assert not host.active
        host.active[0] = oldest
        await RisingEdge(dut.axi_rvalid)
        for _ in range(SLOTS * beats):
            await RisingEdge(dut.user_clk)
            assert int(dut.axi_rvalid.value)
        for task in tasks:
            await task


@cocotb.test()
async def writes_nine_cycles_each(dut):
    """Whole blocks, 128 bytes in nine beats, one packet after the other."""
    bench = Bench(dut, seed="pace")
    await bench.start()
    everything = (1 << BLOCK) - 1
    count = 100
    tasks = [
        cocotb.start_soon(bench.write(n * BLOCK, bench.rng.randbytes(BLOCK), everything))
        for n in range(count)
    ]
    for task in tasks:
        await task
    assert bench.host.cycles[-1] - bench.host.cycles[0] == 9 * (count - 1)


@cocotb.test()
async def in_turns(dut):
    """Reads and writes take turns while both have packets."""
    bench = Bench(dut, seed="turns")
    await bench.start()
    everything = (1 << BLOCK) - 1
    writes = [
        cocotb.start_soon(bench.write(n * BLOCK, bench.rng.randbytes(BLOCK), everything))
        for n in range(60)
    ]
    await bench.cycles(100)
    reads = [cocotb.start_soon(bench.read(n * BLOCK, 1)) for n in range(40)]
    for task in writes + reads:
        await task
    kinds = bench.host.kinds
    begin = kinds.index("r")
    assert kinds[begin : begin + 80] == "rw" * 40


@cocotb.test()
async def no_more_writes_than_responses(dut):
    """32 writes may be unreported, and their responses come when they are reported."""
    bench = Bench(dut, seed="unreported")
    host = bench.host
    host.is_sent = lambda: False
    await bench.start()
    everything = (1 << BLOCK) - 1
    tasks = [cocotb.start_soon(bench.write(n * BLOCK, bytes(BLOCK), everything)) for n in range(50)]
    await bench.cycles(1000)
    assert host.kinds == "w" * SLOTS and not any(task.done() for task in tasks)
    host.is_sent = lambda: True
    for task in tasks:
        await task


@cocotb.test()
async def bursts_of_one_beat_wait(dut):
    """More than there is room for, while no packet is taken."""
    bench = Bench(dut, seed="wait")
    host, is_ready = bench.host, bench.host.is_ready
    host.is_ready = lambda: False
    await bench.start()
    tasks = [
        cocotb.start_soon(bench.write(n * BLOCK, bench.rng.randbytes(BEAT), 0xFFFF))
        for n in range(120)
    ]
    await bench.cycles(200)
    assert host.kinds == "" and not any(task.done() for task in tasks)
    host.is_ready = is_ready
    for task in tasks:
        await task
    assert host.kinds == "w" * 120
