"""The accumulators: every reader, and the narrow mirror, sees every writer; who waits for whom."""

import random

import pytest
from amaranth.sim import Simulator

from tests.support.hwmemories import pack, unpack
from vta.hw.compute.accumulators import Accumulators, log_banks
from vta.hw.compute.lookahead import GEMM_WRITE_LOOKAHEAD

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

    def tile_of(bank):
        return rng.randrange(depth // banks) * banks + bank

    async def testbench(ctx):
        # What is announced, the next cycle's first: tiles, or None.
        gemm_reads, gemm_writes, alu_writes = (
            [None] * 2,
            [None] * (GEMM_WRITE_LOOKAHEAD + 1),
            [None] * 2,
        )
        for _ in range(250):
            # GEMM and ALU write to different banks, as they are promised; the load anywhere.
            gemm_reads.append(rng.choice([None, rng.randrange(depth)]))
            gemm_writes.append(rng.choice([None, rng.randrange(depth)]))
            spared = None if gemm_writes[2] is None else gemm_writes[2] % banks
            bank = rng.choice([None, *(set(range(banks)) - {spared})])
            alu_writes.append(None if bank is None else tile_of(bank))
            for name, plan in (
                ("gemm_read", gemm_reads), ("gemm_write", gemm_writes), ("alu_write", alu_writes)
            ):  # fmt: skip
                del plan[0]
                soon = getattr(dut, f"{name}_lookahead")
                ctx.set(soon.valid, plan[-1] is not None)
                ctx.set(soon.addr, rng.randrange(depth) if plan[-1] is None else plan[-1])
            targets = {
                "gemm_write": gemm_writes[0], "alu_write": alu_writes[0],
                "load_write": rng.randrange(depth),
            }  # fmt: skip
            written = {}
            for name, addr in targets.items():
                port = getattr(dut, name)
                values = [rng.randint(-(2**31), 2**31 - 1) for _ in range(LANES)]
                mask = rng.getrandbits(len(port.mask)) if name == "load_write" else addr is not None
                addr = rng.randrange(depth) if addr is None else addr
                ctx.set(port.addr, addr)
                ctx.set(port.data, pack(values, LANE_BITS))
                ctx.set(port.mask, mask)
                written[name] = addr, values, mask
            refused = ctx.get(dut.load_stall)
            load_bank = targets["load_write"] % banks
            assert refused == any(
                written["load_write"][2] and written[name][2] and targets[name] % banks == load_bank
                for name in targets if name != "load_write"
            )  # fmt: skip

            asked = {}
            for name in ("gemm_read", "out_read", "alu_dst_read", "alu_src_read"):
                port = getattr(dut, name)
                addr = rng.randrange(depth)
                en = rng.random() < 0.8
                if name == "gemm_read":
                    en = gemm_reads[0] is not None
                    addr = gemm_reads[0] if en else addr
                if name == "alu_src_read" and ctx.get(dut.alu_dst_read.en):
                    dst = ctx.get(dut.alu_dst_read.addr)
                    en = en and (dst == addr or dst % banks != addr % banks)
                ctx.set(port.addr, addr)
                ctx.set(port.en, en)
                busy = 0
                if name.startswith("alu"):
                    busy = (
                        ctx.get(getattr(dut, name.replace("read", "reserved"))) >> addr % banks & 1
                    )
                    gemms = [gemm_reads[0], *([gemm_writes[4]] if "dst" in name else [])]
                    assert busy == (addr % banks in [at % banks for at in gemms if at is not None])
                if en:
                    asked[name] = None if busy else addr
            await ctx.tick()
            for name, at in asked.items():
                if at is None:
                    continue
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


def test_the_alu_spares_the_banks_of_gemm():
    dut = Accumulators(
        log_depth=LOG_DEPTH, lanes=LANES, lane_bits=LANE_BITS, out_bits=8, granule=128
    )

    async def testbench(ctx):
        for reads in (False, True):
            for writes in (False, True):
                for read in range(1 << LOG_DEPTH):
                    for write in range(1 << LOG_DEPTH):
                        ctx.set(dut.gemm_read_lookahead.valid, reads)
                        ctx.set(dut.gemm_read_lookahead.addr, read)
                        ctx.set(dut.gemm_write_lookahead.valid, writes)
                        ctx.set(dut.gemm_write_lookahead.addr, write)
                        await ctx.tick()
                        busy = [reads and bank == read % BANKS for bank in range(BANKS)]
                        assert ctx.get(dut.alu_src_reserved) == pack(busy, 1)
                        for bank in range(BANKS):
                            busy[bank] |= writes and bank == write % BANKS
                        assert ctx.get(dut.alu_dst_reserved) == pack(busy, 1)

    run(dut, testbench)
