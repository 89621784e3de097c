"""Random shapes and schedules through the whole compiler: what comes out computes what NumPy does,
whatever order the machine's modules take turns in, or the compiler says what the obstacle is.
"""

import numpy as np
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.support.compiled import check_orders
from tests.support.workloads import conv2d, matmul, schedule_conv2d, schedule_matmul
from vta import te
from vta.compat import conv2d_nchw_python
from vta.compiler.driver import compile_func, run_passes
from vta.compiler.lower.lower import lower
from vta.compiler.target import ACC_SCOPE, Target
from vta.compiler.verify import verify
from vta.config import VTAConfig
from vta.errors import LoweringError, VTAError


@st.composite
def machines(draw):
    """Small machines: memories overflow now and then."""
    return VTAConfig(
        log_batch=draw(st.integers(0, 1)),
        log_block=2,
        log_uop_buff_size=draw(st.sampled_from([6, 8, 10])),
        log_inp_buff_size=draw(st.sampled_from([8, 10])),
        log_wgt_buff_size=draw(st.sampled_from([9, 11])),
        log_acc_buff_size=draw(st.sampled_from([9, 11])),
    )


def compiled(schedule, args, cfg):
    """The program, or None where a memory does not suffice."""
    try:
        func = lower(schedule, args)
        run_passes(func, Target.from_config(cfg), observe=verify)
        return compile_func(func, cfg)
    except VTAError as error:
        note(str(error))
        assert isinstance(error, LoweringError)
        assert "elements, but" in str(error)
        return None


def tiles(matrix, rows, columns):
    """(y, x, ...) cut into tiles over the first two axes: (y tile, x tile, ..., y, x)."""
    y, x, *rest = matrix.shape
    cut = matrix.reshape(y // rows, rows, x // columns, columns, *rest)
    axes = (0, 2, *range(4, cut.ndim), 1, 3)
    return np.ascontiguousarray(cut.transpose(axes))


def bytes_of(seed, shape):
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


@settings(max_examples=60)
@given(cfg=machines(), data=st.data())
def test_matrix_products(cfg, data):
    o, n, m = (data.draw(st.integers(1, high)) for high in (3, 8, 8))
    blocks = {"i_block": data.draw(st.integers(1, n)), "o_block": data.draw(st.integers(1, m))}
    B, K = cfg.batch, cfg.block_in
    ops = matmul(o, n, m, B, K)
    schedule = schedule_matmul(ops, Target.from_config(cfg), **blocks)
    program = compiled(schedule, ops.args, cfg)
    if program is None:
        return
    x, w = bytes_of(1, (o * B, n * K)), bytes_of(2, (m * K, n * K))
    expected = np.clip(x.astype(np.int32) @ w.T.astype(np.int32) >> 8, 0, 127).astype(np.int8)
    counters = check_orders(program, [tiles(x, B, K), tiles(w, K, K)], [tiles(expected, B, K)])
    assert counters.gemm_counter == o * n * m
    assert counters.alu_counter == 3 * o * m
    assert counters.out_store_nbytes == expected.nbytes


@settings(max_examples=60)
@given(cfg=machines(), data=st.data())
def test_convolutions(cfg, data):
    draw = data.draw
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    n, ic, oc = draw(st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 4)))
    size = draw(st.tuples(st.integers(3, 7), st.integers(3, 7)))
    pad, stride = (draw(st.tuples(st.integers(a, 2), st.integers(a, 2))) for a in (0, 1))
    B, K = cfg.batch, cfg.block_in
    ops = conv2d(n, ic, oc, *size, kernel, pad, stride, B, K)
    rows, columns = ops.conv.shape[2:4]
    schedule = schedule_conv2d(
        ops,
        Target.from_config(cfg),
        oc_block=draw(st.integers(1, oc)),
        ic_block=draw(st.integers(1, ic)),
        h_block=draw(st.integers(1, rows)),
        w_block=draw(st.integers(1, columns)),
        threads=draw(st.integers(1, 3)),
    )
    program = compiled(schedule, ops.args, cfg)
    if program is None:
        return
    x = bytes_of(1, (n * B, ic * K, *size))
    w = bytes_of(2, (oc * K, ic * K, *kernel))
    sums = conv2d_nchw_python(x.astype(np.int32), w.astype(np.int32), stride, pad)
    expected = np.clip(sums >> 8, 0, 127).astype(np.int8)
    counters = check_orders(program, [tiles(x, B, K), tiles(w, K, K)], [tiles(expected, B, K)])
    assert counters.gemm_counter == n * ic * oc * rows * columns * kernel[0] * kernel[1]


IMMEDIATES = st.one_of(
    st.integers(-300, 300), st.integers(-(2**15), 2**15 - 1), st.integers(-(2**31), 2**31 - 1)
)
STEPS = st.one_of(
    st.tuples(st.sampled_from(["add", "sub", "mul", "min", "max", "rsub"]), IMMEDIATES),
    st.tuples(st.sampled_from(["shr", "shl"]), st.integers(0, 31) | st.sampled_from(["A", "B"])),
    st.tuples(
        st.sampled_from(["add", "sub", "rsub", "mul", "min", "max"]), st.sampled_from(["A", "B"])
    ),
)


def apply(step, x, y, minimum, maximum):
    """One step of a chain, on tensor elements or on arrays."""
    return {
        "add": lambda: x + y,
        "sub": lambda: x - y,
        "rsub": lambda: y - x,
        "mul": lambda: x * y,
        "min": lambda: minimum(x, y),
        "max": lambda: maximum(x, y),
        "shr": lambda: shifted(x, y),
        "shl": lambda: shifted(x, y, left=True),
    }[step]()


def shifted(x, y, *, left=False):
    """The machine's shift: any distance, negative ones the other way; on arrays by NumPy."""
    if not isinstance(x, np.ndarray):
        return x << y if left else x >> y
    by = (1 if left else -1) * np.asarray(y, np.int64)
    return (x << np.clip(by, 0, 32) >> np.clip(-by, 0, 32)).astype(np.int32)


@settings(max_examples=150)
@given(
    steps=st.lists(STEPS, min_size=1, max_size=6),
    length=st.integers(1, 6),
    block=st.integers(1, 6),
    small=st.booleans(),
    inside=st.booleans(),
)
def test_chains_of_vector_operations(steps, length, block, small, inside):
    cfg = VTAConfig(
        log_block=2, log_uop_buff_size=8, log_inp_buff_size=8, log_wgt_buff_size=9,
        log_acc_buff_size=12,
    )  # fmt: skip
    shape = (2, length, 1, 4)
    dtype = "int8" if small else "int32"
    a = te.placeholder(shape, name="A", dtype=dtype)
    b = te.placeholder(shape, name="B", dtype="int32")
    a_buf = te.compute(shape, lambda *i: a(*i).astype("int32"), "A_buf")
    b_buf = te.compute(shape, lambda *i: b(*i), "B_buf")
    chip, stages = {"A": a_buf, "B": b_buf}, []
    last = a_buf
    for number, (step, operand) in enumerate(steps):

        def element(*i, step=step, operand=operand, last=last):
            y = chip[operand](*i) if isinstance(operand, str) else operand
            return apply(step, last(*i), y, te.min, te.max)

        last = te.compute(shape, element, f"step{number}")
        stages.append(last)
    result = te.compute(shape, lambda *i: last(*i).astype("int8"), "C")

    s = te.create_schedule(result.op)
    outer, inner = s[result].split(result.op.axis[1], factor=min(block, length))
    s[result].reorder(outer, result.op.axis[0], inner)
    used_b = any(operand == "B" for _, operand in steps)
    for stage in (a_buf, *([b_buf] if used_b else []), *stages):
        s[stage].set_scope(ACC_SCOPE)
        s[stage].pragma(stage.op.axis[0], "alu" if stage in stages else "dma_copy")
        if inside:
            s[stage].compute_at(s[result], outer)
    s[result].pragma(result.op.axis[3], "dma_copy")
    args = [a, *([b] if used_b else []), result]
    program = compiled(s, args, cfg)
    if program is None:
        return

    rng = np.random.default_rng(3)
    low, high = (-128, 128) if small else (-(2**31), 2**31)
    x = rng.integers(low, high, shape).astype(dtype)
    z = rng.integers(-(2**31), 2**31, shape).astype(np.int32)
    values = {"A": x.astype(np.int32), "B": z}
    total = values["A"]
    with np.errstate(over="ignore"):
        for step, operand in steps:
            y = values[operand] if isinstance(operand, str) else np.int32(operand)
            total = apply(step, total, y, np.minimum, np.maximum)
    check_orders(program, [x, z][: 1 + used_b], [total.astype(np.int8)])
