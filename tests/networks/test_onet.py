"""O-Net on faces and on what is none: tensors are the interpreter's, answers the float model's."""

import numpy as np
import onnx
import pytest

from tests.networks import onet
from tests.support.networks import decibels, differing, integer
from tests.support.onnx_models import by_onnxruntime
from vta import rpc
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.networks import require_no_host
from vta.quantization import quantise
from vta.runtime.network import NetworkModule

#: dB of each output against the float model: of the corrections to a box, of places, of the answer.
QUALITY = {"dense6_2": 17, "dense6_3": 35, "face": 38}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Paths of the float and the int8 model, and the inputs."""
    folder = tmp_path_factory.mktemp("onet")
    onnx.save(onet.onet(), folder / "float.onnx")
    inputs = onet.faces()
    quantise(folder / "float.onnx", folder / "int8.onnx", inputs[::5])
    return folder / "float.onnx", folder / "int8.onnx", inputs


def on(target, graph):
    cfg = VTAConfig(target=target)
    return NetworkModule(compile_network(graph, cfg), rpc.LocalSession(cfg).ext_dev(0))


def answers(path, inputs):
    rows = [by_onnxruntime(path, {"data": x}) for x in inputs]
    return {name: np.concatenate([row[name] for row in rows]) for name in QUALITY}


@pytest.mark.networks
def test_on_the_model(files):
    real, path, inputs = files
    graph = integer(path)
    module = on("sim", graph)
    wrong, _ = differing(graph, module, {"data": inputs[0]})
    assert not wrong
    on_host = {step.operator for step in module.network.host_steps}
    assert on_host == {"quantize", "im2col", "pack", "unpack", "dequantize", "softmax"}
    rows = [module(x) for x in inputs[::4]]
    got = {name: np.concatenate([row[name] for row in rows]) for name in QUALITY}
    want = answers(real, inputs[::4])
    assert (got["face"].argmax(axis=1) == [1] * 25 + [0] * 25).all()
    assert (want["face"].argmax(axis=1) == [1] * 25 + [0] * 25).all()
    for name, quality in QUALITY.items():
        assert decibels(want[name], got[name]) >= quality, name


@pytest.mark.networks
def test_on_the_rtl(files):
    _, path, inputs = files
    graph = integer(path)
    module = on("tsim", graph)
    for x in inputs[::80]:
        wrong, _ = differing(graph, module, {"data": x})
        assert not wrong


def test_only_the_softmax_is_on_the_host(files):
    network = compile_network(integer(files[1]), VTAConfig(target="sim"))
    with pytest.raises(Exception, match=r"the host would run softmax \(softmax\)$"):
        require_no_host(network)
