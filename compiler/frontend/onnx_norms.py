"""ONNX operators that normalise: by constants, which is a line for each channel, or by the data
themselves, on the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from vta.compiler.frontend.onnx_elementwise import elementwise
from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.graph.ir import Tensor

__all__ = ["NORMS"]

Handler = Callable[[Importer, OnnxNode], None]


def _batch_norm(importer: Importer, node: OnnxNode) -> None:
    """``(data - mean) / sqrt(variance + epsilon) * scale + bias`` of each channel, as one line."""
    node.require("epsilon", "momentum", "spatial", "training_mode")
    node.value("training_mode", 0, 0)
    node.value("spatial", 1, 1)
    data = importer.tensor(node, 0)
    scale, bias, mean, variance = (
        importer.constant(node, index, what).astype(np.float64)
        for index, what in enumerate(("the scale", "the bias", "the mean", "the variance"), 1)
    )
    variance = variance + node.value("epsilon", 1e-5)
    if not (variance > 0).all():
        raise node.error(f"the variance ({node.inputs[4]}) plus epsilon is not positive")
    factor = scale / np.sqrt(variance)
    shape = _of_channels(node, data, factor)
    line = [values.astype(np.float32).reshape(shape) for values in (factor, bias - mean * factor)]
    slope, offset = (
        importer.add_constant(f"{node.outputs[0]}.{name}", values)
        for name, values in zip(("factor", "summand"), line)
    )
    scaled = elementwise(importer, node, "real_multiply", data, slope)
    elementwise(importer, node, "real_add", scaled, offset, output=node.outputs[0])


def _instance_norm(importer: Importer, node: OnnxNode) -> None:
    """A layer norm of each channel."""
    node.require("epsilon")
    data = importer.tensor(node, 0)
    scale, bias = (importer.constant(node, index, what) for index, what in ((1, "the scale"),
                   (2, "the bias")))  # fmt: skip
    _norm(importer, node, data, scale, bias, output=node.outputs[0])


def _group_norm(importer: Importer, node: OnnxNode) -> None:
    """A layer norm of each group of channels, then a line of each channel; before opset 21 of each
    group."""
    node.require("epsilon", "num_groups", "stash_type")
    node.value("stash_type", 1, 1)
    data = importer.tensor(node, 0)
    groups = node.value("num_groups", None)
    if len(data.shape) < 3:
        raise node.error(f"data {data.name} has shape {data.shape}; must have three dimensions "
                         f"or more")  # fmt: skip
    n, channels, *size = data.shape
    if not groups or groups < 1 or channels % groups:
        raise node.error(f"attribute num_groups is {groups}; must divide {channels} channels")
    scale, bias = (importer.constant(node, index, what) for index, what in ((1, "the scale"),
                   (2, "the bias")))  # fmt: skip
    if node.opset < 21:
        scale, bias = (values.repeat(channels // groups) for values in (scale, bias))
    flat = importer.add(
        node, "reshape", [data.name], (n, groups, channels // groups * prod(size)),
        output=importer.unused(f"{node.outputs[0]}.groups"), suffix=".groups",
    )  # fmt: skip
    even = _norm(importer, node, flat, np.ones(groups), np.zeros(groups))
    back = importer.add(
        node, "reshape", [even.name], data.shape,
        output=importer.unused(f"{node.outputs[0]}.channels"), suffix=".channels",
    )  # fmt: skip
    shape = _of_channels(node, data, scale)
    slope, offset = (
        importer.add_constant(f"{node.outputs[0]}.{name}", values.astype(np.float32).reshape(shape))
        for name, values in (("scale", scale), ("bias", bias))
    )
    scaled = elementwise(importer, node, "real_multiply", back, slope)
    elementwise(importer, node, "real_add", scaled, offset, output=node.outputs[0])


def _norm(
    importer: Importer, node: OnnxNode, data: Tensor, scale: npt.NDArray[Any],
    bias: npt.NDArray[Any], output: str | None = None,
) -> Tensor:  # fmt: skip
    """The layer norm of all axes but the first two."""
    if data.dtype != "float32" or len(data.shape) < 3:
        raise node.error(
            f"data {importer.called(data)} are {data.dtype} of shape {data.shape}; must be float32 "
            f"of three dimensions or more"
        )
    shape = _of_channels(node, data, scale)
    name = output or importer.unused(f"{node.outputs[0]}.norm")
    constants = [
        importer.add_constant(f"{name}.{what}", np.asarray(values, np.float32).reshape(form)).name
        for what, values, form in (
            ("scale", scale, shape), ("bias", bias, shape),
            ("epsilon", node.value("epsilon", 1e-5), ()),
        )
    ]  # fmt: skip
    return importer.add(
        node, "layer_norm", [data.name, *constants], data.shape, output=name,
        suffix="" if output else ".norm", axis=2,
    )  # fmt: skip


def _of_channels(node: OnnxNode, data: Tensor, values: npt.NDArray[Any]) -> tuple[int, ...]:
    """The shape in which one value a channel is broadcast to the data."""
    if len(data.shape) < 2 or values.shape != (data.shape[1],):
        raise node.error(
            f"{values.size} values of scale or bias for data of shape {data.shape}; must be one a "
            f"channel"
        )
    return (data.shape[1], *(1 for _ in data.shape[2:]))


def _lp_norm(importer: Importer, node: OnnxNode) -> None:
    """``data / length`` along an axis; 0 where the length is 0."""
    node.require("axis", "p")
    power = node.value("p", 2, 1, 2)
    data = importer.tensor(node, 0)
    axis = node.axis(node.value("axis", -1), len(data.shape))
    if power == 1:
        positive = elementwise(importer, node, "absolute", data)
    else:
        positive = elementwise(importer, node, "real_multiply", data, data)
    shape = [1 if n == axis else extent for n, extent in enumerate(data.shape)]
    total = importer.add(
        node, "reduce_sum", [positive.name], shape, suffix=".sum", axes=(axis,),
        output=importer.unused(f"{node.outputs[0]}.sum"),
    )  # fmt: skip
    if power == 2:
        total = elementwise(importer, node, "sqrt", total)
    total = elementwise(importer, node, "maximum", total, float(np.finfo(np.float32).tiny))
    elementwise(importer, node, "divide", data, total, output=node.outputs[0])


NORMS: Mapping[tuple[str, str], Handler] = {
    ("", "BatchNormalization"): _batch_norm,
    ("", "GroupNormalization"): _group_norm,
    ("", "InstanceNormalization"): _instance_norm,
    ("", "LpNormalization"): _lp_norm,
}
"""By domain and operator."""
