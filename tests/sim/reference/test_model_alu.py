"""ALU: every operation at the edges of its operands, and every order of reads and writes."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.slow_model import LANE
from vta.isa import AluOpcode, Limits, Scale
from vta.sim.reference import loops
from vta.sim.reference.alu import alu
from vta.sim.reference.loops import Axis, MicroOpNest

LOW, HIGH = -(2**31), 2**31 - 1

COLUMNS = (AluOpcode.MIN, AluOpcode.MAX, AluOpcode.ADD, AluOpcode.SHR, AluOpcode.MUL)
# (x, y): results of COLUMNS, by hand
CASES = {
    (5, 3): (3, 5, 8, 0, 15),
    (-5, 3): (-5, 3, -2, -1, -15),
    (5, -3): (-3, 5, 2, 40, -15),
    (-5, -3): (-5, -3, -8, -40, 15),
    (HIGH, 1): (1, HIGH, LOW, 2**30 - 1, HIGH),
    (LOW, -1): (LOW, -1, HIGH, 0, LOW),
    (LOW, 31): (LOW, 31, LOW + 31, -1, LOW),
    (HIGH, 31): (31, HIGH, LOW + 30, 0, 2**31 - 31),
    (-1, 32): (-1, 32, 31, -1, -32),
    (1, 32): (1, 32, 33, 0, 32),
    (-1, HIGH): (-1, HIGH, HIGH - 1, -1, LOW + 1),
    (1, -31): (-31, 1, -30, LOW, -31),
    (1, -32): (-32, 1, -31, 0, -32),
    (-7, LOW): (LOW, -7, HIGH - 6, 0, LOW),
    (-7, 0): (-7, 0, -7, -7, 0),
    (0x12345678, -8): (-8, 0x12345678, 0x12345670, 0x34567800, 0x6E5D4C40),
}


def nest(points, outer=(1, 0, 0, 0), inner=(1, 0, 0, 0)) -> MicroOpNest:
    return MicroOpNest(np.array(points, np.int64).reshape(-1, 3), Axis(*outer), Axis(*inner))


@pytest.mark.parametrize("opcode", AluOpcode)
@pytest.mark.parametrize(("x", "y"), CASES)
def test_every_operation_against_plain_integers(x, y, opcode):
    third = (Limits(-100, 99).immediate,) if opcode.is_ternary else ()
    acc = np.array([[[x]], [[y]]], np.int32)
    alu(acc, nest([(0, 1, 0)]), opcode, *(third or (0,)), use_imm=opcode.is_unary)
    assert acc.reshape(-1).tolist() == [LANE[opcode](x, y, *third), y]


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize(("x", "y"), CASES)
def test_operations(x, y, place):
    opcode = COLUMNS[place]
    acc = np.array([[[x]], [[y]]], np.int32)
    alu(acc, nest([(0, 1, 0)]), opcode, 0, use_imm=False)
    assert acc.reshape(-1).tolist() == [CASES[x, y][place], y]
    if -(2**15) <= y < 2**15:
        acc = np.array([[[x]], [[0]]], np.int32)
        alu(acc, nest([(0, 1, 0)]), opcode, y)
        assert acc.reshape(-1).tolist() == [CASES[x, y][place], 0]


@pytest.mark.parametrize(
    ("x", "scale", "result"),
    [
        (100, Scale(3, 2), 75),
        (5, Scale(1, 1), 3),  # 2.5: halves up
        (-5, Scale(1, 1), -2),  # -2.5
        (-5, Scale(-1, 1, 10), 13),
        (7, Scale(-3, 0, 1), -20),
        (LOW, Scale(-(2**15), 47), 1),  # 2**46 / 2**47
        (HIGH, Scale(-(2**15), 47), 0),  # nearly -0.5
        (LOW, Scale(2**15 - 1, 63, -9), -9),
        (2000, Scale(1, 0, -128), 127),
        (-2000, Scale(1, 0, 127), -128),
        (LOW, Scale(2**15 - 1, 0), -128),
        (0, Scale(1, 0, 77), 77),
    ],
)
def test_requantise(x, scale, result):
    for limits in (Limits(), Limits(-3, 60), Limits(5, 5)):
        acc = np.array([[[x]], [[scale.word]]], np.int32)
        alu(acc, nest([(0, 1, 0)]), AluOpcode.REQUANTISE, limits.immediate, use_imm=False)
        assert acc.reshape(-1).tolist() == [max(limits.low, min(limits.high, result)), scale.word]


words = st.integers(-(2**31), 2**31 - 1)


@given(words, st.integers(-(2**15), 2**15 - 1), st.integers(0, 63), st.integers(-128, 127),
       st.integers(-128, 127), st.integers(-128, 127))  # fmt: skip
@settings(max_examples=500)
def test_requantise_rounds_to_nearest(x, multiplier, shift, zero_point, low, high):
    """Against exact fractions: the nearest integer, of two the upper one."""
    low, high = min(low, high), max(low, high)
    acc = np.array([[[x]], [[Scale(multiplier, shift, zero_point).word]]], np.int32)
    imm = Limits(low, high).immediate
    alu(acc, nest([(0, 1, 0)]), AluOpcode.REQUANTISE, imm, use_imm=False)
    nearest = math.floor(Fraction(x * multiplier, 2**shift) + Fraction(1, 2))
    assert acc[0].item() == max(low, min(high, nearest + zero_point))


def test_all_lanes():
    acc = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    alu(acc, nest([(0, 1, 0)]), AluOpcode.ADD, 0, use_imm=False)
    assert acc[0].reshape(-1).tolist() == list(range(12, 36, 2))


def test_running_sum():
    """acc[n + 1] += acc[n], for n = 0, 1, 2 ...: each reads what the one before it wrote."""
    acc = np.arange(10, dtype=np.int32).reshape(10, 1, 1)
    alu(acc, nest([(1, 0, 0)], inner=(9, 1, 1, 0)), AluOpcode.ADD, 0, use_imm=False)
    assert acc.reshape(-1).tolist() == [0, 1, 3, 6, 10, 15, 21, 28, 36, 45]


def test_reads_before_writes():
    """acc[n] += acc[n + 1], for n = 0, 1, 2 ...: each reads what a later one will write."""
    acc = np.arange(10, dtype=np.int32).reshape(10, 1, 1)
    alu(acc, nest([(0, 1, 0)], inner=(9, 1, 1, 0)), AluOpcode.ADD, 0, use_imm=False)
    assert acc.reshape(-1).tolist() == [1, 3, 5, 7, 9, 11, 13, 15, 17, 9]


def test_one_entry_again_and_again():
    acc = np.ones((1, 1, 1), np.int32)
    alu(acc, nest([(0, 0, 0)], inner=(40, 0, 0, 0)), AluOpcode.ADD, 0, use_imm=False)
    assert acc.item() == 0  # 2**40, of which the low 32 bits stay
    acc[...] = 1
    alu(acc, nest([(0, 0, 0)], (3, 0, 0, 0), (5, 0, 0, 0)), AluOpcode.ADD, 3)
    assert acc.item() == 46


points = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 7), st.just(0)), min_size=1, max_size=8
)
axes = st.tuples(st.integers(1, 4), st.integers(0, 2), st.integers(0, 2), st.just(0))


@given(points, axes, axes, st.sampled_from([None, 3]), st.sampled_from([3, 1 << 16]))
@settings(max_examples=300)
def test_random_nests(points, outer, inner, imm, piece):
    """ADD over any hazards, one operation at a time in Python; also where pieces are short."""
    n = nest(points, outer, inner)
    acc = np.arange(1, 33, dtype=np.int32).reshape(32, 1, 1)
    expected = list(range(1, 33))
    for o in range(outer[0]):
        for i in range(inner[0]):
            for d, s, _ in points:
                d, s = d + o * outer[1] + i * inner[1], s + o * outer[2] + i * inner[2]
                value = expected[d] + (expected[s] if imm is None else imm)
                expected[d] = (value + 2**31) % 2**32 - 2**31
    before, loops.PIECE = loops.PIECE, piece
    try:
        alu(acc, n, AluOpcode.ADD, imm or 0, use_imm=imm is not None)
    finally:
        loops.PIECE = before
    assert acc.reshape(-1).tolist() == expected
