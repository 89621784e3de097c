"""A pair of dot products has the sums of two single ones, in each cycle.

Proofs take narrow factors. The multiplier is made as narrow as they need, so that the largest sums
reach the ends of their fields, as those of 8 x 8 bits do in 25 x 18 bits.
"""

import pytest
from amaranth.hdl import Assert, Cat, Cover, Signal

from tests.formal.mutant import mutant, shrunk
from tests.formal.runner import Properties, prove, reach, refute
from vta.hw.compute import dot_pair
from vta.hw.compute.dot import DotProduct


def narrow(b_bits, *fault):
    """The module with slices of ``b_bits`` x 18 bits; with a fault, an old text and a new one."""
    names = {"B_BITS": b_bits, "SUM_BITS": 2 * b_bits + 10}
    return mutant(dot_pair, *fault, **names) if fault else shrunk(dot_pair, **names)


class SameSums(Properties):
    """A pair and two single products at the same inputs, which may do anything."""

    def __init__(self, module, length, a_bits, b_bits):
        sizes = {"length": length, "a_bits": a_bits, "b_bits": b_bits}
        super().__init__(module.DotProductPair(**sizes, max_bits=32))
        self.latency = DotProduct.latency(length)
        self.offsets = module.ChainOffsets(**sizes)
        self.singles = [DotProduct(**sizes, max_bits=32) for _ in range(2)]

    def elaborate(self, platform):
        m = super().elaborate(platform)
        block = self.block
        # Before the first result, the registers of both have values of their own.
        valids, has_result = Signal(self.latency), Signal()
        m.d.sync += [valids.eq(Cat(block.valid, valids)), has_result.eq(has_result | valids[-2])]
        m.submodules.offsets = self.offsets
        m.d.comb += [self.offsets.a.eq(block.a), block.offsets.eq(self.offsets.offsets)]
        for n, (b, result) in enumerate(((block.b0, block.sum0), (block.b1, block.sum1))):
            m.submodules[f"single{n}"] = single = self.singles[n]
            m.d.comb += [
                single.valid.eq(block.valid), single.a.eq(block.a), single.b.eq(b),
                Assert(~has_result | (single.sum == result)),
            ]  # fmt: skip
        m.d.comb += Cover(has_result & (block.sum0 == -1) & (block.sum1 == 1))
        return m


@pytest.mark.parametrize(
    ("length", "a_bits", "b_bits", "slice_bits"),
    [(2, 3, 3, 10), (4, 2, 2, 7), (8, 1, 2, 6)],
)
def test_sums_are_those_of_single_products(length, a_bits, b_bits, slice_bits):
    """Whatever is in the pipelines at first has left them after so many cycles."""
    module = narrow(slice_bits)
    depth = DotProduct.latency(length) + 2
    prove(SameSums(module, length, a_bits, b_bits), depth=depth)


def test_sums_happen():
    reach(SameSums(narrow(7), 8, 2, 2), depth=8)


def test_a_slice_that_is_a_bit_narrower_has_no_room():
    assert narrow(7).fits(2, 2)
    assert not narrow(6).fits(2, 2)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("self.offset - (odd << shift)", "self.offset"),
        ("reduce(xor, (", "sum(("),
        ("Cat(parity, total[shift + 1 :])", "total[shift:]"),
        ("self.carry = int(", "self.carry = 0 * int("),
        ("~b0[-1]", "b0[-1]"),
        ("high - terms[0]", "high + terms[0]"),
        ("sum(lows) + chains.carry * chains.number", "sum(lows)"),
        ("for cycle in range(group):", "for cycle in range(0):"),
        ("group, total)", "group - 1, total)"),
        ("group, parity)", "group - 1, parity)"),
        ('register("total", last, total)', 'register("total", last - 1, total)'),
    ],
)
def test_another_sum_is_noticed(old, new):
    refute(SameSums(narrow(7, old, new), 8, 2, 2), depth=8)
