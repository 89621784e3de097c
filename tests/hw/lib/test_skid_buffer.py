"""The skid buffer: each item once and in order with any stalls, one a cycle, no path through it."""

import pytest

from tests.support.hwpeers import READY_PROBABILITIES, StallGenerator, send, simulate
from vta.hw.lib.skid_buffer import SkidBuffer


def run(items, *, into, out, cycles):
    """Items that came out, with their cycles, and the cycles in which items went in."""
    dut = SkidBuffer(8)
    came, went = [], []
    stalls = StallGenerator(out, 2)

    async def sender(ctx):
        await send(ctx, dut.i, items, StallGenerator(into, 1))

    async def watch(ctx):
        for cycle in range(cycles):
            ctx.set(dut.o.ready, ready := stalls())
            _, _, valid, item, taken = await ctx.tick().sample(
                dut.o.valid, dut.o.payload, dut.i.valid & dut.i.ready
            )
            if valid and ready:
                came.append((cycle, item))
            if taken:
                went.append(cycle)

    simulate(dut, watch, sender)
    return came, went


@pytest.mark.parametrize("out", READY_PROBABILITIES.values(), ids=READY_PROBABILITIES.keys())
@pytest.mark.parametrize("into", [1.0, 0.5])
def test_every_item_once_and_in_order(into, out):
    items = [n * 37 % 256 for n in range(60)]
    came, _ = run(items, into=into, out=out, cycles=int(60 / out / into * 2) + 40)
    assert [item for _, item in came] == items


def test_one_a_cycle_a_cycle_later():
    came, went = run(list(range(40)), into=1.0, out=1.0, cycles=50)
    assert went == list(range(went[0], went[0] + 40))
    assert [cycle for cycle, _ in came] == [cycle + SkidBuffer.LATENCY for cycle in went]


def test_ready_does_not_depend_on_the_other_side_in_the_same_cycle():
    dut = SkidBuffer(8)

    async def testbench(ctx):
        ctx.set(dut.i.valid, 1)
        for _ in range(3):  # one is offered, one waits
            await ctx.tick()
        seen = []
        for ready in (0, 1):
            ctx.set(dut.o.ready, ready)
            seen.append(ctx.get(dut.i.ready))
        assert seen == [0, 0]
        await ctx.tick()
        assert ctx.get(dut.i.ready) == 1

    simulate(dut, testbench)
