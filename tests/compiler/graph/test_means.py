"""Means: of large images on the accelerator, of other axes by the host; and a bias that fills 32
bits."""

import numpy as np
import pytest
from onnx import helper

from tests.compiler.graph.test_pointwise import int8, run, stored_steps
from tests.support.networks import integer
from tests.support.onnx_models import by_onnxruntime, inputs_of, model


@pytest.mark.parametrize("size", [(5, 4), (48, 50)])
@pytest.mark.parametrize("keep", [0, 1])
def test_of_images(size, keep, tmp_path):
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(0, 1, (20, 3, 1, 1)).astype(np.float32),
               "f": rng.normal(0, 1, (20, 5)).astype(np.float32)}  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "conv"),
        helper.make_node("ReduceMean", ["a"], ["m"], "mean", axes=[2, -1], keepdims=keep),
        helper.make_node("Flatten", ["m"], ["v"], "flat"),
        helper.make_node("Gemm", ["v", "f"], ["y"], "fc"),
    ]
    made = model(nodes, {"x": [1, 3, *size]}, {"y": [1, 5]}, weights)
    path = int8(made, tmp_path)
    graph = integer(path)
    assert "average_pool" in {node.operator for node in graph.nodes}
    ran = run(graph, inputs := inputs_of(made, 7))
    assert stored_steps(path, inputs, ran, "y") <= 3.01


@pytest.mark.parametrize("keep", [0, 1])
def test_of_images_as_an_output(keep, tmp_path):
    """onnxruntime does not quantise it: the host computes it of stored integers."""
    weights = {"w": np.random.default_rng(0).normal(0, 1, (20, 3, 1, 1)).astype(np.float32)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "conv"),
        helper.make_node("ReduceMean", ["a"], ["y"], "mean", axes=[-1, -2], keepdims=keep),
    ]
    shape = [2, 20, 1, 1] if keep else [2, 20]
    made = model(nodes, {"x": [2, 3, 5, 4]}, {"y": shape}, weights)
    path = int8(made, tmp_path)
    inputs = inputs_of(made, 7)
    want, got = by_onnxruntime(path, inputs)["y"], run(integer(path), inputs).outputs["y"]
    assert got.shape == want.shape
    assert np.abs(got - want).max() < 0.01  # a step of the convolution's result is 0.05


def test_of_other_axes(tmp_path):
    """A layer norm in its parts stays in real numbers."""
    weights = {"w": np.eye(4, dtype=np.float32).reshape(4, 4, 1, 1), "two": np.float32(2),
               "small": np.float32(1e-3)}  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "conv"),
        helper.make_node("ReduceMean", ["a"], ["m"], "mean", axes=[1]),
        helper.make_node("Sub", ["a", "m"], ["b"], "centred"),
        helper.make_node("Pow", ["b", "two"], ["c"], "square"),
        helper.make_node("ReduceMean", ["c"], ["v"], "variance", axes=[-3]),
        helper.make_node("Add", ["v", "small"], ["d"], "sum"),
        helper.make_node("Sqrt", ["d"], ["e"], "root"),
        helper.make_node("Div", ["b", "e"], ["y"], "norm"),
    ]
    made = model(nodes, {"x": [1, 4, 3, 5]}, {"y": [1, 4, 3, 5]}, weights)
    path = int8(made, tmp_path)
    graph = integer(path)
    assert [node.operator for node in graph.nodes if node.name == "mean"] == ["mean"]
    inputs = inputs_of(made, 7)
    want = by_onnxruntime(path, inputs)["y"]
    assert np.abs(run(graph, inputs).outputs["y"] - want).max() < 0.1


def test_a_channel_of_nearly_no_weights(tmp_path):
    """Its scale is so small that the bias fills 32 bits."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(0, 1, (7, 4, 3, 3)).astype(np.float32),
               "b": rng.normal(0, 2, 7).astype(np.float32)}  # fmt: skip
    weights["w"][3] *= 1e-8
    weights["b"][3] = 2
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["y"], "conv")]
    made = model(nodes, {"x": [1, 4, 5, 5]}, {"y": [1, 7, 3, 3]}, weights)
    path = int8(made, tmp_path)
    ran = run(integer(path), inputs := inputs_of(made, 7))
    assert stored_steps(path, inputs, ran, "y") <= 1.01
    assert np.abs(ran.outputs["y"][0, 3] - 2).max() < 0.1
