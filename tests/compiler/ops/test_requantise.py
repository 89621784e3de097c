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
from vta.compiler.ops import OnePass, Requantise, choose_scales, conv2d, dense
from vta.compiler.ops.requantise import choose
from vta.config import VTAConfig
from vta.errors import OperatorError
from vta.isa import Scale

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


@pytest.mark.parametrize("operator", ["conv2d", "dense"])
@pytest.mark.parametrize("rtl", [False, True], ids=["sim", "tsim"])
def test_one_pass_on_the_machine(rtl, operator):
    """Against exact fractions, with another multiplier and shift in each channel."""
    rule = OnePass(low=-100, high=120) if operator == "conv2d" else OnePass(low=0)
    assert (rule.passes, rule.constants) == (2, ("bias", "scale"))
    rng = np.random.default_rng(3)
    shape, taps = ((1, 5, 4, 4), (3, 3)) if operator == "conv2d" else ((6, 5), ())
    op = (
        conv2d(shape, 7, 3, cfg=TINY, requantise=rule, padding=1)
        if taps
        else dense(shape, 7, cfg=TINY, requantise=rule)
    )
    scales = [
        Scale(int(rng.integers(-(2**15), 2**15)), 20 + channel, 3 * channel - 9)
        for channel in range(7)
    ]
    data = rng.integers(-128, 128, shape).astype(np.int8)
    kernel = rng.integers(-128, 128, (7, 5, *taps)).astype(np.int8)
    bias = rng.integers(-5000, 5000, 7).astype(np.int32)
    words = np.array([scale.word for scale in scales], np.int32)
    program = compile_func(lower(op.schedule, op.args, op.name), op.cfg)
    machine = verilated("tiny", "ddr") if rtl else None
    packed = op.pack(data, kernel, bias, words)
    (tiles,), _ = run_program(program, packed, machine=machine)
    got, sums = op.unpack(tiles), np.zeros((*shape[:1], 7, *shape[2:]), np.int64)
    wide = np.pad(data, [(0, 0), (0, 0), *[(1, 1)] * len(taps)]).astype(np.int64)
    for at in np.ndindex(sums.shape):
        n, o, *pixel = at
        window = (n, slice(None), *(slice(p, p + 3) for p in pixel))
        sums[at] = (wide[window] * kernel[o]).sum() + bias[o]
        factor, shift, zero = scales[o]
        value = rounded(Fraction(int(sums[at]) * factor, 1 << shift)) + zero
        assert got[at] == min(max(value, rule.low), rule.high)
    assert np.array_equal(got, op.reference(data, kernel, bias, words))


@given(st.floats(1e-9, 30000), st.integers(-(2**31), 2**31 - 1), st.integers(-128, 127))
def test_chosen_scales_are_close(scale, total, zero):
    (word,) = choose_scales([scale], zero=zero)
    found = Scale.of_word(word)
    assert found.zero_point == zero
    real = Fraction(found.multiplier, 1 << found.shift)
    assert abs(real - Fraction(scale)) <= Fraction(scale) / (1 << 15) or found.shift == 47
    (got,) = OnePass().reference(np.array([total]), np.array([word])).tolist()
    assert got == min(max(rounded(total * real) + zero, -128), 127)


def test_scales_in_one_pass_that_cannot_be():
    with pytest.raises(OperatorError, match=r"a scale is 0\.0; must be positive and at most 32767"):
        choose_scales([0.0])
    with pytest.raises(OperatorError, match=r"a scale is 40000\.0; must be positive"):
        choose_scales([40000.0])
    with pytest.raises(OperatorError, match=r"shift is 3, .* in the scale of each channel"):
        OnePass(shift=3)


def test_one_pass_without_the_extension():
    base = TINY.replace(extension=0)
    with pytest.raises(OperatorError, match=r"one pass needs REQUANTISE .*; EXTENSION is 0"):
        conv2d((1, 4, 4, 4), 4, 1, cfg=base, requantise=OnePass())


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
