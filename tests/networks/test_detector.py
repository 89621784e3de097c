"""The PP-OCRv6 detector on pages of printed text: where the lines are."""

import onnx
import pytest

from tests.networks import printed_text
from tests.networks.printed_text import THRESHOLD
from tests.support.networks import differing, integer
from tests.support.onnx_models import by_onnxruntime
from vta import rpc
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.quantization import quantise
from vta.runtime.network import NetworkModule

SHAPE = (1, 3, 160, 320)


def page(seed):
    """An input: a picture of some lines of text of several sizes and colours."""
    pixels = printed_text.page(SHAPE, seed)
    return printed_text.PREPROCESSING["detector"].apply(pixels, SHAPE)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detector")
    onnx.save(printed_text.model("detector"), folder / "float.onnx")
    samples = [page(seed) for seed in range(8)]
    quantise(folder / "float.onnx", folder / "int8.onnx", samples, shapes={"x": SHAPE})
    return folder / "float.onnx", folder / "int8.onnx"


def on(target, graph):
    cfg = VTAConfig(target=target)
    return NetworkModule(compile_network(graph, cfg), rpc.LocalSession(cfg).ext_dev(0))


@pytest.mark.networks
def test_on_the_model(files):
    """Pixels of text are those of the float model, but for a few at borders."""
    graph = integer(files[1])
    module = on("sim", graph)
    for seed in (9, 10):
        x = page(seed)
        wrong, ran = differing(graph, module, {"x": x})
        assert not wrong
        (got,) = (values > THRESHOLD for values in ran.outputs.values())
        (want,) = (values > THRESHOLD for values in by_onnxruntime(files[0], {"x": x}).values())
        assert want.sum() > 1000
        assert (got & want).sum() >= 0.88 * (got | want).sum()


@pytest.mark.networks
def test_on_the_rtl(files):
    graph = integer(files[1])
    wrong, _ = differing(graph, on("tsim", graph), {"x": page(9)})
    assert not wrong
