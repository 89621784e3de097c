"""`vta run` of an ONNX model: what it prints and writes, and what it refuses."""

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

from tests.support.onnx_builder import Builder
from tests.support.onnx_models import digits, inputs_of, quantised
from vta.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a network")
    quantised(digits(size=8), folder)
    np.save(folder / "x.npy", inputs_of(digits(size=8), 3)["x"])
    return folder


def run(folder, *arguments, model="int8.onnx"):
    return CliRunner().invoke(main, ["run", str(folder / model), *map(str, arguments)])


def test_report(folder):
    result = run(folder, "--input", folder / "x.npy", "--target", "sim", "--top", 2)
    assert result.exit_code == 0, result.output
    assert "int8 on sim(" in result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert [line[0] for line in lines if len(line) > 2 and line[2] == "accelerator"] == [
        "conv1", "pool1", "conv2", "pool2", "fc",
    ]  # fmt: skip
    shown = [line for line in lines if len(line) == 2 and line[0].isdecimal()]
    assert len(shown) == 2
    assert float(shown[0][1]) >= float(shown[1][1])


def test_json_and_outputs(folder, tmp_path):
    report, out = tmp_path / "r.json", tmp_path / "y.npy"
    result = run(
        folder, "--input", f"x={folder / 'x.npy'}", "--output", f"y={out}", "--json", report
    )
    assert result.exit_code == 0, result.output
    found = json.loads(report.read_text())
    assert found["kind"] == "network"
    assert found["cycles"] is None  # the reference model has no clock
    values = np.load(out)
    np.testing.assert_array_equal(np.array(found["outputs"]["y"], np.float32), values)
    assert values.shape == (1, 10)
    conv = next(layer for layer in found["layers"] if layer["name"] == "conv2")
    assert conv["where"] == "accelerator"
    assert conv["products"] == 2 * 9 * 4 * 4  # two tiles of results, 9 taps, 4 x 4 pixels
    assert sum(layer["products"] for layer in found["layers"]) == found["counters"]["gemm_counter"]
    moved = found["counters"]["inp_load_nbytes"] + found["counters"]["wgt_load_nbytes"]
    assert sum(layer["bytes"] for layer in found["layers"]) > moved


def _saved(folder, model, values):
    onnx.save(model, folder / "m.onnx")
    np.save(folder / "m.npy", values)
    return folder / "m.npy"


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_the_best_of_stored_integers(kind, tmp_path):
    """0 is the least of uint8, and -128 that of int8."""
    b = Builder()
    made = b.op("QuantizeLinear", "x", b.real(1), b.constant(kind(0)))
    model = b.model(made, [1, 4], kind=helper.np_dtype_to_tensor_dtype(np.dtype(kind)))
    values = np.float32([[3, 0, 2, -128 if kind is np.int8 else 1]])
    result = run(tmp_path, "--input", _saved(tmp_path, model, values), "--top", 2, model="m.onnx")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.output.splitlines()]
    assert [row for row in rows if len(row) == 2 and row[0].isdecimal()] == [["0", "3"], ["2", "2"]]


def test_the_best_of_truth_values(tmp_path):
    b = Builder()
    model = b.model(b.op("Greater", b.op("DequantizeLinear", b.op(
        "QuantizeLinear", "x", b.real(0.1), b.constant(np.int8(0))), b.real(0.1),
        b.constant(np.int8(0))), b.real(0)), [1, 2], kind=TensorProto.BOOL)  # fmt: skip
    values = np.float32([[-1, 1]])
    result = run(tmp_path, "--input", _saved(tmp_path, model, values), "--top", 1, model="m.onnx")
    assert result.exit_code == 0, result.output
    assert [line.split() for line in result.output.splitlines()][2] == ["1", "1"]


@pytest.mark.parametrize("size", [0, 1000])
def test_a_network_that_is_cut_off(size, folder, tmp_path):
    whole, cut = tmp_path / "net.vtanet", tmp_path / "cut.vtanet"
    result = CliRunner().invoke(main, ["compile", str(folder / "int8.onnx"), "-o", str(whole)])
    assert result.exit_code == 0, result.output
    cut.write_bytes(whole.read_bytes()[:size])
    for command in (["run"], ["profile", "-o", str(tmp_path / "profile")]):
        result = CliRunner().invoke(main, [*command, str(cut)])
        assert result.exit_code == 1
        assert "cut.vtanet: not a VTA network, or damaged" in " ".join(result.output.split())


def test_a_name_in_capitals(folder, tmp_path):
    """As some systems write it."""
    (tmp_path / "INT8.ONNX").write_bytes((folder / "int8.onnx").read_bytes())
    (tmp_path / "X.NPY").write_bytes((folder / "x.npy").read_bytes())
    result = run(tmp_path, "--input", tmp_path / "X.NPY", model="INT8.ONNX")
    assert result.exit_code == 0, result.output


def test_data_that_are_no_numbers(folder, tmp_path):
    values = np.load(folder / "x.npy")
    values[0, 0, 1, 1] = np.nan
    np.save(tmp_path / "x.npy", values)
    result = run(folder, "--input", tmp_path / "x.npy")
    assert result.exit_code == 1
    assert "x_QuantizeLinear: " in result.output
    assert "data hold NaN, which no integer stands for" in " ".join(result.output.split())


def test_numbers_that_are_not_finite(tmp_path):
    """JSON has none of these."""
    b = Builder()
    stored = b.op("QuantizeLinear", "x", b.real(1), b.constant(np.int8(0)))
    real = b.op("DequantizeLinear", stored, b.real(1), b.constant(np.int8(0)))
    model = b.model(b.op("Div", b.real(1), b.op("Mul", real, real)), [1, 2])
    values = np.float32([[0, 2]])
    result = run(tmp_path, "--input", _saved(tmp_path, model, values), "--json", model="m.onnx")
    assert result.exit_code == 0, result.output
    assert list(json.loads(result.stdout)["outputs"].values()) == [[[None, 0.25]]]


@pytest.mark.parametrize("command", ["run", "inspect", "compare"])
def test_names_are_printed_as_they_are(command, folder, tmp_path):
    """Square brackets and colons have no meaning, and a file name can hold them."""
    made = onnx.load(folder / "int8.onnx")
    for node in made.graph.node:
        node.name = f"/[b]{node.name}[/i]:cat:"
    path = tmp_path / "a [" / "b] net.onnx"
    path.parent.mkdir()
    onnx.save(made, path)
    inputs = [] if command == "inspect" else ["--input", str(folder / "x.npy")]
    result = CliRunner().invoke(main, [command, str(path), *inputs])
    assert result.exit_code == 0, (result.output, result.exception)
    assert "/[b]conv1[/i]:cat:" in result.output


def test_json_to_standard_output(folder):
    result = run(folder, "--input", folder / "x.npy", "--json")
    assert json.loads(result.stdout)["name"] == "int8"


def test_the_host_may_do_the_borders_only(folder):
    assert run(folder, "--input", folder / "x.npy", "--no-host").exit_code == 0


def test_an_open_extent(folder, tmp_path):
    made = onnx.load(folder / "int8.onnx")
    made.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    path = tmp_path / "open.onnx"
    onnx.save(made, path)
    for command in ("run", "compare", "inspect", "compile"):
        arguments = [command, str(path)]
        if command in ("run", "compare"):
            arguments += ["--input", str(folder / "x.npy"), "--target", "sim"]
        if command == "compile":
            arguments += ["-o", str(tmp_path / "net.vtanet")]
        without = CliRunner().invoke(main, arguments)
        assert without.exit_code == 1
        assert "--shape x=1,..." in " ".join(without.output.split())
        given = CliRunner().invoke(main, [*arguments, "--shape", "x=1,1,8,8"])
        assert given.exit_code == 0, given.output
    wrong = CliRunner().invoke(main, ["run", str(path), "--shape", "x=1,a"])
    assert wrong.exit_code == 2
    assert "'x=1,a' is no NAME=1,3,224,224, of positive numbers" in wrong.output
    compiled = run(tmp_path, "--shape", "x=1,1,8,8", model="net.vtanet")
    assert "--shape is for ONNX models" in compiled.output


def test_joined_programs_have_one_row(folder, tmp_path):
    outputs = []
    for number, options in enumerate(((), ("--join-programs",))):
        report = tmp_path / f"{number}.json"
        result = run(folder, "--input", folder / "x.npy", "--json", report, *options)
        assert result.exit_code == 0, result.output
        found = json.loads(report.read_text())
        outputs.append(found["outputs"])
    assert outputs[0] == outputs[1]
    rows = [layer for layer in found["layers"] if layer["where"] == "accelerator"]
    assert [(row["name"], row["operator"]) for row in rows] == [("conv1 to fc", "launch")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "int8 reads x (float32 of shape (1, 1, 8, 8)): give it as --input x=FILE"),
        (("--input", "y=x.npy"), "--input y=x.npy: no such tensor; there are x"),
        (
            ("--input", "photo.jpg"),
            "input x: photo.jpg is no .npy file, and the model does not",
        ),
        (("--input", "none.npy"), "input x: cannot read none.npy"),
        (("--preset", "tiny", "--config", "{folder}/int8.onnx"), "not both"),
    ],
)
def test_wrong_arguments(folder, arguments, said):
    result = run(folder, *(text.format(folder=folder) for text in arguments))
    assert result.exit_code in (1, 2)
    assert said in " ".join(result.output.split())


def test_an_array_of_another_type(folder, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 8, 8)))
    result = run(folder, "--input", tmp_path / "x.npy")
    assert result.exit_code == 1
    assert "holds float64 of shape (1, 1, 8, 8); must be float32" in result.output


def test_a_damaged_model(folder, tmp_path):
    content = (folder / "int8.onnx").read_bytes()
    for size in (0, 10, len(content) // 2):
        (tmp_path / "cut.onnx").write_bytes(content[:size])
        result = run(tmp_path, model="cut.onnx")
        assert result.exit_code == 1, size
        assert "Error: " in result.output


def test_an_operator_that_is_not_supported(folder, tmp_path):
    made = onnx.load(folder / "int8.onnx")
    for node in made.graph.node:
        if node.op_type == "MaxPool":
            node.op_type = "LpPool"
    onnx.save(made, tmp_path / "lp.onnx")
    result = run(tmp_path, model="lp.onnx")
    assert result.exit_code == 1
    assert "no support for node pool1 (LpPool)" in result.output
    assert "MaxPool" in result.output  # among those that there are
