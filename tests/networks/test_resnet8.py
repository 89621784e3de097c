"""ResNet-8, trained here: its gradients, and how much accuracy int8 costs on digits held out."""

import numpy as np
import onnx
import pytest

from tests.networks import resnet8
from tests.support.networks import differing, integer
from tests.support.onnx_models import by_onnxruntime
from vta import rpc
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.quantization import quantise
from vta.runtime.network import NetworkModule


def test_gradients():
    """Against finite differences, in float64, of one weight in each array."""
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(0, 0.1, values.shape) for name, values in resnet8.initial().items()}
    images, labels = rng.normal(0, 1, (3, 12, 12, 1)), np.array([1, 5, 9])
    exact = resnet8.Pass(weights)
    exact.run(images, labels)
    for name, values in weights.items():
        place = tuple(rng.integers(0, extent) for extent in values.shape)
        losses = []
        for step in (1e-6, -1e-6):
            moved = values.copy()
            moved[place] += step
            losses.append(resnet8.Pass({**weights, name: moved}).run(images, labels))
        assert exact.gradients[name][place] == pytest.approx(
            (losses[0] - losses[1]) / 2e-6, rel=1e-3, abs=1e-6
        ), name


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Paths of the float and the int8 model."""
    folder = tmp_path_factory.mktemp("resnet8")
    onnx.save(resnet8.network(resnet8.train()), folder / "float.onnx")
    samples = list(resnet8.split()[0][0][::100, None])
    quantise(folder / "float.onnx", folder / "int8.onnx", samples)
    return folder / "float.onnx", folder / "int8.onnx"


def on(target, graph):
    cfg = VTAConfig(target=target)
    return NetworkModule(compile_network(graph, cfg), rpc.LocalSession(cfg).ext_dev(0))


@pytest.mark.networks
def test_accuracy(trained):
    """Within half a point of the float model."""
    real, path = trained
    images, labels = resnet8.split()[1]
    module = on("sim", integer(path))
    exact, got = (
        np.concatenate([run(image[None]) for image in images]).argmax(axis=1) == labels
        for run in (
            lambda x: by_onnxruntime(real, {"data": x})["logits"],
            lambda x: module(x)["logits"],
        )
    )
    assert exact.mean() >= 0.95
    assert got.mean() >= exact.mean() - 0.005


@pytest.mark.networks
def test_on_the_rtl(trained):
    graph = integer(trained[1])
    module = on("tsim", graph)
    for image in resnet8.split()[1][0][:5]:
        wrong, _ = differing(graph, module, {"data": image[None]})
        assert not wrong
