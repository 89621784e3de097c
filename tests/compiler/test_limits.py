"""Programs beyond what one instruction, one kernel or one memory holds: split, reloaded, or refused
with everything that one needs to know.
"""

import numpy as np
import pytest

from tests.support.compiled import check_orders
from tests.support.configurations import CONFIGURATIONS
from tests.support.numpy_golden import convolution, matrix_product
from tests.support.workloads import conv2d, matmul, schedule_conv2d, schedule_matmul
from vta import te
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.target import ACC_SCOPE, Target
from vta.compiler.te.expr import Const, Var
from vta.compiler.tir.ir import (
    Allocate,
    AluUop,
    Buffer,
    CoprocScope,
    For,
    LoadBuffer2D,
    PrimFunc,
    StoreBuffer2D,
    UopScope,
    seq,
)
from vta.config import ITER_BITS, VTAConfig
from vta.errors import LoweringError
from vta.isa import Alu, AluOpcode, Load, MemId, PipelineModule

DEEP = VTAConfig(log_block=1, log_inp_buff_size=8, log_wgt_buff_size=8, log_acc_buff_size=14)
"""2048 accumulator tiles of two lanes."""


def relu_of_columns(width, rows, columns):
    """``relu`` of the first ``columns`` of ``rows`` rows that are ``width`` tiles apart in DRAM."""
    a = te.placeholder((rows, width, 1, 2), name="A", dtype="int32")
    a_acc = te.compute((rows, columns, 1, 2), lambda *i: a(*i), "A_acc")
    b = te.compute(a_acc.shape, lambda *i: te.max(a_acc(*i), 0), "B")
    c = te.compute(a_acc.shape, lambda *i: b(*i).astype("int8"), "C")
    s = te.create_schedule(c.op)
    for tensor, key in ((a_acc, "dma_copy"), (b, "alu")):
        s[tensor].set_scope(ACC_SCOPE)
        s[tensor].pragma(tensor.op.axis[0], key)
    s[c].pragma(c.op.axis[0], "dma_copy")
    return compile_func(lower(s, [a, c]), DEEP)


@pytest.mark.parametrize(("width", "loads"), [(65535, 1), (65536, 3), (70001, 3)])
def test_row_strides_beyond_16_bits(width, loads):
    program = relu_of_columns(width, 3, 5)
    rng = np.random.default_rng(1)
    a = rng.integers(-100, 100, (3, width, 1, 2)).astype(np.int32)
    counters = check_orders(program, [a], [np.maximum(a[:, :5], 0).astype(np.int8)], seeds=(None,))
    assert counters.acc_load_nbytes == 3 * 5 * 8
    found = [i for i in program.instructions if isinstance(i, Load) and i.memory is MemId.ACC]
    assert len(found) == loads


# ---- kernels -------------------------------------------------------------------------------------


def add_in_place(tiles, kernels, *, rounds=1):
    """``int8(A + ...)`` of ``tiles`` tiles: several kernels in each iteration, each given as
    (extent, the tile for a loop variable, the number to add).
    """
    a, c = Buffer("A", (tiles, 1, 2), "int32"), Buffer("C", (tiles, 1, 2), "int8")
    chip = Buffer("chip", a.shape, "int32", ACC_SCOPE)
    count, none, one = Const(tiles), Const(0), Const(1)
    load = LoadBuffer2D(
        a, none, count, one, count, none, none, none, none, chip, none, MemId.ACC
    )  # fmt: skip
    scopes = []
    for extent, tile, number in kernels:
        i = Var("i")
        uop = AluUop(
            opcode=AluOpcode.ADD, dst=tile(i), src=tile(i), imm=number,
            dst_buffer=chip, src_buffer=chip,
        )  # fmt: skip
        scopes.append(UopScope("alu", For(i, extent, "serial", uop)))
    work = seq(*scopes) if rounds == 1 else For(Var("round"), rounds, "serial", seq(*scopes))
    store = StoreBuffer2D(chip, none, c, none, count, one, count)
    body = seq(
        CoprocScope(PipelineModule.COMPUTE, seq(load, work)),
        CoprocScope(PipelineModule.STORE, store),
    )
    return PrimFunc("f", (a, c), (c,), Allocate(chip, body))


def test_loops_beyond_14_bits():
    """20,000 iterations over one tile: two instructions, the first with the most iterations."""
    rounds, longest = 20_000, (1 << ITER_BITS) - 1
    program = compile_func(add_in_place(1, [(rounds, lambda i: Const(0), 3)]), DEEP)
    found = [i.iter_out * i.iter_in for i in program.instructions if isinstance(i, Alu)]
    assert found == [longest, rounds - longest]
    a = np.array([[[7, -90]]], np.int32)
    check_orders(program, [a], [(a + 3 * rounds).astype(np.int8)])


def test_evicted_kernels_are_loaded_again_from_their_own_place():
    """Three kernels of 3,000 micro-ops take turns in a memory of 8,192."""
    cfg = VTAConfig(
        log_block=1, log_uop_buff_size=15, log_inp_buff_size=8, log_wgt_buff_size=8,
        log_acc_buff_size=14,
    )  # fmt: skip
    assert (cfg.uop_depth, cfg.acc_depth) == (8192, 2048)
    size, rounds = 3000, 2
    # permutations of some tiles, some of them twice: no loop of an instruction runs so
    kernels = [(size, lambda i, n=n: i * 7 % 1500 + 100 * n, n + 1) for n in range(3)]
    program = compile_func(add_in_place(1800, kernels, rounds=rounds), cfg)
    loads = [i for i in program.instructions if isinstance(i, Load) and i.memory is MemId.UOP]
    assert [(i.dram_base, i.x_size) for i in loads] == [
        (0, size),
        (size, size),
        (2 * size, size),
    ] * 2
    assert len(program.uops) == 3 * size * 4
    a = np.random.default_rng(4).integers(-100, 100, (1800, 1, 2)).astype(np.int32)
    expected = a.copy()
    for n in range(3):
        expected[100 * n :][:1500] += rounds * (size // 1500) * (n + 1)
    check_orders(program, [a], [expected.astype(np.int8)])


def test_a_kernel_of_more_micro_ops_than_fit_is_several():
    cfg = VTAConfig.preset("tiny").replace(log_block=1, log_uop_buff_size=4, log_acc_buff_size=10)
    assert cfg.uop_depth == 4
    func = add_in_place(60, [(60, lambda i: i * 7 % 30 + i // 30 * 30, 5)])
    program = compile_func(func, cfg)
    assert all(i.uop_end <= 4 for i in program.instructions if isinstance(i, Alu))
    a = np.random.default_rng(4).integers(-100, 100, (60, 1, 2)).astype(np.int32)
    check_orders(program, [a], [(a + 5).astype(np.int8)])


def test_a_kernel_that_depends_on_several_loops():
    """The kernels of a convolution with a cut last block differ by where their block is."""
    cfg = CONFIGURATIONS["batch2"]
    ops = conv2d(2, 2, 3, 5, 5, (3, 3), (1, 1), (1, 1), cfg.batch, cfg.block_in)
    schedule = schedule_conv2d(ops, Target.from_config(cfg), 2, 1, 2, 3, threads=1)
    program = compile_func(lower(schedule, ops.args), cfg)
    rng = np.random.default_rng(8)
    inputs = [rng.integers(-128, 128, t.shape).astype(np.int8) for t in ops.args[:2]]
    check_orders(program, inputs, [convolution(*inputs, (1, 1), (1, 1))])


# ---- memories and threads ------------------------------------------------------------------------


def test_a_memory_that_does_not_suffice():
    """The message says which buffers, how large, in which loops, and how much there is."""
    cfg = VTAConfig.preset("tiny")
    ops = matmul(1, 16, 40, 1, 4)
    schedule = schedule_matmul(ops, Target.from_config(cfg), i_block=16, o_block=10)
    with pytest.raises(LoweringError) as error:
        compile_func(lower(schedule, ops.args), cfg)
    assert str(error.value) == (
        "local.wgt_buffer has 64 elements, but 160 are live at the same time: weight_buf 160 "
        "elements at loop i1_outer. Split loops into smaller blocks, or compute the "
        "stages further inside"
    )


def threads_of_products(threads):
    cfg = VTAConfig.preset("tiny")
    ops = matmul(1, 4, 4 * threads, 1, 4)
    s = schedule_matmul(ops, Target.from_config(cfg), i_block=2, o_block=2)
    out, (b_out, oc_out, *_) = s[ops.res], s[ops.res].leaves
    chain = (ops.gem, ops.shr, ops.max, ops.min)
    for tensor in chain:
        s[tensor].compute_root()
    outer, thread = out.split(oc_out, factor=threads)
    out.reorder(thread, b_out, outer)
    for tensor in chain:
        s[tensor].compute_at(out, outer)
    out.bind(thread, te.thread_axis("cthread"))
    return cfg, ops, s


@pytest.mark.parametrize("threads", [2, 3, 5, 8])
def test_any_number_of_threads_that_fits(threads):
    cfg, ops, s = threads_of_products(threads)
    program = compile_func(lower(s, ops.args), cfg)
    rng = np.random.default_rng(8)
    inputs = [rng.integers(-128, 128, t.shape).astype(np.int8) for t in ops.args[:2]]
    check_orders(program, inputs, [matrix_product(*inputs)])


def test_more_threads_than_fit():
    cfg, ops, s = threads_of_products(20)
    with pytest.raises(LoweringError) as error:
        compile_func(lower(s, ops.args), cfg)
    assert str(error.value) == (
        "local.wgt_buffer has 64 elements, but 80 are live at the same time: weight_buf 80 "
        "elements for all virtual threads of loop i1_outer_inner. Split loops into smaller blocks, "
        "or compute the stages further inside"
    )


# ---- shapes that are no whole tiles --------------------------------------------------------------


@pytest.mark.parametrize("lanes", [3, 5, 6])
def test_tensors_of_no_whole_tiles_are_refused(lanes):
    cfg = VTAConfig.preset("tiny")
    a = te.placeholder((2, 1, lanes), name="A", dtype="int32")
    a_acc = te.compute(a.shape, lambda *i: a(*i), "A_acc")
    c = te.compute(a.shape, lambda *i: a_acc(*i).astype("int8"), "C")
    s = te.create_schedule(c.op)
    s[a_acc].set_scope(ACC_SCOPE)
    for tensor in (a_acc, c):
        s[tensor].pragma(tensor.op.axis[0], "dma_copy")
    with pytest.raises(LoweringError, match=r"stage A_acc, dma_copy at axis i0: .* elements of 4"):
        compile_func(lower(s, [a, c]), cfg)
