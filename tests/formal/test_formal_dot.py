"""The dot product: its form for simulators has the same sum in each cycle as that of synthesis."""

import pytest
from amaranth.hdl import Assert, Cover, Fragment

from tests.formal.mutant import mutant
from tests.formal.runner import Properties, prove, reach, refute
from vta.hw.compute import dot
from vta.hw.lib.simulated import SimulatorPlatform


class SameSum(Properties):
    """Both forms at the same inputs, which may do anything."""

    def __init__(self, length, bits, max_bits, module=dot):
        sizes = {"length": length, "a_bits": bits, "b_bits": bits, "max_bits": max_bits}
        super().__init__(dot.DotProduct(**sizes))
        self.simulated = module.DotProduct(**sizes)

    def elaborate(self, platform):
        m = super().elaborate(platform)
        block, simulated = self.block, self.simulated
        m.submodules.simulated = Fragment.get(simulated, SimulatorPlatform())
        m.d.comb += [
            simulated.valid.eq(block.valid),
            simulated.a.eq(block.a),
            simulated.b.eq(block.b),
            Assert(simulated.sum == block.sum),
            Cover(block.sum == -1),
        ]
        return m


@pytest.mark.parametrize(
    ("length", "bits", "max_bits"), [(2, 4, 32), (4, 3, 32), (8, 2, 32), (8, 3, 5)]
)
def test_both_forms_have_the_same_sum(length, bits, max_bits):
    """Whatever is in the pipelines at first has left them after so many cycles."""
    depth = dot.DotProduct.latency(length) + 2
    prove(SameSum(length, bits, max_bits), depth=depth)


def test_sums_happen():
    reach(SameSum(4, 3, 32), depth=6)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("b.eq(self.b[k]), product", "b.eq(self.b[k].as_unsigned()), product"),
        ("term.eq(a + b)", "term.eq(a - b)"),
        ("range(dot_latency(self.length))", "range(dot_latency(self.length) - 1)"),
        ("total, valid = terms[0], self.valid", "total, valid = terms[0], 1"),
    ],
)
def test_another_form_is_noticed(old, new):
    refute(SameSum(4, 3, 32, mutant(dot, old, new)), depth=8)
