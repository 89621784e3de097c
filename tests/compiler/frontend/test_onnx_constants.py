"""Nodes that compute with constants alone, and nodes that nothing reads."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.support.onnx_builder import Builder
from vta.compiler.frontend.onnx_constants import folded
from vta.compiler.frontend.onnx_import import import_model, import_onnx
from vta.errors import ModelError

VERSIONS = [helper.make_opsetid("", 17)]


def fold(kind, *inputs, results=1, **attributes):
    values = {f"i{number}": np.asarray(value) for number, value in enumerate(inputs)}
    names = [f"o{number}" for number in range(results)]
    return folded(helper.make_node(kind, list(values), names, **attributes), VERSIONS, values)


def test_integers_are_divided_as_onnx_says():
    (found,) = fold("Div", np.int64([-7]), np.int64([2]))
    assert found.dtype == np.int64 and found.tolist() == [-3]


def test_several_results():
    first, second = fold("Split", np.int64([4, 5, 6]), np.int64([1, 2]), results=2, axis=0)
    assert (first.tolist(), second.tolist()) == ([4], [5, 6])


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("ConstantOfShape", [np.int64([1 << 20, 1 << 20])]),
        ("Expand", [np.float32(1), np.int64([1 << 20, 1 << 20])]),
        ("Range", [np.int64(0), np.int64(1 << 40), np.int64(1)]),
        ("Tile", [np.int64([1]), np.int64([1 << 40])]),
        ("Add", [np.zeros((1 << 14, 1), np.float32), np.zeros((1, 1 << 14), np.float32)]),
    ],
)
def test_large_constants_are_refused_before_memory_is_taken(kind, inputs):
    with pytest.raises(ModelError, match=rf"node o0 \({kind}\): .*at most 67108864 elements"):
        fold(kind, *inputs)


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("Reshape", [np.int64([1, 2, 3, 4]), np.int64([3, -1])]),
        ("Gather", [np.int64([1, 2]), np.int64(9)]),
        ("Range", [np.int64(0), np.int64(4), np.int64(0)]),
    ],
)
def test_inputs_that_do_not_fit(kind, inputs):
    with pytest.raises(ModelError, match=rf"node o0 \({kind}\): cannot compute the constant"):
        fold(kind, *inputs)


def test_a_shape_that_is_computed_of_shapes():
    """As torch.onnx writes ``x.reshape(x.shape[0], 2, x.shape[1] // 2, -1)``."""
    b = Builder()
    shape = b.op("Shape", "x")
    batch, channels = (b.op("Gather", shape, b.constant(np.int64(axis))) for axis in (0, 1))
    half = b.op("Div", channels, b.constant(np.int64(2)))
    parts = [b.op("Unsqueeze", part, b.integers(0)) for part in (batch, half)]
    whole = b.op("Concat", parts[0], b.integers(2), parts[1], b.integers(-1), axis=0)
    model = b.model(b.op("Reshape", "x", whole), [3, 8, 4, 5])
    graph = import_model(model, "shapes")
    assert [node.operator for node in graph.nodes] == ["reshape"]
    assert graph[graph.outputs[0]].shape == (3, 2, 4, 20)


def test_a_constant_of_a_shape_and_a_range():
    b = Builder()
    value = numpy_helper.from_array(np.float32([0.5]))
    halves = b.op("ConstantOfShape", b.op("Shape", "x"), value=value)
    last = b.op("Gather", b.op("Shape", "x"), b.constant(np.int64(1)))
    places = b.op("Range", b.constant(np.int64(0)), last, b.constant(np.int64(1)))
    rows = b.op("Gather", b.constant(np.eye(4, dtype=np.float32)), places)
    model = b.model(b.op("Add", b.op("Add", "x", halves), rows), [3, 3, 4])
    graph = import_model(model, "constants")
    constants = [graph[node.inputs[1]].values for node in graph.nodes]
    np.testing.assert_array_equal(constants[0], np.full((3, 3, 4), 0.5))
    np.testing.assert_array_equal(constants[1], np.eye(4)[:3])


def test_weights_that_a_node_quantises():
    """As quantisation-aware training writes them: QuantizeLinear of real weights."""
    b = Builder()
    weights = b.normal(8, 3, 1, 1)
    scale, zero = b.real(0.02), b.constant(np.int8(0))
    stored = b.op("QuantizeLinear", b.constant(weights), scale, zero)
    kernel = b.op("DequantizeLinear", stored, scale, zero)
    graph = import_model(b.model(b.op("Conv", "x", kernel), [1, 3, 4, 4]), "weights")
    assert [node.operator for node in graph.nodes] == ["dequantize", "conv2d"]
    found = graph[graph.nodes[0].inputs[0]].values
    expected = np.clip(np.rint(weights / np.float32(0.02)), -128, 127)
    np.testing.assert_array_equal(found, expected)


def test_a_computed_input_of_an_operator_for_constants():
    b = Builder()
    model = b.model(b.op("Tile", "x", b.integers(1, 2)), [1, 3])
    with pytest.raises(ModelError, match=r"node Tile_0 \(Tile\): an input is computed; all inputs"):
        import_model(model, "tile")


def test_nodes_that_nothing_reads_need_no_support():
    b = Builder()
    b.op("TopK", "x", b.integers(1), results=2)
    graph = import_model(b.model(b.relu("x"), [1, 3]), "dead")
    assert [node.operator for node in graph.nodes] == ["clip"]


def test_an_attribute_with_data_in_a_file(tmp_path, monkeypatch):
    (tmp_path / "secret").write_bytes(bytes(64))
    monkeypatch.chdir(tmp_path)
    b = Builder()
    value = numpy_helper.from_array(np.float32([1, 2, 3]))
    model = b.model(b.op("Add", "x", b.op("Constant", value=value)), [1, 3])
    tensor = model.graph.node[0].attribute[0].t
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret")
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="attribute value of node Constant_0 has its data in a"):
        import_onnx(tmp_path / "m.onnx")
