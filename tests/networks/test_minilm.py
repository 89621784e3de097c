"""A sentence encoder: tensors are the interpreter's, embeddings near those of the float model."""

import numpy as np
import onnx
import pytest

from tests.networks import minilm
from tests.support.networks import differing, integer
from tests.support.onnx_models import by_onnxruntime
from vta import rpc
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.quantization import quantise
from vta.runtime.network import NetworkModule

pytestmark = pytest.mark.networks


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Paths of the float and the int8 model."""
    folder = tmp_path_factory.mktemp("minilm")
    onnx.save(minilm.minilm(), folder / "float.onnx")
    samples = [minilm.encoded(sentence) for sentence in minilm.CALIBRATION]
    quantise(
        folder / "float.onnx", folder / "int8.onnx", samples, whole_sums=True, smooth=True,
        shapes=minilm.SHAPES,
    )  # fmt: skip
    return folder / "float.onnx", folder / "int8.onnx"


def on(target, graph):
    cfg = VTAConfig(target=target)
    return NetworkModule(compile_network(graph, cfg), rpc.LocalSession(cfg).ext_dev(0))


def test_the_float_model(files):
    """Sentences that say the same are nearer than others."""
    rows = [by_onnxruntime(files[0], minilm.encoded(text)) for text in minilm.SENTENCES]
    found = np.concatenate([row["embedding"] for row in rows])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    alike = found @ found.T
    for first, second in ((0, 1), (2, 3), (6, 7)):
        assert alike[first, second] > 0.5
        others = [n for n in range(len(found)) if n not in (first, second)]
        assert alike[first, second] > alike[first, others].max()


def test_on_the_model(files):
    real, path = files
    graph = integer(path)
    module = on("sim", graph)
    on_accelerator = [step for step in module.network.steps if step.program is not None]
    kinds = [step.operator for step in on_accelerator]
    assert kinds.count("dense") == 36 and kinds.count("batch_matmul") == 12
    for text in minilm.SENTENCES:
        inputs = minilm.encoded(text)
        wrong, ran = differing(graph, module, inputs)
        assert not wrong
        want = by_onnxruntime(real, inputs)["embedding"]
        assert minilm.cosine(ran.outputs["embedding"], want) >= QUALITY


def test_on_the_rtl(files):
    graph = integer(files[1])
    wrong, _ = differing(graph, on("tsim", graph), minilm.encoded(minilm.SENTENCES[0]))
    assert not wrong


#: The cosine with the embedding of the float model.
QUALITY = 0.99
