"""The load engine that two modules share: each element against the rules of
docs/hardware/machine.md, and completions, bus requests and errors to the module that made the
request."""

import random
from functools import cache, partial

import numpy as np
import pytest

from tests.hw.dma.test_load import (
    COMPUTE_SIDE,
    CONFIGS,
    DRAM,
    DRAM_BYTES,
    LOAD_SIDE,
    TINY,
    elements,
    expect,
    random_load,
)
from tests.support.hwpeers import (
    READY_PROBABILITIES,
    Bench,
    StallGenerator,
    hold_writes,
    send,
    serve_reads,
)
from vta.hw.dma.rows import MemoryKind
from vta.hw.dma.shared_load import SharedLoadEngine
from vta.isa import Isa, Load, MemId
from vta.memmap import ErrorCode, Source

HALF = DRAM_BYTES // 2
"""The load module reads below, the compute module above."""


@cache
def bench(cfg):
    first, second = (
        [MemoryKind.of(cfg, memory) for memory in side] for side in (LOAD_SIDE, COMPUTE_SIDE)
    )
    bus = {"addr_bits": cfg.addr_bits, "data_bits": cfg.bus_bits}
    return Bench(SharedLoadEngine(Isa.of(cfg), first, second, **bus))


def span(cfg, insn):
    """The bytes of DRAM that a LOAD reads."""
    size, _, _ = elements(cfg, insn.memory)
    rows = [insn.dram_base + y * insn.x_stride for y in range(insn.y_size)]
    return min(rows, default=0) * size, (max(rows, default=0) + insn.x_size) * size


def loads_of(rng, cfg, side, count):
    """Random LOADs whose data is in the half of the module."""
    found = []
    while len(found) < count:
        insn = random_load(rng, cfg, side)
        low, high = span(cfg, insn)
        if (
            not insn.x_size
            or not insn.y_size
            or (high <= HALF if side is LOAD_SIDE else low >= HALF)
        ):
            found.append(insn)
    return found


def run(cfg, first, second, probability, *, cycles=40000):
    """Run LOADs of both modules; returns (SRAMs by name, done of each port, requests, error)."""
    isa = Isa.of(cfg)
    block = bench(cfg)
    dut = block.dut
    srams = {
        kind.sram: np.full((1 << kind.log_depth, kind.sram_bits // 8), 0xA5, np.uint8)
        for kind in dut.kinds
    }
    layout = dut.first.payload.shape()
    done, requests, error = [0, 0], [], []

    async def watch(ctx):
        request = dut.read.request
        for _ in range(cycles):
            _, _, one, two, accepted, addr, owner, *fault = await ctx.tick().sample(
                dut.first_done, dut.second_done, request.valid & request.ready,
                request.payload.addr, dut.read_second, dut.error.code, dut.error.source,
                dut.error.addr,
            )  # fmt: skip
            assert not (one and two)
            done[0] += one
            done[1] += two
            if accepted:
                requests.append((addr, owner))
            if fault[0]:
                error.extend(fault)
            if error or done == [len(first), len(second)]:
                await ctx.tick()
                return
        raise AssertionError(f"{done} loads done after {cycles} cycles")

    peers = [
        partial(
            send,
            stream=getattr(dut, port),
            items=[layout.from_bits(int.from_bytes(isa.encode(i), "little")) for i in insns],
            is_ready=StallGenerator(probability, seed),
        )
        for seed, (port, insns) in enumerate((("first", first), ("second", second)))
    ]
    peers.append(
        partial(
            serve_reads, port=dut.read, memory=DRAM, is_ready=StallGenerator(probability, 2), log=[]
        )
    )
    for name, sram in srams.items():
        peers.append(partial(hold_writes, port=getattr(dut, f"write_{name}"), memory=sram))
    block.run(watch, *peers)
    return srams, done, requests, error


@pytest.mark.parametrize("cfg", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("stalls", ["no stalls", "random stalls"])
def test_random_loads_of_two_modules(cfg, stalls):
    rng = random.Random(f"{cfg.fingerprint} {stalls}")
    first, second = loads_of(rng, cfg, LOAD_SIDE, 10), loads_of(rng, cfg, COMPUTE_SIDE, 10)
    srams, done, requests, error = run(cfg, first, second, READY_PROBABILITIES[stalls])
    want = {name: np.full_like(sram, 0xA5) for name, sram in srams.items()}
    for insn in (*first, *second):
        name = "acc" if insn.memory is MemId.ACC_8BIT else insn.memory.name.lower()
        expect(cfg, insn, want[name])
    for name in srams:
        np.testing.assert_array_equal(srams[name], want[name], err_msg=name)
    assert done == [10, 10]
    assert not error
    assert all(owner == (addr >= HALF) for addr, owner in requests)
    assert {owner for _, owner in requests} == {0, 1}


def test_modules_take_turns():
    """Neither module waits for more than one request of the other one."""
    insn = Load(memory=MemId.INP, x_size=4, y_size=1, x_stride=4)
    other = Load(memory=MemId.ACC, dram_base=HALF // 16, x_size=4, y_size=1, x_stride=4)
    _, _, requests, _ = run(TINY, [insn] * 8, [other] * 8, 1.0)
    owners = [owner for _, owner in requests]
    assert len(owners) == 16
    assert all(owners[n] != owners[n + 1] for n in range(2, 13))


@pytest.mark.parametrize(
    ("side", "insn", "error"),
    [
        (0, Load(memory=MemId.INP, sram_base=60, x_size=5, y_size=1, x_stride=5),
         (ErrorCode.SRAM_RANGE, Source.LOAD, 64)),
        (1, Load(memory=MemId.ACC, sram_base=60, x_size=5, y_size=1, x_stride=5),
         (ErrorCode.SRAM_RANGE, Source.COMPUTE, 64)),
        (0, Load(memory=MemId.INP, dram_base=(1 << 30) - 1, x_size=2, y_size=1, x_stride=2),
         (ErrorCode.ADDRESS, Source.LOAD, 4 * ((1 << 30) - 1))),
        (1, Load(memory=MemId.UOP, dram_base=(1 << 30) - 1, x_size=2, y_size=1, x_stride=2),
         (ErrorCode.ADDRESS, Source.COMPUTE, 4 * ((1 << 30) - 1))),
    ],
)  # fmt: skip
def test_errors_name_the_module(side, insn, error):
    fine = [Load(memory=MemId.WGT, x_size=1, y_size=1, x_stride=1)]
    loads = ([insn], []) if side == 0 else (fine, [insn])
    *_, found = run(TINY, *loads, 1.0)
    assert tuple(found) == error
