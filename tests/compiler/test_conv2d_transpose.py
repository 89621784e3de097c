"""Transposed convolutions against NumPy, with as many products as are useful."""

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.transposed import WAYS, Transposed
from vta import te, top, topi
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.passes.gemm_tiles_to_kernels import gemm_tiles_to_kernels
from vta.compiler.target import INP_SCOPE, GemmIntrin, Target
from vta.config import VTAConfig
from vta.errors import LoweringError, ScheduleError, TensorError

CFG = VTAConfig(
    log_block=2, log_uop_buff_size=12, log_inp_buff_size=12, log_wgt_buff_size=12,
    log_acc_buff_size=14,
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_kernel_of_four_with_stride_two(way):
    """The usual upsampling layer: a quarter of the products of the dilated tensor."""
    case = Transposed(CFG, way, (4, 4), (4, 4), channels=(2, 2))
    assert case.shape[2:4] == (8, 8)
    assert case.products() == {"phases": 1024, "pragma": 1024, "inlined": 784, "dense": 4096}[way]
    case.check()


def test_the_phases_are_micro_ops_and_the_pixels_loops():
    """One micro-op a tap; the two loops of the instruction run over rows and columns."""
    case = Transposed(CFG, "phases", (4, 4), (4, 4), channels=(1, 1))
    assert len(case.program().uops) // 4 == 4 * 4 + 1 + 1  # taps, reset, ALU


SMALL = st.tuples(st.integers(1, 4), st.integers(1, 4))
STRIDE = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def layers(draw, way):
    taps, stride = draw(SMALL), draw(STRIDE)
    most = [*taps, *taps] if way == "phases" else [k - 1 for k in (*taps, *taps)]
    cut = tuple(draw(st.integers(0, high)) for high in most)
    extra = tuple(draw(st.integers(0, by - 1)) for by in stride)
    size = draw(SMALL)
    shape = [
        (n - 1) * by - cut[d] - cut[d + 2] + k + more
        for d, (n, by, k, more) in enumerate(zip(size, stride, taps, extra))
    ]
    assume(min(shape) >= 1)
    blocks = {}
    if way == "phases":
        channels = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
        for name, high in (("h_block", shape[0]), ("w_block", shape[1])):
            blocks[name] = draw(st.integers(1, high))
        blocks["co_block"] = draw(st.integers(1, channels[1]))
        blocks["ci_block"] = draw(st.integers(1, channels[0]))
        blocks["threads"] = draw(st.integers(1, 2))
    else:
        channels = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
        rows = st.sampled_from([n for n in range(1, shape[0] + 1) if shape[0] % n == 0])
        blocks["h_block"] = draw(rows)
    return Transposed(CFG, way, size, taps, stride, cut, extra, channels, **blocks)


@settings(max_examples=60)
@given(case=layers("phases"))
def test_the_operator_and_its_schedule(case):
    case.check()


@pytest.mark.parametrize("way", ["pragma", "inlined"])
@settings(max_examples=30)
@given(data=st.data())
def test_the_convolution_of_a_dilated_tensor(way, data):
    data.draw(layers(way)).check()


def test_the_tile_of_the_pragma_is_checked_against_the_machine():
    case = Transposed(CFG, "pragma")
    func = lower(case.s, [case.data, case.kernel, case.out])
    with pytest.raises(
        LoweringError,
        match=re.escape(
            "stage acc, tensorize: the last two dimensions of acc must be a tile of 1 x 16 int32; "
            "acc is [1, 1, 5, 7, 1, 4] int32"
        ),
    ):
        gemm_tiles_to_kernels(func, Target.from_config(VTAConfig()))


def test_a_dilated_tensor_in_dram_is_refused_with_what_to_write():
    case = Transposed(CFG, "dense")
    dilated = next(stage for stage in case.s.stages if stage.name == "dilated")
    dilated.compute_root()
    with pytest.raises(
        LoweringError,
        match=re.escape(
            "stage dilated is in DRAM between two stages (global scope) and is not an argument; "
            "s[dilated].compute_inline() computes each element where it is read"
        ),
    ):
        compile_func(lower(case.s, [case.data, case.kernel, case.out]), CFG)


def test_one_tensor_instruction_a_stage():
    case = Transposed(CFG, "dense")
    acc = next(stage for stage in case.s.stages if stage.name == "acc")
    with pytest.raises(ScheduleError, match=r"pragma: axis .* is in a stage tensorized from b on"):
        acc.pragma(acc.op.axis[4], "conv2d_transpose_gemm")


def test_a_condition_inside_of_a_tile_is_refused():
    data = te.placeholder((1, 4), "int8", "data")
    kernel = te.placeholder((4, 4), "int8", "kernel")
    k = te.reduce_axis((0, 4), "k")

    def product(b, c):
        value = te.if_then_else(k < 2, data[b, k], 0)
        return te.sum(value.astype("int32") * kernel[c, k].astype("int32"), axis=k)

    acc = te.compute((1, 4), product, name="acc")
    out = te.compute((1, 4), lambda b, c: acc[b, c].astype("int8"), name="out")
    s = te.create_schedule(out.op)
    s.cache_read(data, INP_SCOPE, [acc])
    s[acc].tensorize(acc.op.axis[0], GemmIntrin(1, 4, 4, "int8", "int8", "int32"))
    with pytest.raises(LoweringError, match=r"the loops do not match .*: kernel is in global"):
        lower(s, [data, kernel, out])
    s.cache_read(kernel, "local.wgt_buffer", [acc])
    s[acc].set_scope("local.acc_buffer")
    with pytest.raises(LoweringError, match="`k < 2` ends the loops inside, so the last tile"):
        lower(s, [data, kernel, out])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strides": 0}, "strides is 0; must be 1 or 2 integers >= 1"),
        ({"padding": (1, 2, 3)}, "padding is (1, 2, 3); must be 1, 2 or 4 integers >= 0"),
        ({"output_padding": 2}, "output_padding is [2, 2]; must be less than strides, [2, 2]"),
        ({"padding": 9}, "the result would have -9 x -9 pixels"),
    ],
)
def test_the_operator_refuses(arguments, message):
    data = te.placeholder((1, 1, 4, 4, 1, 4), "int8", "data")
    kernel = te.placeholder((1, 1, 3, 3, 4, 4), "int8", "kernel")
    with pytest.raises(TensorError, match=re.escape(f"conv2d_transpose_packed data: {message}")):
        top.conv2d_transpose_packed(data, kernel, **{"strides": 2, "padding": 1} | arguments)
    with pytest.raises(TensorError, match="data has 1 x 4 channels, the kernel 2 x 4"):
        wide = te.placeholder((1, 2, 3, 3, 4, 4), "int8", "wide")
        top.conv2d_transpose_packed(data, wide, 2, 1)


def test_the_schedule_needs_a_narrowed_result():
    case = Transposed(CFG, "phases")
    conv = top.conv2d_transpose_packed(case.data, case.kernel, 2, 1)
    with pytest.raises(ScheduleError, match="1 found, it is the output itself"):
        top.schedule_conv2d_transpose_packed(conv, case.target.gemm)
    with pytest.raises(ScheduleError, match="0 found"):
        relu = topi.nn.relu(case.data)
        top.schedule_conv2d_transpose_packed(relu, case.target.gemm)
