"""Nodes whose attributes or constants do not fit: each error names the node."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.onnx_builder import Builder
from tests.support.onnx_models import digits
from vta.compiler.frontend.onnx_import import import_model
from vta.compiler.frontend.onnx_model import read_model
from vta.errors import ModelError

IMAGE = [1, 3, 6, 6]


def model(b, output, shape=IMAGE, opset=17):
    """A model that shape inference would refuse."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        b.nodes, "malformed", [value("x", TensorProto.FLOAT, shape)],
        [value(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in b.constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def _conv(b, channels=8, **attributes):
    return b.op("Conv", "x", b.constant(b.normal(channels, 3, 3, 3)), **attributes)


def _transposed(b, **attributes):
    return b.op("ConvTranspose", "x", b.constant(b.normal(3, 8, 3, 3)), **attributes)


def _pad(b, rows, **attributes):
    return b.op("Pad", "x", b.integers(0, 0, rows, 0, 0, 0, 0, 0), **attributes)


def _resize(b, *, size=None, scale=None):
    if size is not None:
        return b.op("Resize", "x", "", "", b.integers(1, 3, size, 6))
    return b.op("Resize", "x", "", b.constant(np.float32([1, 1, scale, 1])))


def _norm(b, variance):
    values = [np.ones(3, np.float32)] * 3 + [np.full(3, variance, np.float32)]
    return b.op("BatchNormalization", "x", *map(b.constant, values))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda b: b.op("Reshape", "x", b.constant(np.int64(7))), "shape .* the shape \\(7,\\)"),
        (lambda b: b.op("Reshape", "x", b.real(7)), "the shape .* is float32; must be integers"),
        (lambda b: b.op("Clip", "x", b.constant(np.zeros(0, np.float32))), "must be one number"),
        (lambda b: _resize(b, size=1 << 40), "extents must be positive and have at most"),
        (lambda b: _resize(b, size=1 << 20), "1048576x6 pixels; at most 65536 a side"),
        (lambda b: _resize(b, scale=3e38), "extents must be positive and have at most"),
        (lambda b: _pad(b, 1 << 40, mode="edge"), "extents must be positive and have at most"),
        (lambda b: _pad(b, 1 << 20, mode="wrap"), "at most 65536 pixels a side"),
        (lambda b: _transposed(b, strides=[2]), "must be 2, 2 and 4 integers"),
        (lambda b: _norm(b, -1), "the variance .* is not positive"),
        (lambda b: b.op("Conv", "x", b.constant(b.normal(8, 1, 3, 3)), group=3),
         "attribute group is 3; must divide 8 channels"),
        (lambda b: b.op("Squeeze", "x", b.real(1)), "axes .* is float32; must be integers"),
    ],
)  # fmt: skip
def test_malformed(make, said):
    b = Builder()
    with pytest.raises(ModelError, match=rf"node {'.*'}{said}"):
        import_model(model(b, make(b)), "m")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(value):
    b = Builder()
    weights = b.normal(8, 3, 3, 3)
    weights[1, 2] = value
    output = b.op("Conv", "x", b.constant(weights))
    with pytest.raises(ModelError, match="tensor constant_0 holds a value that is not finite"):
        import_model(model(b, output), "m")


def test_axes_that_are_one_number():
    """Some exporters write a scalar where ONNX wants a vector."""
    b = Builder()
    graph = import_model(model(b, b.op("Squeeze", "x", b.constant(np.int64(0)))), "m")
    assert graph[graph.outputs[0]].shape == (3, 6, 6)


def test_a_group_norm_of_a_vector():
    b = Builder()
    ones = b.constant(np.ones(1, np.float32))
    output = b.op("GroupNormalization", "x", ones, ones, num_groups=1)
    with pytest.raises(ModelError, match="must have three dimensions or more"):
        import_model(model(b, output, [3], 21), "m")


def test_a_model_without_outputs(tmp_path):
    made = digits()
    del made.graph.output[:]
    onnx.save(made, tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=r"m\.onnx: the graph has no outputs"):
        read_model(tmp_path / "m.onnx")
