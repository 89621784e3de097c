"""Operators of networks that read sequences, on the host, against onnxruntime."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.networks import differing, integer
from tests.support.onnx_models import by_onnxruntime
from tests.support.sequence_models import TYPES, encoder, model, words
from vta import rpc
from vta.calibration import calibration_inputs
from vta.compiler.frontend.onnx_import import import_model
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.errors import ModelError, NetworkError
from vta.float_model import with_bias_in_products
from vta.host_operators import run_host_operator
from vta.network_check import check_network
from vta.network_file import network_bytes, network_from_bytes
from vta.quantization import quantise
from vta.runtime.network import NetworkModule
from vta.smoothing import smoothed

node = helper.make_node


def outputs_on_the_model(made, inputs, folder):
    """Outputs on the reference model, which equal the interpreter's, and onnxruntime's."""
    path = folder / "sequence.onnx"
    onnx.save(made, path)
    graph, cfg = integer(path), VTAConfig(target="sim")
    network = network_from_bytes(network_bytes(compile_network(graph, cfg)))
    check_network(network)
    wrong, ran = differing(graph, NetworkModule(network, rpc.LocalSession(cfg).ext_dev(0)), inputs)
    assert not wrong
    return ran.outputs, by_onnxruntime(path, inputs)


RNG = np.random.default_rng(0)
REAL = RNG.normal(0, 2, (2, 3, 8)).astype(np.float32)
IDS = np.array([[0, 4, -1], [2, 2, 3]], np.int64)
MASK = np.array([[1, 1, 0]], np.int64)
TABLE = RNG.normal(0, 1, (5, 8)).astype(np.float32)
#: Of each case: nodes, inputs, constants.
CASES = {
    "rows of a table": (
        [node("Gather", ["table", "ids"], ["y"], axis=0)], {"ids": IDS}, {"table": TABLE}),
    "columns": (
        [node("Gather", ["x", "one"], ["y"], axis=-1)], {"x": REAL},
        {"one": np.array([3, -2], np.int64)}),
    "an element of an axis": (
        [node("Gather", ["x", "first"], ["y"], axis=1)], {"x": REAL},
        {"first": np.array(0, np.int64)}),
    "norm": (
        [node("LayerNormalization", ["x", "scale", "bias"], ["y"], epsilon=1e-3)], {"x": REAL},
        {"scale": TABLE[0], "bias": TABLE[1]}),
    "norm of two axes without bias": (
        [node("LayerNormalization", ["x", "scale"], ["y"], axis=1)], {"x": REAL},
        {"scale": TABLE[:3]}),
    "norm in its parts": (
        [node("ReduceMean", ["x"], ["m"], axes=[-1]), node("Sub", ["x", "m"], ["d"]),
         node("Pow", ["d", "two"], ["s"]), node("ReduceMean", ["s"], ["v"], axes=[-1]),
         node("Add", ["v", "eps"], ["w"]), node("Sqrt", ["w"], ["q"]),
         node("Div", ["d", "q"], ["y"])],
        {"x": REAL}, {"two": np.float32(2), "eps": np.float32(1e-5)}),
    "a mask": (
        [node("Cast", ["mask"], ["m"], to=TensorProto.FLOAT), node("Sub", ["one", "m"], ["p"]),
         node("Mul", ["p", "low"], ["q"]), node("Unsqueeze", ["q", "axes"], ["r"]),
         node("Add", ["x", "r"], ["s"]), node("Softmax", ["s"], ["y"], axis=1)],
        {"mask": MASK, "x": REAL},
        {"one": np.float32(1), "low": np.float32(-10000), "axes": np.array([2], np.int64)}),
    "a choice": (
        [node("Cast", ["mask"], ["m"], to=TensorProto.BOOL), node("Unsqueeze", ["m", "a"], ["c"]),
         node("Where", ["c", "x", "low"], ["y"])],
        {"mask": MASK, "x": REAL}, {"low": np.float32(-9), "a": np.array([2], np.int64)}),
    "sums": (
        [node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)], {"x": REAL},
        {"axes": np.array([-1, 0], np.int64)}),
    "the last part": (
        [node("Split", ["x"], ["z", "y"], axis=-1)], {"x": REAL}, {}),
    "unequal parts": (
        [node("Split", ["x", "sizes"], ["a", "b", "c"], axis=2),
         node("Concat", ["c", "a", "b"], ["y"], axis=2)],
        {"x": REAL}, {"sizes": np.array([1, 5, 2], np.int64)}),
    "a shape": (
        [node("Shape", ["x"], ["s"], start=1), node("Reshape", ["t", "s"], ["r"]),
         node("Add", ["x", "r"], ["y"])],
        {"x": REAL}, {"t": RNG.normal(0, 1, 24).astype(np.float32)}),
    "expanded": (
        [node("Expand", ["x", "shape"], ["y"])], {"x": REAL},
        {"shape": np.array([4, 1, 3, 1], np.int64)[[1, 2, 3]]}),
    "arithmetic of integers": (
        [node("Add", ["ids", "two"], ["a"]), node("Mul", ["a", "ids"], ["b"]),
         node("Sub", ["two", "b"], ["c"]), node("Max", ["c", "ids"], ["d"]),
         node("Concat", ["d", "ids", "row"], ["y"], axis=0)],
        {"ids": IDS}, {"two": np.array(2, np.int64), "row": np.array([[7, 8, 9]], np.int64)}),
    "comparisons": (
        [node("Equal", ["ids", "two"], ["a"]), node("Less", ["ids", "two"], ["b"]),
         node("Or", ["a", "b"], ["c"]), node("GreaterOrEqual", ["ids", "zero"], ["d"]),
         node("Not", ["d"], ["e"]), node("Greater", ["ids", "two"], ["f"]),
         node("LessOrEqual", ["f2", "x2"], ["g"]), node("And", ["c", "g"], ["h"]),
         node("Or", ["e", "f"], ["i"]), node("Concat", ["h", "i"], ["y"], axis=1)],
        {"ids": IDS, "x2": REAL[:, :, 0]},
        {"two": np.array(2, np.int64), "zero": np.array(0, np.int64), "f2": np.float32(0.5)}),
    "numbers to numbers": (
        [node("Cast", ["ids"], ["a"], to=TensorProto.INT32),
         node("Cast", ["a"], ["y"], to=TensorProto.FLOAT)], {"ids": IDS}, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_on_the_host(name, tmp_path):
    nodes, inputs, constants = CASES[name]
    got, want = outputs_on_the_model(model(nodes, inputs, constants), inputs, tmp_path)
    assert got["y"].dtype == want["y"].dtype
    np.testing.assert_allclose(got["y"], want["y"], rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("chosen", [True, False])
def test_a_mask_of_infinity(chosen, tmp_path):
    """As PyTorch exports attention: scores that softmax must not see are minus infinity."""
    masked = np.triu(np.ones((3, 3), bool), 1)
    added = np.where(masked, np.float32(-np.inf), np.float32(0))
    if chosen:
        nodes = [node("Where", ["mask", "low", "s"], ["m"])]
        constants = {"mask": masked, "low": np.float32(-np.inf)}
    else:
        nodes, constants = [node("Add", ["s", "added"], ["m"])], {"added": added}
    nodes = [node("Transpose", ["x"], ["t"], perm=[0, 2, 1]), node("MatMul", ["x", "t"], ["s"]),
             *nodes, node("Softmax", ["m"], ["y"])]  # fmt: skip
    onnx.save(model(nodes, {"x": REAL}, constants), tmp_path / "real.onnx")
    quantise(tmp_path / "real.onnx", tmp_path / "int8.onnx", [{"x": REAL}])
    got, want = outputs_on_the_model(onnx.load(tmp_path / "int8.onnx"), {"x": REAL}, tmp_path)
    np.testing.assert_allclose(got["y"], want["y"], atol=1e-5)
    assert (got["y"][:, masked] == 0).all()


@pytest.mark.parametrize("opset", [11, 13])
@pytest.mark.parametrize("attributes", [{}, {"axis": 1}, {"axis": 0}, {"axis": -1}])
@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
def test_softmax_of_each_version(kind, opset, attributes, tmp_path):
    """Before opset 13 the default is axis 1, and later axes belong to it."""
    values = 20 * REAL if kind == "LogSoftmax" else REAL  # whose powers overflow
    made = model([node(kind, ["x"], ["y"], **attributes)], {"x": values}, {}, opset=opset)
    got, want = outputs_on_the_model(made, {"x": values}, tmp_path)
    np.testing.assert_allclose(got["y"], want["y"], rtol=2e-6, atol=2e-6)


REFUSED = {
    "an index out of range": (
        [node("Gather", ["x", "i"], ["y"], axis=1)], {"x": REAL}, {"i": np.array([3], np.int64)},
        "indices i are 3 to 3; axis 1 has 3 elements"),
    "a type": (
        [node("Cast", ["x"], ["y"], to=TensorProto.DOUBLE)], {"x": REAL}, {},
        "attribute to is 11; must be float32"),
    "parts": (
        [node("Split", ["x", "n"], ["y", "z"], axis=2)], {"x": REAL},
        {"n": np.array([3, 4], np.int64)}, r"parts are \[3, 4\]; must be 2 positive numbers"),
    "a part that is smaller": (
        [node("Split", ["x"], ["y", "z", "w"], axis=2)], {"x": REAL}, {},
        "3 parts of 8 elements; must be equal"),
    "an axis": (
        [node("ReduceSum", ["x", "axes"], ["y"])], {"x": REAL}, {"axes": np.array([7], np.int64)},
        "ReduceSum.*: axis is 7; must be -3 to 2, of 3 dimensions"),
    "an axis twice": (
        [node("Unsqueeze", ["x", "axes"], ["y"])], {"x": REAL},
        {"axes": np.array([1, -4], np.int64)}, r"axes are \[1, 1\]; must have each once"),
    "sums of bool": (
        [node("Cast", ["x"], ["c"], to=TensorProto.BOOL),
         node("ReduceSum", ["c", "axes"], ["y"])], {"x": REAL}, {"axes": np.array([1], np.int64)},
        "c is bool; must be numbers"),
    "softmax of integers": (
        [node("Softmax", ["ids"], ["y"])], {"ids": IDS}, {}, "ids is int64; must be float32"),
    "quotients of integers": (
        [node("Div", ["ids", "ids"], ["y"])], {"ids": IDS}, {}, "ids is int64; must be float32"),
    "sums of two types": (
        [node("Add", ["ids", "one"], ["y"])], {"ids": IDS}, {"one": np.array(1, np.int32)},
        "one is int32; must be int64, as the first is"),
    "a comparison of two types": (
        [node("Less", ["ids", "one"], ["y"])], {"ids": IDS}, {"one": np.array(1, np.int32)},
        "types are int64, int32; must be twice the same"),
    "no bool": ([node("Not", ["ids"], ["y"])], {"ids": IDS}, {}, "ids is int64; must be bool"),
    "parts of two types": (
        [node("Concat", ["ids", "k"], ["y"], axis=0)], {"ids": IDS},
        {"k": np.ones((1, 3), np.int32)}, "k is int32; must be int64, as ids"),
    "a choice of numbers": (
        [node("Where", ["x", "x", "x"], ["y"])], {"x": REAL}, {}, "types are float32, float32"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    nodes, inputs, constants, said = REFUSED[name]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "sequence",
        [value(key, TYPES[x.dtype.name], x.shape) for key, x in inputs.items()],
        [value("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, key) for key, v in constants.items()],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    with pytest.raises(ModelError, match=said):
        import_model(made, "sequence")


@pytest.mark.parametrize("index", [5, -6])
def test_an_index_of_a_run_out_of_range(index):
    with pytest.raises(
        NetworkError, match=r"host operator gather of .*: indices are .* must be -5 to 4"
    ):
        run_host_operator("gather", [TABLE, np.array([index], np.int64)], {"axis": 0})


def test_a_network_with_several_inputs(tmp_path):
    """Samples are .npz files; masks, norms and sums that they read stay real numbers."""
    (folder := tmp_path / "samples").mkdir()
    for seed in range(8):
        np.savez(folder / f"{seed}.npz", **words(seed))
    onnx.save(encoder(), tmp_path / "float.onnx")
    samples = calibration_inputs(folder, tmp_path / "float.onnx", None)
    report = quantise(tmp_path / "float.onnx", tmp_path / "int8.onnx", samples)
    assert report.outputs["y"] > 20
    made, inputs = onnx.load(tmp_path / "int8.onnx"), words(20)
    got, want = outputs_on_the_model(made, inputs, tmp_path)
    stored = {
        item.input[0] for item in made.graph.node if item.op_type == "QuantizeLinear"
    }  # fmt: skip
    assert not {"m", "p", "pl", "sm", "r"} & stored
    error = np.abs(got["y"] - want["y"])
    assert error.max() < 0.2 and error.mean() < 0.03


@pytest.mark.parametrize(
    "arrays, said",
    [
        ({"ids": np.zeros((1, 6), np.int64)}, "has the arrays ids; must have ids, mask"),
        ({"ids": np.zeros((1, 6), np.int32), "mask": np.zeros((1, 6), np.int64)},
         r"holds int32 of shape \(1, 6\); the input ids is int64 of shape \(1, 6\)"),
        (None, "cannot read"),
    ],
)  # fmt: skip
def test_samples_that_do_not_fit(arrays, said, tmp_path):
    (folder := tmp_path / "samples").mkdir()
    onnx.save(encoder(), tmp_path / "float.onnx")
    if arrays is None:
        (folder / "a.npz").write_bytes(b"PK nothing")
    else:
        np.savez(folder / "a.npz", **arrays)
    with pytest.raises(ModelError, match=said):
        calibration_inputs(folder, tmp_path / "float.onnx", None)


def test_one_array_for_several_inputs(tmp_path):
    (folder := tmp_path / "samples").mkdir()
    onnx.save(encoder(), tmp_path / "float.onnx")
    np.save(folder / "a.npy", np.zeros((1, 6), np.int64))
    with pytest.raises(ModelError, match=r"has one array; the model has the inputs ids, mask"):
        calibration_inputs(folder, tmp_path / "float.onnx", None)
    with pytest.raises(ModelError, match="a sample is one array; must have one for each"):
        quantise(tmp_path / "float.onnx", tmp_path / "x.onnx", [np.zeros((1, 6), np.int64)])


def test_sums_that_only_real_operators_read_are_whole(tmp_path):
    """Scores, which a softmax reads, and the product before the residual sum and the norm."""
    onnx.save(encoder(), tmp_path / "float.onnx")
    samples = [words(seed) for seed in range(8)]
    quantise(tmp_path / "float.onnx", tmp_path / "int8.onnx", samples, whole_sums=True)
    made, inputs = onnx.load(tmp_path / "int8.onnx"), words(20)
    rounded = {item.input[0] for item in made.graph.node if item.op_type == "QuantizeLinear"}
    assert {"q", "k", "v", "kt", "o", "g"} <= rounded and not {"s", "n"} & rounded
    got, want = outputs_on_the_model(made, inputs, tmp_path)
    error = np.abs(got["y"] - want["y"])
    assert error.max() < 0.2 and error.mean() < 0.03
    sums = [
        tensor for tensor in integer(tmp_path / "int8.onnx").tensors.values()
        if tensor.dtype == "int32" and not tensor.is_constant
    ]  # fmt: skip
    assert {tensor.name for tensor in sums} >= {"s.sums", "n.sums"}


def test_smoothing(tmp_path):
    """No real result changes, and a channel that is 50 times larger costs less."""
    rng = np.random.default_rng(0)
    scale = np.ones(16, np.float32)
    scale[5] = 50
    nodes = [
        node("LayerNormalization", ["x", "scale"], ["n"], "norm"),
        node("MatMul", ["n", "w"], ["p"], "product"),
        node("Add", ["p", "b"], ["y"], "bias"),
    ]
    weights = rng.normal(0, 0.3, (16, 24)).astype(np.float32)
    weights[5] /= 50
    constants = {"scale": scale, "w": weights, "b": np.ones(24, np.float32)}
    samples = [{"x": rng.normal(0, 1, (1, 6, 16)).astype(np.float32)} for _ in range(8)]
    made = with_bias_in_products(model(nodes, samples[0], constants))
    before = onnx.ModelProto()
    before.CopyFrom(made)
    after = smoothed(made, lambda names: dict.fromkeys(names, 3 * scale))
    assert [item.op_type for item in after.graph.node].count("Mul") == 1
    for name, other in (("before", before), ("after", after)):
        onnx.save(other, tmp_path / f"{name}.onnx")
    for sample in samples:
        want, got = (
            by_onnxruntime(tmp_path / f"{name}.onnx", sample)["y"] for name in ("before", "after")
        )
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    plain, better = (
        quantise(tmp_path / "before.onnx", tmp_path / "int8.onnx", samples, smooth=smooth)
        for smooth in (False, True)
    )
    assert better.outputs["y"] > plain.outputs["y"] + 6
