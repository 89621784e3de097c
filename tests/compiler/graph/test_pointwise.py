"""Elementwise operators between convolutions: on the accelerator or by a table, at most one step
from onnxruntime, and as real numbers where nothing is quantised."""

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.support.networks import differing, integer
from tests.support.onnx_models import by_onnxruntime, inputs_of, model
from vta import rpc
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.network_check import check_network
from vta.network_file import network_bytes, network_from_bytes
from vta.quantization import quantise
from vta.runtime.network import NetworkModule

MACHINE = VTAConfig(target="sim")
CHANNELS = 20
SHAPE = (1, CHANNELS, 5, 4)
node = helper.make_node


def constants():
    rng = np.random.default_rng(5)
    each = rng.uniform(0.3, 1.5, (CHANNELS, 1, 1))
    slopes = rng.uniform(-0.2, 0.6, (CHANNELS, 1, 1))
    wide = rng.uniform(0.2, 1, SHAPE)
    numbers = {"one": 1, "two": 2, "three": 3, "half": 0.5, "root": 2**0.5, "six": 6, "low": 0}
    return {
        name: np.asarray(value, np.float32)
        for name, value in {"each": each, "slopes": slopes, "wide": wide, **numbers}.items()
    }


#: By name: nodes from `a` to `z`, and what the integer graph makes of them.
ONE = {
    "hard sigmoid": ([node("HardSigmoid", ["a"], ["z"], alpha=0.3, beta=0.4)], "line"),
    "factor": ([node("Mul", ["half", "a"], ["z"])], "line"),
    "difference": ([node("Sub", ["one", "a"], ["z"])], "line"),
    "hard swish": ([node("HardSwish", ["a"], ["z"])], "hard_swish"),
    "hard swish in parts": (
        [node("Add", ["a", "three"], ["b"]), node("Clip", ["b", "low", "six"], ["c"]),
         node("Mul", ["a", "c"], ["d"]), node("Div", ["d", "six"], ["z"])], "hard_swish"),
    "prelu": ([node("PRelu", ["a", "slopes"], ["z"])], "two_slopes"),
    "leaky relu": ([node("LeakyRelu", ["a"], ["z"], alpha=0.2)], "two_slopes"),
    "absolute": ([node("Abs", ["a"], ["z"])], "two_slopes"),
    "factor a channel": ([node("Abs", ["a"], ["b"]), node("Mul", ["b", "each"], ["z"])],
                         "two_slopes"),
    "sum a channel": ([node("Add", ["each", "a"], ["b"]), node("LeakyRelu", ["b"], ["z"])],
                      "lookup"),
    "gelu in parts": (
        [node("Div", ["a", "root"], ["b"]), node("Erf", ["b"], ["c"]),
         node("Add", ["c", "one"], ["d"]), node("Mul", ["a", "d"], ["e"]),
         node("Mul", ["e", "half"], ["z"])], "lookup"),
    "gelu": ([node("Gelu", ["a"], ["z"])], "lookup"),
    "gelu by tanh": ([node("Gelu", ["a"], ["z"], approximate="tanh")], "lookup"),
    "swish": ([node("Sigmoid", ["a"], ["b"]), node("Mul", ["a", "b"], ["z"])], "lookup"),
    "elu": ([node("Elu", ["a"], ["z"], alpha=0.7)], "lookup"),
    "celu": ([node("Celu", ["a"], ["z"], alpha=1.5)], "lookup"),
    "selu": ([node("Selu", ["a"], ["z"])], "lookup"),
    "softplus": ([node("Softplus", ["a"], ["z"])], "lookup"),
    "softsign": ([node("Softsign", ["a"], ["z"])], "lookup"),
    "mish": ([node("Mish", ["a"], ["z"])], "lookup"),
    "mish in parts": (
        [node("Softplus", ["a"], ["b"]), node("Tanh", ["b"], ["c"]),
         node("Mul", ["a", "c"], ["z"])], "lookup"),
    "sigmoid": ([node("Sigmoid", ["a"], ["z"])], "lookup"),
    "tanh": ([node("Tanh", ["a"], ["z"])], "lookup"),
    "square": ([node("Pow", ["a", "two"], ["z"])], "lookup"),
    "exponent": ([node("Neg", ["a"], ["b"]), node("Exp", ["b"], ["z"])], "lookup"),
    "root": ([node("Abs", ["a"], ["b"]), node("Sqrt", ["b"], ["z"])], "lookup"),
    "several": ([node("Max", ["a", "low", "half"], ["b"]), node("Min", ["b", "two"], ["z"])],
                "line"),
    "swish a channel": (
        [node("Mul", ["a", "each"], ["b"]), node("Sigmoid", ["b"], ["z"])], "lookup"),
    "a factor for each element": ([node("Mul", ["a", "wide"], ["z"])], "real_multiply"),
}  # fmt: skip


def between_convolutions(middle, *, seed=0, more=None, size=(5, 4), kernel=(3, 3)):
    """A convolution to `a`, `middle` to `z`, an image of `size`, and a convolution; `more` are
    constants by name."""
    rng = np.random.default_rng(seed)
    weights = {
        "w1": rng.normal(0, 0.5, (CHANNELS, 6, 1, 1)).astype(np.float32),
        "b1": rng.normal(0, 0.5, CHANNELS).astype(np.float32),
        "w2": rng.normal(0, 0.3, (7, CHANNELS, *kernel)).astype(np.float32),
    }
    used = {name for item in middle for name in item.input}
    weights |= {name: value for name, value in constants().items() if name in used}
    weights |= more or {}
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["a"], "conv1"),
        *middle,
        node("Conv", ["z", "w2"], ["y"], "conv2"),
    ]
    return model(
        nodes,
        {"x": [1, 6, 5, 4]},
        {"y": [1, 7, size[0] - kernel[0] + 1, size[1] - kernel[1] + 1]},
        weights,
        opset=20,
    )


def int8(made, folder, *, symmetric=False):
    onnx.save(made, folder / "float.onnx")
    samples = [inputs_of(made, seed)["x"] for seed in range(6)]
    quantise(folder / "float.onnx", folder / "int8.onnx", samples, symmetric=symmetric)
    return folder / "int8.onnx"


def run(graph, inputs):
    network = compile_network(graph, MACHINE)
    check_network(network)
    again = network_from_bytes(network_bytes(network))
    module = NetworkModule(again, rpc.LocalSession(MACHINE).ext_dev(0))
    wrong, ran = differing(graph, module, inputs)
    assert not wrong
    return ran


def stored_steps(path, inputs, ran, name, *, scaled=None):
    """The largest difference from onnxruntime, in steps of the result, or of the tensor ``scaled``
    that has the same scale."""
    made = onnx.load(path)
    scale = next(
        onnx.numpy_helper.to_array(item)
        for item in made.graph.initializer
        if item.name == f"{scaled or name}_scale"
    )
    want = by_onnxruntime(path, inputs)[name]
    return np.abs(ran.outputs[name] - want).max() / scale


@pytest.mark.parametrize("symmetric", [False, True], ids=["uint8", "int8"])
@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_tensor(name, symmetric, tmp_path):
    middle, operator = ONE[name]
    made = between_convolutions(middle)
    path = int8(made, tmp_path, symmetric=symmetric)
    graph = integer(path)
    found = {item.operator for item in graph.nodes}
    if not symmetric or operator not in ("line", "two_slopes", "hard_swish"):
        assert operator in found, found
    if operator != "real_multiply":
        assert found <= {"quantize", "conv2d", operator, "dequantize", "pad", "rescale", "lookup"}
    ran = run(graph, inputs := inputs_of(made, 50))
    assert stored_steps(path, inputs, ran, "y") <= 2.01


@pytest.mark.parametrize("kind", ["Mul", "Add", "Sub"])
@pytest.mark.parametrize("shape", ["same", "channel", "row"])
def test_of_two_tensors(kind, shape, tmp_path):
    """Products of one value a channel are squeeze-and-excitation."""
    middle = {
        "same": [node("MaxPool", ["a"], ["b"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])],
        "channel": [node("GlobalAveragePool", ["a"], ["b"])],
        "row": [node("AveragePool", ["a"], ["b"], kernel_shape=[5, 1])],
    }[shape]
    middle = [*middle, node(kind, ["b", "a"] if kind != "Sub" else ["a", "b"], ["z"], "both")]
    made = between_convolutions(middle)
    path = int8(made, tmp_path)
    graph = integer(path)
    found = {item.operator for item in graph.nodes}
    on_alu = (kind == "Mul" and shape != "row") or (kind == "Add" and shape == "same")
    real = {"Mul": "real_multiply", "Add": "real_add", "Sub": "subtract"}[kind]
    assert (real not in found) == on_alu
    ran = run(graph, inputs := inputs_of(made, 50))
    assert stored_steps(path, inputs, ran, "y") <= 3.01


def test_a_graph_of_real_numbers_at_the_end(tmp_path):
    """What is not quantised, the host runs: nodes are listed by their names."""
    made = between_convolutions([node("Relu", ["a"], ["z"], "relu")])
    made.graph.node.append(node("Tanh", ["y"], ["t"], "tanh"))
    made.graph.node.append(node("Mul", ["t", "y"], ["out"], "product"))
    made.graph.node.append(node("Clip", ["out"], ["last"], "clip"))
    made.graph.output[0].name = "last"
    path = int8(made, tmp_path)
    graph = integer(path)
    assert [item.operator for item in graph.nodes][-3:] == ["dequantize", "tanh", "real_multiply"]
    inputs = inputs_of(made, 3)
    want = by_onnxruntime(path, inputs)["last"]
    assert np.abs(run(graph, inputs).outputs["last"] - want).max() < 0.2


def test_functions_without_a_number_are_refused_or_real(tmp_path):
    """The logarithm of what may be negative is no table."""
    path = int8(between_convolutions([node("Abs", ["a"], ["z"], "log")]), tmp_path)
    changed = onnx.load(path)
    next(item for item in changed.graph.node if item.name == "log").op_type = "Log"
    onnx.save(changed, path)
    assert "log" in {item.operator for item in integer(path).nodes}
