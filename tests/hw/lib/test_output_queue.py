"""The queue with an output register does in each cycle what ``SyncFIFO`` does, at each depth."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib.fifo import SyncFIFO
from amaranth.sim import Simulator

from vta.hw.lib.output_queue import OutputQueue


@pytest.mark.parametrize("depth", [2, 3, 4, 5, 16, 33])
def test_it_is_a_sync_fifo(depth):
    rng = random.Random(depth)
    m = Module()
    m.submodules.dut = dut = OutputQueue(width=8, depth=depth)
    m.submodules.reference = reference = SyncFIFO(width=8, depth=depth)
    levels = set()

    async def bench(ctx):
        for cycle in range(1500):
            fills = cycle // 150 % 2 == 0
            inputs = {
                "w_data": rng.randrange(256),
                "w_en": rng.random() < (0.9 if fills else 0.3),
                "r_en": rng.random() < (0.3 if fills else 0.9),
            }
            for queue in (dut, reference):
                for name, value in inputs.items():
                    ctx.set(getattr(queue, name), value)
            names = ["w_rdy", "r_rdy", "w_level", "r_level"]
            if ctx.get(reference.r_rdy):
                names.append("r_data")
            for name in names:
                assert ctx.get(getattr(dut, name)) == ctx.get(getattr(reference, name)), name
            levels.add(ctx.get(reference.r_level))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert levels == set(range(depth + 1))
