"""The counter counts down as a number does, and its flags are those of the number."""

import random

import pytest
from amaranth.sim import Simulator

from vta.hw.lib.down_counter import DownCounter


@pytest.mark.parametrize("bits", [1, 2, 5])
def test_counts_and_flags(bits):
    rng = random.Random(bits)
    dut = DownCounter(bits)
    seen = set()

    async def bench(ctx):
        count = 0
        for _ in range(600):
            load, value = rng.random() < 0.2, rng.randrange(1 << bits)
            step = count > 0 and rng.random() < 0.7
            for name, given in {"load": load, "load_value": value, "step": step}.items():
                ctx.set(getattr(dut, name), given)
            await ctx.tick()
            count = value if load else count - step
            found = tuple(ctx.get(getattr(dut, n)) for n in ("value", "nonzero", "is_one"))
            assert found == (count, count != 0, count == 1)
            seen.add((count, load, step))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert {(0, False, True), (0, True, False), (0, True, True)} <= seen
