"""The counters: weights, the latency of an event, ``clear``, the high bits in memory."""

import random

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


def test_stored_counters_are_exact_in_each_cycle():
    """Every read of a random counter, while events and clears come at random, gives a cycle later
    the sum of the events up to the read; the low bits overflow often."""
    names = ["cycles", "one", "tile", "several"]
    dut = Counters({"one": 1, "tile": 16, "several": 2}, most={"several": 3}, stored=names)
    rng = random.Random(3)

    async def body(ctx):
        counts, events = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
        reads, was_read, largest, expected = 0, False, 0, 0
        ctx.set(dut.run, 1)
        for cycle in range(20_000):
            clear = cycle in (5, 6_000, 6_003)
            read = not was_read and (rng.random() < 0.3 or cycle % 64 < 20 or 6_000 < cycle < 6_050)
            name = rng.choice(names)
            ctx.set(dut.clear, clear)
            ctx.set(dut.read, read)
            ctx.set(dut.index, names.index(name))
            assert ctx.get(dut.value) == expected, (cycle, name)
            expected = counts[name] if read else 0
            reads, largest = reads + read, max(largest, expected)
            was_read = read
            busy = cycle % 2000 < 1500
            now = {"one": busy, "tile": rng.random() < 0.9, "several": 3 * busy, "cycles": 1}
            for event in ("one", "tile", "several"):
                ctx.set(getattr(dut, f"event_{event}"), now[event])
            await ctx.tick()
            for counted, weight in {"one": 1, "tile": 16, "several": 2}.items():
                counts[counted] = 0 if clear else counts[counted] + weight * events[counted]
                events[counted] = 0 if clear else now[counted]
            counts["cycles"] = 0 if clear else counts["cycles"] + 1
        assert reads > 5_000 and largest > 50_000

    simulate(dut, body)
