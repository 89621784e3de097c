"""Names of TVM and of the original VTA: what they do here, and what is said of those that are not
provided."""

from __future__ import annotations

import numpy as np
import pytest

import vta
import vta.testing
from tests.support.serving import serving
from tests.support.small_vadd import TINY, vadd_arrays, vadd_module
from vta import ops, rpc, te, top, topi
from vta.build_module import build
from vta.compat import conv2d_nchw_python, conv2d_transpose_nchw_python, tvm
from vta.environment import Environment
from vta.errors import DeviceError, NotProvidedError, OperatorError, TensorError, VTAError

A = te.placeholder((4, 8), "int32", "A")


def test_operations() -> None:
    shifted = topi.right_shift(A, 8)
    op = topi.cast(shifted, "int8").op
    assert op.input_tensors == [shifted] and A.op.input_tensors == [] and op.num_outputs == 1
    assert op.same_as(op) and not op.same_as(shifted.op)
    assert isinstance(op, te.ComputeOp) and isinstance(A.op, te.PlaceholderOp)
    assert isinstance(op, te.Operation)


def test_tags() -> None:
    def twice() -> te.Tensor:
        return te.compute(A.shape, lambda *i: A(*i) * 2)

    assert twice().op.tag == ""
    with te.tag_scope("mine"):
        assert twice().op.tag == "mine" and topi.add(A, 1).op.tag == "elemwise"
        with te.tag_scope(tag="inner"):
            assert twice().op.tag == "inner"
        assert te.compute(A.shape, lambda *i: A(*i), tag="own").op.tag == "own"
    assert te.tag_scope(tag=topi.tag.INJECTIVE + ",x")(twice)().op.tag == "injective,x"
    assert topi.tag.is_broadcast(topi.add(A, A).op.tag)
    assert topi.tag.is_injective(topi.nn.pad(A, [1, 1]).op.tag)
    assert not topi.tag.is_broadcast("injective,pad") and not topi.tag.is_injective("")
    with pytest.raises(TensorError, match="tag is 3; must be a string"):
        te.tag_scope(3)


def test_inlining_what_reduces_nothing() -> None:
    padded = topi.nn.pad(A, [1, 1])
    doubled = topi.multiply(padded, 2)
    kept = topi.add(doubled, 1)
    total = te.compute(kept.shape, lambda *i: kept(*i) + doubled(*i))
    s = te.create_schedule(total.op)
    s[kept].set_scope(vta.get_env().acc_scope)
    te.schedule.AutoInlineInjective(s)
    stages = [s[tensor] for tensor in (A, padded, doubled, kept, total)]
    assert [stage.attach.kind for stage in stages] == ["root", "inline", "inline", "root", "root"]


def test_constants_and_shapes() -> None:
    assert str(tvm.tir.const(3, "int8") + 1) == "4" and te.const(3).dtype == "int32"
    with pytest.raises(TensorError, match="the constant 300 does not fit int8"):
        tvm.tir.const(300, "int8")
    shape = topi.utils.get_const_tuple(np.array([2, 3]))
    assert shape == (2, 3) and all(type(extent) is int for extent in shape)
    with pytest.raises(TensorError, match="is no integer; shapes are static"):
        topi.utils.get_const_tuple((2, te.var("n")))


def test_targets() -> None:
    target = tvm.target.Target(vta.get_env().target, host="llvm")
    assert target.keys == ["vta", "cpu"] and target.host == "llvm" and str(target.kind) == "ext_dev"


def test_arrays() -> None:
    device = rpc.LocalSession(TINY).ext_dev(0)
    values = np.arange(6, dtype=np.int8)
    for x in (tvm.nd.array(values, device), tvm.nd.array(values, ctx=device)):
        np.testing.assert_array_equal(x.asnumpy(), values)
    assert not tvm.nd.empty((2, 3), "int8", ctx=device).numpy().any()
    assert tvm.nd.empty((2, 3), dtype="int8", device=device).ctx is device
    with pytest.raises(DeviceError, match=r"tvm.nd.array: device and ctx are missing; one of them"):
        tvm.nd.array(values)
    with pytest.raises(DeviceError, match=r"tvm.nd.empty: device and ctx are both given"):
        tvm.nd.empty((2,), "int8", device, device)


@pytest.mark.parametrize("name", ["autotvm", "relay", "auto_scheduler", "meta_schedule", "relax"])
def test_what_is_not_provided_says_what_to_use(name: str) -> None:
    with pytest.raises(NotProvidedError, match=rf"tvm\.{name} is no part of .*docs/[\w/-]+\.md"):
        getattr(tvm, name)
    with pytest.raises(NotProvidedError, match=rf"tvm\.{name} is no part of"):
        exec(f"from vta.compat import {name}", {})
    assert issubclass(NotProvidedError, VTAError) and issubclass(NotProvidedError, ImportError)


def test_other_names_are_attribute_errors() -> None:
    with pytest.raises(
        AttributeError, match=r"vta\.compat\.tvm has no frobnicate; it has build, con"
    ):
        tvm.frobnicate  # noqa: B018
    assert not hasattr(tvm, "frobnicate")
    with pytest.raises(ImportError, match="cannot import name 'frobnicate'"):
        exec("from vta.compat import frobnicate", {})


# ---- vta.testing.run -----------------------------------------------------------------------------


def used(env: Environment, remote: rpc.LocalSession) -> None:
    """What a test program does with its session."""
    arrays, expected = vadd_arrays(remote.device("ext_dev"))
    vadd_module()(*arrays)
    np.testing.assert_array_equal(arrays[-1], expected)
    CALLS.append((env, repr(remote)))


CALLS: list[tuple[Environment, str]] = []


def test_run_is_on_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VTA_RPC_HOST", raising=False)
    CALLS.clear()
    with Environment(TINY) as env:
        vta.testing.run(used)
    assert [call[0] for call in CALLS] == [env] and "LocalSession" in CALLS[0][1]


def test_run_is_on_the_server_of_the_variables(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    CALLS.clear()
    with serving(tmp_path / "state") as server, Environment(TINY) as env:
        monkeypatch.setenv("VTA_RPC_HOST", "127.0.0.1")
        monkeypatch.setenv("VTA_RPC_PORT", str(server.port))
        monkeypatch.setenv("VTA_RPC_TOKEN", server.token.text)
        vta.testing.run(used)
    assert [call[0] for call in CALLS] == [env] and f":{server.port}" in CALLS[0][1]


# ---- convolutions --------------------------------------------------------------------------------


def slow_convolution(data, kernel, stride, pads, groups):
    """The definition, value by value."""
    (n, _, h, w), (outputs, per_group, kh, kw) = data.shape, kernel.shape
    top, left, bottom, right = pads
    oh, ow = ((h + top + bottom - kh) // stride[0] + 1, (w + left + right - kw) // stride[1] + 1)
    out = np.zeros((n, outputs, oh, ow), data.dtype)
    for image, o, y, x in np.ndindex(out.shape):
        for c, ky, kx in np.ndindex(per_group, kh, kw):
            row, column = y * stride[0] + ky - top, x * stride[1] + kx - left
            if 0 <= row < h and 0 <= column < w:
                channel = o // (outputs // groups) * per_group + c
                out[image, o, y, x] += data[image, channel, row, column] * kernel[o, c, ky, kx]
    return out


@pytest.mark.parametrize(
    ("stride", "padding", "pads", "groups"),
    [
        (1, 1, (1, 1, 1, 1), 1),
        ((2, 1), (1, 0), (1, 0, 1, 0), 2),
        (1, (0, 1, 2, 1), (0, 1, 2, 1), 4),
    ],
)
def test_convolution(stride, padding, pads, groups) -> None:
    rng = np.random.default_rng(0)
    data = rng.integers(-9, 9, (2, 4, 5, 6)).astype(np.int32)
    kernel = rng.integers(-9, 9, (8, 4 // groups, 3, 2)).astype(np.int32)
    out = conv2d_nchw_python(data, kernel, stride, padding, groups)
    strides = (stride, stride) if isinstance(stride, int) else stride
    np.testing.assert_array_equal(out, slow_convolution(data, kernel, strides, pads, groups))
    assert out.dtype == data.dtype


@pytest.mark.parametrize(
    ("stride", "padding", "more"), [(1, 0, 0), (2, 1, (1, 1)), ((3, 2), (1, 0, 0, 1), (2, 0))]
)
def test_transposed_convolution(stride, padding, more) -> None:
    """As a convolution of the data with zeros between its values, the kernel turned round."""
    rng = np.random.default_rng(0)
    data = rng.integers(-9, 9, (2, 3, 4, 5)).astype(np.int32)
    kernel = rng.integers(-9, 9, (3, 2, 3, 3)).astype(np.int32)
    sy, sx = (stride, stride) if isinstance(stride, int) else stride
    top, left, bottom, right = (padding,) * 4 if isinstance(padding, int) else padding
    my, mx = (more, more) if isinstance(more, int) else more
    apart = np.zeros((2, 3, 3 * sy + 1, 4 * sx + 1), np.int32)
    apart[:, :, ::sy, ::sx] = data
    pads = (2 - top, 2 - left, 2 - bottom + my, 2 - right + mx)
    turned = kernel.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
    np.testing.assert_array_equal(
        conv2d_transpose_nchw_python(data, kernel, stride, padding, more),
        slow_convolution(apart, turned, (1, 1), pads, 1),
    )


def test_shapes_that_do_not_fit_are_named() -> None:
    data, kernel = np.ones((1, 4, 5, 5), np.int32), np.ones((4, 4, 3, 3), np.int32)
    with pytest.raises(TensorError, match="and 2 groups; data must have 4 channels a group"):
        conv2d_nchw_python(data, kernel, 1, 1, groups=2)
    with pytest.raises(TensorError, match=r"stride is \(1, 2, 3\); must be an integer or"):
        conv2d_nchw_python(data, kernel, (1, 2, 3), 1)
    with pytest.raises(TensorError, match="the first dimension of the kernel must be the channels"):
        conv2d_transpose_nchw_python(data[:, :3], kernel, 1, 1)
    with pytest.raises(TensorError, match="output_padding is 2; must be less than the stride"):
        conv2d_transpose_nchw_python(data, kernel, 2, 1, 2)


def test_layers_forward_to_the_operator_library():
    rule = ops.Requantise(8)
    op = top.conv2d_packed((1, 16, 6, 6), 16, 3, requantise=rule)
    assert isinstance(op, ops.Operator) and top.schedule_conv2d_packed(op) is op.schedule
    assert topi.nn.conv2d is top.conv2d_packed is top.group_conv2d_packed is ops.conv2d
    assert topi.nn.dense is top.dense_packed is ops.dense
    assert build(top.schedule_conv2d_packed(op), op.args).program.instructions
    with pytest.raises(OperatorError, match=r"schedule: 3 is no operator; must be what vta.top"):
        top.schedule_dense_packed(3)
    with pytest.raises(NotProvidedError, match=r"no vta\.top\.graph_pack: .*use vta\.ops"):
        _ = top.graph_pack
