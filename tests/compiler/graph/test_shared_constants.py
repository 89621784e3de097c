"""Stored constants that several nodes read, with several scales or as they are."""

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.support.networks import differing, integer
from tests.support.onnx_models import by_onnxruntime, inputs_of, model
from vta import rpc
from vta.comparison import node_differences
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.runtime.network import NetworkModule

MACHINE = VTAConfig(target="sim")
CONSTANTS = {
    "s": np.float32(0.02), "t": np.float32(0.05), "z": np.int8(0), "one": np.float32(0.003),
    "two": np.float32(0.006),
}  # fmt: skip


def stored(name, result, scale):
    return [
        helper.make_node("QuantizeLinear", [name, scale, "z"], [f"{result}_i"]),
        helper.make_node("DequantizeLinear", [f"{result}_i", scale, "z"], [result]),
    ]


def read(name, result, scale, zero="z"):
    return helper.make_node("DequantizeLinear", [name, scale, zero], [result])


def kernel():
    """One kernel with two scales."""
    values = np.random.default_rng(1).integers(-90, 90, (8, 8, 1, 1)).astype(np.int8)
    nodes = [
        *stored("x", "xq", "s"), read("w", "w1", "one"), read("w", "w2", "two"),
        helper.make_node("Conv", ["xq", "w1"], ["c"], "first"), *stored("c", "y1", "t"),
        helper.make_node("Conv", ["xq", "w2"], ["d"], "second"), *stored("d", "y2", "t"),
    ]  # fmt: skip
    shape = [1, 8, 4, 4]
    return model(nodes, {"x": shape}, {"y1": shape, "y2": shape}, {**CONSTANTS, "w": values})


def operand():
    """One operand of concatenations with two scales."""
    values = np.random.default_rng(1).integers(-60, 60, (1, 8, 4, 4)).astype(np.int8)
    nodes = [
        *stored("x", "xq", "s"), read("w", "w1", "one"), read("w", "w2", "two"),
        helper.make_node("Concat", ["xq", "w1"], ["c"], "first", axis=1), *stored("c", "y1", "s"),
        helper.make_node("Concat", ["xq", "w2"], ["d"], "second", axis=1), *stored("d", "y2", "s"),
    ]  # fmt: skip
    shape = [1, 16, 4, 4]
    return model(nodes, {"x": [1, 8, 4, 4]}, {"y1": shape, "y2": shape}, {**CONSTANTS, "w": values})


def table():
    """The rows of an embedding, uint8, are the weights of a layer too."""
    values = np.random.default_rng(1).integers(30, 220, (12, 8)).astype(np.uint8)
    nodes = [
        helper.make_node("Cast", ["rows"], ["at"], to=onnx.TensorProto.INT64),
        helper.make_node("Gather", ["w", "at"], ["g"], "gather"),
        read("g", "e", "t", "middle"),
        helper.make_node("Mul", ["e", "x"], ["m"], "mul"), *stored("m", "mq", "s"),
        read("w", "w1", "one", "middle"),
        helper.make_node("Gemm", ["mq", "w1"], ["d"], "layer", transB=1), *stored("d", "y", "t"),
    ]  # fmt: skip
    constants = {**CONSTANTS, "w": values, "middle": np.uint8(128)}
    return model(nodes, {"x": [3, 8], "rows": [3]}, {"y": [3, 12]}, constants)


@pytest.mark.parametrize("make", [kernel, operand, table])
def test_each_reader_has_its_scale(make, tmp_path):
    made, path = make(), tmp_path / "m.onnx"
    onnx.save(made, path)
    graph, inputs = integer(path), inputs_of(made, 3)
    if "rows" in inputs:
        inputs["rows"] = np.array([3, 0, 7], np.float32)
    assert all(each.largest <= 1 for each in node_differences(path, graph, inputs).values())
    network = compile_network(graph, MACHINE)
    module = NetworkModule(network, rpc.LocalSession(MACHINE).ext_dev(0))
    wrong, ran = differing(graph, module, inputs)
    assert not wrong
    for name, values in by_onnxruntime(path, inputs).items():
        assert np.ptp(values) > 0.5
        assert np.abs(values - ran.outputs[name]).max() <= 0.0501
