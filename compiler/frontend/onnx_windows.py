"""ONNX operators with windows on images and signals: convolutions and pools."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from vta.compiler.frontend.onnx_images import require_images
from vta.compiler.frontend.onnx_import import Importer, OnnxNode
from vta.compiler.frontend.onnx_quantisation import on_stored
from vta.compiler.frontend.onnx_signals import on_signals

__all__ = ["POOLS", "WINDOWS", "add_conv"]

Handler = Callable[[Importer, OnnxNode], None]


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
    add_conv(importer, node, names, node.outputs[0])


@on_signals
def add_conv(importer: Importer, node: OnnxNode, names: Sequence[str], output: str) -> None:
    data, kernel = importer.tensors[names[0]], importer.tensors[names[1]]
    require_images(importer, node, data)
    if len(kernel.shape) != 4:
        raise node.error(
            f"the kernel {importer.called(kernel)} has shape {kernel.shape}; must be OIHW"
        )
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
    require_images(importer, node, data)
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
    require_images(importer, node, data)
    importer.add(
        node, "max_pool" if node.kind == "GlobalMaxPool" else "average_pool", [data.name],
        (*data.shape[:2], 1, 1), kernel=(data.shape[2], data.shape[3]), strides=(1, 1),
        pads=(0, 0, 0, 0), output=output,
    )  # fmt: skip


POOLS: Mapping[str, Handler] = {"AveragePool": _pool, "GlobalAveragePool": _global_pool}
"""Of real numbers, by operator."""
WINDOWS: Mapping[tuple[str, str], Handler] = {
    **{("", kind): handler for kind, handler in POOLS.items()},
    ("", "Conv"): _conv,
    ("", "GlobalMaxPool"): _global_pool,
    ("", "MaxPool"): on_stored(_pool),
}
"""By domain and operator."""
