"""Runs of the ALU that start: by hand, and against the plain rule, one operation at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.slow_model import LANE
from vta.isa import RUN_OPERATIONS, AluOpcode
from vta.sim.reference import loops
from vta.sim.reference.loops import Axis, MicroOpNest
from vta.sim.reference.runs import start_runs

LOW, HIGH = -(2**31), 2**31 - 1


def nest(points, outer=(1, 0, 0, 0), inner=(1, 0, 0, 0)) -> MicroOpNest:
    return MicroOpNest(np.array(points, np.int64).reshape(-1, 3), Axis(*outer), Axis(*inner))


def after(values, points, opcode, imm=None, **axes):
    acc = np.array(values, np.int32).reshape(-1, 1, 1)
    start_runs(acc, nest(points, **axes), opcode, imm)
    return acc.reshape(-1).tolist()


def test_windows_by_hand():
    """The maxima of three windows of three values, one tile each, whatever was in the tiles."""
    taps = [(0, 3 + tap, 0) for tap in range(3)]
    found = after([9, 9, 9, 5, -1, 2, -7, 4], taps, AluOpcode.MAX, inner=(3, 1, 1, 0))
    assert found[:3] == [5, 2, 4]
    assert after([9, HIGH, 1], [(0, 1, 0), (0, 2, 0)], AluOpcode.ADD) == [LOW, HIGH, 1]
    assert after([9, 3, -4], [(0, 1, 0), (0, 2, 0)], AluOpcode.MIN) == [-4, 3, -4]


def test_an_immediate_fills():
    assert after([1, 2, 3], [(0, 0, 0)], AluOpcode.MAX, -128, inner=(2, 1, 0, 0)) == [-128, -128, 3]
    assert after([1, 2], [(0, 0, 0)] * 3, AluOpcode.ADD, 5) == [15, 2]


def test_the_last_of_several_runs_counts():
    points = [(0, 1, 0), (2, 1, 0), (0, 3, 0), (0, 3, 0)]
    assert after([1, 10, 100, 1000], points, AluOpcode.ADD) == [2000, 10, 10, 1000]


def test_a_run_reads_what_an_older_one_wrote():
    assert after([1, 2, 3], [(0, 1, 0), (1, 0, 0), (1, 2, 0)], AluOpcode.ADD) == [2, 5, 3]


@pytest.mark.parametrize("opcode", RUN_OPERATIONS)
@given(data=st.data())
def test_any_nest(opcode, data):
    tile = st.integers(0, 3)
    points = data.draw(st.lists(st.tuples(tile, tile, st.just(0)), min_size=1, max_size=5))
    step = st.integers(0, 2)
    outer, inner = (
        (data.draw(st.integers(1, 3)), data.draw(step), data.draw(step), 0) for _ in range(2)
    )
    values = data.draw(st.lists(st.integers(LOW, HIGH), min_size=12, max_size=12))
    imm = data.draw(st.none() | st.integers(-(2**15), 2**15 - 1))
    expected, before = list(values), None
    for o in range(outer[0]):
        for i in range(inner[0]):
            for d, s, _ in points:
                d, s = d + o * outer[1] + i * inner[1], s + o * outer[2] + i * inner[2]
                y = expected[s] if imm is None else imm
                expected[d] = y if d != before else LANE[opcode](expected[d], y)
                before = d
    assert after(values, points, opcode, imm, outer=outer, inner=inner) == expected


def test_runs_go_on_where_the_list_is_cut(monkeypatch):
    monkeypatch.setattr(loops, "PIECE", 2)
    assert after([0, 1, 2, 3, 4], [(0, s, 0) for s in (1, 2, 3, 4)], AluOpcode.ADD)[0] == 10
