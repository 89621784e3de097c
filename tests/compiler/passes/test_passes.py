"""The passes one after the other: printed programs, invariants after each, and refusals.

``pytest --update-golden`` writes the texts.
"""

from dataclasses import replace

import pytest

import vta
from tests.support.workloads import (
    conv2d,
    matmul,
    schedule_conv2d,
    schedule_matmul,
    schedule_vadd,
    vadd,
)
from vta import te, topi
from vta.compiler.driver import LOOP_NEST, PASSES, compile_func, run_passes
from vta.compiler.lower.lower import lower
from vta.compiler.target import ACC_SCOPE, INP_SCOPE, Target
from vta.compiler.verify import verify
from vta.config import VTAConfig
from vta.environment import Environment
from vta.errors import LoweringError
from vta.isa import Alu, Finish, Gemm, Load, MemId, Store

CFG = VTAConfig.preset("default")
TARGET = Target.from_config(CFG)


def tutorial(name):
    ops = {"vadd": vadd, "matmul": matmul, "conv2d": conv2d}[name]()
    if name == "vadd":
        return lower(schedule_vadd(ops), ops.args, name)
    schedule = {"matmul": schedule_matmul, "conv2d": schedule_conv2d}[name](ops, TARGET)
    return lower(schedule, ops.args, name)


TUTORIALS = ("vadd", "matmul", "conv2d")


@pytest.mark.parametrize("name", TUTORIALS)
def test_tutorials_before_code_generation(name, golden):
    golden(f"lowered_{name}", str(run_passes(tutorial(name), TARGET, observe=verify)))


@pytest.mark.parametrize("stage", PASSES)
def test_every_stage_of_a_convolution(stage, golden):
    ops = conv2d(1, 2, 2, 5, 6, (3, 3), (1, 1), (1, 1))
    func = lower(schedule_conv2d(ops, TARGET, 1, 1, 3, 4), ops.args)
    golden(f"stage_{stage}", str(run_passes(func, TARGET, stage)))


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_invariants_hold_for_uneven_shapes(threads):
    ops = conv2d(2, 3, 4, 7, 5, (3, 2), (2, 1), (2, 1))
    schedule = schedule_conv2d(ops, TARGET, 1, 2, 3, 2, threads=threads)
    run_passes(lower(schedule, ops.args), TARGET, observe=verify)


def test_stages_by_name():
    func = tutorial("vadd")
    assert run_passes(func, TARGET, LOOP_NEST) is func
    assert str(run_passes(func, TARGET, "loops_to_uop_loops")) == str(run_passes(func, TARGET))
    with pytest.raises(LoweringError, match="no stage 'magic'; must be one of nest, copies_to"):
        run_passes(func, TARGET, "magic")


# ---- what the tutorials' programs are ------------------------------------------------------------


def instructions(name):
    return compile_func(tutorial(name), CFG).instructions


def test_rows_of_stores_are_one_instruction():
    stores = [i for i in instructions("matmul") if isinstance(i, Store) and not i.is_nop]
    assert [(i.sram_base, i.dram_base, i.x_size, i.y_size) for i in stores] == [
        (0, 16 * block, 16, 1) for block in range(4)
    ]
    stores = [i for i in instructions("conv2d") if isinstance(i, Store) and not i.is_nop]
    assert [(i.sram_base, i.dram_base, i.x_size, i.y_size, i.x_stride) for i in stores] == [
        (784 * thread, 1568 * thread + 98 * rows, 98, 8, 196)
        for rows in range(2)
        for thread in range(2)
    ]


def test_padding_is_part_of_the_load():
    loads = [i for i in instructions("conv2d") if isinstance(i, Load) and i.memory is MemId.INP]
    loads = [load for load in loads if not load.is_nop]
    assert len(loads) == 64
    for n, load in enumerate(loads):
        rows, channel, thread = n // 32, n // 2 % 16, n % 2
        assert load.sram_base == 144 * thread
        assert (load.x_size, load.y_size, load.x_stride) == (14, 8, 14)
        assert (load.x_pad_0, load.x_pad_1) == (1, 1)
        assert (load.y_pad_0, load.y_pad_1) == ((1, 0), (0, 1))[rows]
        assert load.dram_base == 196 * channel + (0, 84)[rows]


def test_loops_of_the_instructions():
    gemm = next(i for i in instructions("matmul") if isinstance(i, Gemm) and not i.reset)
    assert (gemm.uop_end - gemm.uop_bgn, gemm.iter_out, gemm.iter_in) == (1, 16, 16)
    assert (gemm.dst_factor_out, gemm.src_factor_out, gemm.wgt_factor_out) == (1, 0, 16)
    assert (gemm.dst_factor_in, gemm.src_factor_in, gemm.wgt_factor_in) == (0, 1, 1)
    alu = [i for i in instructions("conv2d") if isinstance(i, Alu)]
    assert len(alu) == 12
    assert all((i.iter_out, i.iter_in, i.dst_factor_in) == (1, 784, 1) for i in alu)


def test_each_kernel_is_loaded_once():
    loads = [i for i in instructions("conv2d") if isinstance(i, Load) and i.memory is MemId.UOP]
    assert [i.x_size for i in loads if not i.is_nop] == [14, 14, 126, 126, 1, 1, 1, 1, 1, 1]


# ---- faces ---------------------------------------------------------------------------------------


def test_lower_stops_where_it_is_told():
    ops = vadd()
    with Environment(CFG):
        nest = str(vta.lower(schedule_vadd(ops), ops.args, stage="nest", name="add"))
        assert "pragma" in nest and nest.startswith("def add(")
        assert "load_2d" in str(vta.lower(schedule_vadd(ops), ops.args, simple_mode=True))


def test_mock_operations_leave_nothing():
    mock = Environment(CFG).mock
    ops = matmul()
    s = schedule_matmul(ops, replace(TARGET, gemm=mock.gemm))
    assert not [
        i for i in compile_func(lower(s, ops.args), CFG).instructions if isinstance(i, Gemm)
    ]
    ops = vadd()
    s = te.create_schedule(ops.C.op)
    for tensor in (ops.A_buf, ops.B_buf, ops.C_buf):
        s[tensor].set_scope(mock.acc_scope)
    for tensor in (ops.A_buf, ops.B_buf, ops.C):
        s[tensor].pragma(tensor.op.axis[0], mock.dma_copy)
    s[ops.C_buf].pragma(ops.C_buf.op.axis[0], mock.alu)
    assert compile_func(lower(s, ops.args), CFG).instructions == (Finish(),)


# ---- refusals ------------------------------------------------------------------------------------

SHAPE = (1, 8, 1, 16)


def chip(value, *, dtype="int32", scope=ACC_SCOPE, result="int8", pragma="alu", shape=SHAPE):
    """A schedule that loads A and B, computes ``value(a, b)`` of each element and stores it."""
    a = te.placeholder(shape, name="A", dtype=dtype)
    b = te.placeholder(shape, name="B", dtype=dtype)
    a_buf = te.compute(shape, lambda *i: a(*i), "A_buf")
    b_buf = te.compute(shape, lambda *i: b(*i), "B_buf")
    c_buf = te.compute(shape, lambda *i: value(a_buf(*i), b_buf(*i)), "C_buf")
    c = te.compute(shape, lambda *i: c_buf(*i).astype(result), "C")
    s = te.create_schedule(c.op)
    for tensor in (a_buf, b_buf, c_buf):
        s[tensor].set_scope(scope)
    for tensor in (a_buf, b_buf, c):
        s[tensor].pragma(tensor.op.axis[0], "dma_copy")
    if pragma:
        s[c_buf].pragma(c_buf.op.axis[0], pragma)
    return s, [a, b, c]


def add(a, b):
    return a + b


@pytest.mark.parametrize(
    ("value", "options", "message"),
    [
        (lambda a, b: a // 3 + b, {}, "stage C_buf, alu at axis i0: .* cannot compute `A_buf"),
        (lambda a, b: a * b + a * 2, {}, r"the operand `A_buf\[.*\]` is not an element"),
        (add, {"pragma": None}, "C_buf is computed value by value"),
        (add, {"scope": INP_SCOPE}, "stage A_buf, dma_copy .*holds int8"),
        (add, {"scope": "global"}, "must copy between DRAM and an on-chip"),
        (add, {"result": "int16"}, "stored to int8 or int32 in DRAM; C_buf is int32, C is int16"),
        (add, {"shape": (1, 8, 1, 12)}, "stage A_buf.*whole elements of 16"),
        (
            add,
            {"shape": (1, 2000, 1, 16)},
            "has 2048 elements, but 4000 are live at the same time: A_b",
        ),
    ],
)
def test_what_the_machine_cannot_do_is_named(value, options, message):
    schedule, args = chip(value, **options)
    with pytest.raises(LoweringError, match=message):
        run_passes(lower(schedule, args), TARGET)


def test_without_the_extension_only_zeros_can_be_padded():
    a = te.placeholder((1, 4, 4, 1, 16), name="A", dtype="int8")
    padded = topi.nn.pad(a, [0, 1, 1, 0, 0], pad_value=-128, name="padded")
    c = te.compute(padded.shape, lambda *i: padded(*i), "C")
    s = te.create_schedule(c.op)
    s[padded].set_scope(INP_SCOPE)
    s[padded].pragma(padded.op.axis[0], "dma_copy")
    with pytest.raises(LoweringError, match=r"stage padded.*pads with `-128`; a .* with 0"):
        run_passes(lower(s, [a, c]), replace(TARGET, extension=False))


def test_a_pragma_around_other_stages_is_refused():
    ops = vadd()
    s = schedule_vadd(ops)
    s[ops.A_buf].compute_at(s[ops.C_buf], ops.C_buf.op.axis[1])
    with pytest.raises(LoweringError, match="stage C_buf, alu at axis i0: must contain one"):
        run_passes(lower(s, ops.args), TARGET)
