"""The accumulators: every writer is seen by every reader and, narrowed, by the mirror."""

import random

import pytest
from amaranth.sim import Simulator

from tests.support.hwmemories import pack, unpack
from vta.hw.acc import Accumulators

LANES, LANE_BITS, LOG_DEPTH = 4, 32, 3


@pytest.mark.parametrize("out_bits", [4, 8, 16])
@pytest.mark.parametrize("granule", [32, 64, 128])
def test_random_writes_and_reads(out_bits, granule):
    dut = Accumulators(
        log_depth=LOG_DEPTH, lanes=LANES, lane_bits=LANE_BITS, out_bits=out_bits, granule=granule
    )
    rng = random.Random(granule + out_bits)
    tiles = [[0] * LANES for _ in range(1 << LOG_DEPTH)]
    reads = {"gemm_read", "alu_dst_read", "alu_src_read", "out_read"}
    writes = {"gemm_write": LANES, "alu_write": LANES, "load_write": granule // LANE_BITS}

    async def testbench(ctx):
        for _ in range(300):
            # One writer, and of the two readers that share a port one.
            writer = rng.choice(sorted(writes))
            port, addr = getattr(dut, writer), rng.randrange(len(tiles))
            values = [rng.randint(-(2**31), 2**31 - 1) for _ in range(LANES)]
            mask = rng.getrandbits(len(port.mask))
            ctx.set(port.addr, addr)
            ctx.set(port.data, pack(values, LANE_BITS))
            ctx.set(port.mask, mask)
            asked = {}
            for name in sorted(reads - {rng.choice(["gemm_read", "alu_dst_read"])}):
                asked[name] = rng.choice([addr, rng.randrange(len(tiles))])
                ctx.set(getattr(dut, name).en, 1)
                ctx.set(getattr(dut, name).addr, asked[name])
            await ctx.tick()
            for name, at in asked.items():
                bits = out_bits if name == "out_read" else LANE_BITS
                want = unpack(pack(tiles[at], bits), bits, LANES)
                assert unpack(ctx.get(getattr(dut, name).data), bits, LANES) == want, name
                ctx.set(getattr(dut, name).en, 0)
            ctx.set(port.mask, 0)
            for lane in range(LANES):
                if mask >> (lane // writes[writer]) & 1:
                    tiles[addr][lane] = values[lane]

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
