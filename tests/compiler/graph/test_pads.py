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


#: Kernel, strides, dilations, pads (top, left, bottom, right) of an image of 1 x 4; results that
#: read nothing but padding are a row, a column, all rows of the frame.
BESIDE = {
    "a row": ((1, 1), (2, 1), (1, 1), (1, 0, 0, 0)),
    "rows": ((1, 4), (5, 2), (3, 1), (1, 1, 3, 1)),
    "a column": ((1, 1), (1, 6), (1, 1), (0, 2, 0, 1)),
    "dilated": ((2, 2), (1, 9), (2, 2), (1, 3, 1, 3)),
}


@pytest.mark.parametrize("groups", [1, 24], ids=["conv", "depthwise"])
@pytest.mark.parametrize("zero", [0, 20, -128])
@pytest.mark.parametrize("name", BESIDE)
def test_windows_that_hold_nothing_but_padding(name, zero, groups, tmp_path):
    kernel, strides, dilations, pads = BESIDE[name]
    node = helper.make_node
    rng = np.random.default_rng(0)
    weights = {
        "s": np.float32(0.05), "z": np.int8(zero), "t": np.float32(0.1), "zw": np.int8(0),
        "w": rng.integers(-90, 90, (24, 24 // groups, *kernel)).astype(np.int8),
        "b": rng.integers(-9000, 9000, 24).astype(np.int32), "bs": np.float32(0.05 * 0.005),
        "ws": np.float32(0.005), "zb": np.int32(0),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], "q"),
        node("DequantizeLinear", ["q", "s", "z"], ["d"], "d"),
        node("DequantizeLinear", ["w", "ws", "zw"], ["wd"], "wd"),
        node("DequantizeLinear", ["b", "bs", "zb"], ["bd"], "bd"),
        node("Conv", ["d", "wd", "bd"], ["c"], "conv", strides=strides, dilations=dilations,
             pads=pads, group=groups),
        node("QuantizeLinear", ["c", "t", "zw"], ["r"], "r"),
        node("DequantizeLinear", ["r", "t", "zw"], ["y"], "y"),
    ]  # fmt: skip
    size = [
        (extent + pads[axis] + pads[axis + 2] - dilations[axis] * (kernel[axis] - 1) - 1)
        // strides[axis] + 1
        for axis, extent in enumerate((1, 4))
    ]  # fmt: skip
    path = tmp_path / "m.onnx"
    onnx.save(model(nodes, {"x": [1, 24, 1, 4]}, {"y": [1, 24, *size]}, weights), path)
    x = rng.uniform(-8, 8, (1, 24, 1, 4)).astype(np.float32)
    (want,) = by_onnxruntime(path, {"x": x}).values()
    (got,) = run(integer(path), {"x": x}).outputs.values()
    assert np.abs(got - want).max() <= 0.1001
    assert np.ptp(want) > 1
