"""Requantisation: the rule against exact fractions, its chain on the machine, and the choice."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.compiled import run_program
from tests.support.verilated import verilated
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.ops import Requantise, conv2d
from vta.compiler.ops.requantise import choose
from vta.config import VTAConfig
from vta.errors import OperatorError

TINY = VTAConfig.preset("tiny")


def rounded(value: Fraction) -> int:
    """To the nearest integer, halves up."""
    return floor(value + Fraction(1, 2))


@given(
    st.integers(-(1 << 17), 1 << 17), st.integers(0, 1 << 9), st.integers(0, 20),
    st.integers(0, 6), st.integers(-9, 9),
)  # fmt: skip
def test_the_rule_rounds_twice_to_nearest_halves_up(total, factor, shift, pre, zero):
    rule = Requantise(shift, -128, 127, scaled=True, pre_shift=pre, zero=zero)
    narrow = rounded(Fraction(total, 1 << pre))
    expected = min(max(rounded(Fraction(narrow * factor, 1 << shift)) + zero, -128), 127)
    assert rule.reference(np.array([total]), np.array([factor])).tolist() == [expected]


@pytest.mark.parametrize(("pre", "zero", "passes"), [(0, 0, 5), (0, -5, 5), (3, 0, 7), (2, 7, 7)])
@pytest.mark.parametrize("rtl", [False, True], ids=["sim", "tsim"])
def test_multipliers_on_the_machine(pre, zero, passes, rtl):
    rule = Requantise(9, -128, 127, scaled=True, pre_shift=pre, zero=zero)
    assert rule.passes == passes
    op = conv2d((1, 5, 4, 4), 7, 3, cfg=TINY, requantise=rule, padding=1)
    rng = np.random.default_rng(pre)
    arrays = (
        rng.integers(-128, 128, (1, 5, 4, 4)).astype(np.int8),
        rng.integers(-128, 128, (7, 5, 3, 3)).astype(np.int8),
        rng.integers(-5000, 5000, 7).astype(np.int32),
        rng.integers(0, 9, 7).astype(np.int32),
    )
    program = compile_func(lower(op.schedule, op.args, op.name), op.cfg)
    machine = verilated("tiny", "ddr") if rtl else None
    (tiles,), _ = run_program(program, op.pack(*arrays), machine=machine)
    data, kernel, bias, factors = (array.astype(object) for array in arrays)
    wide = np.pad(data, ((0, 0), (0, 0), (1, 1), (1, 1)))
    for o, y, x in np.ndindex(7, 4, 4):
        total = int((wide[0, :, y : y + 3, x : x + 3] * kernel[o]).sum() + bias[o])
        value = rounded(Fraction(rounded(Fraction(total, 1 << pre)) * factors[o], 1 << 9)) + zero
        assert op.unpack(tiles)[0, o, y, x] == min(max(value, -128), 127)


@settings(max_examples=200)
@given(st.data())
def test_chosen_numbers_never_wrap_and_are_close(data):
    draw = data.draw
    channels = draw(st.integers(1, 4))
    base = draw(st.integers(256, (1 << 26) - 1))
    bounds = [base >> draw(st.integers(0, 4)) for _ in range(channels)]
    scales = [draw(st.floats(50, 500)) / bound for bound in bounds]
    zero = draw(st.integers(-128, 127))
    found = choose(scales, bounds, zero=zero)
    for scale, bound, factor in zip(scales, bounds, found.multipliers):
        rule = Requantise(found.shift, scaled=True, pre_shift=found.pre_shift, zero=zero)
        for total in {bound, -bound, bound // 2, 1, 0, -(bound // 3)}:
            narrow = rounded(Fraction(total, 1 << found.pre_shift))
            last = (1 << found.shift >> 1) + (zero << found.shift)
            assert abs(narrow * factor) + abs(last) < 1 << 31
            (got,) = rule.reference(np.array([total]), np.array([factor])).tolist()
            exact = min(max(rounded(Fraction(total) * Fraction(scale)) + zero, -128), 127)
            assert abs(got - exact) <= 1


def test_a_larger_shift_before_the_product_is_chosen_where_sums_are_large():
    assert choose([0.004], [1 << 14]).pre_shift == 0
    assert choose([1e-5], [1 << 26]).pre_shift > 0


@pytest.mark.parametrize(
    ("scales", "bounds", "message"),
    [
        ([0.0], [100], r"a scale is 0\.0; must be positive and finite"),
        ([float("nan")], [100], "a scale is nan"),
        ([0.5], [1 << 31], r"sums reach 2147483648 in magnitude; must be below 2\^31"),
        ([1e9], [1 << 20], "exceed 32 bits"),
    ],
)
def test_scales_that_cannot_be(scales, bounds, message):
    with pytest.raises(OperatorError, match=message):
        choose(scales, bounds)


def test_shifts_and_zero_points_that_cannot_be():
    with pytest.raises(OperatorError, match="pre_shift is 40; must be 0 to 31"):
        Requantise(3, scaled=True, pre_shift=40)
    with pytest.raises(OperatorError, match="both must be 0 without multipliers"):
        Requantise(3, zero=1)
