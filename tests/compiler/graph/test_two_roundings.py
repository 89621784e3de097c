"""A result that the model rounds twice: the integer graph rounds it once, to the later scale.

Between the two, with ratio r of the first scale to the second, there are up to 1 + r / 2 steps of
the second: half of each rounding of the model, and half a step of the one rounding.
"""

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.support.networks import integer
from tests.support.onnx_models import by_onnxruntime, inputs_of, model
from vta.comparison import node_differences
from vta.compiler.graph.interpreter import interpret

FINAL = np.float32(0.013)


def twice(ratio):
    """A convolution whose result is stored before and behind its rectifier."""
    rng = np.random.default_rng(5)
    constants = {
        "s": np.float32(0.02), "z": np.int8(0), "first": np.float32(ratio * FINAL), "last": FINAL,
        "w_i": rng.integers(-90, 90, (8, 8, 1, 1)).astype(np.int8), "w_s": np.float32(0.003),
    }  # fmt: skip

    def stored(name, result, scale):
        return [
            helper.make_node("QuantizeLinear", [name, scale, "z"], [f"{result}_i"]),
            helper.make_node("DequantizeLinear", [f"{result}_i", scale, "z"], [result]),
        ]

    nodes = [
        *stored("x", "x_q", "s"),
        helper.make_node("DequantizeLinear", ["w_i", "w_s", "z"], ["w"]),
        helper.make_node("Conv", ["x_q", "w"], ["c"], "conv"), *stored("c", "d", "first"),
        helper.make_node("Relu", ["d"], ["r"], "relu"), *stored("r", "y", "last"),
    ]  # fmt: skip
    return model(nodes, {"x": [1, 8, 40, 40]}, {"y": [1, 8, 40, 40]}, constants)


def real(made, inputs):
    """The convolution of the stored data in real numbers, before any rounding of its result."""
    values = {i.name: onnx.numpy_helper.to_array(i) for i in made.graph.initializer}
    data = np.clip(np.rint(inputs["x"] / values["s"]), -128, 127) * np.float64(values["s"])
    weights = values["w_i"].reshape(8, 8) * np.float64(values["w_s"])
    result = np.einsum("oc,nchw->nohw", weights, data)
    return np.clip(result, 0, 127 * np.float64(FINAL))


@pytest.mark.parametrize("one_pass", [False, True])
@pytest.mark.parametrize(("ratio", "steps"), [(1, 1), (2.9, 2), (5.3, 3), (9.5, 5)])
def test_the_bound_is_kept_and_reached(ratio, steps, one_pass, tmp_path):
    made, path = twice(ratio), tmp_path / "m.onnx"
    onnx.save(made, path)
    graph, inputs = integer(path, one_pass=one_pass), inputs_of(made, 3)
    (conv,) = (node for node in graph.nodes if node.operator == "conv2d")
    difference = node_differences(path, graph, inputs)[conv.output]
    assert difference.largest == steps == int(1 + ratio / 2)


@pytest.mark.parametrize("ratio", [2.9, 5.3])
def test_one_rounding_is_nearer_to_the_real_result(ratio, tmp_path):
    made, path = twice(ratio), tmp_path / "m.onnx"
    onnx.save(made, path)
    inputs = inputs_of(made, 3)
    want = real(made, inputs) / FINAL
    own = interpret(integer(path), inputs)["y"]
    (other,) = by_onnxruntime(path, inputs).values()
    assert np.abs(own / FINAL - want).max() <= 0.52
    assert np.abs(other / FINAL - want).max() > ratio / 2 - 0.1
