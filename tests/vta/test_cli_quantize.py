"""`vta quantize`, and `vta run` of float models and on photos."""

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import helper
from PIL import Image

from tests.support.networks import decibels
from tests.support.onnx_builder import Builder
from tests.support.onnx_models import by_onnxruntime, digits, inputs_of, model
from vta.cli import main

GRAY = "channels = 'gray'\nscale = 0.01\nmean = 1.2\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A float model, gray pictures, arrays, and the preprocessing of the pictures."""
    folder = tmp_path_factory.mktemp("a model")
    onnx.save(digits(size=8), folder / "float.onnx")
    (folder / "gray.toml").write_text(GRAY)
    for kind in ("photos", "arrays", "empty"):
        (folder / kind).mkdir()
    rng = np.random.default_rng(0)
    for number in range(4):
        pixels = rng.integers(0, 256, (16, 12), np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{number}.png")
        np.save(folder / "arrays" / f"{number}.npy", inputs_of(digits(size=8), number)["x"])
    return folder


def vta(*arguments):
    return CliRunner().invoke(main, [str(item) for item in arguments])


def test_report(folder, tmp_path):
    result = vta(
        "quantize", folder / "float.onnx", "--calibrate", folder / "arrays", "--json",
        "-o", tmp_path / "int8.onnx",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["samples"] == 4
    assert {"pool1", "conv2", "relu2"} & {layer["node"] for layer in report["layers"]}
    samples = [{"x": np.load(path)} for path in sorted((folder / "arrays").iterdir())]
    want, got = (
        np.concatenate([by_onnxruntime(path, x)["y"] for x in samples])
        for path in (folder / "float.onnx", tmp_path / "int8.onnx")
    )
    assert report["outputs"]["y"] == pytest.approx(decibels(want, got), abs=0.1)
    assert report["agreement"]["y"] == (want.argmax(axis=1) == got.argmax(axis=1)).sum()
    for layer in report["layers"]:  # the values that are stored, not those before
        assert layer["sqnr_db"] > 15, layer
    kinds = {item.data_type for item in onnx.load(tmp_path / "int8.onnx").graph.initializer}
    assert onnx.TensorProto.UINT8 in kinds
    assert vta("run", tmp_path / "int8.onnx", "--input", folder / "arrays/0.npy").exit_code == 0


def test_symmetric(folder, tmp_path):
    result = vta(
        "quantize", folder / "float.onnx", "--calibrate", folder / "arrays", "--symmetric",
        "--per-tensor", "-o", tmp_path / "int8.onnx",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    kinds = {item.data_type for item in onnx.load(tmp_path / "int8.onnx").graph.initializer}
    assert onnx.TensorProto.UINT8 not in kinds
    assert "output y: " in result.output
    assert "worst" in result.output


def test_photos_and_their_preprocessing_in_the_metadata(folder, tmp_path):
    result = vta(
        "quantize", folder / "float.onnx", "--calibrate", folder / "photos",
        "--preprocess", folder / "gray.toml", "-o", tmp_path / "int8.onnx",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    photo = folder / "photos/2.png"
    by_photo = vta("run", tmp_path / "int8.onnx", "--input", photo, "--json")
    assert by_photo.exit_code == 0, by_photo.output
    at_once = vta(
        "run", folder / "float.onnx", "--input", photo, "--calibrate", folder / "photos",
        "--preprocess", folder / "gray.toml", "--json",
    )  # fmt: skip
    assert at_once.exit_code == 0, at_once.output
    assert json.loads(by_photo.stdout)["outputs"] == json.loads(at_once.stdout)["outputs"]


def test_metadata_of_the_float_model_are_kept(folder, tmp_path):
    """Preprocessing and names of classes, a nameless one among them, down to the report."""
    made = onnx.load(folder / "float.onnx")
    names = [f"digit {number}" if number != 3 else "" for number in range(10)]
    made.metadata_props.add(key="vta.classes", value="\n".join(names))
    made.metadata_props.add(key="vta.preprocessing", value=GRAY)
    onnx.save(made, tmp_path / "known.onnx")
    options = ("--calibrate", folder / "photos")
    result = vta("quantize", tmp_path / "known.onnx", *options, "-o", tmp_path / "int8.onnx")
    assert result.exit_code == 0, result.output
    kept = [entry.key for entry in onnx.load(tmp_path / "int8.onnx").metadata_props]
    assert sorted(key for key in kept if key.startswith("vta.")) == [
        "vta.classes",
        "vta.preprocessing",
    ]
    photo = folder / "photos/2.png"
    for used in (("int8.onnx",), ("known.onnx", *options)):
        result = vta("run", tmp_path / used[0], *used[1:], "--input", photo, "--top", 10)
        assert result.exit_code == 0, result.output
        rows = [line.split(None, 2) for line in result.output.splitlines()]
        named = {row[0]: row[2] for row in rows if len(row) == 3 and row[0].isdecimal()}
        assert named == {str(n): name for n, name in enumerate(names) if name}


def test_an_output_that_is_one_number(tmp_path):
    b = Builder()
    total = b.op("ReduceSum", b.conv("x", 3, 8), keepdims=0)
    onnx.save(b.model(total, [1, 3, 4, 4]), tmp_path / "m.onnx")
    (tmp_path / "samples").mkdir()
    np.save(tmp_path / "samples/0.npy", b.normal(1, 3, 4, 4))
    samples, made = tmp_path / "samples", tmp_path / "int8.onnx"
    result = vta("quantize", tmp_path / "m.onnx", "--calibrate", samples, "-o", made)
    assert result.exit_code == 0, result.output
    result = vta("run", made, "--input", samples / "0.npy", "--json")
    assert result.exit_code == 0, result.output
    want = by_onnxruntime(made, {"x": np.load(samples / "0.npy")})[total]
    assert json.loads(result.stdout)["outputs"][total] == pytest.approx(float(want), rel=0.02)


def _quantised(model, folder):
    """The float model's outputs and the int8 model's, or the error; judged by onnxruntime."""
    onnx.save(model, folder / "m.onnx")
    (folder / "samples").mkdir()
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    values = np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)
    np.save(folder / "samples/0.npy", values)
    result = vta("quantize", folder / "m.onnx", "--calibrate", folder / "samples", "-o",
                 folder / "int8.onnx")  # fmt: skip
    if result.exit_code:
        return " ".join(result.output.split())
    return [by_onnxruntime(folder / name, {"x": values}) for name in ("m.onnx", "int8.onnx")]


def test_an_output_that_a_rectifier_reads(tmp_path):
    """Its values below zero are kept."""
    b = Builder()
    x = b.conv("x", 3, 16)
    want, got = _quantised(b.model([x, b.relu(x)], [1, 3, 5, 5]), tmp_path)
    assert all(decibels(want[name], got[name]) > 30 for name in want)


def test_values_that_are_not_finite_on_the_samples(tmp_path):
    b = Builder()
    x = b.op("Pad", b.conv("x", 3, 8), b.integers(0, 0, 1, 1, 0, 0, 1, 1), b.real(-np.inf))
    said = _quantised(b.model(b.conv(b.pool(x, 3), 8, 4), [1, 3, 6, 6]), tmp_path)
    assert "tensor pad_1_0 has values on the samples that are not finite" in said
    assert not (tmp_path / "int8.onnx").exists()


def test_a_model_that_onnxruntime_does_not_quantise(folder, tmp_path):
    """Nothing is written."""
    made = onnx.load(folder / "float.onnx")
    made.opset_import[0].version = onnx.defs.onnx_opset_version()
    made.graph.node[0].op_type = "Sinh"
    del made.graph.node[0].attribute[:], made.graph.node[0].input[1:]
    made.graph.node[0].domain = "no.such.domain"
    made.opset_import.add(domain="no.such.domain", version=1)
    onnx.save(made, tmp_path / "m.onnx")
    result = vta("quantize", tmp_path / "m.onnx", "--calibrate", folder / "arrays", "-o",
                 tmp_path / "int8.onnx")  # fmt: skip
    assert result.exit_code == 1
    assert "onnxruntime cannot quantise it" in " ".join(result.output.split())
    assert not (tmp_path / "int8.onnx").exists()


def test_names_of_classes_in_a_file(folder, tmp_path):
    (tmp_path / "names.txt").write_text("".join(f"digit {number}\n" for number in range(10)))
    (tmp_path / "two.txt").write_text("a\nb\n")
    (tmp_path / "empty.txt").write_text("")
    samples, names = ("--calibrate", folder / "arrays"), ("--classes", tmp_path / "names.txt")
    x = ("--input", folder / "arrays/0.npy", "--top", 1)
    plain, named = tmp_path / "plain.onnx", tmp_path / "named.onnx"
    for out, options in ((plain, ()), (named, names)):
        result = vta("quantize", folder / "float.onnx", *samples, *options, "-o", out)
        assert result.exit_code == 0, result.output
    best = np.argmax(json.loads(vta("run", plain, *x, "--json").stdout)["outputs"]["y"])
    assert vta("compile", plain, *names, "-o", tmp_path / "net.vtanet").exit_code == 0
    for arguments in ((plain, *names), (named,), (tmp_path / "net.vtanet",)):
        assert f" digit {best}\n" in vta("run", *arguments, *x).output
    assert "digit" not in vta("run", plain, *x).output
    for file, said in (
        ("two.txt", "has 2 names; must be as many as an output vector has elements: y 1x10"),
        ("empty.txt", "is empty; must have a name a line"),
        ("none.txt", "cannot read"),
    ):
        result = vta("run", plain, *x, "--classes", tmp_path / file)
        assert result.exit_code == 1
        assert said in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--calibrate", "{}/empty"), "empty is empty; must hold photos, .npy or .npz files"),
        (("--calibrate", "{}/photos"), "0.png is a photo, and the model does not say how"),
        (("--calibrate", "{}"), "is neither a photo"),
        (("--calibrate", "{}/arrays", "--preprocess", "nothing"), "preprocessing is nothing; must"),
        (("--calibrate", "{}/photos", "--preprocess", "imagenet"), "the picture is gray (L)"),
        ((), "--calibrate FOLDER is needed"),
    ],
)
def test_wrong_samples(folder, tmp_path, arguments, said):
    result = vta(
        "quantize", folder / "float.onnx", "-o", tmp_path / "int8.onnx",
        *(text.format(folder) for text in arguments),
    )  # fmt: skip
    assert result.exit_code in (1, 2)
    assert said in " ".join(result.output.split())
    assert not (tmp_path / "int8.onnx").exists()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((1, 1, 8, 8)), "holds float64 of shape (1, 1, 8, 8); the input x is float32"),
        (np.zeros((1, 1, 8, 9), np.float32), "of shape (1, 1, 8, 9)"),
        (np.full((1, 1, 8, 8), np.nan, np.float32), "holds a value that is not finite"),
    ],
)
def test_wrong_arrays(folder, tmp_path, values, said):
    (tmp_path / "samples").mkdir()
    np.save(tmp_path / "samples" / "x.npy", values)
    result = vta(
        "quantize", folder / "float.onnx", "--calibrate", tmp_path / "samples",
        "-o", tmp_path / "int8.onnx",
    )  # fmt: skip
    assert result.exit_code == 1
    assert said in result.output


def test_not_twice(folder, tmp_path):
    arguments = ("--calibrate", folder / "arrays", "-o", tmp_path / "int8.onnx")
    assert vta("quantize", folder / "float.onnx", *arguments).exit_code == 0
    result = vta("quantize", tmp_path / "int8.onnx", *arguments[:3], tmp_path / "again.onnx")
    assert result.exit_code == 1
    assert "quantised already; must be a float model" in result.output
    result = vta(
        "run", tmp_path / "int8.onnx", "--input", folder / "arrays/0.npy",
        "--calibrate", folder / "arrays",
    )  # fmt: skip
    assert result.exit_code == 2
    assert "--calibrate is for float models" in result.output


def test_a_float_model_needs_samples(folder):
    result = vta("run", folder / "float.onnx", "--input", folder / "arrays/0.npy")
    assert result.exit_code == 2
    assert "computes in real numbers: give samples" in result.output


def test_a_photo_needs_its_preprocessing(folder, tmp_path):
    arguments = ("--calibrate", folder / "arrays", "-o", tmp_path / "int8.onnx")
    assert vta("quantize", folder / "float.onnx", *arguments).exit_code == 0
    result = vta("run", tmp_path / "int8.onnx", "--input", folder / "photos/0.png")
    assert result.exit_code == 2
    assert "give --preprocess" in result.output


def test_a_picture_of_an_output(folder, tmp_path):
    """It is written beside the photo, or where --output says."""
    weights = np.zeros((1, 1, 3, 3), np.float32)
    weights[0, 0, 1, 1] = 1
    node = helper.make_node("Conv", ["x", "w"], ["y/0"], "same", pads=[1] * 4)
    made = model([node], {"x": [1, 1, 8, 8]}, {"y/0": [1, 1, 8, 8]}, {"w": weights})
    onnx.save(made, tmp_path / "float.onnx")
    pixels = np.random.default_rng(1).integers(0, 256, (8, 8)).astype(np.uint8)
    photo = tmp_path / "photo.png"
    (tmp_path / "samples").mkdir()
    for path in (photo, tmp_path / "samples/photo.png"):
        Image.fromarray(pixels).save(path)
    options = ["--calibrate", tmp_path / "samples", "--preprocess", folder / "gray.toml"]
    model_and_photo = [tmp_path / "float.onnx", "--input", photo, *options]
    result = vta("run", *model_and_photo, "--target", "sim")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["photo.png", "photo.y_0.png"]
    with Image.open(tmp_path / "photo.y_0.png") as picture:
        assert np.abs(np.asarray(picture).astype(int) - pixels).max() <= 2
    result = vta("run", *model_and_photo, "--output", tmp_path / "other.PNG")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "other.PNG").read_bytes() == (tmp_path / "photo.y_0.png").read_bytes()
    result = vta("run", *model_and_photo, "--output", tmp_path / "other.jpg")
    assert result.exit_code == 2 and ".jpg is not written; must be .npy or .png" in result.output
    assert not (tmp_path / "other.jpg").exists()
