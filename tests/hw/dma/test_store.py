"""The store module: rows of tiles in DRAM, strobes at their edges, tokens after the answers."""

import random
from functools import cache, partial

import numpy as np
import pytest

from tests.support.hwpeers import READY_PROBABILITIES, Bench, StallGenerator, send
from vta.config import VTAConfig
from vta.hw.dma.rows import MemoryKind
from vta.hw.dma.store import StoreModule, stored_memories
from vta.isa import Isa, MemId, Store
from vta.memmap import ErrorCode, ModuleState, Source

TINY = VTAConfig.preset("tiny")
CONFIGS = {
    "tiny": TINY,
    "wide bus": TINY.replace(log_bus_width=8),
    "default": VTAConfig(log_acc_buff_size=12),
    "batched": VTAConfig(log_batch=1, log_block=3, log_uop_buff_size=6, log_inp_buff_size=9,
                         log_wgt_buff_size=10, log_acc_buff_size=11, log_bus_width=7),
}  # fmt: skip
DRAM_BYTES = 1 << 14


def contents(cfg, memory=MemId.OUT):
    """The out SRAM, or the accumulators: uint8 of shape (depth, bytes of a tile)."""
    bits = {MemId.OUT: cfg.out_elem_bits, MemId.ACC: cfg.acc_elem_bits}[memory]
    return np.random.default_rng(2).integers(1, 256, (cfg.acc_depth, bits // 8), dtype=np.uint8)


async def serve_sram(ctx, port, sram):
    """The out SRAM behind a SramReadSignature: data in the next cycle, kept until the next read."""
    while True:
        _, _, enabled, addr = await ctx.tick().sample(port.en, port.addr)
        if enabled:
            ctx.set(port.data, int.from_bytes(sram[addr], "little"))


async def serve_tiles(ctx, port, sram, is_ready):
    """The accumulators behind a TileReadSignature: a read is made some cycles after the one in
    which it is asked for, and its data is there in the cycle after, if it is taken."""
    asked, waited = None, 0
    while True:
        ready = waited >= port.signature.LATENCY and is_ready()
        ctx.set(port.ready, ready)
        _, _, enabled, addr, take = await ctx.tick().sample(port.en, port.addr, port.take)
        assert asked is None or (enabled and addr == asked), "held until ready"
        assert ready or not take
        asked, waited = (addr, waited + 1) if enabled and not ready else (None, 0)
        if take:
            ctx.set(port.data, int.from_bytes(sram[addr], "little"))


async def serve_writes(ctx, port, dram, is_ready, requests, answer_after):
    """The memory behind a WritePortSignature: ``done`` comes some cycles after the last beat."""
    size = len(port.beat.payload.strb)
    current, queue, answers = None, [], []
    cycle = 0
    while True:
        accepts, takes = is_ready(), is_ready()
        ctx.set(port.request.ready, accepts)
        ctx.set(port.beat.ready, takes and bool(queue))
        answered = bool(answers) and answers[0] <= cycle
        ctx.set(port.done, answered)
        if answered:
            answers.pop(0)
        _, _, asked, addr, beats, last, valid, data, strb = await ctx.tick().sample(
            port.request.valid, port.request.payload.addr, port.request.payload.beats,
            port.request.payload.last, port.beat.valid,
            port.beat.payload.data, port.beat.payload.strb,
        )  # fmt: skip
        cycle += 1
        if valid and takes and queue:
            current = queue[0]
            for lane in range(size):
                if strb >> lane & 1:
                    dram[current[0] + lane] = data >> 8 * lane & 0xFF
            current[0] += size
            current[1] -= 1
            if current[1] == 0:
                queue.pop(0)
                if current[2]:
                    answers.append(cycle + answer_after)
        if asked and accepts:
            assert addr % size == 0 and beats > 0
            requests.append((addr, beats))
            queue.append([addr, beats, last])


@cache
def module(cfg):
    isa = Isa.of(cfg)
    return Bench(
        StoreModule(
            isa, [MemoryKind.of(cfg, memory) for memory in stored_memories(isa)],
            addr_bits=cfg.addr_bits, data_bits=cfg.bus_bits,
        )
    )  # fmt: skip


def run(cfg, insns, *, probability=1.0, answer_after=3, tokens=1 << 20, cycles=20000):
    """Run STOREs; returns DRAM, a log of events by cycle, requests, and the error."""
    isa = Isa.of(cfg)
    block = module(cfg)
    dut = block.dut
    dram = np.zeros(DRAM_BYTES, np.uint8)
    log = {"retired": [], "pushed": 0, "popped": 0, "stored": 0, "requests": [], "done": []}
    words = [int.from_bytes(isa.encode(insn), "little") for insn in insns]

    async def body(ctx):
        left = tokens
        for cycle in range(cycles):
            ctx.set(dut.tokens.prev_avail, left > 0)
            _, _, retired, pop, push, stored, done, code, state = await ctx.tick().sample(
                dut.retired, dut.tokens.pop_prev, dut.tokens.push_prev, dut.stored,
                dut.write.done, dut.error.code, dut.state,
            )  # fmt: skip
            left -= pop
            log["popped"] += pop
            log["pushed"] += push
            log["stored"] += stored
            assert not push or retired
            if retired:
                log["retired"].append(cycle)
            if done:
                log["done"].append(cycle)
            if code or len(log["retired"]) == len(insns):
                break
            if cycle > 400 and state == ModuleState.WAITING:
                break
        log["error"] = tuple(ctx.get(dut.error[key]) for key in ("code", "source", "addr"))
        log["cycles"] = cycle
        log["state"] = ctx.get(dut.state)

    peers = (
        partial(send, stream=dut.insn, items=words, is_ready=StallGenerator(probability, 1)),
        partial(serve_sram, port=dut.out_read, sram=contents(cfg)),
        partial(
            serve_tiles, port=dut.acc_read, sram=contents(cfg, MemId.ACC),
            is_ready=StallGenerator(probability, 4),
        ),
        partial(
            serve_writes, port=dut.write, dram=dram, is_ready=StallGenerator(probability, 2),
            requests=log["requests"], answer_after=answer_after,
        ),
    )  # fmt: skip
    block.run(body, *peers)
    return dram, log


def check(cfg, insns, **kwargs):
    dram, log = run(cfg, insns, **kwargs)
    want = np.zeros_like(dram)
    units = 0  # of the byte counter
    for insn in insns:
        if insn.is_nop:
            continue
        out = contents(cfg, insn.memory)
        size = out.shape[1]
        units += insn.x_size * insn.y_size * size // (cfg.out_elem_bits // 8)
        for y in range(insn.y_size):
            for x in range(insn.x_size):
                at = (insn.dram_base + y * insn.x_stride + x) * size
                want[at : at + size] = out[insn.sram_base + y * insn.x_size + x]
    np.testing.assert_array_equal(dram, want)
    assert log["error"][0] == ErrorCode.NONE
    assert len(log["retired"]) == len(insns)
    assert log["stored"] == units
    assert log["popped"] == sum(insn.pop_prev for insn in insns)
    assert log["pushed"] == sum(insn.push_prev for insn in insns)
    return log


def random_store(rng, cfg):
    memory = rng.choice([MemId.OUT, MemId.ACC])
    size = contents(cfg, memory).shape[1]
    x, y = rng.choice([0, 1, 1, 2, 3, 6]), rng.choice([0, 1, 1, 2, 5])
    stride = rng.choice([x, x, x + 1, x + 3])
    span = stride * max(y - 1, 0) + x
    return Store(
        memory=memory, sram_base=rng.randrange(cfg.acc_depth - x * y + 1),
        dram_base=rng.randrange(DRAM_BYTES // size - span), x_size=x, y_size=y, x_stride=stride,
        pop_prev=rng.random() < 0.5, push_prev=rng.random() < 0.5,
    )  # fmt: skip


@pytest.mark.parametrize("stalls", READY_PROBABILITIES)
@pytest.mark.parametrize("cfg", CONFIGS.values(), ids=CONFIGS)
def test_random_stores(cfg, stalls):
    rng = random.Random(f"{cfg.fingerprint} {stalls}")
    check(
        cfg,
        [random_store(rng, cfg) for _ in range(12)],
        probability=READY_PROBABILITIES[stalls],
    )


def test_nop_of_any_memory_carries_tokens_in_order():
    nop = Store(memory=MemId.UOP, y_size=9, x_pad_0=3, pop_prev=True, push_prev=True)
    write = Store(x_size=2, y_size=1, x_stride=2, push_prev=True)
    log = check(TINY, [nop, write, nop, nop, write], answer_after=30)
    assert log["retired"][2] > log["done"][0], "a NOP does not overtake the write before it"


def test_tokens_wait_for_the_answers_but_the_next_store_does_not():
    stores = [
        Store(x_size=1, y_size=1, dram_base=i, sram_base=i, push_prev=True) for i in range(20)
    ]
    log = check(CONFIGS["default"], stores, answer_after=60)
    assert all(retired > done for retired, done in zip(log["retired"], log["done"], strict=True))
    assert log["cycles"] < 20 * 4 + 60 + 20, "the writes overlap"


def test_full_bus_rate_and_merged_rows():
    store = Store(x_size=8, y_size=6, x_stride=8, dram_base=5)
    log = check(CONFIGS["default"], [store])
    assert log["requests"] == [(80, 96)]
    assert log["cycles"] < 96 + 15


def test_whole_tiles_at_full_bus_rate():
    """The next tile is read while the beats of a tile are sent: eight beats a tile."""
    store = Store(memory=MemId.ACC, x_size=8, y_size=6, x_stride=8)
    log = check(CONFIGS["default"], [store])
    assert log["cycles"] < 48 * 8 + 20


def test_a_store_without_its_token_waits():
    _, log = run(TINY, [Store(x_size=1, y_size=1, pop_prev=True)], tokens=0)
    assert log["state"] == ModuleState.WAITING and not log["requests"]


@pytest.mark.parametrize(
    ("insn", "error"),
    [
        (Store(sram_base=62, x_size=3, y_size=1), (ErrorCode.SRAM_RANGE, Source.STORE, 64)),
        (Store(sram_base=999, x_size=1, y_size=1), (ErrorCode.SRAM_RANGE, Source.STORE, 999)),
        (
            Store(x_size=2, y_size=1, dram_base=(1 << 30) - 1),
            (ErrorCode.ADDRESS, Source.STORE, (1 << 32) - 4),
        ),
    ],
)
def test_errors(insn, error):
    _, log = run(TINY, [insn])
    assert log["error"] == error
