"""The memory masters: what was asked comes back, in legal bursts, fairly, and an abort drains."""

import random
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.support.axipeer import AxiMemory, serve_axi_reads, serve_axi_writes
from tests.support.hwpeers import StallGenerator, bench, receive, send, simulate
from vta.config import BURST_BEATS
from vta.errors import ConfigError
from vta.hw.bus.axi import AXI4, BusTraits
from vta.hw.bus.read_master import BEATS_IN_FLIGHT, ReadMaster
from vta.hw.bus.write_master import WriteMaster
from vta.memmap import ErrorCode, Source

BASE = 0x8000
SIZE = 0x10000
CLIENTS = 3


def memory(**kwargs):
    data = np.random.default_rng(3).integers(0, 256, SIZE, dtype=np.uint8)
    return AxiMemory(data, BASE, **kwargs)


def random_requests(rng, bits, count):
    """(address, beats), degenerate sizes first, then some that cross pages."""
    size = bits // 8
    sizes = [1, 2, BURST_BEATS, BURST_BEATS + 1, 3 * BURST_BEATS]
    sizes = sizes[:count] + [rng.randint(1, 80) for _ in range(count - len(sizes))]
    top = BASE + SIZE
    return [(rng.randrange(BASE, top - beats * size, size), beats) for beats in sizes]


def beats_of(mem, addr, beats, bits):
    size = bits // 8
    raw = mem.data[addr - BASE : addr - BASE + beats * size]
    return [int.from_bytes(raw[at : at + size], "little") for at in range(0, raw.size, size)]


@pytest.mark.parametrize("bits", [64, 512])
@pytest.mark.parametrize(
    ("bus", "client"), [(1.0, 1.0), (0.5, 0.5), (1.0, 0.25), (0.25, 1.0)],
    ids=["no stalls", "random stalls", "slow readers", "slow memory"],
)  # fmt: skip
def test_reads_come_back_in_order(bits, bus, client):
    mem = memory(ready_probability=bus, latency=7, reorder=True)
    block = bench(ReadMaster, clients=CLIENTS, addr_bits=32, data_bits=bits)
    dut = block.dut
    rng = random.Random(f"{bits} {bus} {client}")
    requests = [random_requests(rng, bits, 5) for _ in range(CLIENTS)]
    got = [[] for _ in range(CLIENTS)]
    want = [[w for r in each for w in beats_of(mem, *r, bits)] for each in requests]
    peers = [partial(serve_axi_reads, axi=dut, memory=mem)]
    for index, each in enumerate(requests):
        items = [{"addr": addr, "beats": beats} for addr, beats in each]
        port = dut.client[index]
        peers.append(
            partial(send, stream=port.request, items=items, is_ready=StallGenerator(client, index))
        )
        peers.append(
            partial(
                receive, stream=port.beat, into=got[index], is_ready=StallGenerator(client, index)
            )
        )

    async def body(ctx):
        for _ in range(20000):
            await ctx.tick()
            if [len(each) for each in got] == [len(each) for each in want]:
                break
        await ctx.tick().repeat(3)
        assert ctx.get(dut.idle) and not ctx.get(dut.error.code)

    block.run(body, *peers)
    assert got == want
    assert {ident for ident, _, _ in mem.reads} == {0, 1, 2}
    assert all(beats <= BURST_BEATS for _, _, beats in mem.reads)


def test_a_port_says_its_bursts_cache_and_protection():
    """As an AXI3 port: bursts of at most 16 beats."""
    mem, bus = memory(), BusTraits(burst_beats=16, cache=0b1111, prot=0b010)
    reads = ReadMaster(clients=1, addr_bits=32, data_bits=64, bus=bus)
    writes = WriteMaster(addr_bits=32, data_bits=64, bus=bus)
    request = [{"addr": BASE + 8 * 13, "beats": 40}]
    write = [{**request[0], "last": 1}]
    beats = [{"data": 1, "strb": 1}] * 40

    async def body(ctx):
        await ctx.tick().repeat(80)

    for dut, *peers in (
        (reads, partial(serve_axi_reads, axi=reads, memory=mem),
         partial(send, stream=reads.client[0].request, items=request, is_ready=StallGenerator()),
         partial(receive, stream=reads.client[0].beat, into=[], is_ready=StallGenerator())),
        (writes, partial(serve_axi_writes, axi=writes, memory=mem),
         partial(send, stream=writes.port.request, items=write, is_ready=StallGenerator()),
         partial(send, stream=writes.port.beat, items=beats, is_ready=StallGenerator())),
    ):  # fmt: skip
        seen = []

        async def record_attributes(ctx, dut=dut, seen=seen):
            p = "ar" if dut is reads else "aw"
            pins = [getattr(dut, p + name) for name in ("valid", "ready", "cache", "prot")]
            async for _, _, valid, ready, cache, prot in ctx.tick().sample(*pins):
                if valid and ready:
                    seen.append((cache, prot))

        simulate(dut, body, *peers, record_attributes)
        assert set(seen) == {(0b1111, 0b010)}
    assert mem.reads == mem.writes
    assert [beats for _, _, beats in mem.reads] == [3, 16, 16, 5]


def test_the_contract_states_the_burst_limit():
    page = (Path(__file__).parents[3] / "docs" / "hardware" / "machine.md").read_text(
        encoding="utf-8"
    )
    assert f"INCR bursts of up to `BURST_BEATS` ({BURST_BEATS}) beats" in page


@pytest.mark.parametrize(
    ("field", "value"), [("burst_beats", 24), ("burst_beats", 128), ("cache", 16), ("prot", -1)]
)
def test_traits_that_cannot_be(field, value):
    assert BusTraits(64, 0b0011, 0b000) == AXI4
    with pytest.raises(ConfigError, match=f"{field} is {value}; must "):
        BusTraits(**{field: value})


def test_full_rate_at_a_latency_of_sixty_cycles():
    mem = memory(latency=60)
    block = bench(ReadMaster, clients=1, addr_bits=32, data_bits=64)
    dut = block.dut
    got = []
    items = [{"addr": BASE + 4096 * i, "beats": 512} for i in range(4)]
    peers = [
        partial(serve_axi_reads, axi=dut, memory=mem),
        partial(send, stream=dut.client[0].request, items=items, is_ready=StallGenerator()),
        partial(receive, stream=dut.client[0].beat, into=got, is_ready=StallGenerator()),
    ]

    async def body(ctx):
        await ctx.tick().repeat(4 * 512 + 80)
        assert len(got) == 4 * 512

    block.run(body, *peers)


def test_a_reader_that_stops_does_not_stop_the_others_for_ever():
    """Reader 0 takes nothing; as long as its beats fit in its queue, the others go on."""
    mem = memory()
    block = bench(ReadMaster, clients=2, addr_bits=32, data_bits=64)
    dut = block.dut
    got = []
    peers = [
        partial(serve_axi_reads, axi=dut, memory=mem),
        partial(receive, stream=dut.client[1].beat, into=got, is_ready=StallGenerator()),
    ]
    for index, beats in enumerate((30, 300)):
        items = [{"addr": BASE, "beats": beats}]
        peers.append(
            partial(send, stream=dut.client[index].request, items=items, is_ready=StallGenerator())
        )

    async def body(ctx):
        await ctx.tick().repeat(400)
        assert len(got) == 300

    block.run(body, *peers)


def test_turns_are_taken_burst_by_burst():
    mem = memory(latency=1)
    block = bench(ReadMaster, clients=3, addr_bits=32, data_bits=64)
    dut = block.dut
    peers = [partial(serve_axi_reads, axi=dut, memory=mem)]
    for index in range(3):
        items = [{"addr": BASE + 4096 * index, "beats": 4 * BURST_BEATS}]
        peers.append(
            partial(send, stream=dut.client[index].request, items=items, is_ready=StallGenerator())
        )
        peers.append(
            partial(receive, stream=dut.client[index].beat, into=[], is_ready=StallGenerator())
        )

    async def body(ctx):
        await ctx.tick().repeat(14 * BURST_BEATS)

    block.run(body, *peers)
    order = [ident for ident, _, _ in mem.reads]
    assert sorted(order[:3]) == sorted(order[3:6]) == sorted(order[6:9]) == [0, 1, 2]


@pytest.mark.parametrize("when", [0, 1, 5, 40, 100])
def test_an_aborted_read_drains(when):
    mem = memory(latency=20, ready_probability=0.7)
    block = bench(ReadMaster, clients=2, addr_bits=32, data_bits=64)
    dut = block.dut
    peers = [partial(serve_axi_reads, axi=dut, memory=mem)]
    for index in range(2):
        items = [{"addr": BASE + 4096 * index, "beats": 500}]
        peers.append(
            partial(send, stream=dut.client[index].request, items=items, is_ready=StallGenerator())
        )

    async def body(ctx):
        await ctx.tick().repeat(when + 1)
        ctx.set(dut.abort, 1)
        await ctx.tick()
        issued = None
        for _ in range(4 * BEATS_IN_FLIGHT):
            await ctx.tick()
            if ctx.get(dut.idle):
                assert mem.unanswered == 0
                assert issued in (None, len(mem.reads)), "a new burst after the drain"
                issued = len(mem.reads)
        assert issued is not None

    block.run(body, *peers)


def test_read_errors_name_reader_and_beat():
    bad = BASE + 4096 + 8 * 70
    mem = memory(read_errors={bad: 2, bad + 8: 3})
    block = bench(ReadMaster, clients=3, addr_bits=32, data_bits=64)
    dut = block.dut
    items = [{"addr": BASE + 4096, "beats": 100}]
    peers = [
        partial(serve_axi_reads, axi=dut, memory=mem),
        partial(send, stream=dut.client[1].request, items=items, is_ready=StallGenerator()),
        partial(receive, stream=dut.client[1].beat, into=[], is_ready=StallGenerator()),
    ]

    async def body(ctx):
        await ctx.tick().repeat(150)
        error = [ctx.get(dut.error[key]) for key in ("code", "source", "addr")]
        assert error == [ErrorCode.AXI_SLVERR, Source.LOAD, bad]

    block.run(body, *peers)


@pytest.mark.parametrize(("second", "source"), [(0, Source.LOAD), (1, Source.COMPUTE)])
def test_read_errors_of_a_shared_reader_name_the_module(second, source):
    """Of three requests the middle one fails; the others belong to the other module."""
    bad = BASE + 4096 + 8 * 70
    mem = memory(read_errors={bad: 2})
    block = bench(
        ReadMaster, clients=2, addr_bits=32, data_bits=64, shared=(Source.LOAD, Source.COMPUTE)
    )
    dut = block.dut
    items = [{"addr": BASE + at, "beats": 100} for at in (0, 4096, 8192)]

    async def owners(ctx):
        request = dut.client[1].request
        for owner in (1 - second, second, 1 - second):
            ctx.set(dut.second, owner)
            await ctx.tick().until(request.valid & request.ready)

    async def body(ctx):
        await ctx.tick().repeat(400)
        error = [ctx.get(dut.error[key]) for key in ("code", "source", "addr")]
        assert error == [ErrorCode.AXI_SLVERR, source, bad]

    block.run(
        body, owners,
        partial(serve_axi_reads, axi=dut, memory=mem),
        partial(send, stream=dut.client[1].request, items=items, is_ready=StallGenerator()),
        partial(receive, stream=dut.client[1].beat, into=[], is_ready=StallGenerator()),
    )  # fmt: skip


@pytest.mark.parametrize("bits", [64, 512])
@pytest.mark.parametrize(
    ("bus", "client"), [(1.0, 1.0), (0.5, 0.5), (1.0, 0.25), (0.25, 1.0)],
    ids=["no stalls", "random stalls", "slow writer", "slow memory"],
)  # fmt: skip
def test_writes_arrive_and_are_answered(bits, bus, client):
    mem = memory(ready_probability=bus, latency=5)
    block = bench(WriteMaster, addr_bits=32, data_bits=bits)
    dut = block.dut
    rng = random.Random(f"{bits} {bus} {client}")
    requests = random_requests(rng, bits, 8)
    lasts = [1, 1, 0, 1, 0, 0, 1, 1]
    want = mem.data.copy()
    beats = []
    for addr, count in requests:
        for number in range(count):
            data, strb = rng.getrandbits(bits), rng.getrandbits(bits // 8)
            beats.append({"data": data, "strb": strb})
            for lane in range(bits // 8):
                if strb >> lane & 1:
                    want[addr - BASE + number * bits // 8 + lane] = data >> 8 * lane & 0xFF
    items = [
        {"addr": addr, "beats": count, "last": last} for (addr, count), last in zip(requests, lasts)
    ]
    peers = [
        partial(serve_axi_writes, axi=dut, memory=mem),
        partial(send, stream=dut.port.request, items=items, is_ready=StallGenerator(client, 1)),
        partial(send, stream=dut.port.beat, items=beats, is_ready=StallGenerator(client, 2)),
    ]

    async def body(ctx):
        done = 0
        for _ in range(20000):
            _, _, pulse = await ctx.tick().sample(dut.port.done)
            done += pulse
            if done == sum(lasts):
                break
        assert done == sum(lasts) and ctx.get(dut.idle) and mem.unanswered == 0

    block.run(body, *peers)
    np.testing.assert_array_equal(mem.data, want)


@pytest.mark.parametrize("when", [0, 2, 3, 7, 30])
@pytest.mark.parametrize("probability", [1.0, 0.4])
def test_an_aborted_write_finishes_its_bursts_without_writing(when, probability):
    mem = memory(ready_probability=probability, latency=3)
    before = mem.data.copy()
    block = bench(WriteMaster, addr_bits=32, data_bits=64)
    dut = block.dut
    beats = [{"data": 2**64 - 1, "strb": 0xFF}] * 10
    items = [{"addr": BASE, "beats": 200, "last": 1}, {"addr": BASE, "beats": 200, "last": 1}]
    peers = [
        partial(serve_axi_writes, axi=dut, memory=mem),
        partial(send, stream=dut.port.request, items=items, is_ready=StallGenerator()),
        partial(send, stream=dut.port.beat, items=beats, is_ready=StallGenerator()),
    ]

    async def body(ctx):
        await ctx.tick().repeat(when + 1)
        ctx.set(dut.abort, 1)
        await ctx.tick()
        for _ in range(2000):
            await ctx.tick()
            if ctx.get(dut.idle):
                break
        assert ctx.get(dut.idle) and mem.unanswered == 0
        assert not ctx.get(dut.awvalid) and not ctx.get(dut.wvalid)

    block.run(body, *peers)
    np.testing.assert_array_equal(mem.data[80:], before[80:])


def test_a_write_error_names_the_burst_and_gives_no_done():
    bad = BASE + BURST_BEATS * 8
    mem = memory(write_errors={bad: 3})
    block = bench(WriteMaster, addr_bits=32, data_bits=64)
    dut = block.dut
    items = [{"addr": BASE, "beats": 200, "last": 1}]
    peers = [
        partial(serve_axi_writes, axi=dut, memory=mem),
        partial(send, stream=dut.port.request, items=items, is_ready=StallGenerator()),
        partial(
            send,
            stream=dut.port.beat,
            items=[{"data": 1, "strb": 1}] * 200,
            is_ready=StallGenerator(),
        ),
    ]

    async def body(ctx):
        for _ in range(300):
            _, _, done = await ctx.tick().sample(dut.port.done)
            assert not done
        error = [ctx.get(dut.error[key]) for key in ("code", "source", "addr")]
        assert error == [ErrorCode.AXI_DECERR, Source.STORE, bad]
        assert ctx.get(dut.idle)

    block.run(body, *peers)
