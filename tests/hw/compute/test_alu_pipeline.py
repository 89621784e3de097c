"""The ALU's pipeline, micro-op by micro-op: which hazard costs how many cycles, and every result.

The table :data:`CASES` is the hazard table of :mod:`vta.hw.compute.alu_hazards` as a test.
"""

from dataclasses import dataclass, field, replace
from functools import cache

import pytest

from tests.support.hwpeers import Bench
from tests.support.slow_model import LANE
from vta.config import VTAConfig
from vta.hw.compute.accumulators import bank_index
from vta.hw.compute.alu_pipeline import AluPipeline
from vta.hw.compute.sequencer import Index, IndexedUopLayout
from vta.isa import AluOpcode, Isa, Limits

LOG_DEPTH = 4
TILES = 1 << LOG_DEPTH
UNDEFINED = 0xDEADBEEF
"""What a read of a reserved bank, or no read, returns."""


@dataclass(frozen=True)
class MicroOp:
    """``acc[dst] = opcode(acc[dst], acc[src])``, or with the immediate if ``src`` is None; without
    ``acc[dst]`` if ``start`` is set and the ``dst`` before is another one. ``last``: of an
    instruction."""

    opcode: AluOpcode
    dst: int
    src: int | None = None
    imm: int = 3
    start: bool = False
    last: bool = False


def add(dst, src=None):
    return MicroOp(AluOpcode.ADD, dst, src)


def shift(dst, src=None):
    return MicroOp(AluOpcode.SHR, dst, src)


def multiply(dst, src=None):
    return MicroOp(AluOpcode.MUL, dst, src)


def requantise(dst, src):
    return MicroOp(AluOpcode.REQUANTISE, dst, src, imm=Limits(-90, 90).immediate)


def start_max(dst, src):
    return MicroOp(AluOpcode.MAX, dst, src, start=True)


@dataclass(frozen=True)
class Case:
    """Micro-ops that are offered one a cycle, and the cycles in which they must be issued, counted
    from the first one's earliest cycle in READ. ``*_reserved``: banks by cycle."""

    name: str
    uops: list[MicroOp]
    issued: list[int]
    dst_reserved: dict[int, set[int]] = field(default_factory=dict)
    src_reserved: dict[int, set[int]] = field(default_factory=dict)


# Tiles 0, 7, 10, 13 are in bank 0, tiles 1, 6 in bank 1, tiles 2, 5 in bank 2, tiles 3, 4 in 3.
CASES = [
    Case("independent", [add(0, 1), add(2, 3), add(4, 5)], [0, 1, 2]),
    Case("immediates", [add(0), add(4), add(8)], [0, 1, 2]),
    # RAW hazards: where the producer is when the consumer is in READ.
    Case("RAW on dst, producer in OP", [add(0), add(0)], [0, 1]),
    Case("RAW on src, producer in OP", [add(0), add(1, 0)], [0, 1]),
    Case("RAW on both, producer in OP", [add(0), add(0, 0)], [0, 1]),
    Case("RAW on dst, two-cycle producer in OP", [shift(0), add(0)], [0, 2]),
    Case("RAW on src, two-cycle producer in OP", [multiply(0), add(1, 0)], [0, 2]),
    Case("RAW, two-cycle producer in EX1", [multiply(0), add(2), add(0)], [0, 1, 2]),
    Case("RAW, producer in EX2", [shift(0), add(1), add(2), add(0)], [0, 1, 2, 3]),
    Case("RAW, producer in WB", [shift(0), add(1), add(2), add(3), add(4, 0)], [0, 1, 2, 3, 4]),
    Case("no hazard, producer after WB",
         [shift(0), add(1), add(2), add(3), add(4), add(5, 0)], [0, 1, 2, 3, 4, 5]),
    Case("RAW, the youngest of two producers", [add(0), shift(0), add(1, 0)], [0, 1, 3]),
    # REQUANTISE is not forwarded: its tile is read in the cycle after WB.
    Case("RAW on dst of a REQUANTISE", [requantise(0, 1), add(0)], [0, 5]),
    Case("RAW on src of a REQUANTISE", [requantise(0, 1), add(2, 0)], [0, 5]),
    Case("RAW on a REQUANTISE, at distance 3", [requantise(0, 1), add(1), add(2), add(0)],
         [0, 1, 2, 5]),
    Case("no hazard, REQUANTISE in WB",
         [requantise(0, 1), add(1), add(2), add(3), add(5), add(0)], [0, 1, 2, 3, 4, 5]),
    Case("RAW on a REQUANTISE in the early slot", [requantise(0, 7), add(0)], [1, 6]),
    Case("an immediate has no hazard on src", [requantise(3, 1), add(0)], [0, 1]),
    Case("a REQUANTISE reads a forwarded tile", [add(0), shift(1), requantise(0, 1)], [0, 1, 3]),
    Case("parameters that stay", [requantise(0, 4), requantise(1, 4), requantise(2, 4)],
         [0, 1, 2]),
    Case("a chain of two-cycle operations", [shift(0), shift(0), multiply(0)], [0, 2, 4]),
    # Bank conflicts of the two operands.
    Case("bank conflict: src is read early", [add(0, 7)], [1]),
    Case("a run of bank conflicts pays once", [add(0, 7), add(1, 6), add(2, 5)], [1, 2, 3]),
    Case("src conflicts with the next older dst", [add(0, 7), add(1, 13), add(2, 3)], [1, 2, 3]),
    Case("src conflicts with the dst in the early slot", [add(0, 7), add(10, 13)], [1, 3]),
    Case("no conflict: dst is forwarded", [add(0), add(0, 7)], [0, 1]),
    Case("no conflict: src is forwarded", [add(7), add(0, 7)], [0, 1]),
    Case("RAW on an early source read", [add(0, 7), add(1, 0)], [1, 2]),
    Case("RAW on an early source read, two cycles", [shift(0, 7), add(1, 0)], [1, 3]),
    Case("RAW on dst from the early slot", [shift(0, 7), add(0, 1)], [1, 3]),
    # A write is deferred to the next micro-op of the tile and the instruction, if that follows.
    Case("writes that are deferred", [add(0), add(0), add(0), add(1)], [0, 1, 2, 3]),
    Case("a write that is read from the tile",
         [add(0), add(0), add(1), add(2), add(3), add(4), add(5, 0)], [0, 1, 2, 3, 4, 5, 6]),
    Case("the write of an instruction's last micro-op", [replace(add(0), last=True), add(0)],
         [0, 1]),
    # Runs that start read no dst.
    Case("a run that starts", [start_max(0, 1), start_max(0, 2), start_max(0, 5)], [0, 1, 2]),
    Case("runs of one", [start_max(0, 1), start_max(1, 1), start_max(2, 1)], [0, 1, 2]),
    Case("a tile that starts again", [start_max(0, 1), start_max(2, 1), start_max(0, 3)],
         [0, 1, 2]),
    Case("no RAW on the dst of a start", [add(2), shift(0), start_max(2, 1)], [0, 1, 2]),
    Case("no RAW on the dst of a start, two cycles",
         [start_max(2, 1), shift(0), start_max(2, 3)], [0, 1, 2]),
    Case("RAW on the src of a start", [multiply(1), start_max(0, 1)], [0, 2]),
    Case("no conflict: the dst of a start is not read", [start_max(0, 7), start_max(0, 10)],
         [0, 1]),
    Case("bank of the dst of a start reserved", [start_max(0, 1), start_max(0, 2)], [2, 3],
         dst_reserved={0: {0}, 1: {0}}),
    Case("a start in the early slot", [start_max(0, 1), add(0, 2)], [1, 2],
         dst_reserved={0: {0}}),
    Case("a start behind a REQUANTISE", [requantise(0, 1), start_max(2, 0)], [0, 5]),
    # Reserved banks.
    Case("bank of dst reserved", [add(0, 1), add(2)], [2, 3], dst_reserved={0: {0}, 1: {0}}),
    Case("bank of src reserved", [add(0, 1)], [1], src_reserved={0: {1}}),
    Case("src reserved, but forwarded", [add(1), add(0, 1)], [0, 1], src_reserved={1: {1}}),
    Case("dst reserved, although forwarded", [add(0), add(0)], [0, 2], dst_reserved={1: {0}}),
    Case("another bank reserved", [add(0, 1)], [0], dst_reserved={0: {1, 2, 3}},
         src_reserved={0: {0, 2, 3}}),
    Case("both reserved", [add(0, 1)], [3], dst_reserved={0: {0}, 1: {0}, 2: {0}},
         src_reserved={0: {1}, 1: {1}}),
]  # fmt: skip


@dataclass
class Trace:
    """What the pipeline did: the tiles in the end, the cycles of issues, and the writes."""

    tiles: list[int]
    issued: list[int] = field(default_factory=list)
    writes: list[tuple[int, int]] = field(default_factory=list)
    """(cycle, tile) of each."""


@cache
def pipeline():
    isa = Isa.of(VTAConfig.preset("tiny"))
    layout = IndexedUopLayout(
        isa.alu, (Index("dst", LOG_DEPTH), Index("src", LOG_DEPTH, "use_imm")),
        ("alu_opcode", "use_imm", "imm", "start"),
    )  # fmt: skip
    return Bench(AluPipeline(layout, log_depth=LOG_DEPTH, lanes=1, starts_runs=True))


def run(case):
    """The :class:`Trace` of a case, on tiles of one lane that hold 100, 101, ..."""
    dut = pipeline().dut
    trace = Trace([100 + tile for tile in range(TILES)])

    def read(ctx, port, reserved):
        """What a read port returns in the next cycle."""
        addr = ctx.get(port.addr)
        is_read = ctx.get(port.en) and bank_index(addr, LOG_DEPTH) not in reserved
        return trace.tiles[addr] if is_read else UNDEFINED

    async def testbench(ctx):
        to_offer = list(case.uops)
        for cycle in range(-AluPipeline.ISSUE_LATENCY, 3 * len(case.uops) + 12):
            ctx.set(dut.uop.valid, bool(to_offer))
            for uop, port in zip(to_offer, (dut.uop.payload, dut.ahead)):
                insn = {
                    "alu_opcode": uop.opcode, "use_imm": uop.src is None, "imm": uop.imm,
                    "start": uop.start,
                }  # fmt: skip
                payload = {
                    "dst": uop.dst,
                    "src": uop.src or 0,
                    "insn": insn,
                    "empty": 0,
                    "last": uop.last,
                }
                ctx.set(port, port.shape().const(payload))
            dst_reserved = case.dst_reserved.get(cycle, set())
            src_reserved = case.src_reserved.get(cycle, set())
            ctx.set(dut.dst_reserved, sum(1 << bank for bank in dst_reserved))
            ctx.set(dut.src_reserved, sum(1 << bank for bank in src_reserved))
            if ctx.get(dut.tile):
                trace.issued.append(cycle)
            dst_data, src_data = (
                read(ctx, dut.dst_read, dst_reserved), read(ctx, dut.src_read, src_reserved)
            )  # fmt: skip
            if ctx.get(dut.write.mask):
                addr = ctx.get(dut.write.addr)
                trace.writes.append((cycle, addr))
                trace.tiles[addr] = ctx.get(dut.write.data)
            if to_offer and ctx.get(dut.uop.ready):
                del to_offer[0]
            await ctx.tick()
            ctx.set(dut.dst_read.data, dst_data)
            ctx.set(dut.src_read.data, src_data)

    pipeline().run(testbench)
    return trace


def following(case, number):
    """Cycle and ``dst`` of the next micro-op, if there is one."""
    return [(cycle, uop.dst) for cycle, uop in zip(case.issued, case.uops)][number + 1 : number + 2]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_issue_cycles_and_results(case):
    trace = run(case)
    assert trace.issued == case.issued
    assert AluPipeline.LATENCY == 4
    assert trace.writes == [
        (cycle + 4, uop.dst)
        for number, (cycle, uop) in enumerate(zip(case.issued, case.uops, strict=True))
        if uop.last or (cycle + 1, uop.dst) not in following(case, number)
    ]
    expected = [100 + tile for tile in range(TILES)]
    for number, uop in enumerate(case.uops):
        y = uop.imm if uop.src is None else expected[uop.src]
        third = (uop.imm,) if uop.opcode.is_ternary else ()
        starts = uop.start and (number == 0 or case.uops[number - 1].dst != uop.dst)
        expected[uop.dst] = y if starts else LANE[uop.opcode](expected[uop.dst], y, *third)
    assert trace.tiles == [value % 2**32 for value in expected]
