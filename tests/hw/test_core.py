"""The whole core of the tiny machine under Amaranth's simulator: runs, errors, and what remains."""

from functools import partial

import numpy as np
import pytest

from tests.support.axipeer import (
    DECERR,
    SLVERR,
    AxiMemory,
    LiteHost,
    serve_axi_reads,
    serve_axi_writes,
)
from tests.support.hwpeers import bench as bench_of
from vta.config import VTAConfig
from vta.hw.core import Core
from vta.isa import Alu, AluOpcode, Finish, Gemm, Isa, Load, MemId, Store, Uop
from vta.memmap import MODULES_NO_DETAIL, ErrorCode, Source, register

TINY = VTAConfig.preset("tiny")
ISA = Isa.of(TINY)
BASE = 0x1000
SIZE = 0x4000
A, B, OUT, UOPS, STREAM = 0x1000, 0x2000, 0x3000, 0x3800, 0x4000
"""Byte addresses of two int32 vectors, the result, micro-ops and instructions."""
TILES = 8


class Bench:
    """A core with its memory, and the run of streams on it."""

    def __init__(self, *, cfg=TINY, probability=1.0, latency=0, reorder=False, seed=0) -> None:
        self.block = bench_of(Core, cfg)
        self.dut = self.block.dut
        self.memory = AxiMemory(
            np.zeros(SIZE, np.uint8), BASE, probability, seed, latency=latency, reorder=reorder
        )
        rng = np.random.default_rng(seed)
        self.a, self.b = rng.integers(-(2**20), 2**20, (2, TILES, 4), dtype=np.int32)
        self.put(A, self.a)
        self.put(B, self.b)

    def put(self, addr, array):
        raw = np.ascontiguousarray(array).view(np.uint8).ravel()
        self.memory.data[addr - BASE : addr - BASE + raw.size] = raw

    def get(self, addr, nbytes):
        return self.memory.data[addr - BASE : addr - BASE + nbytes].copy()

    def simulate(self, host_process):
        async def bench(ctx):
            await host_process(LiteHost(ctx, self.dut.s_axi))

        bus = {"axi": self.dut.m_axi, "memory": self.memory}
        self.block.run(bench, partial(serve_axi_reads, **bus), partial(serve_axi_writes, **bus))

    async def launch(self, host, insns, *, addr=STREAM):
        stream = insns if isinstance(insns, bytes) else ISA.encode_all(insns)
        self.put(addr, np.frombuffer(stream, np.uint8))
        await host.write(register("INSN_COUNT").offset, len(stream) // 16)
        await host.write(register("INSN_ADDR").offset, addr)
        await host.write(register("CONTROL").offset, 1)

    async def finish(self, host, polls=600):
        for _ in range(polls):
            if await host.read(register("STATUS").offset) & 2:
                return
            for _ in range(10):
                await host.ctx.tick()
        raise AssertionError("the run does not end")

    async def run(self, host, insns, **kwargs):
        """Run to the end; returns (code, source, address) of the error."""
        await self.launch(host, insns, **kwargs)
        await self.finish(host)
        error = await host.read(register("ERROR").offset)
        assert bool(error) == bool(await host.read(register("STATUS").offset) & 4)
        assert self.memory.unanswered == 0, "done, but the bus is not"
        addr = await host.read(register("ERROR_ADDR").offset)
        return error & 0xFF, error >> 8, addr

    async def counters(self, host):
        names = (
            "INP_LOAD_NBYTES", "WGT_LOAD_NBYTES", "ACC_LOAD_NBYTES", "UOP_LOAD_NBYTES",
            "OUT_STORE_NBYTES", "GEMM_COUNTER", "ALU_COUNTER",
        )  # fmt: skip
        return [await host.read(register(name).offset) for name in names]


def vector_add():
    """out = int8(a + b), TILES tiles of 4 lanes."""
    return [
        Load(memory=MemId.UOP, dram_base=UOPS // 4, x_size=1, y_size=1, x_stride=1),
        Load(memory=MemId.ACC, dram_base=A // 16, x_size=TILES, y_size=1, x_stride=TILES),
        Load(
            memory=MemId.ACC, sram_base=TILES, dram_base=B // 16,
            x_size=TILES, y_size=1, x_stride=TILES,
        ),
        Alu(
            alu_opcode=AluOpcode.ADD, uop_bgn=0, uop_end=1, iter_out=1, iter_in=TILES,
            dst_factor_in=1, src_factor_in=1, push_next=True,
        ),
        Store(
            memory=MemId.OUT, dram_base=OUT // 4, x_size=TILES, y_size=1, x_stride=TILES,
            pop_prev=True, push_prev=True,
        ),
        Finish(pop_next=True),
    ]  # fmt: skip


def add_uop(bench):
    bench.put(UOPS, ISA.encode_uops([Uop(dst=0, src=TILES)]))


def expected_sum(bench):
    return (bench.a + bench.b).astype(np.int8).view(np.uint8).ravel()


@pytest.mark.parametrize(
    ("probability", "latency", "reorder", "bus"),
    [(1.0, 0, False, 6), (0.3, 0, True, 6), (1.0, 60, False, 6), (0.7, 3, True, 8)],
    ids=["ideal", "random stalls", "latency", "256 bits"],
)
def test_vector_add(probability, latency, reorder, bus):
    bench = Bench(
        cfg=TINY.replace(log_bus_width=bus),
        probability=probability,
        latency=latency,
        reorder=reorder,
    )
    add_uop(bench)

    async def host(host):
        assert await bench.run(host, vector_add()) == (0, 0, 0)
        assert await bench.counters(host) == [0, 0, 2 * TILES * 16, 4, TILES * 4, 0, TILES]
        cycles = await host.read(register("CYCLES").offset)
        assert 50 < cycles < 3000
        insns = [
            await host.read(register(f"INSNS_{n}").offset) for n in ("LOAD", "COMPUTE", "STORE")
        ]
        assert insns == [0, 5, 1]

    bench.simulate(host)
    np.testing.assert_array_equal(bench.get(OUT, TILES * 4), expected_sum(bench))
    assert not bench.get(OUT + TILES * 4, 64).any(), "nothing beyond the result is touched"


def test_gemm_with_load_and_store_modules():
    """out = int8(inp @ wgt.T): every module, every token queue."""
    bench = Bench()
    rng = np.random.default_rng(5)
    inp = rng.integers(-128, 128, (2, 4), dtype=np.int8)
    wgt = rng.integers(-128, 128, (3, 4, 4), dtype=np.int8)
    bench.put(A, inp)
    bench.put(B, wgt)
    # for o < 2: for i < 3: acc[3 o + i] += inp[o] @ wgt[i].T
    bench.put(UOPS, ISA.encode_uops([Uop()]))
    stream = [
        Load(memory=MemId.INP, dram_base=A // 4, x_size=2, y_size=1, x_stride=2),
        Load(memory=MemId.WGT, dram_base=B // 16, x_size=3, y_size=1, x_stride=3, push_next=True),
        Load(memory=MemId.UOP, dram_base=UOPS // 4, x_size=1, y_size=1, x_stride=1),
        Gemm(reset=True, uop_end=1, iter_out=2, iter_in=3, dst_factor_out=3, dst_factor_in=1),
        Gemm(
            uop_end=1, iter_out=2, iter_in=3, dst_factor_out=3, dst_factor_in=1,
            src_factor_out=1, wgt_factor_in=1, pop_prev=True, push_prev=True, push_next=True,
        ),
        Load(memory=MemId.INP, pop_next=True, push_next=True),
        Store(dram_base=OUT // 4, x_size=3, y_size=2, x_stride=4, pop_prev=True, push_prev=True),
        Finish(pop_prev=True, pop_next=True, push_next=True),
    ]  # fmt: skip

    async def host(host):
        assert await bench.run(host, stream) == (0, 0, 0)
        assert await bench.counters(host) == [8, 48, 0, 4, 24, 6, 0]
        tokens = [
            await host.read(register(f"TOKENS_{q}").offset) for q in ("L2G", "G2L", "G2S", "S2G")
        ]
        assert tokens == [0, 0, 1, 0]

    bench.simulate(host)
    want = np.einsum("ok,ick->oic", inp.astype(int), wgt.astype(int)).astype(np.int8)
    got = bench.get(OUT, 32).view(np.int8).reshape(2, 4, 4)
    np.testing.assert_array_equal(got[:, :3], want)
    assert not got[:, 3].any()


FINISH = [Finish()]
LOAD_A = Load(memory=MemId.INP, dram_base=A // 4, x_size=4, y_size=1, x_stride=4)


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        ([], (ErrorCode.MISSING_FINISH, Source.CORE, 0)),
        ([LOAD_A], (ErrorCode.MISSING_FINISH, Source.CORE, 0)),
        ([Finish(), Gemm(uop_end=0)], (ErrorCode.AFTER_FINISH, Source.COMPUTE, 0)),
        ([Gemm(uop_end=0, pop_prev=True), Finish()], (ErrorCode.DEADLOCK, Source.CORE, 0)),
        ([Load(memory=MemId.INP, pop_next=True), Finish()], (ErrorCode.DEADLOCK, Source.CORE, 0)),
        (
            [Load(memory=MemId.INP, dram_base=A // 4, x_size=9, y_size=9, x_stride=9), Finish()],
            (ErrorCode.SRAM_RANGE, Source.LOAD, 64),
        ),
        (
            [Store(sram_base=63, x_size=2, y_size=1, x_stride=2, dram_base=OUT // 4), Finish()],
            (ErrorCode.SRAM_RANGE, Source.STORE, 64),
        ),
        (
            [Load(memory=MemId.INP, dram_base=0xFFFFFFFF, x_size=1, y_size=1), Finish()],
            (ErrorCode.ADDRESS, Source.LOAD, 0xFFFFFFFC),
        ),
        (
            [Load(memory=MemId.WGT, dram_base=0, x_size=64, y_size=1), Finish()],
            (ErrorCode.AXI_DECERR, Source.LOAD, 0),
        ),
        (
            [Load(memory=MemId.WGT, dram_base=0x500 - 1, x_size=9, y_size=1), Finish()],
            (ErrorCode.AXI_DECERR, Source.LOAD, BASE + SIZE),
        ),
        (
            [Store(x_size=64, y_size=1, dram_base=0x2000), Finish()],
            (ErrorCode.AXI_DECERR, Source.STORE, 0x8000),
        ),
        (
            ISA.encode_all([LOAD_A]) + bytes([5]) + bytes(15),
            (ErrorCode.ILLEGAL_INSTRUCTION, Source.FETCH, STREAM + 16),
        ),
    ],
    ids=lambda value: None if isinstance(value, list | bytes) else value[0].name,
)
@pytest.mark.parametrize("probability", [1.0, 0.4], ids=["no stalls", "random stalls"])
def test_errors_end_the_run_and_the_next_one_works(stream, error, probability):
    bench = Bench(probability=probability, latency=20)
    add_uop(bench)

    async def host(host):
        assert await bench.run(host, stream) == error
        if isinstance(stream, list) and stream:
            waiting = await host.read(register("MODULES").offset)
            assert (1 in {waiting & 3, waiting >> 2 & 3}) == (error[0] == ErrorCode.DEADLOCK)
        assert await bench.run(host, vector_add()) == (0, 0, 0)
        assert await bench.counters(host) == [0, 0, 2 * TILES * 16, 4, TILES * 4, 0, TILES]

    bench.simulate(host)
    np.testing.assert_array_equal(bench.get(OUT, TILES * 4), expected_sum(bench))


@pytest.mark.parametrize("load_engines", [1, 2])
def test_a_machine_without_details_of_errors_says_so_in_its_registers(load_engines):
    """ERROR_ADDR and INSNS_* read 0, bit 9 of MODULES 1, whatever has happened."""
    bench = Bench(cfg=TINY.replace(error_detail=0, load_engines=load_engines), latency=5)
    add_uop(bench)
    details = ("ERROR_ADDR", "ERROR_ADDR_HI", "INSNS_LOAD", "INSNS_COMPUTE", "INSNS_STORE")

    async def host(host):
        async def no_details():
            assert await host.read(register("MODULES").offset) & MODULES_NO_DETAIL == 1 << 9
            assert [await host.read(register(name).offset) for name in details] == [0] * 5

        await no_details()
        assert await bench.run(host, vector_add()) == (0, 0, 0)
        await no_details()
        for addr, source in ((B + 8, Source.COMPUTE), (STREAM + 16, Source.FETCH)):
            bench.memory.read_errors = {addr: SLVERR}
            assert await bench.run(host, vector_add()) == (ErrorCode.AXI_SLVERR, source, 0)
            await no_details()
        bench.memory.read_errors = {}
        beyond = Load(memory=MemId.INP, dram_base=0xFFFFFFFF, x_size=1, y_size=1)
        assert await bench.run(host, [beyond, Finish()]) == (ErrorCode.ADDRESS, Source.LOAD, 0)
        await no_details()
        assert await bench.run(host, vector_add()) == (0, 0, 0)
        assert await bench.counters(host) == [0, 0, 2 * TILES * 16, 4, TILES * 4, 0, TILES]

    bench.simulate(host)
    np.testing.assert_array_equal(bench.get(OUT, TILES * 4), expected_sum(bench))


@pytest.mark.parametrize("resp", [SLVERR, DECERR])
def test_bus_errors_name_source_and_address(resp):
    bench = Bench(latency=5)
    add_uop(bench)
    code = {SLVERR: ErrorCode.AXI_SLVERR, DECERR: ErrorCode.AXI_DECERR}[resp]

    async def host(host):
        for addr, source in ((B + 8, Source.COMPUTE), (STREAM + 16, Source.FETCH)):
            bench.memory.read_errors = {addr: resp}
            assert await bench.run(host, vector_add()) == (code, source, addr)
        bench.memory.read_errors = {}
        bench.memory.write_errors = {OUT: resp}
        assert await bench.run(host, vector_add()) == (code, Source.STORE, OUT)
        bench.memory.write_errors = {}
        assert await bench.run(host, vector_add()) == (0, 0, 0)

    bench.simulate(host)
    np.testing.assert_array_equal(bench.get(OUT, TILES * 4), expected_sum(bench))


def test_srams_survive_runs_and_tokens_do_not():
    bench = Bench()
    add_uop(bench)
    load, rest = vector_add()[:3], vector_add()[3:]
    leftover = [Load(memory=MemId.INP, push_next=True), Gemm(uop_end=0, push_next=True)]

    async def host(host):
        assert await bench.run(host, load + leftover + FINISH) == (0, 0, 0)
        assert await host.read(register("TOKENS_L2G").offset) == 1
        assert await bench.run(host, rest) == (0, 0, 0)
        assert await host.read(register("TOKENS_L2G").offset) == 0

    bench.simulate(host)
    np.testing.assert_array_equal(bench.get(OUT, TILES * 4), expected_sum(bench))


def test_reset_by_the_host_in_mid_run():
    bench = Bench(latency=30)
    add_uop(bench)

    async def host(host):
        for wait in (3, 20, 60, 100):
            await bench.launch(host, vector_add())
            for _ in range(wait):
                await host.ctx.tick()
            await host.write(register("CONTROL").offset, 2)
            for _ in range(150):
                await host.ctx.tick()
            assert await host.read(register("STATUS").offset) == 0
            assert await host.read(register("ERROR").offset) == 0
            assert bench.memory.unanswered == 0
        assert await bench.run(host, vector_add()) == (0, 0, 0)

    bench.simulate(host)
    np.testing.assert_array_equal(bench.get(OUT, TILES * 4), expected_sum(bench))


def test_interrupt_done_and_a_launch_while_busy():
    bench = Bench(latency=40)
    add_uop(bench)

    async def host(host):
        async def status():
            return await host.read(register("STATUS").offset)

        await bench.launch(host, vector_add())
        await host.write(register("INSN_COUNT").offset, 0)  # what is under way does not care
        await host.write(register("CONTROL").offset, 1)
        assert await status() == 1
        assert not host.ctx.get(bench.dut.irq)
        await bench.finish(host)
        assert await status() == 2
        assert host.ctx.get(bench.dut.irq)
        cycles = await host.read(register("CYCLES").offset)
        await host.write(register("STATUS").offset, 2)
        assert await status() == 0
        assert not host.ctx.get(bench.dut.irq)
        assert await host.read(register("CYCLES").offset) == cycles

    bench.simulate(host)
    np.testing.assert_array_equal(bench.get(OUT, TILES * 4), expected_sum(bench))


def test_fetch_waits_for_a_full_queue_and_a_deadlock_behind_it_is_seen():
    """The 513th store does not fit while the first waits: nothing that follows can come."""
    bench = Bench()
    stuck = [Store(pop_prev=True)] + [Store()] * 512
    give = [Gemm(uop_end=0, push_next=True), Finish()]

    async def host(host):
        bench.memory.data.resize(0x8000, refcheck=False)
        want = (ErrorCode.DEADLOCK, Source.CORE, 0)
        assert await bench.run(host, stuck + give) == want
        assert await host.read(register("MODULES").offset) == 1 << 8 | 1 << 4
        assert await bench.run(host, stuck[:-1] + give) == (0, 0, 0)

    bench.simulate(host)
