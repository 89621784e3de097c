"""Issue requests: no instruction is lost, doubled or changed while its ranges are computed."""

import pytest
from amaranth.hdl import Assert, Cover, Mux, Signal
from amaranth.lib.data import View

from tests.formal.any_access_ranges import ISA, RANGES, unit_of
from tests.formal.mutant import mutant
from tests.formal.runner import Properties, prove, reach, refute
from tests.formal.transaction_log import keep_log
from vta.hw.compute import access_ranges
from vta.hw.compute.issue_request import ExecutionUnit
from vta.hw.compute.range_extent import DecodedAccessLayout
from vta.hw.debug.signal_paths import SignalPaths


class RequestsInOrder(Properties):
    """Each accepted instruction is requested once, in order, unchanged, with its unit, and stays
    until it is taken. An instruction without a unit has no ranges. The registers of the block are
    compared with a log of the instructions inside."""

    def __init__(self, module=access_ranges):
        super().__init__(module.AccessRanges(ISA))

    def elaborate(self, platform):
        block, registers = self.block, SignalPaths(self.block)
        m = super().elaborate(platform, registers.fragment)
        valid, request = block.request.valid, block.request.payload
        enters, leaves = block.insn.valid & block.insn.ready, valid & block.request.ready
        log, level = keep_log(m, block.insn.payload, depth=2, enqueue=enters, dequeue=leaves)
        stays, before = Signal(), Signal.like(request.as_value())
        m.d.sync += [stays.eq(valid & ~block.request.ready), before.eq(request.as_value())]
        m.d.comb += [
            Assert(~stays | (valid & (request.as_value() == before))),
            Assert(block.busy == (level > valid)),
            Cover((level == 2) & leaves & (request.unit == ExecutionUnit.ALU)
                  & request.ranges.reads.used),
            Cover(leaves & (request.unit == ExecutionUnit.GEMM) & ~request.ranges.writes.used),
            Cover(leaves & (request.unit == ExecutionUnit.LOAD) & request.ranges.uops.used
                  & block.busy),
        ]  # fmt: skip
        has_unit = request.unit != ExecutionUnit.NONE
        with m.If(valid):
            m.d.comb += [
                Assert(level != 0),
                Assert(request.insn == log[0]),
                Assert(request.unit.as_value() == unit_of(log[0])),
                *(Assert(~request.ranges[name].used | has_unit) for name in RANGES),
            ]

        # Registers.
        accepted, decoded, summed = (registers[name] for name in ("accepted", "decoded", "summed"))
        word, unit = registers["decoder.word"], registers["decoder.unit"]
        access = View(DecodedAccessLayout(), registers["decoder.access"])
        accesses = access.is_transfer | access.is_loop
        m.d.comb += [
            Assert(level == block.busy + valid),
            Assert(block.busy == (accepted | summed)),
            Assert(~(summed & (accepted | valid))),
            Assert(~block.busy | (word == Mux(valid, log[1], log[0]))),
            Assert(~block.busy | (unit == unit_of(word))),
            Assert(~summed | ((request.insn == log[0]) & (request.unit.as_value() == unit))),
            *(
                Assert(~(summed & registers[f"range_sum.{name}.exact_used"]) | has_unit)
                for name in RANGES
            ),
            Assert(~decoded | accepted),
            Assert(~(decoded & accesses) | (unit != ExecutionUnit.NONE.value)),
            Assert(~registers["measured"] | decoded),
        ]
        return m


@pytest.mark.formal
def test_no_instruction_is_lost():
    prove(RequestsInOrder(), depth=1)
    reach(RequestsInOrder(), depth=19)


BROKEN = {
    "word-overwritten": (
        "decoder.accept.eq(self.insn.valid & self.insn.ready)",
        "decoder.accept.eq(self.insn.valid)",
    ),
    "request-overwritten": ("measured & ~self.request.valid & ~summed", "measured & ~summed"),
    "wrong-unit": ("insn.x_size == 0", "insn.y_size == 0"),
}
"""Name: (source text, what it becomes)."""


@pytest.mark.formal
@pytest.mark.parametrize("name", BROKEN)
def test_faults_are_found(name):
    old, new = BROKEN[name]
    refute(RequestsInOrder(mutant(access_ranges, old, new)), depth=12)
