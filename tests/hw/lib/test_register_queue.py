"""The queue of one item: order, and no item lost or repeated, whatever the two sides do."""

import random

import pytest
from amaranth.sim import Simulator

from vta.hw.lib.register_queue import RegisterQueue


@pytest.mark.parametrize("seed", range(4))
def test_items_pass_once_and_in_order(seed):
    dut, rng = RegisterQueue(width=8), random.Random(seed)
    sent, received = [], []

    async def bench(ctx):
        for _ in range(400):
            word, write, read = rng.randrange(256), rng.random() < 0.7, rng.random() < 0.5
            ctx.set(dut.w_data, word)
            ctx.set(dut.w_en, write)
            ctx.set(dut.r_en, read)
            if write and ctx.get(dut.w_rdy):
                sent.append(word)
            if read and ctx.get(dut.r_rdy):
                received.append(ctx.get(dut.r_data))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(received) > 50
    assert received == sent[: len(received)]
    assert len(sent) - len(received) in (0, 1)
