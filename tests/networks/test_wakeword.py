"""Wake-word networks that TensorFlow Lite quantised: exact, and near TensorFlow Lite's answers."""

import numpy as np
import onnx
import pytest

from tests.networks import wakeword
from tests.networks.tflite_runtime import Interpreter
from tests.support.networks import differing, integer
from vta import rpc
from vta.comparison import node_differences
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.runtime.network import NetworkModule

pytestmark = pytest.mark.networks

CUTOFF = round(0.85 * 256)
"""The probability from which the package reports the word."""
MIDDLE = 26
"""A frame in which the probability rises."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The networks by name, with the ending .onnx."""
    folder = tmp_path_factory.mktemp("wakeword")
    for name in wakeword.NAMES:
        onnx.save(wakeword.wakeword(name), folder / f"{name}.onnx")
    return folder


@pytest.fixture
def path(folder):
    return folder / "okay_nabu.onnx"


def on(target, graph):
    cfg = VTAConfig(target=target)
    return NetworkModule(compile_network(graph, cfg), rpc.LocalSession(cfg).ext_dev(0))


@pytest.mark.parametrize("name", wakeword.NAMES)
def test_on_the_model(name, folder, tmp_path):
    """Every tensor of every frame is the interpreter's, and the word is heard where TensorFlow Lite
    hears it."""
    graph = integer(folder / f"{name}.onnx")
    module = on("sim", graph)
    kinds = [step.operator for step in module.network.steps if step.program is not None]
    assert kinds.count("conv2d") == (14 if name == "okay_nabu" else 9) and "dense" in kinds
    judge = Interpreter(wakeword.tflite_file(name), tmp_path)
    variables = wakeword.first_inputs(onnx.load(folder / f"{name}.onnx"))
    pairs = []
    for features in wakeword.frames():
        wrong, ran = differing(graph, module, {wakeword.FEATURES: features, **variables})
        assert not wrong
        variables = wakeword.next_inputs(ran.outputs)
        want = judge.run(features, np.zeros((1, 1), np.uint8))
        pairs.append((int(ran.outputs[wakeword.PROBABILITY][0, 0]), int(want[0, 0])))
    got, want = np.array(pairs).T
    assert (want.max() > 250) == (name == "okay_nabu")
    np.testing.assert_array_equal(got >= CUTOFF, want >= CUTOFF)
    assert np.abs(got - want).max() <= 8 and np.count_nonzero(got != want) <= 10


def test_each_node_is_at_most_a_step_from_onnxruntime(path):
    inputs = frame(path, MIDDLE)
    found = node_differences(path, integer(path), inputs)
    assert len(found) > 50
    assert {name: item.largest for name, item in found.items() if item.largest > 1} == {}


def test_on_the_rtl(path):
    """Two frames one after the other."""
    graph, inputs = integer(path), frame(path, MIDDLE)
    module = on("tsim", graph)
    for features in wakeword.frames()[MIDDLE : MIDDLE + 2]:
        inputs = {**inputs, wakeword.FEATURES: features}
        wrong, ran = differing(graph, module, inputs)
        assert not wrong
        assert 0 < ran.outputs[wakeword.PROBABILITY][0, 0] < 255
        inputs = wakeword.next_inputs(ran.outputs)


def frame(path, number):
    return list(wakeword.samples(path))[number]
