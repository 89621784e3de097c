"""The small programs of the original's unit tests, on the reference model and on the RTL: copies,
padding, each operation of the ALU, products. NumPy says what comes out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.support.compiled import run_program
from tests.support.numpy_golden import matrix_product
from tests.support.verilated import verilated
from tests.support.workloads import matmul, schedule_matmul
from vta import te, topi
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.target import ACC_SCOPE, INP_SCOPE, WGT_SCOPE, Target
from vta.config import VTAConfig
from vta.program import Program
from vta.run_result import Counters

TINY = VTAConfig.preset("tiny")
LANES = (TINY.batch, TINY.block_out)

Run = Callable[..., Counters]


@pytest.fixture(params=["sim", "tsim"])
def run(request: pytest.FixtureRequest) -> Run:
    """``run(program, inputs, expected)`` checks the one result and gives the counters."""

    def on_target(program: Program, inputs: list[np.ndarray], expected: np.ndarray) -> Counters:
        name = "tiny" if program.cfg == TINY else program.cfg
        machine = verilated(name, "ddr") if request.param == "tsim" else None
        (got,), result = run_program(program, inputs, machine=machine)
        np.testing.assert_array_equal(got, expected)
        return result.counters

    return on_target


def numbers(shape: tuple[int, ...], low: int = -(2**31), high: int = 2**31) -> np.ndarray:
    return np.random.default_rng(5).integers(low, high, shape).astype(np.int32)


def on_chip(result: te.Tensor, copies: list[te.Tensor], alu: list[te.Tensor]) -> te.Schedule:
    """Each tensor in the accumulator memory, whole."""
    s = te.create_schedule(result.op)
    for tensor in (*copies, *alu):
        s[tensor].set_scope(ACC_SCOPE)
        s[tensor].pragma(tensor.op.axis[0], "alu" if tensor in alu else "dma_copy")
    s[result].pragma(result.op.axis[0], "dma_copy")
    return s


# ---- copies --------------------------------------------------------------------------------------


def test_save_and_load(run: Run) -> None:
    x = te.placeholder((6, 7, *LANES), "int32", "x")
    x_acc = te.compute(x.shape, lambda *i: x(*i), "x_acc")
    y = te.compute(x.shape, lambda *i: x_acc(*i).astype("int8"), "y")
    program = compile_func(lower(on_chip(y, [x_acc], []), [x, y]), TINY)
    data = numbers(x.shape)
    counters = run(program, [data], data.astype(np.int8))
    assert (counters.acc_load_nbytes, counters.out_store_nbytes) == (data.nbytes, data.size)
    assert (counters.gemm_counter, counters.alu_counter, counters.uop_load_nbytes) == (0, 0, 0)


@pytest.mark.parametrize("dtype", ["int8", "int32"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((1, 0), (0, 0)),
        ((0, 0), (1, 0)),
        ((0, 1), (0, 0)),
        ((0, 0), (0, 1)),
        ((2, 3), (1, 2)),
    ],
)
def test_padded_load(run: Run, before: tuple[int, int], after: tuple[int, int], dtype: str) -> None:
    x = te.placeholder((3, 4, *LANES), dtype, "x")
    padded = topi.nn.pad(x, [*before, 0, 0], [*after, 0, 0], name="padded")
    wide = te.compute(padded.shape, lambda *i: padded(*i).astype("int32"), "wide")
    relu = te.compute(wide.shape, lambda *i: te.max(wide(*i), -3), "relu")
    y = te.compute(wide.shape, lambda *i: relu(*i).astype("int8"), "y")
    s = on_chip(y, [wide], [relu])
    s[padded].compute_inline()
    program = compile_func(lower(s, [x, y]), TINY)
    data = numbers(x.shape, -128, 128).astype(dtype)
    expected = np.maximum(np.pad(data, [*zip(before, after), (0, 0), (0, 0)]), -3)
    counters = run(program, [data], expected.astype(np.int8))
    assert counters.acc_load_nbytes == data.size * 4  # ACC_8BIT counts the accumulator's bytes


# ---- the vector ALU ------------------------------------------------------------------------------

DISTANCES = np.array([0, 1, 5, 31], np.int32)
"""Of shifts, one for each lane of a tile."""
IMMEDIATES = (0, 3, -3, -32768, 32768, 100_000, -7_654_321, -(2**31))
"""The ones beyond 16 bits take more than one instruction."""

OPERATIONS = {
    "min": (te.min, np.minimum),
    "max": (te.max, np.maximum),
    "add": (lambda a, b: a + b, np.add),
    "subtract": (lambda a, b: a - b, np.subtract),
    "multiply": (lambda a, b: a * b, np.multiply),
    "shift right": (lambda a, b: a >> b, np.right_shift),
    "shift left": (lambda a, b: a << b, np.left_shift),
}


def alu_program(
    compute: Callable[[te.Expr, te.Expr | int], te.Expr], other: int | None, part: int
) -> Program:
    """One operation on ``x`` and a constant or ``z``; of the result, the bits from ``part`` on."""
    shape = (2, 5, *LANES)
    x, z = (te.placeholder(shape, "int32", name) for name in "xz")
    copies = [te.compute(shape, lambda *i, t=t: t(*i), f"{t.name}_acc") for t in (x, z)]
    if other is None:
        total = te.compute(shape, lambda *i: compute(copies[0](*i), copies[1](*i)), "total")
    else:
        total = te.compute(shape, lambda *i: compute(copies[0](*i), other), "total")
    low = te.compute(shape, lambda *i: total(*i) >> part, "low")
    y = te.compute(shape, lambda *i: low(*i).astype("int8"), "y")
    used = copies if other is None else copies[:1]
    args = [x, z, y] if other is None else [x, y]
    return compile_func(lower(on_chip(y, used, [total, low]), args), TINY)


@pytest.mark.parametrize("part", [0, 24])
@pytest.mark.parametrize("name", OPERATIONS)
def test_two_tensors(run: Run, name: str, part: int) -> None:
    compute, judge = OPERATIONS[name]
    x = numbers((2, 5, *LANES))
    z = np.broadcast_to(DISTANCES, x.shape).copy() if "shift" in name else numbers(x.shape)[::-1]
    program = alu_program(compute, None, part)
    counters = run(program, [x, np.ascontiguousarray(z)], (judge(x, z) >> part).astype(np.int8))
    assert counters.acc_load_nbytes == 2 * x.nbytes


@pytest.mark.parametrize("part", [0, 24])
@pytest.mark.parametrize(
    ("name", "number"),
    [
        *((name, int(n)) for name in OPERATIONS if "shift" in name for n in DISTANCES),
        *((name, n) for name in OPERATIONS if "shift" not in name for n in IMMEDIATES),
    ],
)
def test_tensor_and_immediate(run: Run, name: str, number: int, part: int) -> None:
    compute, judge = OPERATIONS[name]
    x = numbers((2, 5, *LANES))
    expected = judge(x, np.int32(number))
    run(alu_program(compute, number, part), [x], (expected >> part).astype(np.int8))


def test_relu(run: Run) -> None:
    program = alu_program(te.max, 0, 0)
    x = numbers((2, 5, *LANES), -128, 128)
    counters = run(program, [x], np.where(x > 0, x, 0).astype(np.int8))
    assert counters.alu_counter == 10


def test_shift_and_scale(run: Run) -> None:
    shape = (4, 3, *LANES)
    x, scale = (te.placeholder(shape, "int32", name) for name in ("x", "scale"))
    x_acc, scale_acc = (
        te.compute(shape, lambda *i, t=t: t(*i), f"{t.name}_acc") for t in (x, scale)
    )
    scaled = te.compute(shape, lambda *i: x_acc(*i) * scale_acc(*i), "scaled")
    moved = te.compute(shape, lambda *i: scaled(*i) >> 4, "moved")
    y = te.compute(shape, lambda *i: moved(*i).astype("int8"), "y")
    s = on_chip(y, [x_acc, scale_acc], [scaled, moved])
    program = compile_func(lower(s, [x, scale, y]), TINY)
    data, factors = numbers(shape, -100, 100), numbers(shape, 1, 12)
    counters = run(program, [data, factors], (data * factors >> 4).astype(np.int8))
    assert counters.alu_counter == 2 * 12


# ---- products ------------------------------------------------------------------------------------


def whole_product(cfg: VTAConfig, n: int, m: int) -> Program:
    """``int8(x · wᵀ)`` of 1 by ``n`` and ``m`` by ``n`` tiles; the loads of each step of the
    reduction stand in it.
    """
    k, j = te.reduce_axis((0, n), "k"), te.reduce_axis((0, cfg.block_in), "j")
    x = te.placeholder((1, n, cfg.batch, cfg.block_in), "int8", "x")
    w = te.placeholder((m, n, cfg.block_out, cfg.block_in), "int8", "w")
    x_inp, w_wgt = (te.compute(t.shape, lambda *i, t=t: t(*i), f"{t.name}_chip") for t in (x, w))
    total = te.compute(
        (1, m, cfg.batch, cfg.block_out),
        lambda b, c, bi, ci: te.sum(
            x_inp[b, k, bi, j].astype("int32") * w_wgt[c, k, ci, j].astype("int32"), axis=[k, j]
        ),
        "total",
    )
    y = te.compute(total.shape, lambda *i: total(*i).astype("int8"), "y")
    s = te.create_schedule(y.op)
    b, c, bi, ci = total.op.axis
    s[total].reorder(k, b, c, bi, ci, j)
    for tensor, scope in ((x_inp, INP_SCOPE), (w_wgt, WGT_SCOPE), (total, ACC_SCOPE)):
        s[tensor].set_scope(scope)
    for tensor in (x_inp, w_wgt):
        s[tensor].compute_at(s[total], k)
        s[tensor].pragma(tensor.op.axis[0], "dma_copy")
    s[total].tensorize(bi, Target.from_config(cfg).gemm)
    s[y].pragma(y.op.axis[0], "dma_copy")
    return compile_func(lower(s, [x, w, y]), cfg)


def operands(cfg: VTAConfig, n: int, m: int) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    shapes = (1, n, cfg.batch, cfg.block_in), (m, n, cfg.block_out, cfg.block_in)
    return [rng.integers(-128, 128, shape).astype(np.int8) for shape in shapes]


def test_matrix_multiply_1x256_by_256x256(run: Run) -> None:
    """Issues the same bytes and products as the original, of whose tests it is the first."""
    cfg = VTAConfig.preset("default")
    x, w = operands(cfg, 16, 16)
    expected = np.einsum("onbk,mnck->ombc", x.astype(np.int32), w.astype(np.int32))
    counters = run(whole_product(cfg, 16, 16), [x, w], expected.astype(np.int8))
    assert counters == Counters(
        inp_load_nbytes=256, wgt_load_nbytes=65536, acc_load_nbytes=0, uop_load_nbytes=8,
        out_store_nbytes=256, gemm_counter=256, alu_counter=0,
    )  # fmt: skip


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_product_with_virtual_threads(run: Run, threads: int) -> None:
    ops = matmul(o=1, n=6, m=8, batch=TINY.batch, block=TINY.block_in)
    s = schedule_matmul(ops, Target.from_config(TINY), i_block=2, o_block=1)
    if threads > 1:
        out = s[ops.res]
        at = out.leaves[1]
        for tensor in (ops.gem, ops.shr, ops.max, ops.min):
            s[tensor].compute_root()
        outer, thread = out.split(at, factor=threads)
        out.reorder(thread, outer)
        for tensor in (ops.gem, ops.shr, ops.max, ops.min):
            s[tensor].compute_at(out, outer)
        out.bind(thread, te.thread_axis("cthread"))
    inputs = operands(TINY, 6, 8)
    counters = run(compile_func(lower(s, ops.args), TINY), inputs, matrix_product(*inputs))
    assert (counters.gemm_counter, counters.alu_counter) == (48, 24)
