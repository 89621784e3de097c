"""The accumulators: every reader, and the narrow mirror, sees every writer; who waits for whom."""

import random

import pytest
from amaranth.sim import Simulator

from tests.support.hwmemories import pack, unpack
from vta.hw.acc import Accumulators, log_banks

LANES, LANE_BITS, LOG_DEPTH = 4, 32, 4
BANKS = 4


def run(dut, testbench):
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()


@pytest.mark.parametrize(("log_depth", "banks"), [(0, 1), (1, 1), (2, 2), (3, 4), (11, 4)])
def test_the_number_of_banks(log_depth, banks):
    assert 1 << log_banks(log_depth) == banks


@pytest.mark.parametrize("log_depth", [0, 1, 2, 4])
@pytest.mark.parametrize("out_bits", [4, 8, 16])
@pytest.mark.parametrize("granule", [32, 64, 128])
def test_all_at_once(out_bits, granule, log_depth):
    """Everybody reads and writes in every cycle, as far as the banks allow; nothing is lost."""
    dut = Accumulators(
        log_depth=log_depth, lanes=LANES, lane_bits=LANE_BITS, out_bits=out_bits, granule=granule
    )
    rng = random.Random(granule + out_bits)
    depth, banks = 1 << log_depth, 1 << log_banks(log_depth)
    tiles = [[0] * LANES for _ in range(depth)]
    lanes_of_bit = {"gemm_write": LANES, "alu_write": LANES, "load_write": granule // LANE_BITS}

    async def testbench(ctx):
        for _ in range(250):
            # GEMM and ALU write to different banks, as they are promised; the load anywhere.
            targets = dict(
                zip(("gemm_write", "alu_write"), rng.sample(range(banks), min(2, banks)))
            )
            targets["load_write"] = rng.randrange(banks)
            written = {}
            for name, bank in targets.items():
                port = getattr(dut, name)
                addr = rng.randrange(depth // banks) * banks + bank
                values = [rng.randint(-(2**31), 2**31 - 1) for _ in range(LANES)]
                mask = rng.getrandbits(len(port.mask))
                ctx.set(port.addr, addr)
                ctx.set(port.data, pack(values, LANE_BITS))
                ctx.set(port.mask, mask)
                written[name] = addr, values, mask
            refused = ctx.get(dut.load_refused)
            load_bank = targets["load_write"]
            assert refused == any(
                written["load_write"][2] and written[name][2] and targets[name] == load_bank
                for name in targets if name != "load_write"
            )  # fmt: skip

            asked = {}
            for name in ("gemm_read", "out_read", "alu_dst_read", "alu_src_read"):
                port = getattr(dut, name)
                addr = rng.randrange(depth)
                ctx.set(port.addr, addr)
                ready = name in ("gemm_read", "out_read") or ctx.get(port.ready)
                dst = asked.get("alu_dst_read")
                if name == "alu_src_read" and dst is not None and dst != addr:
                    ready = ready and dst % banks != addr % banks
                en = ready and rng.random() < 0.8
                ctx.set(port.en, en)
                if en:
                    asked[name] = addr
            await ctx.tick()
            for name, at in asked.items():
                bits = out_bits if name == "out_read" else LANE_BITS
                want = unpack(pack(tiles[at], bits), bits, LANES)
                assert unpack(ctx.get(getattr(dut, name).data), bits, LANES) == want, name
            for name, (addr, values, mask) in written.items():
                if name == "load_write" and refused:
                    continue
                for lane in range(LANES):
                    if mask >> (lane // lanes_of_bit[name]) & 1:
                        tiles[addr][lane] = values[lane]

    run(dut, testbench)


def test_the_alu_waits_for_gemm_and_nobody_else_does():
    dut = Accumulators(
        log_depth=LOG_DEPTH, lanes=LANES, lane_bits=LANE_BITS, out_bits=8, granule=128
    )

    async def testbench(ctx):
        for reads in (False, True):
            for soon in (False, True):
                for gemm in range(1 << LOG_DEPTH):
                    for alu in range(1 << LOG_DEPTH):
                        later = (gemm + 1) % BANKS
                        ctx.set(dut.gemm_read.en, reads)
                        ctx.set(dut.gemm_read.addr, gemm)
                        ctx.set(dut.gemm_soon.valid, soon)
                        ctx.set(dut.gemm_soon.addr, later)
                        ctx.set(dut.alu_dst_read.addr, alu)
                        ctx.set(dut.alu_src_read.addr, alu)
                        free = not (reads and gemm % BANKS == alu % BANKS)
                        assert ctx.get(dut.alu_src_read.ready) == free
                        free = free and not (soon and later == alu % BANKS)
                        assert ctx.get(dut.alu_dst_read.ready) == free

    run(dut, testbench)
