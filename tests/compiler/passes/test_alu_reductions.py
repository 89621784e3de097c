"""Window maxima, minima and sums on the vector ALU, in any loop order, against NumPy."""

from math import prod

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.pooling import KINDS, Pool, machine
from vta import te, topi
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.target import ACC_SCOPE
from vta.errors import LoweringError


@pytest.mark.parametrize("kind", KINDS)
def test_the_default_order(kind):
    case = Pool(kind, 6, 8, (2, 2), (2, 2))
    case.stage.pragma(case.pool.op.axis[0], "alu")
    counters = case.check()
    start = {"max": 2, "min": 3, "sum": 0}[kind]  # how the ALU builds the start value
    assert counters.alu_counter == 3 * 4 * (4 + start)


@pytest.mark.parametrize("axis", range(4))
def test_the_pragma_at_any_loop_outside_of_a_tile(axis):
    """Also at a reduction loop, with the start values in front of it."""
    case = Pool("max", 4, 4, (3, 2), (1, 1))
    i, j, b, c = case.pool.op.axis
    dy, dx = case.pool.op.reduce_axis
    case.stage.reorder(dy, i, dx, j, b, c)
    case.stage.pragma((dy, i, dx, j)[axis], "alu")
    case.check()


@st.composite
def pools(draw):
    window = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    by_load = draw(st.booleans())
    return Pool(
        draw(st.sampled_from(list(KINDS))),
        draw(st.integers(3, 6)),
        draw(st.integers(3, 6)),
        window,
        draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        pad=draw(st.integers(0, 2)),
        pad_value=draw(st.sampled_from([0, -128, 5] if by_load else [0, -128, 5, 100_000])),
        by_load=by_load,
        inline=draw(st.booleans()),
        weighted=draw(st.booleans()),
        cfg=machine(draw(st.integers(0, 1))),
    )


@settings(max_examples=60)
@given(case=pools(), data=st.data())
def test_any_order_of_the_loops(case, data):
    """Axes split with rests, and all loops in any order."""
    for axis in data.draw(st.lists(st.sampled_from(case.stage.leaves), unique=True, max_size=2)):
        if axis in (*case.pool.op.axis[:2], *case.pool.op.reduce_axis):
            case.stage.split(axis, factor=data.draw(st.integers(1, 3)))
    order = data.draw(st.permutations(case.stage.leaves))
    case.stage.reorder(*order)
    case.stage.pragma(order[0], "alu")
    case.check()


@settings(max_examples=25)
@given(case=pools(), factor=st.integers(1, 3), threads=st.booleans())
def test_blocks_of_the_result(case, factor, threads):
    """Everything computed block by block of the rows, on two threads or none."""
    case.s[case.out].pragmas.clear()
    outer, inner = case.s[case.out].split(case.out.op.axis[0], factor=factor)
    at = outer
    if threads:
        at, thread = case.s[case.out].split(outer, factor=2)
        case.s[case.out].bind(thread, te.thread_axis("cthread"))
        at = thread
    case.stage.pragma(case.pool.op.axis[0], "alu")
    case.stage.compute_at(case.s[case.out], at)
    case.s[case.out].pragma(inner, "dma_copy")
    case.check()


def test_what_is_computed_inside_is_named():
    case = Pool("max", 4, 4, (2, 2), (1, 1))
    case.s[case.chip].compute_at(case.stage, case.pool.op.axis[1])
    case.stage.pragma(case.pool.op.axis[0], "alu")
    with pytest.raises(
        LoweringError,
        match=r"stage pool, alu at axis i: must contain one computation and nothing else, but "
        r"stage chip is computed inside; the pragma must be given to a loop further inside, or "
        r"chip must be computed further outside",
    ):
        case.program()


@pytest.mark.parametrize(("value", "extension"), [(-129, 1), (-128, 0)])
def test_a_load_pads_with_zero_or_int8_of_the_extension(value, extension):
    a = te.placeholder((4, 1, 4), "int32", "A")
    padded = topi.nn.pad(a, [1, 0, 0], pad_value=value, name="padded")
    out = te.compute(padded.shape, lambda *i: padded(*i).astype("int8"), "out")
    s = te.create_schedule(out.op)
    s[padded].set_scope(ACC_SCOPE)
    for tensor in (padded, out):
        s[tensor].pragma(tensor.op.axis[0], "dma_copy")
    with pytest.raises(
        LoweringError,
        match=rf"stage padded, dma_copy at axis i0: pads with `{value}`; a transfer pads with 0 "
        r"only, or with the instruction set extension with any int8, (.*) Other numbers need a ",
    ):
        compile_func(lower(s, [a, out]), machine().replace(extension=extension))


@settings(max_examples=30)
@given(case=pools(), data=st.data())
def test_reductions_that_start(case, data):
    """One operation a tap, whatever the order of the loops over the result."""
    assume(not case.weighted and not case.is_inlined)
    order = data.draw(st.permutations(case.pool.op.axis[:2]))
    case.stage.reorder(*order)
    case.stage.pragma(order[0], "alu", "start")
    counters = case.check()
    if case.pad == 0 or case.by_load:
        assert counters.alu_counter == prod(case.window) * prod(case.pool.shape[:2])


def test_what_cannot_start():
    case = Pool("max", 4, 4, (2, 2), (1, 1), cfg=machine().replace(extension=0))
    case.stage.pragma(case.pool.op.axis[0], "alu", "start")
    with pytest.raises(LoweringError, match=r"stage pool, alu at axis i: 'start' needs ALU_START"):
        case.program()

    case = Pool("sum", 4, 4, (2, 2), (1, 1), weighted=True)
    case.stage.pragma(case.pool.op.axis[0], "alu", "start")
    message = r"stage pool, alu at axis i: 'start' is for a sum, maximum or minimum over elements"
    with pytest.raises(LoweringError, match=message):
        case.program()

    case = Pool("sum", 4, 4, (2, 2), (1, 1))
    dy, _ = case.pool.op.reduce_axis
    case.stage.reorder(dy, *case.pool.op.axis[:2])
    case.stage.pragma(case.pool.op.axis[0], "alu", "start")
    with pytest.raises(LoweringError, match="with the pragma at or outside of the reduction loops"):
        case.program()
