"""Networks of the families that people have: quantised, and whole through the model of the machine.

Each tensor is the integer interpreter's; the judge of the outputs is onnxruntime on the float
model.
"""

import numpy as np
import onnx
import pytest

from tests.support.families import FAMILIES
from tests.support.networks import decibels, differing, integer
from tests.support.onnx_models import by_onnxruntime
from vta import rpc
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.quantization import quantise
from vta.runtime.network import NetworkModule

SAMPLES = 4
LEAST = 25.0
"""Signal to quantisation noise of outputs, in dB."""
ON_HOST = {"densenet": {"lookup"}, "face_recognition": {"lookup"}, "causal_convolutions": {"pad"},
           "channels_last": {"pad"}}  # fmt: skip
"""Operators of the host that a network must not have: the accelerator can do these."""


@pytest.mark.parametrize("name", FAMILIES)
def test_family(name, tmp_path):
    model = FAMILIES[name]()
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    rng = np.random.default_rng(1)
    samples = [{"x": rng.normal(0, 1, shape).astype(np.float32)} for _ in range(SAMPLES)]
    real, path = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    onnx.save(model, real)
    quantise(real, path, samples)
    graph, cfg = integer(path), VTAConfig(target="sim")
    network = compile_network(graph, cfg)
    wrong, ran = differing(graph, NetworkModule(network, rpc.LocalSession(cfg).ext_dev(0)),
                           samples[0])  # fmt: skip
    assert not wrong
    on_host = {step.operator for step in network.steps if step.program is None}
    assert not on_host & ON_HOST.get(name, set())
    for output, wanted in by_onnxruntime(real, samples[0]).items():
        if wanted.dtype.kind == "f":
            assert decibels(wanted, ran.outputs[output]) > LEAST
        else:
            assert (wanted == ran.outputs[output]).mean() > 0.9
