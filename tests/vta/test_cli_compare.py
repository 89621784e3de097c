"""`vta compare`: tensors against the interpreter and onnxruntime; a fault is noticed."""

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import helper
from PIL import Image

from tests.support.onnx_models import digits, inputs_of, model, quantised, residual
from vta import comparison
from vta.cli import main
from vta.comparison import Difference


@pytest.fixture(scope="module", params=["symmetric", "asymmetric"])
def folder(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp(request.param)
    quantised(digits(size=8), folder, symmetric=request.param == "symmetric")
    np.save(folder / "x.npy", inputs_of(digits(size=8), 9)["x"])
    return folder


def compare(folder, *arguments):
    arguments = [folder / "int8.onnx", "--input", folder / "x.npy", *arguments]
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


def test_every_tensor(folder):
    result = compare(folder, "--json")
    assert result.exit_code == 0, result.output
    found = {item["node"]: item for item in json.loads(result.stdout)}
    assert {"conv1", "pool1", "conv2", "pool2", "fc"} <= set(found)
    for item in found.values():
        assert item["reference"] == {"count": 0, "largest": 0.0, "where": []}
    stored = [found[node]["onnxruntime"] for node in ("conv1", "pool1", "conv2", "pool2", "fc")]
    assert all(item is not None and item["largest"] <= 1 for item in stored)


def test_as_text(folder):
    result = compare(folder)
    assert result.exit_code == 0
    assert "tensors equal the integer interpreter's" in result.output


def test_a_fault_is_named(folder, monkeypatch):
    real = comparison.interpret

    def other(graph, inputs):
        values = real(graph, inputs)
        node = next(node for node in graph.nodes if node.name == "conv2")
        values[node.output] = values[node.output].copy()
        values[node.output][0, 3, 1, 2] ^= 1
        return values

    monkeypatch.setattr(comparison, "interpret", other)
    result = compare(folder)
    assert result.exit_code == 1
    assert "of node conv2, at index (0, 3, 1, 2)" in result.output


def test_residual_networks(tmp_path):
    """Sums of two scales, depthwise convolutions and averages differ by one step at most."""
    path = quantised(residual(), tmp_path)
    np.save(tmp_path / "x.npy", inputs_of(residual(), 9)["x"])
    result = compare(tmp_path, "--json")
    assert result.exit_code == 0, result.output
    assert path.exists()
    steps = [item["onnxruntime"] for item in json.loads(result.stdout) if item["node"] != "softmax"]
    assert max(item["largest"] for item in steps if item is not None) <= 2


def test_a_name_that_a_pass_would_make(tmp_path):
    """The sum becomes part of the convolution, whose result is called as the host's copy would."""
    constants = {"s": np.float32(0.02), "z": np.int8(0), "t": np.float32(0.05)}
    weights = np.random.default_rng(4).integers(-90, 90, (16, 16, 1, 1)).astype(np.int8)

    def stored(name, result, scale="t"):
        return [
            helper.make_node("QuantizeLinear", [name, scale, "z"], [result]),
            helper.make_node("DequantizeLinear", [result, scale, "z"], [f"{result}_q"]),
        ]

    nodes = [
        *stored("x", "x_i", "s"),
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["w_q"]),
        helper.make_node("Conv", ["x_i_q", "w_q"], ["a"], "first"), *stored("a", "a_i"),
        helper.make_node("Conv", ["a_i_q", "w_q"], ["b"], "second"), *stored("b", "sum.plain"),
        helper.make_node("Add", ["sum.plain_q", "a_i_q"], ["c"], "add"), *stored("c", "sum"),
        helper.make_node("Softmax", ["sum_q"], ["y"], "softmax", axis=1),
    ]  # fmt: skip
    made = model(nodes, {"x": [1, 16, 3, 3]}, {"y": [1, 16, 3, 3]}, {**constants, "w": weights})
    onnx.save(made, tmp_path / "int8.onnx")
    np.save(tmp_path / "x.npy", inputs_of(made, 9)["x"])
    result = compare(tmp_path, "--json")
    assert result.exit_code == 0, result.output
    found = {item["tensor"]: item for item in json.loads(result.stdout)}
    assert "sum" in found and "sum.plain" not in found
    assert all(item["reference"]["count"] == 0 for item in found.values())


def test_a_difference_by_hand():
    want = np.array([[1, 2], [3, 4]], np.int8)
    assert Difference.between(want, want) == Difference(0, 0.0, ())
    got = np.array([[1, 2], [-128, 5]], np.int8)
    assert Difference.between(got, want) == Difference(2, 131.0, (1, 0))


def test_nodes_alone(tmp_path):
    """Each node from onnxruntime's data is at most one step from its result, also where data exceed
    what the model was calibrated on, and tensors of a concatenation saturate."""
    rng = np.random.default_rng(2)
    weights = {name: rng.normal(0, 1, (9, 4, 1, 1)).astype(np.float32) for name in ("w1", "w2")}
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], "first"),
        helper.make_node("Relu", ["c1"], ["r1"], "relu"),
        helper.make_node("Conv", ["x", "w2"], ["c2"], "second"),
        helper.make_node("Concat", ["r1", "c2"], ["y"], "concat", axis=1),
    ]
    made = model(nodes, {"x": [1, 4, 5, 5]}, {"y": [1, 18, 5, 5]}, weights)
    samples = [inputs_of(made, seed) for seed in range(8)]
    for sample in samples:  # the range of the second convolution is larger
        sample["x"][0, :, 0, 0] = 2 * np.linalg.pinv(weights["w2"][:, :, 0, 0])[:, 3]
    quantised(made, tmp_path, symmetric=False, calibration=samples)
    np.save(tmp_path / "x.npy", 4 * inputs_of(made, 9)["x"])
    result = compare(tmp_path, "--json")
    assert result.exit_code == 0, result.output
    found = [item for item in json.loads(result.stdout) if item["stored"] and item["alone"]]
    assert {item["node"] for item in found} >= {"concat"}
    assert all(item["alone"]["largest"] <= 1 for item in found), found
    assert any(item["alone"]["count"] for item in found)


def test_a_picture_of_differences(folder, tmp_path):
    result = compare(folder, "--picture", tmp_path / "error.png")
    assert result.exit_code == 0, result.output
    assert "nodes alone differ from onnxruntime by up to" in result.output
    with Image.open(tmp_path / "error.png") as picture:
        assert (picture.mode, picture.size) == ("L", (10, 1))
    result = compare(folder, "--picture", f"nothing={tmp_path / 'error.png'}")
    assert result.exit_code == 2 and "nothing" in result.output
