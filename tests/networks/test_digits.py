"""Handwritten digits: a network that is right on nearly all, on the model and on the RTL."""

import numpy as np
import pytest

from tests.networks import digits
from tests.support.networks import integer
from tests.support.onnx_models import quantised
from vta import rpc
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.runtime.network import NetworkModule


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    inputs = digits.prepared(digits.digits()[0])[2::100]
    path = quantised(
        digits.network(), tmp_path_factory.mktemp("digits"),
        calibration=[{"data": image[None]} for image in inputs],
    )  # fmt: skip
    return integer(path)


def on(target, graph):
    cfg = VTAConfig(target=target)
    return NetworkModule(compile_network(graph, cfg), rpc.LocalSession(cfg).ext_dev(0))


def answers(module, images):
    return np.concatenate([module(image[None])["logits"] for image in digits.prepared(images)])


@pytest.mark.parametrize(
    "count", [100, pytest.param(1000, marks=pytest.mark.networks)], ids=["hundred", "thousand"]
)
def test_on_the_model(graph, count):
    images, labels = (values[:: len(values) // count] for values in digits.digits())
    assert len(images) == count
    right = answers(on("sim", graph), images).argmax(axis=1) == labels
    assert right.mean() >= 0.99


@pytest.mark.networks
def test_on_the_rtl(graph):
    images = digits.digits()[0][::100]
    got, wanted = (answers(on(target, graph), images) for target in ("tsim", "sim"))
    np.testing.assert_array_equal(got, wanted)
    assert len(np.unique(got.argmax(axis=1))) == 10
