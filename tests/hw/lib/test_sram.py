"""On-chip memory: lanes, several read ports, and what a read in the cycle of a write gives."""

import gc
import random

import pytest

from tests.support.hwpeers import simulate
from vta.hw.lib.sram import Sram


@pytest.mark.parametrize(
    ("bits", "granule", "read_ports"), [(8, 8, 1), (32, 8, 2), (48, 16, 3), (64, None, 1)]
)
def test_random_traffic(bits, granule, read_ports):
    depth, lane_bits = 8, granule or bits
    dut = Sram(log_depth=3, bits=bits, granule=granule, read_ports=read_ports)
    rng = random.Random(bits)

    async def testbench(ctx):
        assert Sram.READ_LATENCY == 1
        memory = [0] * depth
        held = [None] * read_ports
        for _ in range(300):
            addr, data = rng.randrange(depth), rng.getrandbits(bits)
            mask = rng.getrandbits(bits // lane_bits)
            ctx.set(dut.write.addr, addr)
            ctx.set(dut.write.data, data)
            ctx.set(dut.write.mask, mask)
            for number, port in enumerate(dut.read):
                en, at = rng.random() < 0.7, rng.choice([addr, rng.randrange(depth)])
                ctx.set(port.en, en)
                ctx.set(port.addr, at)
                if en:
                    held[number] = memory[at]
            await ctx.tick()
            for lane in range(bits // lane_bits):
                if mask >> lane & 1:
                    part = ((1 << lane_bits) - 1) << (lane * lane_bits)
                    memory[addr] = memory[addr] & ~part | data & part
            for number, port in enumerate(dut.read):
                if held[number] is not None:
                    assert ctx.get(port.data) == held[number]

    simulate(dut, testbench)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_refuses_granules_that_do_not_divide_a_word():
    with pytest.raises(ValueError, match=r"granule must divide the 32 bits of a word; got 12"):
        Sram(log_depth=3, bits=32, granule=12)
    with pytest.raises(ValueError, match=r"read_ports must be at least 1; got 0"):
        Sram(log_depth=3, bits=32, read_ports=0)
    gc.collect()  # what was refused is not used, and says so when it is collected: here
