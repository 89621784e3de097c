"""The token queues against a plain count."""

import random

from tests.support.hwpeers import simulate
from vta.hw.frontend.token_queues import TokenQueues


def test_tokens_are_counted_in_their_queues():
    """Every queue against a plain count, with pushes and pops in the same cycle."""
    dut = TokenQueues()
    ends = {
        "l2g": (dut.load.push_next, dut.compute.pop_prev, dut.compute.prev_avail),
        "g2l": (dut.compute.push_prev, dut.load.pop_next, dut.load.next_avail),
        "g2s": (dut.compute.push_next, dut.store.pop_prev, dut.store.prev_avail),
        "s2g": (dut.store.push_prev, dut.compute.pop_next, dut.compute.next_avail),
    }
    rng = random.Random(4)

    async def body(ctx):
        counts = dict.fromkeys(ends, 0)
        for step in range(300):
            clear = step == 200
            ctx.set(dut.clear, clear)
            for queue, (push, pop, avail) in ends.items():
                assert ctx.get(avail) == (counts[queue] > 0)
                assert ctx.get(getattr(dut, queue)) == counts[queue]
                pushes, pops = rng.random() < 0.5, counts[queue] > 0 and rng.random() < 0.5
                ctx.set(push, pushes)
                ctx.set(pop, pops)
                counts[queue] = 0 if clear else counts[queue] + pushes - pops
            await ctx.tick()

    simulate(dut, body)
