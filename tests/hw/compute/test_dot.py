"""The dot product: exact sums at the edges of the widths, latency, vectors back to back."""

import random

import pytest
from amaranth.hdl import Fragment, Module

from tests.support.hwpeers import simulate
from vta.hw.compute.dot import DotProduct
from vta.hw.compute.dot_pair import ChainOffsets, DotProductPair
from vta.hw.lib.simulated import SimulatorPlatform

LATENCIES = {2: 2, 4: 2, 8: 3, 16: 3, 32: 4, 64: 4}


@pytest.mark.parametrize(("length", "latency"), LATENCIES.items())
def test_latency(length, latency):
    assert DotProduct.latency(length) == DotProductPair.latency(length) == latency


@pytest.mark.parametrize("platform", [None, SimulatorPlatform()], ids=["synthesis", "simulators"])
@pytest.mark.parametrize("length", [2, 4, 8, 16, 64])
@pytest.mark.parametrize(("a_bits", "b_bits"), [(8, 8), (4, 16), (16, 16)])
def test_sums(length, a_bits, b_bits, platform):
    dut = DotProduct(length=length, a_bits=a_bits, b_bits=b_bits, max_bits=32)
    rng = random.Random(length)

    def vector(bits):
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        return [
            [low] * length, [high] * length, [0] * length,
            [rng.choice([low, high]) for _ in range(length)],
            [rng.randint(low, high) for _ in range(length)],
        ]  # fmt: skip

    pairs = [(a, b) for a in vector(a_bits) for b in vector(b_bits)]
    expected = []
    for a, b in pairs:
        total = sum(x * y for x, y in zip(a, b)) % 2**32
        expected.append(total - 2**32 if total >= 2**31 else total)

    async def testbench(ctx):
        # Vectors back to back and with gaps; a sum is valid from LATENCY cycles later to the next.
        due, now, last = {}, 0, None
        for (a, b), total in zip(pairs, expected):
            for offered in (True, rng.random() < 0.5) if rng.random() < 0.3 else (True,):
                ctx.set(dut.valid, offered)
                ctx.set(dut.a, a)
                ctx.set(dut.b, b)
                if offered:
                    due[now + DotProduct.latency(length)] = total
                await ctx.tick()
                now += 1
                last = due.get(now, last)
                if last is not None:
                    assert ctx.get(dut.sum) == last
        ctx.set(dut.valid, 0)
        for _ in range(DotProduct.latency(length) + 1):
            await ctx.tick()
            now += 1
            last = due.get(now, last)
            assert ctx.get(dut.sum) == last

    simulate(Fragment.get(dut, platform), testbench)


@pytest.mark.parametrize(
    ("length", "a_bits", "b_bits"),
    [*((length, 8, 8) for length in LATENCIES), (8, 4, 8), (16, 8, 4), (8, 16, 4), (4, 4, 4)],
)
def test_pairs(length, a_bits, b_bits):
    """Each sum of a pair, with the other at its extremes, back to back with gaps."""
    sizes = {"length": length, "a_bits": a_bits, "b_bits": b_bits}
    dut, offsets = DotProductPair(**sizes, max_bits=32), ChainOffsets(**sizes)
    m = Module()
    m.submodules += [dut, offsets]
    m.d.comb += [offsets.a.eq(dut.a), dut.offsets.eq(offsets.offsets)]
    rng = random.Random(a_bits)

    def vectors(bits):
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        mixed = [rng.choice([low, high, 0, -1, 1]) for _ in range(length)]
        anything = [rng.randint(low, high) for _ in range(length)]
        return [[low] * length, [high] * length, [-1] * length, mixed, anything]

    cases = [
        (a, b0, b1) for a in vectors(a_bits) for b0 in vectors(b_bits) for b1 in vectors(b_bits)
    ]  # fmt: skip

    async def testbench(ctx):
        due, now, last = {}, 0, None
        for a, b0, b1 in cases:
            valid = False
            while not valid:
                valid = rng.random() < 0.8
                ctx.set(dut.valid, valid)
                ctx.set(dut.a, a)
                ctx.set(dut.b0, b0)
                ctx.set(dut.b1, b1)
                if valid:
                    sums = tuple(sum(x * y for x, y in zip(a, b)) for b in (b0, b1))
                    due[now + DotProductPair.latency(length)] = sums
                await ctx.tick()
                now += 1
                last = due.pop(now, last)
                if last is not None:
                    assert (ctx.get(dut.sum0), ctx.get(dut.sum1)) == last, (a, b0, b1)

    simulate(m, testbench)


def test_pairs_of_wide_values_do_not_fit():
    assert DotProductPair.fits(8, 8)
    assert not DotProductPair.fits(8, 16)
    assert not DotProductPair.fits(16, 8)
    assert not DotProductPair.fits(9, 8)
