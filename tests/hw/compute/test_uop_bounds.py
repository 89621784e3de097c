"""Micro-op bounds: minima, maxima, latency, and the cache of ranges."""

from dataclasses import dataclass
from functools import partial

import pytest

from tests.support.hwmemories import serve_uops
from tests.support.hwpeers import sample, simulate
from vta.config import VTAConfig
from vta.hw.compute.uop_bounds import UopBounds
from vta.isa import Isa, Uop

ISA = Isa.of(VTAConfig.preset("tiny"))
UOPS = [Uop(dst, src, 0) for dst, src in ((9, 3), (4, 8), (6, 5), (7, 1), (2, 9), (30, 0), (5, 5))]


@dataclass(frozen=True)
class Query:
    """A range of micro-ops; ``stalled``: cycles in which it must not be read."""

    begin: int
    end: int
    stalled: int = 0
    invalidate: bool = False


@dataclass(frozen=True)
class Answer:
    """The cycle of ``done``, counted from ``valid``, and the bounds."""

    latency: int
    dst: tuple[int, int]
    src: tuple[int, int]


def run(queries):
    dut, answers = UopBounds(ISA), []

    async def testbench(ctx):
        for query in queries:
            ctx.set(dut.begin, query.begin)
            ctx.set(dut.end, query.end)
            ctx.set(dut.invalidate, query.invalidate)
            await ctx.tick()
            ctx.set(dut.invalidate, 0)
            ctx.set(dut.valid, 1)
            for cycle in range(100):
                ctx.set(dut.stall_read, cycle <= query.stalled)
                now = await sample(
                    ctx, done=dut.done, dst_low=dut.bounds.dst_low, dst_high=dut.bounds.dst_high,
                    src_low=dut.bounds.src_low, src_high=dut.bounds.src_high,
                )  # fmt: skip
                if now.done:
                    break
            answers.append(Answer(cycle, (now.dst_low, now.dst_high), (now.src_low, now.src_high)))
            ctx.set(dut.valid, 0)

    memory = [ISA.encode_uop(uop) for uop in UOPS]
    memory += [0] * (ISA.cfg.uop_depth - len(memory))
    simulate(dut, testbench, partial(serve_uops, memory=memory, ports=[dut.read]))
    return answers


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(0, 4), Answer(8, (4, 9), (1, 8))),  # one word
        (Query(1, 3), Answer(8, (4, 6), (5, 8))),  # a part of a word
        (Query(2, 3), Answer(8, (6, 6), (5, 5))),  # one micro-op
        (Query(3, 5), Answer(9, (2, 7), (1, 9))),  # two words
        (Query(0, 7), Answer(9, (2, 30), (0, 9))),
        (Query(0, 4, stalled=5), Answer(8 + 5, (4, 9), (1, 8))),
    ],
)
def test_bounds_and_latency(query, expected):
    assert run([query]) == [expected]


def test_a_cached_range_is_done_at_once():
    assert run([Query(0, 4), Query(1, 3), Query(0, 4)])[2] == Answer(0, (4, 9), (1, 8))


def test_the_oldest_of_four_ranges_is_replaced():
    assert UopBounds.ENTRIES == 4
    five = [Query(0, end) for end in (1, 2, 3, 4, 5)]
    *_, second, first = run([*five, Query(0, 2), Query(0, 1)])
    assert (second.latency, first.latency) == (0, 8)


def test_invalidation_removes_all_ranges():
    *_, again, other = run([
        Query(0, 4), Query(1, 3), Query(0, 4, invalidate=True), Query(1, 3),
    ])  # fmt: skip
    assert (again.latency, other.latency) == (8, 8)
