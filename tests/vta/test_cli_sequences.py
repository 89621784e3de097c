"""Models with several integer inputs on the command line: files by name, samples, refusals."""

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from tests.support.onnx_models import by_onnxruntime
from tests.support.sequence_models import encoder, model, node, words
from vta.cli import main


def vta(*arguments):
    return CliRunner().invoke(main, [str(item) for item in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A float model with an open extent, its int8 model, samples, and the inputs of one sample."""
    folder = tmp_path_factory.mktemp("a model")
    made = encoder()
    for value in (*made.graph.input, *made.graph.output):
        value.type.tensor_type.shape.dim[1].dim_param = "words"
    del made.graph.value_info[:]
    onnx.save(made, folder / "float.onnx")
    (folder / "samples").mkdir()
    for seed in range(8):
        np.savez(folder / "samples" / f"{seed}.npz", **words(seed))
    for name, values in words(20).items():
        np.save(folder / f"{name}.npy", values)
    result = vta(
        "quantize", folder / "float.onnx", "--calibrate", folder / "samples",
        "--shape", "ids=1,6", "--smooth", "--whole-sums", "-o", folder / "int8.onnx",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return folder


def files(folder):
    return "--input", f"ids={folder / 'ids.npy'}", "--input", f"mask={folder / 'mask.npy'}"


def test_files_by_name_and_one_sample(folder, tmp_path):
    """The compiled file, and the model on arrays or on a sample, give the same output."""
    done = vta("compile", folder / "int8.onnx", "-o", tmp_path / "net.vtanet")
    assert done.exit_code == 0, done.output
    np.savez(tmp_path / "sample.npz", **words(20))
    found = []
    for file, inputs in (
        (folder / "int8.onnx", files(folder)),
        (tmp_path / "net.vtanet", files(folder)),
        (folder / "int8.onnx", ("--input", tmp_path / "sample.npz")),
    ):
        result = vta("run", file, *inputs, "--json")
        assert result.exit_code == 0, result.output
        found.append(json.loads(result.stdout))
    assert found[0]["outputs"] == found[1]["outputs"] == found[2]["outputs"]
    want = by_onnxruntime(folder / "float.onnx", words(20))["y"]
    error = np.abs(np.array(found[0]["outputs"]["y"], np.float32) - want)
    assert error.max() < 0.25 and error.mean() < 0.03
    rows = {row["operator"]: row["where"] for row in found[0]["layers"]}
    assert rows["dense"] == rows["batch_matmul"] == "accelerator"
    for operator in ("gather", "softmax", "layer_norm", "lookup"):
        assert rows[operator] == "host", rows
    result = vta("compare", folder / "int8.onnx", "--input", tmp_path / "sample.npz")
    assert result.exit_code == 0, result.output


def test_nodes_of_the_host_are_refused_if_wanted(folder):
    result = vta("run", folder / "int8.onnx", *files(folder), "--no-host")
    assert result.exit_code == 1
    assert "the host would run" in result.stderr
    for name in ("embed (gather)", "softmax (softmax)", "norm (layer_norm)"):
        assert name in result.stderr


BAD = {
    "a missing input": (
        ("--input", "ids=ids.npy"), None,
        "reads mask (int64 of shape (1, 6)): give it as --input mask=FILE"),
    "an unknown input": (
        ("--input", "words=ids.npy"), None, "words=ids.npy: no such tensor; there are ids, mask"),
    "no name": (("--input", "ids.npy"), None, "say of which tensor, as --input NAME=ids.npy"),
    "a type": (
        ("--input", "ids=bad.npy", "--input", "mask=mask.npy"), np.zeros((1, 6), np.int32),
        "input ids: bad.npy holds int32 of shape (1, 6); must be int64 of shape (1, 6)"),
    "a shape": (
        ("--input", "ids=bad.npy", "--input", "mask=mask.npy"), np.zeros((1, 7), np.int64),
        "holds int64 of shape (1, 7); must be int64 of shape (1, 6)"),
    "a word that is none": (
        ("--input", "ids=bad.npy", "--input", "mask=mask.npy"), np.full((1, 6), 30),
        "step embed: host operator gather of float32 (30, 16), int64 (1, 6): indices are 30 to 30; "
        "must be -30 to 29"),
    "a sample without an array": (
        ("--input", "bad.npz"), {"ids": np.zeros((1, 6), np.int64)},
        "bad.npz has the arrays ids; must have ids, mask"),
    "a sample of another type": (
        ("--input", "bad.npz"), {**words(0), "mask": np.ones((1, 6), bool)},
        "input mask: bad.npz holds bool of shape (1, 6); must be int64 of shape (1, 6)"),
    "a sample for one input": (
        ("--input", "ids=bad.npz", "--input", "mask=mask.npy"), words(0),
        "input ids: bad.npz is an archive of arrays; must be one array in a .npy file"),
    "no sample": (("--input", "bad.npz"), b"PK nothing", "cannot read bad.npz"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_inputs_that_do_not_fit(case, folder, tmp_path, monkeypatch):
    inputs, values, said = BAD[case]
    for name in ("ids.npy", "mask.npy"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    if isinstance(values, bytes):
        (tmp_path / "bad.npz").write_bytes(values)
    elif isinstance(values, dict):
        np.savez("bad.npz", **values)
    elif values is not None:
        np.save("bad.npy", values)
    result = vta("run", folder / "int8.onnx", *inputs)
    assert result.exit_code in (1, 2)
    assert said in " ".join(result.stderr.split())


def test_an_open_extent_needs_a_number(folder, tmp_path):
    result = vta(
        "quantize", folder / "float.onnx", "--calibrate", folder / "samples",
        "-o", tmp_path / "int8.onnx",
    )  # fmt: skip
    assert result.exit_code == 1
    assert "input ids of" in result.stderr and "--shape ids=1,..." in result.stderr
    result = vta(
        "quantize", folder / "float.onnx", "--calibrate", folder / "samples",
        "--shape", "ids=1,6", "--shape", "mask=1,7", "-o", tmp_path / "int8.onnx",
    )  # fmt: skip
    assert result.exit_code == 1
    assert "extent words is 6 in the shape given for ids, 7 in that for mask" in result.stderr


def test_a_single_value_is_printed(tmp_path):
    x = np.array([[1, 2, 3]], np.float32)
    constants = {"scale": np.float32(0.5), "zero": np.int8(0), "axes": np.array([1], np.int64)}
    nodes = [
        node("QuantizeLinear", ["x", "scale", "zero"], ["stored"], "store"),
        node("DequantizeLinear", ["stored", "scale", "zero"], ["real"], "load"),
        node("ReduceSum", ["real", "axes"], ["y"], "sum"),
    ]
    onnx.save(model(nodes, {"x": x}, constants), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", x)
    result = vta("run", tmp_path / "m.onnx", "--input", tmp_path / "x.npy")
    assert result.exit_code == 0, result.output
    assert "y float32 1x1: 6\n" in result.stdout
