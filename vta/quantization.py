"""Static quantisation of float models to int8, by onnxruntime, with a report of what was lost."""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vta.calibration import InputType, Sample, input_types
from vta.compiler.frontend.onnx_model import read_model
from vta.errors import ModelError
from vta.extras import importing
from vta.float_model import (
    REAL_ALWAYS,
    left_real,
    read_by_real_only,
    with_bias_in_convolutions,
    with_bias_in_products,
    with_names,
    with_norms_as_convolutions,
    with_opset,
    with_outputs_apart,
    with_shapes,
    with_sums_of_two,
    without_bias_in_groups,
)
from vta.plain_products import with_plain_products
from vta.preprocessing import CLASSES, METADATA, Preprocessing
from vta.smoothing import smoothed
from vta.whole_sums import with_whole_sums

__all__ = [
    "MIN_SAMPLES",
    "LayerQuality",
    "QuantisationReport",
    "is_quantised",
    "quantise",
]

MIN_SAMPLES = 1
_COMPARED = 8
"""Samples that the quality of each layer is measured on; the answers are compared on all."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class LayerQuality:
    """What quantisation does to a tensor.

    Attributes
    ----------
    tensor, node, operator : str
        The tensor and the node of the model that computes it.
    decibels : float
        Signal to quantisation noise, against the float model, noise of earlier layers included;
        infinite where both are equal.
    """

    tensor: str
    node: str
    operator: str
    decibels: float


@dataclass(frozen=True)
class QuantisationReport:
    """What was lost.

    Attributes
    ----------
    samples : int
        Inputs that calibrated the model, on which the figures were measured.
    layers : tuple of LayerQuality
        In the order of the model.
    outputs : dict of str to float
        Signal to quantisation noise of each output, in dB.
    agreement : dict of str to int
        Of each output that is one vector: samples for which the largest value is at the same place.
    """

    samples: int
    layers: tuple[LayerQuality, ...]
    outputs: dict[str, float]
    agreement: dict[str, int]


def is_quantised(path: str | Path) -> bool:
    """Whether a model has quantised operators.

    Raises
    ------
    ModelError
        If it cannot be read.
    """
    kinds = {node.op_type for node in read_model(path).graph.node}
    return any(kind.startswith("QLinear") or kind == "QuantizeLinear" for kind in kinds)


def quantise(
    source: str | Path,
    result: str | Path,
    samples: Sequence[Array | Sample],
    *,
    symmetric: bool = False,
    per_channel: bool = True,
    whole_sums: bool = False,
    smooth: bool = False,
    preprocessing: Preprocessing | None = None,
    classes: Sequence[str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    progress: Callable[[str], None] | None = None,
) -> QuantisationReport:
    """Write a model quantised to int8, and measure what was lost.

    Weights are symmetric int8. Batch norms are folded and constants computed first. Functions of
    one tensor are not quantised inside (:func:`vta.float_model.left_real`).

    Parameters
    ----------
    source, result : path
        The float model, and the file that is written.
    samples : sequence of mapping of str to ndarray, or of ndarray
        Values of its inputs by name, or of its only input; ranges are the least and the largest
        values of these.
    symmetric : bool
        Whether activations are int8 with zero point 0; else uint8 with any zero point, which loses
        less after a rectifier.
    per_channel : bool
        Whether weights have a scale for each output channel.
    whole_sums : bool
        Whether matrix products that only norms, softmax and the like read keep 32 bits
        (:mod:`vta.whole_sums`), which needs a machine with STORE_ACC.
    smooth : bool
        Whether outliers of activations are moved into the weights of products
        (:mod:`vta.smoothing`), for transformers.
    preprocessing : Preprocessing or None
        Kept in the metadata of the result.
    classes : sequence of str or None
        Names of the elements of an output vector, kept in the metadata of the result; None: those
        of the source, if it has any.
    shapes : mapping of str to sequence of int
        Shapes of inputs that the file leaves open.
    progress : callable or None
        Told in a few words what is being done.

    Raises
    ------
    ModelError
        If the model is quantised already, has no sample, or onnxruntime refuses it; no file is
        written then.
    ToolError
        If onnxruntime is not installed.
    """
    with importing("quantising a model", "quantize"):
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process
    import onnx

    tell = progress or (lambda text: None)
    if is_quantised(source):
        raise ModelError(f"{source}: quantised already; must be a float model")
    named = _named(source, samples, input_types(source, shapes))
    if len(samples) < MIN_SAMPLES:
        raise ModelError(f"{source}: {len(samples)} samples; at least {MIN_SAMPLES} must be given")
    kinds = quantization.QuantType
    with tempfile.TemporaryDirectory(prefix="vta-quantise-") as folder, _quiet():
        ready = Path(folder) / "ready.onnx"
        try:
            tell("folding constants")
            given, made = Path(folder) / "given.onnx", Path(folder) / "int8.onnx"
            onnx.save(with_shapes(read_model(source), shapes or {}), given)
            quant_pre_process(str(given), str(ready), skip_symbolic_shape=True)
            prepared = with_bias_in_convolutions(with_opset(onnx.load(ready)))
            prepared = without_bias_in_groups(prepared)
            prepared = with_norms_as_convolutions(with_sums_of_two(with_names(prepared)))
            prepared = with_bias_in_products(with_plain_products(prepared))
            prepared = with_outputs_apart(prepared)
            if smooth:
                tell("moving outliers into weights")
                prepared = smoothed(prepared, lambda names: _largest(prepared, names, named))
            onnx.save(prepared, ready)
            tell(f"calibrating on {len(samples)} samples")
            quantization.quantize_static(
                str(ready), str(made), _reader(quantization, named),
                quant_format=quantization.QuantFormat.QDQ, per_channel=per_channel,
                activation_type=kinds.QInt8 if symmetric else kinds.QUInt8,
                weight_type=kinds.QInt8, nodes_to_exclude=left_real(prepared),
                extra_options={
                    "ActivationSymmetric": symmetric, "ForceQuantizeNoInputCheck": True,
                },
            )  # fmt: skip
            quantised = onnx.load(made)
            _require_finite_scales(quantised)
            if whole_sums:
                real = {n.name for n in prepared.graph.node if n.op_type in REAL_ALWAYS}
                real.update(read_by_real_only(prepared, real))
                quantised = with_whole_sums(quantised, real)
            entries = {} if preprocessing is None else {METADATA: preprocessing.text()}
            if classes is not None:
                entries[CLASSES] = "\n".join(classes)
            kept = {entry.key: entry.value for entry in quantised.metadata_props}
            del quantised.metadata_props[:]
            for key, value in {**kept, **entries}.items():
                quantised.metadata_props.add(key=key, value=value)
            onnx.save(quantised, made)
            tell("measuring")
            report = _measure(onnx.load(ready), quantised, named)
        except ModelError as error:
            raise ModelError(f"{source}: {error}") from None
        except Exception as error:  # the errors of onnxruntime have no common base
            raise ModelError(f"{source}: onnxruntime cannot quantise it: {error}") from None
        shutil.copyfile(made, result)
        return report


def _require_finite_scales(model: Any) -> None:
    from onnx import numpy_helper

    constants = {item.name: item for item in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "QuantizeLinear" or node.input[1] not in constants:
            continue
        if not np.isfinite(numpy_helper.to_array(constants[node.input[1]])).all():
            raise ModelError(
                f"tensor {node.input[0]} has values on the samples that are not finite (NaN or "
                f"infinity); what is quantised must be finite"
            )


def _named(
    model: str | Path, samples: Sequence[Array | Sample], inputs: Mapping[str, InputType]
) -> list[Sample]:
    found = []
    for sample in samples:
        if not isinstance(sample, Mapping):
            if len(inputs) != 1:
                raise ModelError(
                    f"{model}: a sample is one array; must have one for each of the inputs "
                    f"{', '.join(inputs)}"
                )
            sample = dict.fromkeys(inputs, sample)
        if set(sample) != set(inputs):
            raise ModelError(
                f"{model}: a sample has the inputs {', '.join(sample)}; must be {', '.join(inputs)}"
            )
        found.append(sample)
    return found


def _largest(model: Any, names: Sequence[str], samples: Sequence[Sample]) -> dict[str, Array]:
    """Of each tensor the largest magnitude along its last axis."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    session = _session(copy, [name for name in names if name not in _outputs(copy)])
    found: dict[str, Array] = {}
    for sample in samples:
        for name, values in zip(names, session.run(list(names), dict(sample))):
            own = np.abs(values.reshape(-1, values.shape[-1])).max(axis=0)
            found[name] = np.maximum(own, found.get(name, 0))
    return found


def _outputs(model: Any) -> list[str]:
    return [value.name for value in model.graph.output]


def _reader(quantization: Any, samples: Iterable[Sample]) -> Any:
    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]  # untyped base
        def __init__(self) -> None:
            self.left: Iterator[Sample] = iter(samples)

        def get_next(self) -> dict[str, Array] | None:
            values = next(self.left, None)
            return None if values is None else dict(values)

    return Reader()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice that onnxruntime logs."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _measure(real: Any, quantised: Any, samples: Sequence[Sample]) -> QuantisationReport:
    nodes = {output: node for node in real.graph.node for output in node.output if output}
    kept = {output for node in quantised.graph.node for output in node.output}
    outputs = [value.name for value in real.graph.output]
    stored = {tensor: f"{tensor}_DequantizeLinear_Output" for tensor in nodes}
    inner = [t for t in nodes if stored[t] in kept and t not in outputs]
    signal = dict.fromkeys((*inner, *outputs), 0.0)
    noise = dict(signal)
    agreed = dict.fromkeys(outputs, 0)
    vectors = set(outputs)
    exact = _session(real, inner)
    rounded = _session(quantised, [stored[tensor] for tensor in inner])
    for number, values in enumerate(samples):
        wanted = [*outputs, *(inner if number < _COMPARED else [])]
        pair = (
            exact.run(wanted, dict(values)),
            rounded.run([stored[t] if t not in outputs else t for t in wanted], dict(values)),
        )
        for tensor, want, got in zip(wanted, *pair):
            if want.dtype.kind != "f":
                vectors.discard(tensor)
                continue
            signal[tensor] += float((want.astype(np.float64) ** 2).sum())
            noise[tensor] += float(((want.astype(np.float64) - got) ** 2).sum())
            if tensor in agreed and want.ndim and want.size == want.shape[-1] > 1:
                agreed[tensor] += int(want.argmax() == got.argmax())
            else:
                vectors.discard(tensor)
    quality = {tensor: _decibels(signal[tensor], noise[tensor]) for tensor in signal}
    layers = tuple(
        LayerQuality(tensor, nodes[tensor].name or tensor, nodes[tensor].op_type, quality[tensor])
        for tensor in nodes
        if tensor in quality
    )
    return QuantisationReport(
        len(samples), layers, {tensor: quality[tensor] for tensor in outputs},
        {tensor: agreed[tensor] for tensor in outputs if tensor in vectors},
    )  # fmt: skip


def _session(model: Any, inner: Sequence[str]) -> Any:
    """A session that computes inner tensors too, on one thread and without optimisations."""
    import onnxruntime

    for tensor in inner:
        model.graph.output.add().name = tensor
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal else -float("inf")


def metadata(path: str | Path) -> Mapping[str, str]:
    """The metadata of a model.

    Raises
    ------
    ModelError
        If it cannot be read.
    """
    return {entry.key: entry.value for entry in read_model(path).metadata_props}
