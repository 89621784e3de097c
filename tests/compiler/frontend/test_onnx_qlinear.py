"""Networks of operators on stored integers, as onnxruntime's format QOperator has them."""

import logging

import numpy as np
import onnx
import pytest
from onnxruntime import quantization

from tests.support.networks import differing, integer
from tests.support.onnx_builder import Builder
from vta import rpc
from vta.comparison import node_differences
from vta.compiler.frontend.onnx_import import import_model
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.errors import ModelError
from vta.runtime.network import NetworkModule

SHAPE = (1, 3, 8, 8)
OPERATORS = {
    "QGemm", "QLinearAdd", "QLinearAveragePool", "QLinearConcat", "QLinearConv",
    "QLinearGlobalAveragePool", "QLinearLeakyRelu", "QLinearMul", "QLinearSigmoid",
    "QLinearSoftmax",
}  # fmt: skip


class _Samples(quantization.CalibrationDataReader):
    def __init__(self):
        rng = np.random.default_rng(0)
        self.left = [{"x": rng.normal(0, 1, SHAPE).astype(np.float32)} for _ in range(4)]

    def get_next(self):
        return self.left.pop() if self.left else None


@pytest.fixture(scope="module", params=[("QUInt8", False), ("QInt8", True)])
def path(request, tmp_path_factory):
    """Two branches, a gate, pools, a classifier."""
    b, folder = Builder(), tmp_path_factory.mktemp("qoperator")
    x = b.relu(b.conv("x", 3, 16))
    y = b.op("LeakyRelu", b.conv(x, 16, 16), alpha=0.1)
    y = b.conv(b.op("Concat", x, y, axis=1), 32, 16)
    gate = b.op("Sigmoid", b.conv(b.op("GlobalAveragePool", y), 16, 16, 1))
    y = b.op("Add", b.op("Mul", y, gate), x)
    y = b.pool(b.op("AveragePool", y, kernel_shape=[2, 2], strides=[2, 2]))
    y = b.op("Softmax", b.dense(b.op("Flatten", y), 64, 10))
    onnx.save(b.model(y, SHAPE), folder / "float.onnx")
    kind, per_channel = request.param
    logging.disable(logging.WARNING)
    quantization.quantize_static(
        str(folder / "float.onnx"), str(folder / "int8.onnx"), _Samples(),
        quant_format=quantization.QuantFormat.QOperator, per_channel=per_channel,
        activation_type=quantization.QuantType[kind], weight_type=quantization.QuantType.QInt8,
    )  # fmt: skip
    logging.disable(logging.NOTSET)
    return folder / "int8.onnx"


def test_every_tensor(path):
    """Each node alone differs from onnxruntime by at most one step."""
    assert {node.op_type for node in onnx.load(path).graph.node} >= OPERATORS
    graph, cfg = integer(path), VTAConfig(target="sim")
    inputs = {"x": np.random.default_rng(9).normal(0, 1, SHAPE).astype(np.float32)}
    network = compile_network(graph, cfg)
    module = NetworkModule(network, rpc.LocalSession(cfg).ext_dev(0))
    assert not differing(graph, module, inputs)[0]
    found = node_differences(path, graph, inputs)
    assert len(found) > len(OPERATORS)
    assert max(difference.largest for difference in found.values()) <= 1
    on_host = {step.operator for step in network.steps if step.where == "host"}
    assert not on_host & {"real_multiply", "real_add", "mean", "concat"}


def test_a_maximum_of_integers_without_a_scale():
    b = Builder()
    stored = b.op("QuantizeLinear", "x", b.real(0.1), b.constant(np.int8(0)))
    shifted = b.op("Where", b.constant(np.array(True)), stored, b.constant(np.int8(3)))
    pooled = b.op("MaxPool", shifted, kernel_shape=[2, 2])
    model = b.model(pooled, SHAPE, kind=onnx.TensorProto.INT8)
    with pytest.raises(ModelError, match=r"node MaxPool_2 \(MaxPool\): where_1_0 is int8; must be"):
        import_model(model, "m")
