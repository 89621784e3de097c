"""The end of a chain as one REQUANTISE: which steps are taken, and that results are the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.compiled import run_program
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.ops.alu_chain import alu_chain
from vta.compiler.ops.chain_step import Step
from vta.compiler.ops.narrowing import narrowed
from vta.config import VTAConfig
from vta.isa import Scale

TINY = VTAConfig.preset("tiny")


def tail(*, shift=5, zero=3, low=-128, high=127, start="sum"):
    return [
        Step("shifted", "shr", start, shift),
        Step("zeroed", "add", "shifted", zero),
        Step("low", "max", "zeroed", low),
        Step("clipped", "min", "low", high),
    ]


def names(steps, numbers=None, constants=(), cfg=TINY):
    found = narrowed(steps, numbers or {}, constants, cfg)
    return [(step.operation, step.second) for step in found.steps], found


def test_multiplier_shift_zero_point_and_limits_are_one_operation():
    steps = [Step("scaled", "mul", "x", 77), Step("sum", "add", "scaled", 16), *tail(low=-9)]
    operations, found = names(steps)
    assert operations == [("requantise", "scale")]
    assert found.numbers == {"scale": Scale(77, 5, 3).word}
    assert found.steps[0].limits == (-9, 127) and found.steps[0].first == "x"


def test_what_is_left_of_a_constant_is_added():
    steps = [Step("scaled", "mul", "x", 77), Step("sum", "add", "scaled", "c"), *tail(zero=0)]
    operations, found = names(steps, {"c": 16 + 2 * 32 + 7})
    assert operations == [("mul", 77), ("add", "remainder"), ("requantise", "scale")]
    assert found.numbers == {"remainder": 7, "scale": Scale(1, 5, 2).word}


def test_a_constant_of_each_channel_gives_its_half():
    steps = [Step("sum", "add", "x", "bias"), *tail()]
    operations, found = names(steps, constants=["bias"])
    assert operations == [("add", "bias"), ("requantise", "scale")]
    assert found.added == {"bias": -16}


@pytest.mark.parametrize(
    "steps",
    [
        [Step("sum", "add", "x", "y"), *tail(high=128)],  # beyond the limits of the operation
        [Step("sum", "add", "x", "y"), *tail()[:-1]],  # no minimum
        [*tail(start="x"), Step("last", "add", "clipped", "shifted")],  # another end
        [Step("sum", "add", "x", "y"), *tail()[:2], Step("low", "max", "zeroed", "shifted"),
         Step("clipped", "min", "low", 127)],  # not a number
        [Step("clipped", "max", "x", 0)],
    ],
)  # fmt: skip
def test_other_ends_stay(steps):
    assert narrowed(steps, {}, (), TINY).steps == steps


def test_without_the_extension_nothing_changes():
    steps = [Step("sum", "add", "x", 16), *tail()]
    assert narrowed(steps, {}, (), TINY.replace(extension=0)).steps == steps


@settings(max_examples=40)
@given(st.data())
def test_random_ends(data):
    """With and without the operation, against NumPy."""
    draw = data.draw
    factor = draw(st.integers(-300, 300) | st.sampled_from([0, 1, 32767, -32767, -32768]))
    constant = draw(st.integers(-(1 << 18), 1 << 18))
    shift, zero = draw(st.integers(0, 15)), draw(st.integers(-200, 200))
    low = draw(st.integers(-128, 127))
    high = draw(st.integers(low, 127))
    channel = draw(st.booleans())
    steps = [
        Step("scaled", "mul", "x", factor),
        Step("sum", "add", "scaled", "c"),
        *tail(shift=shift, zero=zero, low=low, high=high),
    ]
    x = np.random.default_rng(draw(st.integers(0, 9))).integers(-128, 128, (2, 5, 3), np.int8)
    rows = np.full(5, constant, np.int32)

    def reference(x, *rows):
        return np.clip(((x * factor + constant) >> shift) + zero, low, high)

    want = np.clip(np.floor((x.astype(float) * factor + constant) / 2**shift) + zero, low, high)
    for extension in (0, 1):
        op = alu_chain(
            "end", x.shape, steps, cfg=TINY.replace(extension=extension), operands=["x"],
            constants=["c"] if channel else [], numbers={} if channel else {"c": constant},
            reference=reference,
        )  # fmt: skip
        arrays = (x, rows) if channel else (x,)
        program = compile_func(lower(op.schedule, op.args, op.name), op.cfg)
        (tiles,), _ = run_program(program, op.pack(*arrays))
        np.testing.assert_array_equal(op.unpack(tiles), want)
