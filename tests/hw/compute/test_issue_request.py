"""The hazard test: which pairs of ranges and units have a hazard."""

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tests.support.hwpeers import simulate
from vta.config import VTAConfig
from vta.hw.compute.issue_request import AccessRangesLayout, ExecutionUnit, hazards_between
from vta.isa import Isa

ISA = Isa.of(VTAConfig.preset("tiny"))
LOAD, GEMM, ALU = ExecutionUnit.LOAD, ExecutionUnit.GEMM, ExecutionUnit.ALU


class HazardTest(wiring.Component):
    """``hazards_between`` between ports."""

    younger: In(AccessRangesLayout(ISA))
    older: In(AccessRangesLayout(ISA))
    younger_unit: In(ExecutionUnit)
    older_unit: In(ExecutionUnit)
    hazard: Out(1)

    def elaborate(self, platform):
        m = Module()
        result = Signal()
        m.d.comb += [
            result.eq(
                hazards_between(self.younger, self.younger_unit, self.older, self.older_unit).any()
            ),
            self.hazard.eq(result),
        ]
        return m


def ranges(unit, **used):
    """The value of an AccessRangesLayout from (low, high) of the ranges that are used. Of a unit
    other than the ALU ``reads`` are ``writes``."""
    if unit is not ALU and "writes" in used:
        used["reads"] = used["writes"]
    unused = {"used": 0, "low": 0, "high": 0}
    return {
        name: {"used": 1, "low": used[name][0], "high": used[name][1]} if name in used else unused
        for name in ("writes", "reads", "uops")
    }


@pytest.mark.parametrize(
    ("younger", "older", "hazard"),
    [
        ((ALU, {"writes": (4, 7)}), (GEMM, {"writes": (7, 9)}), True),  # WAW, last entry
        ((ALU, {"writes": (4, 7)}), (GEMM, {"writes": (1, 4)}), True),  # WAW, first entry
        ((ALU, {"writes": (4, 7)}), (GEMM, {"writes": (5, 6)}), True),  # WAW, inside
        ((ALU, {"writes": (4, 7)}), (GEMM, {"writes": (8, 9)}), False),
        ((ALU, {"writes": (4, 7)}), (GEMM, {"writes": (1, 3)}), False),
        ((ALU, {"reads": (4, 7)}), (LOAD, {"writes": (6, 9)}), True),  # RAW
        ((LOAD, {"writes": (4, 7)}), (ALU, {"reads": (6, 9)}), True),  # WAR
        ((ALU, {"reads": (4, 7)}), (GEMM, {"writes": (6, 9)}), True),  # RAW
        ((ALU, {"writes": (1, 2), "reads": (4, 7)}), (LOAD, {"writes": (8, 9)}), False),
        ((GEMM, {"writes": (4, 7)}), (LOAD, {"writes": (7, 9)}), True),  # WAW
        ((GEMM, {"uops": (2, 3)}), (LOAD, {"uops": (3, 5)}), True),  # RAW on micro-ops
        ((LOAD, {"uops": (2, 3)}), (ALU, {"uops": (3, 5)}), True),  # WAR on micro-ops
        ((GEMM, {"uops": (2, 3)}), (ALU, {"uops": (2, 3)}), False),  # two reads of micro-ops
        ((LOAD, {"writes": (0, 9)}), (GEMM, {"uops": (0, 9)}), False),  # two memories
        ((LOAD, {}), (GEMM, {"writes": (0, 9), "uops": (0, 9)}), False),  # ranges not used
    ],
)
def test_hazards(younger, older, hazard):
    dut = HazardTest()

    async def testbench(ctx):
        ctx.set(dut.younger_unit, younger[0])
        ctx.set(dut.younger, ranges(younger[0], **younger[1]))
        ctx.set(dut.older_unit, older[0])
        ctx.set(dut.older, ranges(older[0], **older[1]))
        assert ctx.get(dut.hazard) == hazard

    simulate(dut, testbench, clock=False)
