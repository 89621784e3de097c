"""``te.requantise``: one instruction of the ALU for each vector, exact, and what it refuses."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest

from tests.support.checked import checked_build
from vta import get_env, lower, rpc, te
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower as loops_of
from vta.errors import LoweringError, TensorError, TensorTypeError
from vta.isa import Limits, Scale
from vta.runtime import array, empty

env = get_env()
TILE = (env.BATCH, env.BLOCK_OUT)
SHAPE = (3, 5, *TILE)


def stage(low, high):
    """A schedule that requantises loaded sums; a tile of parameters for each row of tiles."""
    x = te.placeholder(SHAPE, name="x", dtype=env.acc_dtype)
    scale = te.placeholder((3, *TILE), name="scale", dtype=env.acc_dtype)
    y = te.compute(
        SHAPE, lambda r, n, b, c: te.requantise(x[r, n, b, c], scale[r, b, c], low, high), "y"
    )
    out = te.compute(SHAPE, lambda *i: y(*i).astype(env.out_dtype), name="out")
    s = te.create_schedule(out.op)
    x_acc = s.cache_read(x, env.acc_scope, [y])
    scale_acc = s.cache_read(scale, env.acc_scope, [y])
    s[y].set_scope(env.acc_scope)
    for tensor, unit in (
        (x_acc, env.dma_copy), (scale_acc, env.dma_copy), (y, env.alu), (out, env.dma_copy)
    ):  # fmt: skip
        s[tensor].pragma(s[tensor].op.axis[0], unit)
    return s, [x, scale, out]


@pytest.mark.parametrize("limits", [(-128, 127), (0, 127), (-7, 100)])
def test_against_fractions(limits):
    rng = np.random.default_rng(limits[1])
    s, args = stage(*limits)
    text = str(lower(s, args))
    assert text.count("uop_push") == 1
    assert f"uop_push(requantise, dst=0, src=15, clip={limits})" in text
    shifts = rng.integers(0, 64, (3, *TILE))
    multipliers = rng.integers(-(2**15), 2**15, (3, *TILE))
    zeros = rng.integers(-128, 128, (3, *TILE))
    words = np.array(
        [
            Scale(int(m), int(r), int(z)).word
            for m, r, z in zip(multipliers.flat, shifts.flat, zeros.flat)
        ]
    )
    x = rng.integers(-(2**31), 2**31, SHAPE) >> rng.integers(0, 32, SHAPE)
    device = rpc.LocalSession(env.cfg.replace(target="sim")).ext_dev(0)
    result = empty(SHAPE, env.out_dtype, device)
    checked_build(s, args)(
        array(x.astype(np.int32), device),
        array(words.reshape(3, *TILE).astype(np.int32), device),
        result,
    )
    for at in np.ndindex(SHAPE):
        lane = at[0], at[2], at[3]
        exact = Fraction(int(x[at]) * int(multipliers[lane]), 2 ** int(shifts[lane]))
        expected = floor(exact + Fraction(1, 2)) + int(zeros[lane])
        assert result.numpy()[at] == min(max(expected, limits[0]), limits[1])


def test_a_machine_without_the_extension():
    s, args = stage(-128, 127)
    base = env.cfg.replace(extension=0)
    with pytest.raises(LoweringError, match=r"stage y.*needs REQUANTISE .*EXTENSION is 0"):
        compile_func(loops_of(s, args), base)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (lambda x: (x, 3), TensorTypeError, "scale must be an expression of type int32; got 3"),
        (lambda x: (x.astype("int8"), x), TensorError, r"value must be int32; .* is int8"),
        (lambda x: (x, x, 5, 4), TensorError, "low must not exceed high; got 5 and 4"),
        (lambda x: (x, x, 0, 128), TensorError, r"field high is 128; must be in -128\.\.127"),
    ],
)
def test_arguments_that_are_refused(arguments, error, message):
    x = te.placeholder((1, *TILE), name="x", dtype=env.acc_dtype)
    with pytest.raises(error, match=message):
        te.requantise(*arguments(x[0, 0, 0]))


def test_the_limits_of_the_instruction():
    assert Limits(-128, 127).immediate == 0x7F80
