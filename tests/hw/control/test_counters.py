"""The counters: weights, the latency of an event, ``clear``."""

from tests.support.hwpeers import simulate
from vta.hw.control.counters import Counters


def test_counters_add_their_weights():
    dut = Counters({"one": 1, "tile": 16})

    async def body(ctx):
        ctx.set(dut.run, 1)
        for step in range(10):
            ctx.set(dut.event_one, step % 2)
            ctx.set(dut.event_tile, step < 3)
            await ctx.tick()
        assert [ctx.get(c) for c in (dut.cycles, dut.one, dut.tile)] == [10, 4, 48]
        ctx.set(dut.event_one, 0)
        await ctx.tick()  # an event is seen after a cycle
        assert [ctx.get(c) for c in (dut.cycles, dut.one, dut.tile)] == [11, 5, 48]
        ctx.set(dut.event_one, 1)
        await ctx.tick()
        ctx.set(dut.clear, 1)
        await ctx.tick()
        assert [ctx.get(c) for c in (dut.cycles, dut.one, dut.tile)] == [0, 0, 0]

    simulate(dut, body)
