"""Elementwise sums of the operator library: random weights against NumPy, on the model and RTL."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.compiled import check_orders, run_program
from tests.support.verilated import verilated
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.ops import weighted_sum
from vta.config import VTAConfig
from vta.errors import OperatorError

TINY = VTAConfig.preset("tiny")


def program_of(op):
    return compile_func(lower(op.schedule, op.args, op.name), op.cfg)


def expected(arrays, multipliers, offset, shift, low, high):
    total = sum(a.astype(np.int64) * m for a, m in zip(arrays, multipliers)) + offset
    return np.clip(np.floor(total / 2.0**shift), low, high).astype(np.int8)


@settings(max_examples=40)
@given(st.data())
def test_random_sums(data):
    draw = data.draw
    shape = tuple(draw(st.integers(1, most)) for most in (2, 9, 5, 5)[: draw(st.integers(2, 4))])
    count = draw(st.integers(1, 3))
    multipliers = [draw(st.integers(-(1 << 15), (1 << 15) - 1)) for _ in range(count)]
    offset, shift = draw(st.integers(-(1 << 20), 1 << 20)), draw(st.integers(0, 20))
    low, high = draw(st.sampled_from([(-128, 127), (0, 127), (-3, 6)]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    arrays = [rng.integers(-128, 128, shape).astype(np.int8) for _ in range(count)]
    cfg = TINY.replace(extension=draw(st.integers(0, 1)))
    op = weighted_sum(shape, multipliers, cfg=cfg, offset=offset, shift=shift, low=low, high=high)
    want = expected(arrays, multipliers, offset, shift, low, high)
    np.testing.assert_array_equal(op.reference(*arrays), want)
    program, inputs = program_of(op), op.pack(*arrays)
    (tiles,), _ = run_program(program, inputs)
    np.testing.assert_array_equal(op.unpack(tiles), want)
    check_orders(program, inputs, [tiles], seeds=(1,))


def test_on_the_rtl():
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-128, 128, (1, 20, 9, 9)).astype(np.int8) for _ in range(2)]
    op = weighted_sum(arrays[0].shape, (300, -90), cfg=TINY, offset=128, shift=8)
    machine = verilated("tiny", "ddr")
    (tiles,), _ = run_program(program_of(op), op.pack(*arrays), machine=machine)
    want = expected(arrays, (300, -90), 128, 8, -128, 127)
    np.testing.assert_array_equal(op.unpack(tiles), want)


def test_a_sum_near_the_limit_of_32_bits():
    """Half a unit of the last place less would wrap: the chain then keeps its shift."""
    data = np.array([[-128, 127, 0, 1]], np.int8)
    for offset in (-(1 << 31) + 129, -(1 << 31) + 129 + (1 << 19)):
        op = weighted_sum((1, 4), (1,), cfg=TINY, offset=offset, shift=20)
        (tiles,), _ = run_program(program_of(op), op.pack(data))
        want = expected([data], (1,), offset, 20, -128, 127)
        np.testing.assert_array_equal(op.unpack(tiles), want)


@pytest.mark.parametrize(
    ("multipliers", "options", "message"),
    [
        ((), {}, r"multipliers are \(\); must be 16 bits each"),
        ((1 << 15,), {}, "must be 16 bits each, signed"),
        ((1,), {"shift": 32}, "the shift must be 0 to 31"),
        ((1,), {"low": 4, "high": 3}, "low not above high"),
        ((1,), {"offset": (1 << 31) - 9}, r"may reach 2147483767; must be below 2\^31"),
    ],
)
def test_errors(multipliers, options, message):
    with pytest.raises(OperatorError, match=message):
        weighted_sum((1, 4), multipliers, cfg=TINY, **{"offset": 0, "shift": 0, **options})
