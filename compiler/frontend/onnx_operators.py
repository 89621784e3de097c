"""One function for each ONNX operator: from a node of the file to nodes of the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np
from onnx import TensorProto, numpy_helper

from vta.compiler.frontend.onnx_activations import ACTIVATIONS
from vta.compiler.frontend.onnx_elementwise import ELEMENTWISE, elementwise
from vta.compiler.frontend.onnx_images import IMAGES, require_images
from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.frontend.onnx_matrices import MATRICES, add_matmul
from vta.compiler.frontend.onnx_norms import NORMS
from vta.compiler.frontend.onnx_rearrangement import REARRANGEMENTS
from vta.compiler.frontend.onnx_reductions import REDUCTIONS
from vta.compiler.frontend.onnx_sequences import SEQUENCES
from vta.compiler.frontend.onnx_signals import on_signals
from vta.compiler.frontend.onnx_slices import SLICES
from vta.compiler.frontend.onnx_softmax import SOFTMAX
from vta.compiler.graph.ir import Tensor

__all__ = ["IMPORTERS"]

Handler = Callable[[Importer, OnnxNode], None]


# ---- windows -------------------------------------------------------------------------------------


def _pair(node: OnnxNode, name: str, default: int = 1) -> tuple[int, int]:
    values = node.value(name, [default, default])
    if len(values) != 2 or any(value < 1 for value in values):
        raise node.error(f"attribute {name} is {values}; must be two positive integers")
    return values[0], values[1]


def _window(
    node: OnnxNode, image: Sequence[int], kernel: tuple[int, int], *, ceil: bool = False
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int], tuple[int, int]]:
    """Strides, dilations, pads (top, left, bottom, right) and the size of the result."""
    strides, dilations = _pair(node, "strides"), _pair(node, "dilations")
    pads = list(node.value("pads", [0, 0, 0, 0]))
    if len(pads) != 4 or any(pad < 0 for pad in pads):
        raise node.error(f"attribute pads is {pads}; must be four integers that are not negative")
    auto = node.value("auto_pad", "NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
    size = []
    for axis in range(2):
        extent, step = image[axis], strides[axis]
        span = (kernel[axis] - 1) * dilations[axis] + 1
        if auto.startswith("SAME"):
            total = max((-(-extent // step) - 1) * step + span - extent, 0)
            small, large = total // 2, total - total // 2
            first, last = (small, large) if auto == "SAME_UPPER" else (large, small)
            pads[axis], pads[axis + 2] = first, last
        padded = extent + pads[axis] + pads[axis + 2]
        if span > padded:
            raise node.error(f"the kernel spans {span} of {padded} pixels (with padding)")
        count = (padded - span) // step + 1
        if ceil and (padded - span) % step and count * step < extent + pads[axis]:
            # Another window that begins inside the image or its first padding.
            pads[axis + 2] += count * step + span - padded
            count += 1
        size.append(count)
    return strides, dilations, (pads[0], pads[1], pads[2], pads[3]), (size[0], size[1])


# ---- sums of products ----------------------------------------------------------------------------


def _conv(importer: Importer, node: OnnxNode) -> None:
    node.require("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    names = [name for name in node.inputs if name]
    _add_conv(importer, node, names, node.outputs[0])


@on_signals
def _add_conv(importer: Importer, node: OnnxNode, names: Sequence[str], output: str) -> None:
    data, kernel = importer.tensors[names[0]], importer.tensors[names[1]]
    require_images(node, data)
    if len(kernel.shape) != 4:
        raise node.error(f"the kernel {kernel.name} has shape {kernel.shape}; must be OIHW")
    group = node.value("group", 1)
    if kernel.shape[1] * group != data.shape[1]:
        raise node.error(
            f"the kernel has {kernel.shape[1]} input channels in {group} groups; the data have "
            f"{data.shape[1]}"
        )
    if kernel.shape[0] % group:
        raise node.error(f"attribute group is {group}; must divide {kernel.shape[0]} channels")
    taps = (kernel.shape[2], kernel.shape[3])
    if tuple(node.value("kernel_shape", taps)) != taps:
        raise node.error(
            f"attribute kernel_shape is {node.value('kernel_shape', None)}; the kernel "
            f"has {list(taps)}"
        )
    strides, dilations, pads, size = _window(node, data.shape[2:], taps)
    importer.add(
        node, "conv2d", names, (data.shape[0], kernel.shape[0], *size), output=output,
        strides=strides, dilations=dilations, pads=pads, group=group,
    )  # fmt: skip


# ---- pooling and activations ---------------------------------------------------------------------


def _pool(importer: Importer, node: OnnxNode) -> None:
    maximum = node.kind == "MaxPool"
    known = ["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides"]
    node.require(*known, "storage_order" if maximum else "count_include_pad")
    if len([name for name in node.outputs if name]) > 1:
        raise node.error("has a second result (indices); only the values are supported")
    importer.tensor(node, 0)
    _add_pool(importer, node, node.inputs[:1], node.outputs[0])


@on_signals
def _add_pool(importer: Importer, node: OnnxNode, names: Sequence[str], output: str) -> None:
    maximum = node.kind == "MaxPool"
    data = importer.tensors[names[0]]
    require_images(node, data)
    kernel = _pair(node, "kernel_shape")
    ceil = bool(node.value("ceil_mode", 0, 0, 1))
    strides, dilations, pads, size = _window(node, data.shape[2:], kernel, ceil=ceil)
    if dilations != (1, 1):
        raise node.error(f"attribute dilations is {dilations}; must be 1, 1")
    if not maximum and any(pads):
        importer.add(
            node, "ragged_average", [data.name], (*data.shape[:2], *size), kernel=kernel,
            strides=strides, pads=_window(node, data.shape[2:], kernel)[2], ceil=int(ceil),
            counted=node.value("count_include_pad", 0, 0, 1), output=output,
        )  # fmt: skip
        return
    importer.add(
        node, "max_pool" if maximum else "average_pool", [data.name], (*data.shape[:2], *size),
        kernel=kernel, strides=strides, pads=pads, output=output,
    )  # fmt: skip


def _global_pool(importer: Importer, node: OnnxNode) -> None:
    node.require()
    importer.tensor(node, 0)
    _add_global_pool(importer, node, node.inputs[:1], node.outputs[0])


@on_signals
def _add_global_pool(importer: Importer, node: OnnxNode, names: Sequence[str], output: str) -> None:
    data = importer.tensors[names[0]]
    require_images(node, data)
    importer.add(
        node, "max_pool" if node.kind == "GlobalMaxPool" else "average_pool", [data.name],
        (*data.shape[:2], 1, 1), kernel=(data.shape[2], data.shape[3]), strides=(1, 1),
        pads=(0, 0, 0, 0), output=output,
    )  # fmt: skip


def _relu(importer: Importer, node: OnnxNode) -> None:
    node.require()
    data = importer.tensor(node, 0)
    importer.add(node, "clip", [data.name], data.shape, real_low=0.0, real_high=float("inf"))


def _clip(importer: Importer, node: OnnxNode) -> None:
    node.require()
    data = importer.tensor(node, 0)
    low, high = (
        importer.number(node, index, what) if importer.has(node, index) else default
        for index, what, default in ((1, "min", -float("inf")), (2, "max", float("inf")))
    )  # fmt: skip
    importer.add(node, "clip", [data.name], data.shape, real_low=low, real_high=high)


# ---- data movement -------------------------------------------------------------------------------


def _concat(importer: Importer, node: OnnxNode) -> None:
    node.require("axis")
    parts = [importer.tensor(node, index) for index in range(len(node.inputs))]
    first, dtype = parts[0].shape, parts[0].dtype
    axis = node.axis(node.value("axis", 0), len(first))
    for part in parts:
        rest = (*part.shape[:axis], *part.shape[axis + 1 :])
        if rest != (*first[:axis], *first[axis + 1 :]):
            raise node.error(f"shapes {first} and {part.shape} differ besides axis {axis}")
        if part.dtype != dtype:
            raise node.error(f"{part.name} is {part.dtype}; must be {dtype}, as {parts[0].name}")
    extent = sum(part.shape[axis] for part in parts)
    shape = (*first[:axis], extent, *first[axis + 1 :])
    importer.add(node, "concat", [part.name for part in parts], shape, axis=axis, dtype=dtype)


def _reshape(importer: Importer, node: OnnxNode) -> None:
    data = importer.tensor(node, 0)
    shape = _new_shape(importer, node, data)
    if prod(shape) != prod(data.shape):
        raise node.error(f"cannot give {data.name} of shape {data.shape} the shape {shape}")
    importer.add(node, "reshape", [data.name], shape, dtype=data.dtype)


def _new_shape(importer: Importer, node: OnnxNode, data: Tensor) -> tuple[int, ...]:
    rank = len(data.shape)
    if node.kind == "Flatten":
        node.require("axis")
        axis = node.value("axis", 1)
        axis = rank if axis == rank else node.axis(axis, rank)
        return prod(data.shape[:axis]), prod(data.shape[axis:])
    if node.kind == "Reshape":
        node.require("allowzero")
        node.value("allowzero", 0, 0)
        wanted = importer.integers(node, 1, "the shape")
        shape = [data.shape[n] if not e and n < rank else e for n, e in enumerate(wanted)]
        if shape.count(-1) == 1:
            shape[shape.index(-1)] = prod(data.shape) // max(1, -prod(shape))
        return tuple(shape)
    node.require("axes")
    axes = node.value("axes", None)
    if axes is None and importer.has(node, 1):
        axes = importer.integers(node, 1, "axes")
    if node.kind == "Squeeze":
        gone = [n for n, e in enumerate(data.shape) if e == 1] if axes is None else axes
        gone = node.axes(gone, rank)
        if any(data.shape[axis] != 1 for axis in gone):
            raise node.error(f"axes {gone} of shape {data.shape}; must have extent 1")
        return tuple(e for n, e in enumerate(data.shape) if n not in gone)
    if axes is None:
        raise node.error("axes are missing")
    new = node.axes(axes, rank + len(axes))
    old = iter(data.shape)
    return tuple(1 if n in new else next(old) for n in range(rank + len(axes)))


def _transpose(importer: Importer, node: OnnxNode) -> None:
    node.require("perm")
    data = importer.tensor(node, 0)
    order = tuple(node.value("perm", list(reversed(range(len(data.shape))))))
    if sorted(order) != list(range(len(data.shape))):
        raise node.error(f"attribute perm is {order}; must order {len(data.shape)} axes")
    importer.add(
        node, "transpose", [data.name], [data.shape[axis] for axis in order],
        dtype=data.dtype, order=order,
    )  # fmt: skip


def _same(importer: Importer, node: OnnxNode) -> None:
    """Identity, and Dropout at inference: the result is a reshape to the same shape."""
    node.require("seed", "ratio")
    if len([name for name in node.outputs if name]) > 1:
        raise node.error("has a second result (mask); only the values are supported")
    if importer.has(node, 2) and importer.constant(node, 2, "training_mode").any():
        raise node.error("input training_mode is true; must be false")
    data = importer.tensor(node, 0)
    if data.values is not None:
        importer.tensors[node.outputs[0]] = Tensor(
            node.outputs[0], data.shape, data.dtype, values=data.values
        )
        return
    importer.add(node, "reshape", [data.name], data.shape, dtype=data.dtype)


def _constant(importer: Importer, node: OnnxNode) -> None:
    node.require("value", "value_int", "value_ints", "value_float", "value_floats")
    if len(node.attributes) != 1:
        raise node.error(f"has {len(node.attributes)} values; must have one")
    ((kind, value),) = node.attributes.items()
    if kind == "value":
        values = numpy_helper.to_array(value)
    else:
        values = np.array(value, np.int64 if kind.startswith("value_int") else np.float32)
    importer.add_constant(node.outputs[0], values)


# ---- quantisation --------------------------------------------------------------------------------


def _quantisation(
    importer: Importer, node: OnnxNode, scale: int, zero: int, data: Tensor, default: str
) -> tuple[list[str], str]:
    """Names of scale and zero point, which are checked, and the type of the stored integers."""
    scales = importer.constant(node, scale, "the scale")
    if scales.dtype != np.float32 or not (scales > 0).all() or not scales.size:
        raise node.error(f"the scale ({node.inputs[scale]}) must be positive numbers in float32")
    if importer.has(node, zero):
        zeros = importer.tensors[node.inputs[zero]]
        importer.constant(node, zero, "the zero point")
    else:
        values = np.zeros(scales.shape, default)
        zeros = importer.add_constant(f"{node.outputs[0]}.zero", values)
    if (
        zeros.shape != scales.shape
        and zeros.values is not None
        and zeros.values.size != scales.size
    ):
        raise node.error(f"{scales.size} scales with a zero point of shape {zeros.shape}")
    return [node.inputs[scale], zeros.name], zeros.dtype


def _axis(node: OnnxNode, data: Tensor, scales: Tensor) -> int:
    count = prod(scales.shape)
    if len(scales.shape) > 1:
        raise node.error(f"scales of shape {scales.shape}; must be one, or one along an axis")
    rank = len(data.shape)
    axis = int(node.value("axis", 1))
    if count == 1:
        return 0
    if not -rank <= axis < rank or data.shape[axis % rank] != count:
        raise node.error(f"{count} scales along axis {axis} of a tensor of shape {data.shape}")
    return axis % rank


def _quantize(importer: Importer, node: OnnxNode) -> None:
    node.require("axis", "saturate", "output_dtype", "block_size", "precision")
    node.value("block_size", 0, 0)
    node.value("precision", 0, 0, TensorProto.FLOAT)
    kinds = {0: "uint8", TensorProto.UINT8: "uint8", TensorProto.INT8: "int8"}
    kind = node.value("output_dtype", 0, *kinds)
    data = importer.tensor(node, 0)
    names, dtype = _quantisation(importer, node, 1, 2, data, kinds[kind])
    if kind and dtype != kinds[kind]:
        raise node.error(f"attribute output_dtype is {kinds[kind]}, but the zero point is {dtype}")
    if dtype not in ("int8", "uint8"):
        raise node.error(f"stores {dtype}; must be int8 or uint8")
    axis = _axis(node, data, importer.tensors[names[0]])
    importer.add(node, "quantize", [data.name, *names], data.shape, dtype=dtype, axis=axis)


def _dequantize(importer: Importer, node: OnnxNode) -> None:
    node.require("axis", "block_size", "output_dtype")
    node.value("block_size", 0, 0)
    node.value("output_dtype", 0, 0, TensorProto.FLOAT)
    data = importer.tensor(node, 0)
    names, _ = _quantisation(importer, node, 1, 2, data, data.dtype)
    axis = _axis(node, data, importer.tensors[names[0]])
    importer.add(node, "dequantize", [data.name, *names], data.shape, axis=axis)


def _real(importer: Importer, node: OnnxNode, index: int, *, axis: int = 0) -> str:
    """A quantised input of a QLinear operator (data, scale, zero point) as real numbers."""
    data = importer.tensor(node, index)
    names, _ = _quantisation(importer, node, index + 1, index + 2, data, data.dtype)
    scales = importer.tensors[names[0]]
    if prod(scales.shape) > 1 and (len(scales.shape) != 1 or data.shape[axis] != scales.shape[0]):
        raise node.error(f"{prod(scales.shape)} scales for {data.name} of shape {data.shape}")
    real = importer.add(
        node, "dequantize", [data.name, *names], data.shape,
        output=importer.unused(f"{data.name}.real"), suffix=f".input_{index}", axis=axis,
    )  # fmt: skip
    return real.name


def _stored(importer: Importer, node: OnnxNode, index: int, real: Tensor) -> None:
    """The result of a QLinear operator: ``real`` stored by scale and zero point at ``index``."""
    names, dtype = _quantisation(importer, node, index, index + 1, real, "uint8")
    importer.add(
        node, "quantize", [real.name, *names], real.shape, dtype=dtype, suffix=".output", axis=0
    )


def _qlinear_conv(importer: Importer, node: OnnxNode) -> None:
    node.require("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    names = [_real(importer, node, 0), _real(importer, node, 3)]
    if importer.has(node, 8):
        bias = importer.constant(node, 8, "the bias")
        scale = importer.constant(node, 1, "the scale").reshape(-1)
        scales = scale * importer.constant(node, 4, "the scale").reshape(-1)
        scaled = importer.add_constant(f"{node.inputs[8]}.scale", scales.astype(np.float32))
        zero = importer.add_constant(f"{node.inputs[8]}.zero", np.zeros(scaled.shape, np.int32))
        names.append(
            importer.add(
                node, "dequantize", [node.inputs[8], scaled.name, zero.name], bias.shape,
                output=importer.unused(f"{node.inputs[8]}.real"), suffix=".input_8", axis=0,
            ).name
        )  # fmt: skip
    real = importer.unused(f"{node.outputs[0]}.real")
    _add_conv(importer, node, names, real)
    _stored(importer, node, 6, importer.tensors[real])


def _qlinear_matmul(importer: Importer, node: OnnxNode) -> None:
    node.require()
    names = [_real(importer, node, 0), _real(importer, node, 3, axis=1)]
    real = importer.unused(f"{node.outputs[0]}.real")
    add_matmul(importer, node, names, output=real)
    _stored(importer, node, 6, importer.tensors[real])


def _qlinear_add(importer: Importer, node: OnnxNode) -> None:
    node.require()
    names = [_real(importer, node, 0), _real(importer, node, 3)]
    operands = [importer.tensors[name] for name in names]
    real = importer.unused(f"{node.outputs[0]}.real")
    _stored(importer, node, 6, elementwise(importer, node, "real_add", *operands, output=real))


IMPORTERS: dict[tuple[str, str], Handler] = {
    **ACTIVATIONS,
    **ELEMENTWISE,
    **IMAGES,
    **MATRICES,
    **NORMS,
    **REARRANGEMENTS,
    **REDUCTIONS,
    **SEQUENCES,
    **SLICES,
    **SOFTMAX,
    ("", "AveragePool"): _pool,
    ("", "Clip"): _clip,
    ("", "Concat"): _concat,
    ("", "Constant"): _constant,
    ("", "Conv"): _conv,
    ("", "DequantizeLinear"): _dequantize,
    ("", "Dropout"): _same,
    ("", "Flatten"): _reshape,
    ("", "GlobalAveragePool"): _global_pool,
    ("", "GlobalMaxPool"): _global_pool,
    ("", "Identity"): _same,
    ("", "MaxPool"): _pool,
    ("", "QLinearConv"): _qlinear_conv,
    ("", "QLinearMatMul"): _qlinear_matmul,
    ("", "QuantizeLinear"): _quantize,
    ("", "Relu"): _relu,
    ("", "Reshape"): _reshape,
    ("", "Squeeze"): _reshape,
    ("", "Transpose"): _transpose,
    ("", "Unsqueeze"): _reshape,
    ("com.microsoft", "DequantizeLinear"): _dequantize,
    ("com.microsoft", "QLinearAdd"): _qlinear_add,
    ("com.microsoft", "QuantizeLinear"): _quantize,
}
"""By domain and operator."""
