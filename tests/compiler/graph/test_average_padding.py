"""Averages of windows that reach into padding or behind it, as onnxruntime within a step."""

import pytest
from onnx import helper

from tests.compiler.graph.test_pointwise import CHANNELS, between_convolutions, int8, run
from tests.support.networks import integer
from tests.support.onnx_models import inputs_of
from vta.comparison import node_differences

#: Kernel, strides, pads, ceil_mode, rows and columns of the result; data are 5 x 4.
CASES = [
    ((3, 3), (1, 1), (1, 1, 1, 1), 0, (5, 4)),
    ((3, 2), (2, 1), (1, 0, 0, 1), 0, (2, 4)),
    ((2, 3), (2, 2), (0, 0, 0, 0), 1, (3, 2)),
    ((3, 3), (2, 2), (1, 1, 1, 1), 1, (3, 3)),
]


@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize("symmetric", [False, True], ids=["uint8", "int8"])
@pytest.mark.parametrize("case", range(len(CASES)))
def test_windows(case, symmetric, include, tmp_path):
    kernel, strides, pads, ceil, size = CASES[case]
    pool = helper.make_node(
        "AveragePool", ["a"], ["z"], "pool", kernel_shape=kernel, strides=strides, pads=pads,
        ceil_mode=ceil, count_include_pad=include,
    )  # fmt: skip
    made = between_convolutions([pool], size=size, kernel=(2, 2))
    path = int8(made, tmp_path, symmetric=symmetric)
    graph = integer(path)
    assert [node.operator for node in graph.nodes if node.name == "pool"] == ["ragged_average"]
    assert CHANNELS % 16
    inputs = inputs_of(made, 9)
    run(graph, inputs)
    found = node_differences(path, graph, inputs)
    assert "z_QuantizeLinear_Output" in found
    assert all(difference.largest <= 1 for difference in found.values())
