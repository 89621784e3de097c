"""Gemm with factors and summands of any shape, quantised; the judge is onnxruntime."""

import numpy as np
import onnx
import pytest

from tests.support.networks import decibels
from tests.support.onnx_builder import Builder
from tests.support.onnx_models import by_onnxruntime
from vta.plain_products import with_plain_products
from vta.quantization import quantise

ROWS, DEPTH, COLUMNS = 4, 12, 5
ATTRIBUTES = [{}, {"alpha": 0.5, "beta": 2.0}, {"alpha": -1.5, "transB": 1}, {"beta": 0.25}]


def made(shape, **attributes):
    b = Builder()
    weights = b.normal(DEPTH, COLUMNS, scale=0.3)
    inputs = [b.constant(weights.T.copy() if attributes.get("transB") else weights)]
    if shape is not None:
        inputs.append(b.constant(b.normal(*shape)))
    return b.model(b.op("Gemm", "x", *inputs, **attributes), [ROWS, DEPTH])


@pytest.mark.parametrize("attributes", ATTRIBUTES)
@pytest.mark.parametrize("shape", [None, (), (1,), (5,), (1, 5), (4, 1), (4, 5)])
def test_the_model_computes_the_same(shape, attributes, tmp_path):
    real, plain = tmp_path / "real.onnx", tmp_path / "plain.onnx"
    onnx.save(made(shape, **attributes), real)
    onnx.save(with_plain_products(onnx.load(real)), plain)
    values = {"x": np.random.default_rng(1).normal(0, 1, (ROWS, DEPTH)).astype(np.float32)}
    (want,), (got,) = (by_onnxruntime(path, values).values() for path in (real, plain))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    for node in onnx.load(plain).graph.node:
        assert {item.name for item in node.attribute} <= {"transB"}


def test_weights_that_are_the_bias_too(tmp_path):
    b = Builder()
    square = b.constant(b.normal(8, 8, scale=0.3))
    _quantised(b.model(b.op("Gemm", "x", square, square, alpha=2.0), [8, 8]), tmp_path)


@pytest.mark.parametrize("shape", [(5,), (4, 1)])
def test_quantised(shape, tmp_path):
    """Without a factor of the bias the noise is 6 dB below the signal."""
    _quantised(made(shape, alpha=0.5, beta=2.0), tmp_path)


def _quantised(model, folder):
    real, int8 = folder / "real.onnx", folder / "int8.onnx"
    onnx.save(model, real)
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    rng = np.random.default_rng(1)
    samples = [{"x": rng.normal(0, 1, shape).astype(np.float32)} for _ in range(4)]
    quantise(real, int8, samples)
    (want,), (got,) = (by_onnxruntime(path, samples[0]).values() for path in (real, int8))
    assert decibels(want, got) > 30
