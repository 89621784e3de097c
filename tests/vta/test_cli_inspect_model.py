"""`vta inspect`: where nodes run, what a model takes, and why one does not run."""

import json

import onnx
import pytest
from click.testing import CliRunner
from onnx import helper

from tests.support.onnx_builder import Builder
from tests.support.onnx_models import inputs_of, model, quantised, residual
from vta import rpc
from vta.cli import main
from vta.config import VTAConfig
from vta.networks import compile_model
from vta.runtime.network import NetworkModule


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    quantised(residual(channels=16), folder, symmetric=False)
    return folder


def inspect(*arguments):
    result = CliRunner().invoke(main, ["inspect", *map(str, arguments)])
    return result.exit_code, result.output


def report(*arguments):
    code, text = inspect(*arguments, "--json")
    found = json.loads(text)
    assert found["runs"] is (code == 0)
    return found


def test_where_nodes_run(folder, tmp_path):
    found = report(folder / "int8.onnx")
    where = {node["name"]: node["where"] for node in found["nodes"]}
    for name in ("expand", "depthwise + add", "average", "fc"):
        assert where[name] == "accelerator"
    assert (where["concat"], where["softmax"]) == ("memory", "host")
    notes = {node["name"]: node["why"] for node in found["nodes"]}
    assert notes["softmax"] == "computes with real numbers"
    assert "depthwise.pad" not in where
    base = tmp_path / "base.json"
    base.write_text(json.dumps(VTAConfig().replace(extension=0).to_dict()))
    without = report(folder / "int8.onnx", "--config", base)
    notes = {node["name"]: node["why"] for node in without["nodes"]}
    assert "symmetric activations need none" in notes["depthwise.pad"]
    assert found["inputs"] == {"x": "float32 1x16x9x9"}
    network = compile_model(folder / "int8.onnx")
    assert found["weights"] + found["activations"] == network.arena


def test_estimated_cycles_are_those_of_the_rtl(folder):
    """To a few percent."""
    found = report(folder / "int8.onnx")
    cfg = VTAConfig(target="tsim")
    session = rpc.LocalSession(cfg)
    module = NetworkModule(compile_model(folder / "int8.onnx", cfg=cfg), session.ext_dev(0))
    ran = module.run(inputs_of(residual(channels=16), 0))
    assert found["cycles"] == pytest.approx(ran.cycles, rel=0.05)
    session.close()


def test_as_text(folder):
    code, text = inspect(folder / "int8.onnx", "--memory", "ddr")
    assert code == 0
    assert "int8 on 1x16_i8w8a32_15_15_18_17: about " in text
    assert "input x: float32 1x16x9x9" in text


def test_a_float_model(folder):
    found = report(folder / "float.onnx")
    assert not found["quantised"]
    assert found["problems"] == [
        "the model computes in real numbers: quantise it with `vta quantize`"
    ]
    where = {node["name"]: node["where"] for node in found["nodes"]}
    assert where["depthwise"] == "accelerator"
    assert found["cycles"] is None


def test_every_unsupported_node_is_listed(folder, tmp_path):
    made = onnx.load(folder / "int8.onnx")
    for number in range(2):
        made.graph.node.append(helper.make_node("Sin", ["y"], [f"s{number}"], f"sine {number}"))
        made.graph.output.append(helper.make_tensor_value_info(f"s{number}", 1, [1, 10]))
    onnx.save(made, tmp_path / "m.onnx")
    found = report(tmp_path / "m.onnx")
    assert found["problems"] == [
        f"node sine {number}: no support for the operator Sin" for number in range(2)
    ]


def test_a_float_model_with_constants_that_are_computed(tmp_path):
    """`vta quantize` folds them: they are no reason why a model does not run."""
    b = Builder()
    zeros = b.op("ConstantOfShape", b.op("Shape", "x"))
    onnx.save(b.model(b.op("Add", "x", zeros), [1, 3, 4, 4]), tmp_path / "m.onnx")
    found = report(tmp_path / "m.onnx")
    assert found["problems"] == [
        "the model computes in real numbers: quantise it with `vta quantize`"
    ]


def test_a_layer_that_does_not_fit(tmp_path):
    """The average of a prime number of pixels, of which no block fits."""
    node = helper.make_node("GlobalAveragePool", ["x"], ["y"], "average")
    made = model([node], {"x": [1, 4, 1, 101]}, {"y": [1, 4, 1, 1]}, {})
    found = report(quantised(made, tmp_path), "--preset", "tiny")
    (problem,) = found["problems"]
    assert problem.startswith("node average (GlobalAveragePool): global_sum: 101 pixels")
    assert "LOG_ACC_BUFF_SIZE" in problem


def test_no_model(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    code, text = inspect(tmp_path / "x.onnx")
    assert code == 1
    assert text.startswith("Error: ")
