"""The PP-OCRv6 recogniser on lines of printed text: the characters of the float model."""

import onnx
import pytest

from tests.networks import printed_text
from tests.networks.printed_text import LINES, PREPROCESSING, text_of
from tests.support.networks import differing, integer
from tests.support.onnx_models import by_onnxruntime
from vta import rpc
from vta.comparison import node_differences
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.quantization import quantise
from vta.runtime.network import NetworkModule

SHAPE = (1, 3, 48, 240)
KNOWN = ("Hello World", "lazy dog 1987", "Tensor 16x16", "simulated RTL")


def line(text):
    pixels = printed_text.line(text, SHAPE, LINES.index(text))
    return PREPROCESSING["recogniser"].apply(pixels, SHAPE)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recogniser")
    onnx.save(printed_text.model("recogniser"), folder / "float.onnx")
    samples = [line(text) for text in LINES]
    quantise(folder / "float.onnx", folder / "int8.onnx", samples, shapes={"x": SHAPE})
    return folder / "float.onnx", folder / "int8.onnx"


def on(target, graph):
    cfg = VTAConfig(target=target)
    return NetworkModule(compile_network(graph, cfg), rpc.LocalSession(cfg).ext_dev(0))


@pytest.mark.networks
def test_on_the_model(files):
    graph, characters = integer(files[1]), printed_text.characters()
    module = on("sim", graph)
    for text in KNOWN:
        wrong, ran = differing(graph, module, {"x": line(text)})
        assert not wrong
        (got,), (want,) = ran.outputs.values(), by_onnxruntime(files[0], {"x": line(text)}).values()
        assert text_of(got[0], characters) == text_of(want[0], characters) == text


@pytest.mark.networks
def test_each_node_is_at_most_a_step_from_onnxruntime(files):
    graph = integer(files[1])
    stored = {name for name, tensor in graph.tensors.items() if tensor.dtype == "int8"}
    found = node_differences(files[1], graph, {"x": line(LINES[0])})
    assert len(stored & found.keys()) > 100
    assert {name: found[name] for name in stored & found.keys() if found[name].largest > 1} == {}


@pytest.mark.networks
def test_on_the_rtl(files):
    graph = integer(files[1])
    wrong, ran = differing(graph, on("tsim", graph), {"x": line(KNOWN[0])})
    assert not wrong
    (scores,) = ran.outputs.values()
    assert text_of(scores[0], printed_text.characters()) == KNOWN[0]
