"""The angle classifier of an OCR package (depthwise, hard-swish, squeeze-and-excitation) on lines
of text that are upright or upside down."""

import numpy as np
import onnx
import pytest

from tests.networks.printed_text import CENTRED, LINES, model, picture
from tests.support.networks import decibels, differing, integer
from tests.support.onnx_models import by_onnxruntime
from vta import rpc
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.quantization import quantise
from vta.runtime.network import NetworkModule

SHAPE = (1, 3, 48, 192)
ON_HOST = {"quantize", "im2col", "pack", "unpack", "dequantize", "softmax"}


def inputs():
    """Of each line: upright, upside down."""
    found = []
    for number, text in enumerate(LINES):
        pixels = picture(text, SHAPE[:1:-1], paper=250 - 5 * number, ink=9 * number)
        found += [CENTRED.apply(turned, SHAPE) for turned in (pixels, pixels[::-1, ::-1])]
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("angle")
    onnx.save(model("classifier"), folder / "float.onnx")
    quantise(folder / "float.onnx", folder / "int8.onnx", inputs()[::2], shapes={"x": SHAPE})
    return folder / "float.onnx", folder / "int8.onnx"


def on(target, graph):
    cfg = VTAConfig(target=target)
    return NetworkModule(compile_network(graph, cfg), rpc.LocalSession(cfg).ext_dev(0))


@pytest.mark.networks
def test_on_the_model(files):
    graph = integer(files[1])
    module = on("sim", graph)
    assert {step.operator for step in module.network.host_steps} == ON_HOST
    (name,) = graph.outputs
    got, want = [], []
    for x in inputs():
        wrong, ran = differing(graph, module, {"x": x})
        assert not wrong
        got.append(ran.outputs[name])
        want.append(by_onnxruntime(files[0], {"x": x})[name])
    got, want = np.concatenate(got), np.concatenate(want)
    assert (got.argmax(axis=1) == want.argmax(axis=1)).sum() >= 22
    assert decibels(want, got) >= 15


@pytest.mark.networks
def test_on_the_rtl(files):
    graph = integer(files[1])
    module = on("tsim", graph)
    for x in inputs()[:2]:
        wrong, _ = differing(graph, module, {"x": x})
        assert not wrong
