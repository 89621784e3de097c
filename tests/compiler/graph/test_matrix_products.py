"""Matrix products of activations and of weights, of any shape, against NumPy and onnxruntime."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.support.networks import differing, integer
from tests.support.onnx_models import by_onnxruntime
from vta import rpc
from vta.compiler.frontend.onnx_import import import_model
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.errors import ModelError
from vta.network_check import check_network
from vta.network_file import network_bytes, network_from_bytes
from vta.runtime.network import NetworkModule

MACHINES = {
    "default": VTAConfig(target="sim"),
    "batch": VTAConfig(target="sim", log_batch=1),
    "base": VTAConfig(target="sim", extension=0),
}
node = helper.make_node


def quantised(middle, inputs, shape, constants=(), *, zeros=None, dtype=np.uint8, result_zero=9):
    """A QDQ model: ``middle`` reads `a_real`, `b_real` ... and computes `z`, which is stored.

    ``inputs`` are shapes by name, ``constants`` by name: stored integers, with scales along axis
    ``axis``, or arrays of real numbers.
    """
    initial, nodes = {}, []
    for name in inputs:
        initial[f"{name}_scale"] = np.float32(0.05)
        initial[f"{name}_zero"] = dtype((zeros or {}).get(name, 0))
        nodes += [
            node("QuantizeLinear", [name, f"{name}_scale", f"{name}_zero"], [f"{name}_int"]),
            node("DequantizeLinear", [f"{name}_int", f"{name}_scale", f"{name}_zero"],
                 [f"{name}_real"]),
        ]  # fmt: skip
    for name, (values, scale, axis) in dict(constants).items():
        initial[name] = values
        initial[f"{name}_scale"] = np.asarray(scale, np.float32)
        initial[f"{name}_zero"] = np.zeros(np.shape(scale), values.dtype)
        nodes.append(
            node("DequantizeLinear", [name, f"{name}_scale", f"{name}_zero"], [f"{name}_real"],
                 axis=axis)
        )  # fmt: skip
    initial |= {"z_scale": np.float32(0.2), "z_zero": dtype(result_zero)}
    nodes += [
        *middle,
        node("QuantizeLinear", ["z", "z_scale", "z_zero"], ["z_int"]),
        node("DequantizeLinear", ["z_int", "z_scale", "z_zero"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "products",
        [value(name, TensorProto.FLOAT, own) for name, own in inputs.items()],
        [value("y", TensorProto.FLOAT, shape)],
        [onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in initial.items()],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made, full_check=True)
    return made


def steps_from_onnxruntime(made, folder, cfg, seed=0):
    """Compile, run on the reference model, compare each tensor with the interpreter; the largest
    difference from onnxruntime in steps of the result."""
    path = folder / "products.onnx"
    onnx.save(made, path)
    graph = integer(path, one_pass=bool(cfg.extension))
    network = network_from_bytes(network_bytes(compile_network(graph, cfg)))
    check_network(network)
    rng = np.random.default_rng(seed)
    inputs = {
        value.name: rng.normal(
            0, 3, [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        ).astype(np.float32)
        for value in made.graph.input
    }
    wrong, ran = differing(graph, NetworkModule(network, rpc.LocalSession(cfg).ext_dev(0)), inputs)
    assert not wrong
    assert any(layer.result for layer in ran.layers)
    return np.abs(ran.outputs["y"] - by_onnxruntime(path, inputs)["y"]).max() / 0.2


SHAPES = {
    "matrices": ((5, 7), (7, 3)),
    "pairs": ((3, 5, 7), (3, 7, 20)),
    "heads": ((2, 3, 4, 17), (2, 3, 17, 6)),
    "left is broadcast": ((4, 5), (3, 5, 2)),
    "right is broadcast": ((2, 3, 4, 5), (5, 6)),
    "both are broadcast": ((2, 1, 4, 5), (3, 5, 6)),
    "one row": ((1, 16), (16, 1)),
}


@pytest.mark.parametrize("zeros", [(128, 128), (140, 128), (128, 3), (0, 250), (0, 0)], ids=str)
@pytest.mark.parametrize("shapes", SHAPES)
def test_of_two_activations(shapes, zeros, tmp_path):
    """Zero points that are not 0 become further columns."""
    left, right = SHAPES[shapes]
    result = np.matmul(np.zeros(left), np.zeros(right)).shape
    made = quantised(
        [node("MatMul", ["a_real", "b_real"], ["z"])], {"a": left, "b": right}, result,
        zeros=dict(zip("ab", zeros)),
    )  # fmt: skip
    assert steps_from_onnxruntime(made, tmp_path, MACHINES["default"]) <= 1.001


@pytest.mark.parametrize("machine", MACHINES)
def test_on_other_machines(machine, tmp_path):
    made = quantised(
        [node("MatMul", ["a_real", "b_real"], ["z"])],
        {"a": (2, 3, 20), "b": (2, 20, 18)}, (2, 3, 18), zeros={"a": 0, "b": 3},
    )  # fmt: skip
    assert steps_from_onnxruntime(made, tmp_path, MACHINES[machine]) <= 1.001


def weights(rng, *shape):
    return rng.integers(-127, 128, shape).astype(np.int8)


@pytest.mark.parametrize("per_channel", [False, True], ids=["tensor", "channel"])
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("shape", [(1, 7), (5, 33), (2, 3, 33), (2, 2, 3, 8)], ids=str)
def test_of_weights(shape, machine, per_channel, tmp_path):
    """Rows of any number of dimensions share the weights."""
    rng = np.random.default_rng(1)
    scale = rng.uniform(0.01, 0.03, 18) if per_channel else 0.02
    made = quantised(
        [node("MatMul", ["a_real", "w_real"], ["z"])], {"a": shape}, (*shape[:-1], 18),
        {"w": (weights(rng, shape[-1], 18), scale, 1)}, zeros={"a": 117},
    )  # fmt: skip
    assert steps_from_onnxruntime(made, tmp_path, MACHINES[machine]) <= 1.001


@pytest.mark.parametrize("trans_a", [0, 1])
@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("alpha, beta", [(1.0, 1.0), (0.5, 3.0), (2.0, 0.0)])
def test_gemm(trans_a, trans_b, alpha, beta, tmp_path):
    rng = np.random.default_rng(2)
    kernel = weights(rng, *((6, 9) if trans_b else (9, 6)))
    scales = rng.uniform(0.01, 0.03, 6)
    unit = (0.05 * scales).astype(np.float32)
    bias = rng.integers(-5000, 5000, 6).astype(np.int32)
    made = quantised(
        [node("Gemm", ["a_real", "w_real", "c_real"], ["z"], alpha=alpha, beta=beta,
              transA=trans_a, transB=trans_b)],
        {"a": (9, 4) if trans_a else (4, 9)}, (4, 6),
        {"w": (kernel, scales, 1 - trans_b), "c": (bias, unit, 0)}, zeros={"a": 99},
    )  # fmt: skip
    assert steps_from_onnxruntime(made, tmp_path, MACHINES["default"]) <= 1.001


@pytest.mark.parametrize("trans_a, trans_b", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_gemm_of_two_activations(trans_a, trans_b, tmp_path):
    made = quantised(
        [node("Gemm", ["a_real", "b_real"], ["z"], transA=trans_a, transB=trans_b)],
        {"a": (9, 4) if trans_a else (4, 9), "b": (6, 9) if trans_b else (9, 6)}, (4, 6),
        zeros={"a": 9, "b": 130},
    )  # fmt: skip
    assert steps_from_onnxruntime(made, tmp_path, MACHINES["default"]) <= 1.001


@pytest.mark.parametrize("target", ["sim", "tsim"])
@pytest.mark.parametrize("kind", ["weights", "activations"])
def test_whole_sums(kind, target, tmp_path):
    """A product that is not quantised leaves the machine in 32 bits, and the host scales it."""
    rng = np.random.default_rng(3)
    if kind == "weights":
        inputs, name = {"a": (2, 5, 33)}, "w"
        constants = {"w": (weights(rng, 33, 18), rng.uniform(0.01, 0.03, 18), 1)}
    else:
        inputs, constants, name = {"a": (2, 5, 33), "b": (2, 33, 18)}, {}, "b"
    made = quantised(
        [node("MatMul", ["a_real", f"{name}_real"], ["z"])], inputs, (2, 5, 18), constants,
        zeros={"a": 117, "b": 9},
    )  # fmt: skip
    del made.graph.node[-2:]
    made.graph.node.append(node("Identity", ["z"], ["y"]))
    onnx.save(made, path := tmp_path / "sums.onnx")
    graph, cfg = integer(path), VTAConfig(target=target)
    values = {key: rng.normal(0, 3, shape).astype(np.float32) for key, shape in inputs.items()}
    module = NetworkModule(compile_network(graph, cfg), rpc.LocalSession(cfg).ext_dev(0))
    wrong, ran = differing(graph, module, values)
    assert not wrong
    assert "int32" in {graph[item.output].dtype for item in graph.nodes}
    want = by_onnxruntime(path, values)["y"]
    np.testing.assert_allclose(ran.outputs["y"], want, rtol=1e-5, atol=1e-4)
    if target == "sim":
        with pytest.raises(
            ModelError, match=r"its result z is not quantised.*with EXTENSION 1, here it is 0"
        ):
            compile_network(integer(path, one_pass=False), MACHINES["base"])


@pytest.mark.parametrize(
    "middle, inputs, constants, said",
    [
        (node("MatMul", ["w_real", "a_real"], ["z"]), {"a": (4, 3)},
         {"w": (np.ones((2, 4), np.int8), 1.0, 0)}, "w_real is a constant; a constant operand"),
        (node("MatMul", ["a_real", "w_real"], ["z"]), {"a": (2, 2, 4)},
         {"w": (np.ones((2, 4, 3), np.int8), 1.0, 0)}, "w_real is a constant"),
        (node("MatMul", ["a_real", "b_real"], ["z"]), {"a": (4,), "b": (4, 3)}, {},
         r"shapes are \(4,\) and \(4, 3\); must have two dimensions or more"),
        (node("Gemm", ["a_real", "b_real"], ["z"], alpha=2.0), {"a": (2, 4), "b": (4, 3)}, {},
         r"the weights \(b_real\) are computed"),
        (node("Gemm", ["a_real", "w_real"], ["z"], alpha=-1.0), {"a": (2, 4)},
         {"w": (np.ones((4, 3), np.int8), 1.0, 0)}, "alpha is -1.0"),
    ],
)  # fmt: skip
def test_what_is_refused(middle, inputs, constants, said):
    with pytest.raises(ModelError, match=said):
        import_model(unchecked(middle, inputs, constants), "products")


def unchecked(middle, inputs, constants):
    """The same model, whose result has no shape."""
    shape = np.matmul(
        *(np.zeros(inputs[name[0]] if name[0] in inputs else constants[name[0]][0].shape)
          for name in middle.input)
    ).shape  # fmt: skip
    return quantised([middle], inputs, shape, constants)
