"""SqueezeNet 1.1 on photos: tensors are the interpreter's, answers those of the float model."""

import numpy as np
import pytest

from tests.support.networks import decibels, differing, integer
from vta import rpc
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.runtime.network import NetworkModule


def on(target, graph):
    cfg = VTAConfig(target=target)
    return NetworkModule(compile_network(graph, cfg), rpc.LocalSession(cfg).ext_dev(0))


def test_one_photo(squeezenet_model):
    graph = integer(squeezenet_model.path)
    wrong, ran = differing(graph, on("sim", graph), {"data": squeezenet_model.inputs[0]})
    assert not wrong
    assert ran.outputs["logits"].argmax() == squeezenet_model.float[0].argmax()
    on_host = {layer.step.operator for layer in ran.layers if layer.result is None}
    assert "concat" in on_host  # the only operator of the model itself
    moved = {"concat", "pad", "reshape", "im2col", "pack", "unpack"}
    assert on_host <= {"quantize", "dequantize", *moved}


@pytest.mark.networks
def test_twenty_photos(squeezenet_model):
    graph = integer(squeezenet_model.path)
    module = on("sim", graph)
    got = np.concatenate([module(x)["logits"] for x in squeezenet_model.inputs])
    agreed = got.argmax(axis=1) == squeezenet_model.float.argmax(axis=1)
    assert agreed.sum() >= 18
    assert decibels(squeezenet_model.float, got) >= 25


@pytest.mark.networks
def test_on_the_rtl(squeezenet_model):
    graph = integer(squeezenet_model.path)
    module = on("tsim", graph)
    for x in squeezenet_model.inputs[:3]:
        wrong, _ = differing(graph, module, {"data": x})
        assert not wrong
