"""Real classifiers on photos: tensors are the interpreter's, answers those of the float model."""

import numpy as np
import pytest
from click.testing import CliRunner

from tests.networks.__main__ import write_model, write_photos
from tests.networks.conftest import INPUT
from tests.support.networks import decibels, differing, integer
from vta import rpc
from vta.cli import main
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.runtime.network import NetworkModule

#: Of each model: photos of twenty on which it agrees with the float model, dB of its logits.
QUALITY = {"squeezenet": (18, 25), "mobilenet": (17, 10), "resnet18": (17, 30)}
MOVING = {"concat", "pad", "reshape", "im2col", "pack", "unpack"}


def on(target, graph):
    cfg = VTAConfig(target=target)
    return NetworkModule(compile_network(graph, cfg), rpc.LocalSession(cfg).ext_dev(0))


def test_one_photo(classifier):
    model = classifier("squeezenet")
    graph = integer(model.path)
    wrong, ran = differing(graph, on("sim", graph), {INPUT: model.inputs[0]})
    assert not wrong
    assert ran.outputs["logits"].argmax() == model.wanted[0].argmax()


def test_a_photo_by_the_command(tmp_path):
    """What `make photo` runs, on the model: from a float file and a photo to a name."""
    photos = tmp_path / "photos"
    write_photos(photos)
    model = write_model("squeezenet", tmp_path)
    arguments = [model, "--calibrate", photos, "--input", photos / "imagenet_01_559.jpg"]
    result = CliRunner().invoke(
        main, ["run", *map(str, arguments), "--target", "sim", "--top", "1"]
    )
    assert result.exit_code == 0, result.output
    assert "    559  " in result.output and "folding chair" in result.output


@pytest.mark.networks
@pytest.mark.parametrize("name", QUALITY)
def test_twenty_photos(classifier, name):
    model = classifier(name)
    graph = integer(model.path)
    module = on("sim", graph)
    got = np.concatenate([module(x)["logits"] for x in model.inputs])
    agreed = got.argmax(axis=1) == model.wanted.argmax(axis=1)
    enough, quality = QUALITY[name]
    assert agreed.sum() >= enough
    assert decibels(model.wanted, got) >= quality
    on_host = {step.operator for step in module.network.host_steps}
    assert on_host <= {"quantize", "dequantize", *MOVING}


@pytest.mark.networks
@pytest.mark.parametrize("name", QUALITY)
def test_on_the_rtl(classifier, name):
    model = classifier(name)
    graph = integer(model.path)
    module = on("tsim", graph)
    for x in model.inputs[:3]:
        wrong, _ = differing(graph, module, {INPUT: x})
        assert not wrong
