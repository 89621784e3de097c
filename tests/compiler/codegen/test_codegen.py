"""Programs that press on the machine's limits: small micro-op memories, narrow and wide values,
modules without a common border, long loops, wide padding.
"""

import random
import sys

import numpy as np
import pytest

from tests.support.checked import checked
from tests.support.compiled import check_orders, run_program
from tests.support.configurations import CONFIGURATIONS
from tests.support.workloads import matmul, schedule_matmul
from vta import te, topi
from vta.compiler.codegen.instruction_stream import InstructionStream
from vta.compiler.codegen.uop_cache import Kernel, UopCache
from vta.compiler.driver import compile_func, run_passes
from vta.compiler.lower.lower import lower
from vta.compiler.ops import Requantise, conv2d
from vta.compiler.target import ACC_SCOPE, INP_SCOPE, WGT_SCOPE, Target
from vta.compiler.te.expr import Const
from vta.compiler.verify import verify
from vta.config import VTAConfig
from vta.errors import LoweringError
from vta.isa import Alu, Finish, Gemm, Load, MemId, PipelineModule, Store
from vta.runtime import CompiledModule, array, empty
from vta.runtime.simulated import SimDevice


def product(cfg, rows, outputs, inputs, *, loads="nowhere"):
    """A plain matrix product; the loads are at the outermost level, or in a loop of the product
    (``reduction``) or of the store (``store``)."""
    B, K = cfg.batch, cfg.block_in
    ko, ki = te.reduce_axis((0, inputs), name="ko"), te.reduce_axis((0, K), name="ki")
    a = te.placeholder((rows, inputs, B, K), name="A", dtype=cfg.inp_dtype)
    w = te.placeholder((outputs, inputs, K, K), name="W", dtype=cfg.wgt_dtype)
    a_buf = te.compute(a.shape, lambda *i: a(*i), "A_buf")
    w_buf = te.compute(w.shape, lambda *i: w(*i), "W_buf")
    c_buf = te.compute(
        (rows, outputs, B, K),
        lambda bo, co, bi, ci: te.sum(
            a_buf[bo, ko, bi, ki].astype("int32") * w_buf[co, ko, ci, ki].astype("int32"),
            axis=[ko, ki],
        ),
        name="C_buf",
    )
    c = te.compute(c_buf.shape, lambda *i: c_buf(*i).astype(cfg.out_dtype), "C")
    s = te.create_schedule(c.op)
    for tensor, scope in ((a_buf, INP_SCOPE), (w_buf, WGT_SCOPE), (c_buf, ACC_SCOPE)):
        s[tensor].set_scope(scope)
    bo, co, bi, ci = c_buf.op.axis
    s[c_buf].reorder(ko, bo, co, bi, ci, ki)
    if loads == "store":
        for tensor in (a_buf, w_buf, c_buf):
            s[tensor].compute_at(s[c], c.op.axis[1])
    elif loads == "reduction":
        for tensor in (a_buf, w_buf):
            s[tensor].compute_at(s[c_buf], ko)
    for tensor, axis in ((a_buf, 0), (w_buf, 0), (c, 2)):
        s[tensor].pragma(tensor.op.axis[axis], "dma_copy")
    s[c_buf].tensorize(bi, Target.from_config(cfg).gemm)
    func = lower(s, [a, w, c])
    run_passes(func, Target.from_config(cfg), observe=verify)
    return compile_func(func, cfg)


def values(cfg, rows, outputs, inputs):
    """Random operands in tiles, and the expected tiles."""
    rng = np.random.default_rng(11)
    B, K = cfg.batch, cfg.block_in
    x, w = (
        rng.integers(-(1 << (width - 1)), 1 << (width - 1), shape)
        for width, shape in (
            (cfg.inp_width, (rows, inputs, B, K)),
            (cfg.wgt_width, (outputs, inputs, K, K)),
        )
    )
    expected = np.einsum("rkbi,okci->robc", x, w)
    return x, w, expected


def check_product(cfg, *sizes, **options):
    program = product(cfg, *sizes, **options)
    x, w, expected = values(cfg, *sizes)
    inputs = [x.astype(cfg.inp_dtype), w.astype(cfg.wgt_dtype)]
    return program, check_orders(
        program, inputs, [expected.astype(cfg.out_dtype)], seeds=(None, 1, 2, 3)
    )


@pytest.mark.parametrize("loads", ["nowhere", "reduction"])
def test_basic_matrix_product(loads):
    _, counters = check_product(VTAConfig.preset("default"), 1, 16, 16, loads=loads)
    assert tuple(counters.as_dict().values()) == (256, 65536, 0, 8, 256, 256, 0)


def test_loads_and_stores_without_compute_between_them():
    program, counters = check_product(VTAConfig.preset("default"), 1, 16, 16, loads="store")
    assert counters.inp_load_nbytes == 16 * 256  # loaded again for each output
    insns = program.instructions
    assert not any(i.push_next for i in insns if i.module is PipelineModule.STORE)
    assert not any(i.pop_prev for i in insns if i.module is PipelineModule.LOAD)


@pytest.mark.parametrize("log_batch", [0, 1, 2])
def test_wide_inputs_and_a_micro_op_memory_of_four(log_batch):
    cfg = VTAConfig(
        log_inp_width=4, log_batch=log_batch, log_block=3, log_uop_buff_size=4,
        log_inp_buff_size=13, log_wgt_buff_size=13, log_acc_buff_size=13,
    )  # fmt: skip
    assert cfg.uop_depth == 4
    check_product(cfg, 3, 5, 7)
    check_product(cfg, 3, 5, 7, loads="store")


def test_kernels_that_do_not_fit_together_are_loaded_again():
    cfg = VTAConfig.preset("tiny").replace(log_uop_buff_size=3)  # two micro-ops
    ops = matmul(1, 4, 6, 1, 4)
    schedule = schedule_matmul(ops, Target.from_config(cfg), i_block=2, o_block=2)
    program = compile_func(lower(schedule, ops.args), cfg)
    loads = [i for i in program.instructions if isinstance(i, Load) and i.memory is MemId.UOP]
    loads = [i for i in loads if not i.is_nop]
    assert all(i.sram_base + i.x_size <= 2 for i in loads)
    assert len(loads) == 15  # five kernels of one micro-op, in each of three blocks
    assert len({i.dram_base for i in loads}) == 5
    x, w, _ = values(cfg, 1, 6, 4)
    sums = np.einsum("rkbi,okci->robc", x, w)
    expected = np.clip(sums >> 8, 0, 127).astype(np.int8)
    check_orders(program, [x.astype(np.int8), w.astype(np.int8)], [expected])


@pytest.mark.parametrize("name", [n for n in CONFIGURATIONS if n != "two_entries"])
def test_products_on_every_machine(name):
    """Batches, blocks, and values of 4 and 16 bits."""
    cfg = CONFIGURATIONS[name]
    module, device = CompiledModule(checked(product(cfg, 2, 1, 2))), SimDevice(cfg)
    x, w, expected = values(cfg, 2, 1, 2)
    inputs = [
        array(value.astype(np.int8 if bits <= 8 else np.int16), device, dtype)
        for value, bits, dtype in (
            (x, cfg.inp_width, cfg.inp_dtype),
            (w, cfg.wgt_width, cfg.wgt_dtype),
        )
    ]
    out = empty(expected.shape, cfg.out_dtype, device)
    module(*inputs, out)
    half = 1 << (cfg.out_width - 1)
    np.testing.assert_array_equal(out.numpy(), (expected + half) % (2 * half) - half)


def padded(cfg, shape, before, after):
    """A relu of a padded int32 tensor: shape (rows, columns) of tiles."""
    a = te.placeholder((*shape, 1, 4), name="A", dtype="int32")
    a_buf = topi.nn.pad(a, [*before, 0, 0], [*after, 0, 0], name="A_buf")
    b = te.compute(a_buf.shape, lambda *i: te.max(a_buf(*i), -5), "B")
    c = te.compute(a_buf.shape, lambda *i: b(*i).astype("int8"), "C")
    s = te.create_schedule(c.op)
    for tensor in (a_buf, b):
        s[tensor].set_scope(ACC_SCOPE)
    s[a_buf].pragma(a_buf.op.axis[0], "dma_copy")
    s[b].pragma(b.op.axis[0], "alu")
    s[c].pragma(c.op.axis[0], "dma_copy")
    return compile_func(lower(s, [a, c]), cfg)


@pytest.mark.parametrize("before", [(0, 0), (1, 2), (17, 0), (0, 16), (31, 18)])
@pytest.mark.parametrize("after", [(0, 0), (2, 1), (33, 5)])
def test_padding_on_every_side_and_beyond_the_fields(before, after):
    cfg = VTAConfig(
        log_block=2, log_uop_buff_size=8, log_inp_buff_size=8, log_wgt_buff_size=8,
        log_acc_buff_size=15,
    )  # fmt: skip
    program = padded(cfg, (3, 4), before, after)
    a = np.random.default_rng(2).integers(-100, 100, (3, 4, 1, 4)).astype(np.int32)
    pads = (*zip(before, after), (0, 0), (0, 0))
    expected = np.maximum(np.pad(a, pads), -5).astype(np.int8)
    counters = check_orders(program, [a], [expected], seeds=(None,))
    assert counters.acc_load_nbytes == a.nbytes


NUMBERS = (0, 7, -7, 32767, -32768, 32768, -32769, 65535, 0x12348765, -(2**31), 2**31 - 1)


@pytest.mark.parametrize("number", NUMBERS)
def test_constants_of_32_bits(number):
    cfg = VTAConfig.preset("tiny")
    seen = 0
    for distance in (24, 16, 8, 0):
        b = te.compute((2, 1, 4), lambda *i: Const(number, "int32"), "B")
        part = te.compute((2, 1, 4), lambda *i, b=b, by=distance: b(*i) >> by, "part")
        c = te.compute((2, 1, 4), lambda *i, part=part: part(*i).astype("int8"), "C")
        s = te.create_schedule(c.op)
        for tensor in (b, part):
            s[tensor].set_scope(ACC_SCOPE)
            s[tensor].pragma(tensor.op.axis[0], "alu")
        s[c].pragma(c.op.axis[0], "dma_copy")
        (out,), _ = run_program(compile_func(lower(s, [c]), cfg), [])
        assert (out == out.flat[0]).all()
        seen = seen << 8 | int(out.view(np.uint8).flat[0])
    assert seen == number % 2**32


# ---- parts ---------------------------------------------------------------------------------------


def test_tokens_are_flags_of_the_neighbouring_instructions():
    stream = InstructionStream()
    stream.push(PipelineModule.STORE, PipelineModule.COMPUTE)  # nothing before it: a NOP
    stream.emit(Load(memory=MemId.INP, x_size=1, y_size=1), 0)
    stream.push(PipelineModule.LOAD, PipelineModule.COMPUTE)
    stream.pop(PipelineModule.LOAD, PipelineModule.COMPUTE)
    stream.pop(PipelineModule.STORE, PipelineModule.COMPUTE)
    stream.emit(Gemm(uop_end=1))
    stream.push(PipelineModule.COMPUTE, PipelineModule.STORE)
    stream.push(PipelineModule.COMPUTE, PipelineModule.STORE)  # the flag is taken: another NOP
    stream.pop(PipelineModule.COMPUTE, PipelineModule.STORE)
    stream.pop(PipelineModule.COMPUTE, PipelineModule.STORE)  # and here
    stream.finish()
    assert stream.instructions() == [
        Store(push_prev=True),
        Load(memory=MemId.INP, x_size=1, y_size=1, push_next=True),
        Gemm(uop_end=1, pop_prev=True, pop_next=True, push_next=True),
        Load(memory=MemId.UOP, push_next=True),
        Store(pop_prev=True),
        Store(pop_prev=True),
        Finish(),
    ]


def test_a_push_waits_for_the_pops_before_it():
    stream = InstructionStream()
    stream.emit(Alu(uop_end=1))
    stream.pop(PipelineModule.LOAD, PipelineModule.COMPUTE)
    stream.push(PipelineModule.COMPUTE, PipelineModule.STORE)
    assert stream.instructions()[1:] == [Load(memory=MemId.UOP, pop_prev=True, push_next=True)]


def test_the_micro_op_memory_is_a_ring():
    cache = UopCache(8)
    a, b, c, d = Kernel(0, 3), Kernel(3, 4), Kernel(7, 2), Kernel(9, 9)
    assert cache.place(a) == (0, True)
    assert cache.place(b) == (3, True)
    assert cache.place(a) == (0, False)
    assert cache.place(c) == (0, True)  # from the start again, over a
    assert cache.place(b) == (3, False)
    assert cache.place(a) == (2, True)  # over b
    assert cache.place(c) == (0, False)
    assert cache.place(b) == (0, True)  # over c and a
    with pytest.raises(LoweringError, match="a kernel of 9 micro-ops; the micro-op memory holds 8"):
        cache.place(d)


def test_a_kernel_is_evicted_when_another_one_overwrites_it():
    """Against the definition: a map from each entry of the memory to its kernel."""
    rng = random.Random(5)
    for _ in range(200):
        depth = rng.randrange(1, 24)
        kernels = [Kernel(i, rng.randrange(1, depth + 1)) for i in range(rng.randrange(1, 12))]
        cache, entries = UopCache(depth), [None] * depth
        end = 0
        for _ in range(60):
            kernel = rng.choice(kernels)
            held = kernel in entries
            begin = entries.index(kernel) if held else end if end + kernel.size <= depth else 0
            assert cache.place(kernel) == (begin, not held)
            if not held:
                end = begin + kernel.size
                evicted = set(entries[begin:end])
                entries = [None if each in evicted else each for each in entries]
                entries[begin:end] = [kernel] * kernel.size


def test_a_profiler_that_keeps_frames_does_not_keep_the_table_of_micro_ops():
    """A statistical profiler in another thread refers to frames, and so to their local values."""
    cfg = VTAConfig.preset("tiny")
    op = conv2d((1, 16, 6, 6), 32, 3, cfg=cfg, requantise=Requantise(8))
    op.schedule.early_start(parts=2, steps=4, rows=2)
    nest, frames = lower(op.schedule, op.args, op.name), []
    sys.setprofile(lambda frame, event, arg: frames.append(frame) if event == "return" else None)
    try:
        program = compile_func(nest, cfg)
    finally:
        sys.setprofile(None)
    assert program.code == compile_func(nest, cfg).code
