"""Transposed convolutions: strides, pads and kernels of all kinds, by onnxruntime."""

import numpy as np
import pytest
from onnx import helper

from tests.compiler.graph.test_pointwise import CHANNELS, int8, run, stored_steps
from tests.support.networks import integer
from tests.support.onnx_models import inputs_of, model

#: Kernel, strides, pads (top, left, bottom, right), more rows and columns of the result.
CASES = [
    ((2, 2), (2, 2), (0, 0, 0, 0), (0, 0)),
    ((3, 3), (2, 2), (1, 1, 1, 1), (1, 1)),
    ((3, 2), (1, 1), (0, 1, 2, 0), (0, 0)),
    ((5, 4), (3, 2), (2, 1, 0, 3), (0, 1)),
    ((1, 1), (2, 3), (0, 0, 0, 0), (1, 2)),
    ((4, 4), (2, 2), (3, 3, 3, 3), (0, 0)),
]


@pytest.mark.parametrize("symmetric", [False, True], ids=["uint8", "int8"])
@pytest.mark.parametrize("case", range(len(CASES)))
def test_shapes(case, symmetric, tmp_path):
    kernel, strides, pads, more = CASES[case]
    rng = np.random.default_rng(case)
    height, width = (
        (extent - 1) * step + taps + extra - before - after
        for extent, step, taps, extra, before, after in zip(
            (5, 4), strides, kernel, more, pads[:2], pads[2:]
        )
    )
    weights = {
        "w1": rng.normal(0, 0.5, (CHANNELS, 6, 1, 1)).astype(np.float32),
        "w2": rng.normal(0, 0.3, (CHANNELS, 7, *kernel)).astype(np.float32),
        "b2": rng.normal(0, 0.5, 7).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], "conv"),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node(
            "ConvTranspose", ["b", "w2", "b2"] if case else ["b", "w2"], ["y"], "transposed",
            strides=strides, pads=pads, output_padding=more,
        ),
    ]  # fmt: skip
    if not case:
        del weights["b2"]
    made = model(nodes, {"x": [1, 6, 5, 4]}, {"y": [1, 7, height, width]}, weights)
    path = int8(made, tmp_path, symmetric=symmetric)
    ran = run(integer(path), inputs := inputs_of(made, 8))
    assert stored_steps(path, inputs, ran, "y") <= 2.01


@pytest.mark.parametrize("symmetric", [False, True], ids=["uint8", "int8"])
@pytest.mark.parametrize("channels, groups, each", [(6, 6, 1), (36, 36, 1), (8, 2, 5), (48, 3, 16)])
def test_groups(channels, groups, each, symmetric, tmp_path):
    rng = np.random.default_rng(channels)
    weights = {
        "w1": rng.normal(0, 0.5, (channels, 4, 1, 1)).astype(np.float32),
        "w2": rng.normal(0, 0.3, (channels, each, 4, 3)).astype(np.float32),
        "b2": rng.normal(0, 0.5, groups * each).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], "conv"),
        helper.make_node(
            "ConvTranspose", ["a", "w2", "b2"], ["y"], "transposed", strides=[2, 1], group=groups,
            pads=[1, 0, 1, 2],
        ),
    ]  # fmt: skip
    made = model(nodes, {"x": [2, 4, 5, 4]}, {"y": [2, groups * each, 10, 4]}, weights)
    path = int8(made, tmp_path, symmetric=symmetric)
    ran = run(integer(path), inputs := inputs_of(made, 8))
    scaled = None if each == 1 else "y.products"  # the bias is a sum behind it
    assert stored_steps(path, inputs, ran, "y", scaled=scaled) <= 2.01


def test_a_constant_a_channel_after_it_is_its_bias(tmp_path):
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.normal(0, 0.5, (6, 4, 2, 2)).astype(np.float32),
        "b": rng.normal(0, 3, (1, 4, 1, 1)).astype(np.float32),
    }
    nodes = [
        helper.make_node("ConvTranspose", ["x", "w"], ["a"], "transposed", strides=[2, 2]),
        helper.make_node("Add", ["a", "b"], ["y"], "sum"),
    ]
    made = model(nodes, {"x": [1, 6, 5, 4]}, {"y": [1, 4, 10, 8]}, weights)
    path = int8(made, tmp_path)
    graph = integer(path)
    assert [node.operator for node in graph.nodes if node.name == "transposed"] == ["conv2d"]
    assert "sum" not in [node.name for node in graph.nodes]
    ran = run(graph, inputs := inputs_of(made, 8))
    assert stored_steps(path, inputs, ran, "y") <= 1.01
