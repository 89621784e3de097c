"""ESRGAN-slim on photos: from a picture to one of twice the size, by the command."""

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.networks import esrgan, photos
from tests.support.networks import decibels, differing, integer
from tests.support.onnx_models import by_onnxruntime
from vta import rpc
from vta.cli import main
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.quantization import quantise
from vta.runtime.network import NetworkModule

SIZE = 48
PIXELS = esrgan.PIXELS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A float and an int8 model, and square photos."""
    folder = tmp_path_factory.mktemp("esrgan")
    onnx.save(esrgan.esrgan(SIZE, SIZE), folder / "float.onnx")
    for number, (_, image) in enumerate(photos.labelled()):
        side = min(image.shape[:2])
        Image.fromarray(image[:side, :side]).save(folder / f"{number:02}.png")
    inputs = [PIXELS.load(path, (1, 3, SIZE, SIZE)) for path in sorted(folder.glob("*.png"))]
    quantise(folder / "float.onnx", folder / "int8.onnx", inputs[:10], preprocessing=PIXELS)
    return folder


def vta(*arguments):
    return CliRunner().invoke(main, [str(item) for item in arguments])


@pytest.mark.networks
def test_a_picture_by_the_command(folder):
    photo = folder / "11.png"
    result = vta("run", folder / "int8.onnx", "--input", photo, "--target", "sim")
    assert result.exit_code == 0, result.output
    picture = folder / "11.SR.png"
    assert f"SR float32 1x3x96x96 -> {picture}" in result.output
    exact = by_onnxruntime(folder / "float.onnx", {"LR": PIXELS.load(photo, (1, 3, SIZE, SIZE))})
    with Image.open(picture) as opened:
        assert (opened.mode, opened.size) == ("RGB", (2 * SIZE, 2 * SIZE))
        assert decibels(PIXELS.picture(exact["SR"]), np.asarray(opened)) >= 38
    picture.unlink()


@pytest.mark.networks
def test_each_node_is_at_most_a_step_from_onnxruntime(folder):
    result = vta("compare", folder / "int8.onnx", "--input", folder / "12.png")
    assert result.exit_code == 0, result.output
    assert "nodes alone differ from onnxruntime by up to 1 steps" in result.output


@pytest.mark.networks
def test_on_the_rtl(folder):
    graph, cfg = integer(folder / "int8.onnx"), VTAConfig(target="tsim")
    module = NetworkModule(compile_network(graph, cfg), rpc.LocalSession(cfg).ext_dev(0))
    x = PIXELS.load(folder / "03.png", (1, 3, SIZE, SIZE))
    wrong, _ = differing(graph, module, {"LR": x})
    assert not wrong
