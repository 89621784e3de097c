"""Frames around images: what fills them is stored by the scale of the result."""

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.compiler.graph.test_pointwise import run
from tests.support.networks import integer
from tests.support.onnx_models import by_onnxruntime, model

SHAPE = [1, 16, 4, 5]


def framed(value, scale_before, scale_after):
    """Stored data in a frame of ``value``, and stored again by another scale."""
    node = helper.make_node
    weights = {
        "s": np.float32(scale_before), "t": np.float32(scale_after), "z": np.int8(0),
        "pads": np.int64([0, 0, 1, 2, 0, 0, 0, 1]), "value": np.float32(value),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], "q"),
        node("DequantizeLinear", ["q", "s", "z"], ["d"], "d"),
        node("Pad", ["d", "pads", "value"], ["p"], "pad"),
        node("QuantizeLinear", ["p", "t", "z"], ["r"], "r"),
        node("DequantizeLinear", ["r", "t", "z"], ["y"], "y"),
    ]
    return model(nodes, {"x": SHAPE}, {"y": [1, 16, 5, 8]}, weights)


@pytest.mark.parametrize("value", [0.0, -9.0, 3.3, 1e9])
def test_a_value_beyond_the_scale_of_the_data(value, tmp_path):
    """-9 is no stored integer of the data (-1.28 to 1.27), and is one of the result."""
    path = tmp_path / "m.onnx"
    onnx.save(framed(value, 0.01, 0.1), path)
    x = np.random.default_rng(0).uniform(-1, 1, SHAPE).astype(np.float32)
    (want,) = by_onnxruntime(path, {"x": x}).values()
    ran = run(integer(path), {"x": x})
    (got,) = ran.outputs.values()
    assert np.abs(got - want).max() <= 0.1001
    np.testing.assert_array_equal(got[:, :, 0], want[:, :, 0])  # the frame


@pytest.mark.parametrize("pads", [[-1, 0, -1, 0], [-1, 2, 1, -2], [0, -3, 0, 1]])
def test_pads_that_cut_pixels_off(pads, tmp_path):
    """Top, left, bottom, right; as ``torch.nn.functional.pad`` takes them."""
    node = helper.make_node
    weights = {"s": np.float32(0.01), "z": np.int8(0),
               "pads": np.int64([0, 0, *pads[:2], 0, 0, *pads[2:]])}  # fmt: skip
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], "q"),
        node("DequantizeLinear", ["q", "s", "z"], ["d"], "d"),
        node("Pad", ["d", "pads"], ["p"], "pad"),
        node("QuantizeLinear", ["p", "s", "z"], ["r"], "r"),
        node("DequantizeLinear", ["r", "s", "z"], ["y"], "y"),
    ]
    size = [SHAPE[2 + axis] + pads[axis] + pads[axis + 2] for axis in (0, 1)]
    path = tmp_path / "m.onnx"
    onnx.save(model(nodes, {"x": SHAPE}, {"y": [*SHAPE[:2], *size]}, weights), path)
    x = np.random.default_rng(0).uniform(-1, 1, SHAPE).astype(np.float32)
    (want,) = by_onnxruntime(path, {"x": x}).values()
    (got,) = run(integer(path), {"x": x}).outputs.values()
    np.testing.assert_array_equal(got, want)
