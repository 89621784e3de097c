"""ONNX files that are read, and those that are refused: errors name the node or the tensor."""

import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.networks import differing, integer
from tests.support.onnx_models import by_onnxruntime, digits, inputs_of, quantised
from vta import rpc
from vta.compiler.frontend.onnx_import import import_onnx
from vta.compiler.graph.compile_network import compile_network
from vta.compiler.graph.pipeline import integer_graph
from vta.config import VTAConfig
from vta.errors import ModelError
from vta.network_check import check_network
from vta.runtime.network import NetworkModule

MACHINE = VTAConfig(target="sim")


@pytest.fixture(scope="module")
def int8(tmp_path_factory):
    return onnx.load(quantised(digits(size=8), tmp_path_factory.mktemp("a model")))


@pytest.fixture
def model(int8):
    copy = onnx.ModelProto()
    copy.CopyFrom(int8)
    return copy


def refused(made, path, **more):
    onnx.save(made, path / "m.onnx")
    with pytest.raises(ModelError) as caught:
        integer_graph(import_onnx(path / "m.onnx", **more))
    return str(caught.value)


def node(made, name):
    return next(item for item in made.graph.node if item.name == name)


def weight(made, name):
    return next(item for item in made.graph.initializer if item.name == name)


def test_an_open_extent_needs_a_value(model, tmp_path):
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    text = refused(model, tmp_path)
    assert "input x has shape batchx1x8x8; every extent must be a positive number" in text
    assert "--shape x=1,..." in text
    assert import_onnx(tmp_path / "m.onnx", {"x": (1, 1, 8, 8)})["x"].shape == (1, 1, 8, 8)
    text = refused(model, tmp_path, shapes={"x": (1, 1, 9, 8)})
    assert "input x is given shape (1, 1, 9, 8); the model has batchx1x8x8" in text
    assert "the inputs are x" in refused(model, tmp_path, shapes={"x": (1, 1, 8, 8), "z": (1,)})


def test_an_extent_with_a_name_is_the_same_in_every_input(tmp_path):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["y"], "add")],
        "names",
        [value(name, TensorProto.FLOAT, [1, "words", 4]) for name in "ab"],
        [value("y", TensorProto.FLOAT, [1, "words", 4])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, tmp_path / "m.onnx")
    found = import_onnx(tmp_path / "m.onnx", {"b": (1, 6, 4)})
    assert found["a"].shape == found["b"].shape == (1, 6, 4)
    text = refused(made, tmp_path, shapes={"a": (1, 6, 4), "b": (1, 7, 4)})
    assert "extent words is 6 in the shape given for a, 7 in that for b; must be the same" in text


@pytest.mark.parametrize("mark", ["?", "None", "-1"])
def test_marks_of_open_extents_are_no_names(mark, tmp_path):
    """Some exporters write the same mark for all open extents, which differ."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", ["a"], ["y"], "relu")], "marks",
        [value("a", TensorProto.FLOAT, [1, 3, mark, mark])],
        [value("y", TensorProto.FLOAT, [1, 3, mark, mark])],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, tmp_path / "m.onnx")
    found = import_onnx(tmp_path / "m.onnx", {"a": (1, 3, 48, 192)})
    assert found["a"].shape == (1, 3, 48, 192)


def test_a_weight_that_is_not_finite(model, tmp_path):
    scale = next(item for item in model.graph.initializer if item.name.endswith("w1_scale"))
    scale.CopyFrom(
        numpy_helper.from_array(np.full_like(numpy_helper.to_array(scale), np.nan), scale.name)
    )
    assert "w1_scale holds a value that is not finite" in refused(model, tmp_path)


def test_a_scale_that_is_computed(model, tmp_path):
    quantize = node(model, "x_QuantizeLinear")
    model.graph.node.insert(0, helper.make_node("Identity", [quantize.input[1]], ["s"]))
    model.graph.node[0].op_type = "Flatten"
    model.graph.node[0].input[0] = "x"
    quantize.input[1] = "s"
    assert "x_QuantizeLinear" in refused(model, tmp_path)


def test_a_cycle(model, tmp_path):
    node(model, "x_QuantizeLinear").input[0] = "y"
    assert "not a valid ONNX model" in refused(model, tmp_path)


def test_data_outside_the_folder(model, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(4096))
    (tmp_path / "inner").mkdir()
    for place in ("../secret", str(tmp_path / "secret"), "..\\secret", ""):
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        tensor = changed.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        del tensor.external_data[:]
        tensor.external_data.add(key="location", value=place)
        (tmp_path / "inner" / "m.onnx").write_bytes(changed.SerializeToString())
        with pytest.raises(ModelError, match="must be a file in the model's folder"):
            import_onnx(tmp_path / "inner" / "m.onnx")


def _external(model, folder, count=1, **entries):
    """The model with the data of initializers in the file ``data``."""
    for tensor in model.graph.initializer[:count]:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        del tensor.external_data[:]
        for key, value in {"location": "data", **entries}.items():
            tensor.external_data.add(key=key, value=value)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return folder / "m.onnx"


def test_data_that_are_too_many(model, tmp_path):
    """Together; a file with a hole takes no memory."""
    with (tmp_path / "data").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(ModelError, match="data in files of more than 2147483647 bytes"):
        import_onnx(_external(model, tmp_path, 2, length=str(1 << 30)))


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"length": "4097"}, "4097 bytes at 0 of data, which has 4096 bytes"),
        ({"offset": "4090", "length": "8"}, "8 bytes at 4090 of data, which has 4096 bytes"),
        ({"offset": "-1"}, "must be numbers of bytes"),
        ({"length": "many"}, "must be numbers of bytes"),
        ({"location": "none"}, "none is no file"),
        ({"location": "pipe"}, "pipe is no file"),
    ],
)
def test_data_that_a_file_does_not_have(model, tmp_path, entries, said):
    (tmp_path / "data").write_bytes(bytes(4096))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelError, match=said):
        import_onnx(_external(model, tmp_path, **entries))


def test_data_beside_the_model(model, tmp_path):
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, size_threshold=0)
    assert [item.name for item in tmp_path.iterdir()] != ["m.onnx"]
    graph, whole = integer(tmp_path / "m.onnx"), tmp_path / "whole"
    whole.mkdir()
    again = onnx.load(tmp_path / "m.onnx")
    onnx.save(again, whole / "m.onnx")
    inputs = inputs_of(digits(size=8), 1)
    module = NetworkModule(compile_network(graph, MACHINE), rpc.LocalSession(MACHINE).ext_dev(0))
    assert not differing(integer(whole / "m.onnx"), module, inputs)[0]


@pytest.mark.parametrize("version", [10, 99])
def test_another_opset(model, tmp_path, version):
    model.opset_import[0].version = version
    assert f"opset {version}; must be 11 to 28" in refused(model, tmp_path)


def test_weights_with_a_zero_point(model, tmp_path):
    zero = next(item for item in model.graph.initializer if item.name.endswith("w2_zero_point"))
    values = numpy_helper.to_array(zero).copy()
    values[...] = 3
    zero.CopyFrom(numpy_helper.from_array(values, zero.name))
    text = refused(model, tmp_path)
    assert "node conv2 (Conv) weights w2_quantized have a zero point that is not 0" in text


def test_a_mask_of_dropout(model, tmp_path):
    model.graph.node.append(helper.make_node("Dropout", ["y"], ["z", "mask"], "drop"))
    model.graph.output.append(helper.make_tensor_value_info("mask", TensorProto.BOOL, [1, 10]))
    text = refused(model, tmp_path)
    assert "node drop (Dropout): has a second result (mask); only the values are supported" in text


def test_dropout_in_training(model, tmp_path):
    pool = next(item for item in model.graph.node if item.op_type == "MaxPool")
    true = numpy_helper.from_array(np.array(True), "training")
    ratio = numpy_helper.from_array(np.array(0.5, np.float32), "ratio")
    model.graph.initializer.extend([true, ratio])
    dropped = [pool.input[0], "ratio", "training"]
    model.graph.node.insert(
        list(model.graph.node).index(pool),
        helper.make_node("Dropout", dropped, ["dropped"], "dropout"),
    )
    pool.input[0] = "dropped"
    assert "node dropout (Dropout): input training_mode is true; must be false" in refused(
        model, tmp_path
    )


@pytest.mark.parametrize(
    ("operator", "attribute", "value", "said"),
    [
        ("x_QuantizeLinear", "output_dtype", TensorProto.UINT8, "but the zero point is int8"),
        ("x_QuantizeLinear", "output_dtype", TensorProto.INT16, "attribute output_dtype is 5"),
        ("x_QuantizeLinear", "precision", TensorProto.FLOAT16, "attribute precision is 10"),
        ("y_DequantizeLinear", "output_dtype", TensorProto.FLOAT16, "attribute output_dtype is 10"),
    ],
)
def test_types_of_quantisation(model, tmp_path, operator, attribute, value, said):
    model.opset_import[0].version = 25
    node(model, operator).attribute.append(helper.make_attribute(attribute, value))
    assert said in refused(model, tmp_path)


def test_an_output_dtype_instead_of_a_zero_point(model, tmp_path):
    model.opset_import[0].version = 25
    quantize = node(model, "x_QuantizeLinear")
    del quantize.input[2]
    quantize.attribute.append(helper.make_attribute("output_dtype", TensorProto.INT8))
    onnx.save(model, tmp_path / "m.onnx")
    assert import_onnx(tmp_path / "m.onnx")[quantize.output[0]].dtype == "int8"


def qlinear(weights, zero):
    """A convolution that reads and writes uint8."""
    one = {"s": np.float32(0.05), "z": np.uint8(100), "sw": np.float32(0.02), "zw": zero,
           "sy": np.float32(0.1), "zy": np.uint8(140)}  # fmt: skip
    conv = helper.make_node(
        "QLinearConv", ["x", "s", "z", "w", "sw", "zw", "sy", "zy"], ["y"], "conv", pads=[1] * 4
    )
    graph = helper.make_graph(
        [conv], "g",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 3, 6, 5])],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, [1, 7, 6, 5])],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in {**one, "w": weights}.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_inputs_outputs_and_weights_of_uint8(tmp_path, kind):
    rng = np.random.default_rng(7)
    middle = 128 if kind == "uint8" else 0
    weights = (rng.integers(-128, 128, (7, 3, 3, 3)) + middle).astype(kind)
    path = tmp_path / "m.onnx"
    onnx.save(qlinear(weights, np.array(middle, kind)), path)
    graph = integer(path)
    network = compile_network(graph, MACHINE)
    check_network(network)
    x = rng.integers(0, 256, (1, 3, 6, 5)).astype(np.uint8)
    module = NetworkModule(network, rpc.LocalSession(MACHINE).ext_dev(0))
    wrong, ran = differing(graph, module, {"x": x})
    assert not wrong
    got, want = ran.outputs["y"], by_onnxruntime(path, {"x": x})["y"]
    assert got.dtype == want.dtype == np.uint8
    assert np.abs(got.astype(int) - want).max() <= 1
    assert len(np.unique(want)) > 50


def test_uint8_that_the_host_moves(tmp_path):
    """Axes are turned before the first node and after the last, and a cast reads what is stored."""
    rng = np.random.default_rng(8)
    made = qlinear(rng.integers(-128, 128, (7, 3, 3, 3)).astype(np.int8), np.int8(0))
    graph, value = made.graph, helper.make_tensor_value_info
    graph.node.insert(0, helper.make_node("Transpose", ["nhwc"], ["x"], "turn", perm=[0, 3, 1, 2]))
    graph.node.extend([
        helper.make_node("Identity", ["y"], ["same"], "copy"),
        helper.make_node("Transpose", ["y"], ["back"], "back", perm=[0, 2, 3, 1]),
        helper.make_node("Cast", ["y"], ["numbers"], "numbers", to=TensorProto.FLOAT),
    ])  # fmt: skip
    del graph.input[:], graph.output[:]
    graph.input.append(value("nhwc", TensorProto.UINT8, [1, 6, 5, 3]))
    graph.output.extend([
        value("same", TensorProto.UINT8, [1, 7, 6, 5]), value("y", TensorProto.UINT8, [1, 7, 6, 5]),
        value("back", TensorProto.UINT8, [1, 6, 5, 7]),
        value("numbers", TensorProto.FLOAT, [1, 7, 6, 5]),
    ])  # fmt: skip
    onnx.save(made, path := tmp_path / "m.onnx")
    found = integer(path)
    network = compile_network(found, MACHINE)
    check_network(network)
    inputs = {"nhwc": rng.integers(0, 256, (1, 6, 5, 3)).astype(np.uint8)}
    module = NetworkModule(network, rpc.LocalSession(MACHINE).ext_dev(0))
    wrong, ran = differing(found, module, inputs)
    assert not wrong
    for name, want in by_onnxruntime(path, inputs).items():
        got = ran.outputs[name]
        assert got.dtype == want.dtype
        assert np.abs(got.astype(int) - want.astype(int)).max() <= 1, name
        assert len(np.unique(want)) > 50


def test_weights_of_uint8_must_be_centred(tmp_path):
    weights = np.zeros((7, 3, 3, 3), np.uint8)
    text = refused(qlinear(weights, np.uint8(5)), tmp_path)
    assert "weights w have a zero point that is not 128" in text


@pytest.mark.parametrize("shape", [(), (1,), (10,), (1, 10), (10, 1), (3,)])
def test_shapes_of_a_bias(tmp_path, shape):
    rng = np.random.default_rng(3)
    made = digits(size=8)
    bias = weight(made, "b3")
    path = quantised(made, tmp_path)
    model = onnx.load(path)
    name = node(model, "fc").input[2]
    source = next(item for item in model.graph.node if name in item.output)
    source.op_type, source.name = "Identity", "bias"
    del source.input[1:], source.attribute[:]
    source.input[0] = "real_bias"
    values = rng.normal(0, 1, shape).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(values, "real_bias"))
    assert bias.dims == [10]
    if shape in ((10, 1), (3,)):
        assert "must be one number, or one for each of 10 channels" in refused(model, tmp_path)
        return
    onnx.save(model, path)
    graph, inputs = integer(path), inputs_of(made, 2)
    module = NetworkModule(compile_network(graph, MACHINE), rpc.LocalSession(MACHINE).ext_dev(0))
    wrong, ran = differing(graph, module, inputs)
    assert not wrong
    want, got = by_onnxruntime(path, inputs)["y"], ran.outputs["y"]
    scale = np.abs(want[want != 0]).min()
    assert np.abs(got - want).max() <= max(1.001 * scale, 0.05)
