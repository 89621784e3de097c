"""Errors name the nodes, the operators and the tensors of the model's file, not those of passes."""

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.support.networks import integer
from tests.support.onnx_models import model
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.errors import ModelError

BASE = VTAConfig(target="sim", extension=0)
CONSTANTS = {"s": np.float32(0.02), "tiny": np.float32(1e-7), "z": np.int8(0)}
KERNEL = np.full((4, 4, 3), 5, np.int8)


def quantised(name, result, scale="s"):
    return [
        helper.make_node("QuantizeLinear", [name, scale, "z"], [f"{result}.i"], f"q {result}"),
        helper.make_node("DequantizeLinear", [f"{result}.i", scale, "z"], [result], f"d {result}"),
    ]


def weights(name):
    return helper.make_node("DequantizeLinear", [name, "s", "z"], [f"{name}_q"], f"d {name}")


def signal(data):
    """A convolution of one dimension, which is one of two dimensions inside."""
    nodes = [
        *quantised("x", "a"), weights("w"),
        helper.make_node("Relu", ["x"], ["r"], "relu"),
        helper.make_node("Conv", [data, "w_q"], ["c"], "conv"), *quantised("c", "y"),
    ]  # fmt: skip
    return model(nodes, {"x": [1, 4, 9]}, {"y": [1, 4, 7]}, {**CONSTANTS, "w": KERNEL})


def zero_point():
    """A kernel behind a transposition and with a zero point."""
    made = signal("a")
    for node in made.graph.node:
        if node.output[0] == "w_q":
            node.input[2] = "zw"
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.array(3, np.int8), "zw"))
    return made


def pool():
    """A pool whose result has a scale of its own, which becomes a change of scale."""
    nodes = [
        *quantised("x", "a"),
        helper.make_node("MaxPool", ["a"], ["p"], "pool", kernel_shape=[2, 2]),
        *quantised("p", "y", "tiny"),
    ]
    return model(nodes, {"x": [1, 4, 4, 4]}, {"y": [1, 4, 3, 3]}, CONSTANTS)


def real_product():
    nodes = [
        *quantised("x", "a"), weights("w"),
        helper.make_node("MatMul", ["a", "w_q"], ["m"], "product"),
        helper.make_node("Softmax", ["m"], ["y"], "classes"),
    ]  # fmt: skip
    return model(nodes, {"x": [2, 3, 4]}, {"y": [2, 3, 3]}, {**CONSTANTS, "w": KERNEL[0]})


def wide_product():
    """Sums of 32 bits, of operands with three dimensions."""
    nodes = [
        *quantised("x", "a"), weights("w"),
        helper.make_node("MatMul", ["a", "w_q"], ["m"], "product"), *quantised("m", "y", "tiny"),
    ]  # fmt: skip
    scale = {**CONSTANTS, "s": np.float32(1e4)}
    return model(nodes, {"x": [2, 3, 4]}, {"y": [2, 3, 3]}, {**scale, "w": KERNEL[0]})


def norm():
    nodes = [
        helper.make_node("InstanceNormalization", ["x", "one", "one"], ["n"], "norm"),
        helper.make_node("Softmax", ["n"], ["y"], "classes"),
    ]
    made = model(nodes, {"x": [1, 4, 3]}, {"y": [1, 4, 3]}, {"one": np.ones(4, np.float32)})
    made.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT32
    return made


CASES = {
    "an input that is not quantised": (
        lambda: signal("r"), "node conv (Conv) computes in real numbers: its input r is not",
    ),
    "the input of the network": (
        lambda: signal("x"), "node conv (Conv) computes in real numbers: its input x is not",
    ),
    "weights with a zero point": (zero_point, "node conv (Conv) weights w have a zero point"),
    "a change of scale": (pool, "node pool (MaxPool): scales [0.0199"),
    "sums without the extension": (
        real_product,
        "node product (MatMul): its result m is not quantised, and stores of 32-bit sums need the "
        "instruction set extension; put QuantizeLinear and DequantizeLinear behind it (vta "
        "quantize without --whole-sums does), or compile for a machine with EXTENSION 1, here it "
        "is 0",
    ),
    "scales beyond 32 bits": (wide_product, "node product (MatMul): requantise: "),
    "a norm of integers": (norm, "node norm (InstanceNormalization): data x are int32"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(CASES))
def test_the_error_names_what_the_file_has(case, tmp_path):
    made, said = CASES[case]
    path = tmp_path / "m.onnx"
    onnx.save(made(), path)
    with pytest.raises(ModelError) as caught:
        compile_network(integer(path, one_pass=False), BASE)
    assert str(caught.value).startswith(said)


def test_a_graph_for_another_machine(tmp_path):
    onnx.save(signal("a"), tmp_path / "m.onnx")
    with pytest.raises(ModelError) as caught:
        compile_network(integer(tmp_path / "m.onnx", one_pass=True), BASE)
    assert str(caught.value) == (
        "node conv (Conv): the graph rounds sums once, which needs the instruction set extension; "
        "make it with integer_graph(graph, one_pass=False), or compile for a machine with "
        "EXTENSION 1, here it is 0"
    )
