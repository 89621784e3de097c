"""An AXI4 memory and an AXI4-Lite host for Amaranth's simulator."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from tests.support.hwpeers import StallGenerator

OKAY, SLVERR, DECERR = 0, 2, 3


@dataclass
class AxiMemory:
    """What is behind the port: ``data`` (uint8) from address ``base`` on, and DECERR elsewhere.

    ``read_errors`` and ``write_errors`` map addresses of beats (bursts, for writes) to a response.
    ``reads`` and ``writes`` log (id, address, beats) of the bursts. With ``reorder`` the beats of
    bursts of different IDs mix.
    """

    data: np.ndarray
    base: int = 0
    ready_probability: float = 1.0
    seed: int = 0
    latency: int = 0
    reorder: bool = False
    read_errors: dict[int, int] = field(default_factory=dict)
    write_errors: dict[int, int] = field(default_factory=dict)
    reads: list[tuple[int, int, int]] = field(default_factory=list)
    writes: list[tuple[int, int, int]] = field(default_factory=list)
    unanswered: int = 0

    def holds(self, addr: int, size: int) -> bool:
        return self.base <= addr and addr + size <= self.base + len(self.data)


def _check_burst(addr: int, length: int, size: int, bytes_: int, burst: int) -> None:
    assert 1 << size == bytes_ and burst == 1, (size, burst)
    assert addr % bytes_ == 0, hex(addr)
    assert addr // 4096 == (addr + (length + 1) * bytes_ - 1) // 4096, (hex(addr), length)


async def serve_axi_reads(ctx, axi, memory: AxiMemory) -> None:
    """Answer AR with R for ever."""
    size = len(axi.rdata) // 8
    is_ready, choice = (
        StallGenerator(memory.ready_probability, memory.seed),
        StallGenerator(0.5, memory.seed + 1),
    )
    bursts: deque = deque()  # [id, address, beats left, cycle from which on]
    offered = None
    cycle = 0
    while True:
        ready = is_ready()
        ctx.set(axi.arready, ready)
        if offered is None and bursts and bursts[0][3] <= cycle and is_ready():
            offered = bursts[0]
            if memory.reorder and choice():
                others = [b for b in bursts if b[0] != offered[0]]
                offered = others[0] if others else offered
            ident, addr, left, _ = offered
            resp = memory.read_errors.get(addr, OKAY if memory.holds(addr, size) else DECERR)
            word = 0
            if resp == OKAY:
                at = addr - memory.base
                word = int.from_bytes(memory.data[at : at + size], "little")
            ctx.set(axi.rid, ident)
            ctx.set(axi.rdata, word)
            ctx.set(axi.rresp, resp)
            ctx.set(axi.rlast, left == 1)
            ctx.set(axi.rvalid, 1)
        _, _, asked, ident, addr, length, beat, burst, taken = await ctx.tick().sample(
            axi.arvalid, axi.arid, axi.araddr, axi.arlen, axi.arsize, axi.arburst, axi.rready
        )
        cycle += 1
        if offered is not None and taken:
            offered[1] += size
            offered[2] -= 1
            if offered[2] == 0:
                bursts.remove(offered)
                memory.unanswered -= 1
            offered = None
            ctx.set(axi.rvalid, 0)
        if asked and ready:
            _check_burst(addr, length, beat, size, burst)
            memory.reads.append((ident, addr, length + 1))
            memory.unanswered += 1
            bursts.append([ident, addr, length + 1, cycle + memory.latency])


async def serve_axi_writes(ctx, axi, memory: AxiMemory) -> None:
    """Take AW and W, in any order of each other, and answer B for ever."""
    size = len(axi.wdata) // 8
    aw_is_ready, w_is_ready = (
        StallGenerator(memory.ready_probability, memory.seed + 2),
        StallGenerator(memory.ready_probability, memory.seed + 3),
    )
    b_is_ready = StallGenerator(memory.ready_probability, memory.seed + 4)
    bursts: deque = deque()
    beats: deque = deque()
    answers: deque = deque()
    offered = False
    cycle = 0
    while True:
        aw_ready, w_ready = aw_is_ready(), w_is_ready()
        ctx.set(axi.awready, aw_ready)
        ctx.set(axi.wready, w_ready)
        if not offered and answers and answers[0][1] <= cycle and b_is_ready():
            ctx.set(axi.bresp, answers[0][0])
            ctx.set(axi.bvalid, 1)
            offered = True
        (
            _, _, asked, ident, addr, length, beat, burst, valid, data, strb, last, taken,
        ) = await ctx.tick().sample(
            axi.awvalid, axi.awid, axi.awaddr, axi.awlen, axi.awsize, axi.awburst,
            axi.wvalid, axi.wdata, axi.wstrb, axi.wlast, axi.bready,
        )  # fmt: skip
        cycle += 1
        if offered and taken:
            answers.popleft()
            memory.unanswered -= 1
            offered = False
            ctx.set(axi.bvalid, 0)
        if asked and aw_ready:
            assert ident == 0
            _check_burst(addr, length, beat, size, burst)
            memory.writes.append((ident, addr, length + 1))
            memory.unanswered += 1
            bursts.append((addr, length + 1))
        if valid and w_ready:
            beats.append((data, strb, last))
        if bursts and len(beats) >= bursts[0][1]:
            answers.append((_write(memory, *bursts.popleft(), beats, size), cycle + memory.latency))


def _write(memory: AxiMemory, addr: int, count: int, beats: deque, size: int) -> int:
    resp = memory.write_errors.get(addr, OKAY)
    for number in range(count):
        data, strb, last = beats.popleft()
        assert last == (number == count - 1), "WLAST is wrong"
        at = addr + number * size
        for lane in range(size):
            if strb >> lane & 1:
                if not memory.holds(at + lane, 1):
                    resp = DECERR
                elif resp == OKAY:
                    memory.data[at + lane - memory.base] = data >> 8 * lane & 0xFF
    return resp


class LiteHost:
    """Reads and writes registers. ``order`` of a write: address and data together, or one first."""

    def __init__(self, ctx, bus) -> None:
        self.ctx, self.bus = ctx, bus

    async def write(self, offset: int, word: int, *, strb: int = 0xF, order: str = "both") -> None:
        ctx, bus = self.ctx, self.bus
        ctx.set(bus.awaddr, offset)
        ctx.set(bus.wdata, word)
        ctx.set(bus.wstrb, strb)
        for channels in {"both": ["aw w"], "aw": ["aw", "w"], "w": ["w", "aw"]}[order]:
            pending = set(channels.split())
            for name in pending:
                ctx.set(getattr(bus, f"{name}valid"), 1)
            while pending:
                names = sorted(pending)
                _, _, *readies = await ctx.tick().sample(
                    *(getattr(bus, f"{name}ready") for name in names)
                )
                for name, ready in zip(names, readies):
                    if ready:
                        ctx.set(getattr(bus, f"{name}valid"), 0)
                        pending.discard(name)
        ctx.set(bus.bready, 1)
        (resp,) = await ctx.tick().sample(bus.bresp).until(bus.bvalid)
        assert resp == OKAY
        ctx.set(bus.bready, 0)

    async def read(self, offset: int) -> int:
        ctx, bus = self.ctx, self.bus
        ctx.set(bus.araddr, offset)
        ctx.set(bus.arvalid, 1)
        await ctx.tick().until(bus.arready)
        ctx.set(bus.arvalid, 0)
        ctx.set(bus.rready, 1)
        word, resp = await ctx.tick().sample(bus.rdata, bus.rresp).until(bus.rvalid)
        ctx.set(bus.rready, 0)
        assert resp == OKAY
        return word
