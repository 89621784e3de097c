"""ONNX files: reading one with bounds, as data; nothing of it is executed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath

from vta.errors import ModelError
from vta.extras import importing
from vta.file_kinds import kind_of

with importing("reading ONNX files", "onnx"):
    import onnx
    from google.protobuf.message import DecodeError, EncodeError
    from onnx import external_data_helper

__all__ = ["MAX_MODEL_BYTES", "MAX_NODES", "OPSETS", "completed_shapes", "read_model"]

MAX_MODEL_BYTES = (1 << 31) - 1
"""What protobuf can hold; weights beyond that are in files beside the model."""
MAX_NODES = 20_000
OPSETS = range(11, 29)
"""The versions of the default operator set that are read."""


def read_model(path: str | Path) -> onnx.ModelProto:
    """The model in a file, with its external data, checked.

    Raises
    ------
    ModelError
        If the file cannot be read, is no ONNX model or an invalid one (among other things, a cycle
        in its graph), exceeds the bounds, has an opset outside :data:`OPSETS`, or names data
        outside its folder.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise ModelError(f"{path}: more than {MAX_MODEL_BYTES} bytes")
        data = path.read_bytes()
        if kind := kind_of(data):
            raise ModelError(f"{path}: not an ONNX model, but {kind}")
        model = onnx.load_model_from_string(data)
    except OSError as error:
        raise ModelError(f"cannot read the model {path}: {error.strerror}") from None
    except DecodeError as error:
        raise ModelError(f"{path}: not an ONNX model, or damaged: {error}") from None
    _require_bounds(path, model)
    _load_external_data(path, model)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, EncodeError) as error:
        text = str(error).split("\n\n")[0].strip()
        raise ModelError(f"{path}: not a valid ONNX model: {text[:500]}") from None
    return model


def completed_shapes(
    model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]
) -> dict[str, tuple[int, ...]]:
    """The shapes that are given, and those of further inputs that follow from them: an extent with
    a name (``words``) is the same number in every input.

    Raises
    ------
    ModelError
        If two shapes give a named extent different numbers.
    """
    constants = {item.name for item in model.graph.initializer}
    inputs = {
        value.name: value.type.tensor_type.shape.dim
        for value in model.graph.input
        if value.name not in constants
    }
    found = {name: tuple(shape) for name, shape in shapes.items()}
    extents: dict[str, tuple[int, str]] = {}
    """By name: the number, and the input whose shape says so."""
    for name, shape in found.items():
        for dim, extent in zip(inputs.get(name, ()), shape):
            if not _is_named(dim):
                continue
            other, source = extents.setdefault(dim.dim_param, (extent, name))
            if other != extent:
                raise ModelError(
                    f"extent {dim.dim_param} is {other} in the shape given for {source}, {extent} "
                    f"in that for {name}; must be the same"
                )
    for name, dims in inputs.items():
        if name in found or not any(dim.dim_param in extents for dim in dims):
            continue
        known = [extents.get(dim.dim_param, (dim.dim_value,))[0] for dim in dims]
        if min(known) > 0:
            found[name] = tuple(known)
    return found


def _is_named(dim: onnx.TensorShapeProto.Dimension) -> bool:
    """Whether an extent has a name; some exporters write ``?`` or ``None`` for any open one."""
    return dim.dim_param.isidentifier() and dim.dim_param != "None"


def _require_bounds(path: Path, model: onnx.ModelProto) -> None:
    if not model.HasField("graph") or not model.graph.node:
        raise ModelError(f"{path}: not an ONNX model, or one without nodes")
    if not model.graph.output:
        raise ModelError(f"{path}: the graph has no outputs; nothing would be computed")
    if len(model.graph.node) > MAX_NODES:
        raise ModelError(f"{path}: {len(model.graph.node)} nodes; at most {MAX_NODES}")
    if model.functions:
        raise ModelError(
            f"{path}: defines functions of its own ({model.functions[0].name}); must have none "
            f"(onnx.inliner replaces them)"
        )
    for item in model.opset_import:
        if item.domain in ("", "ai.onnx") and item.version not in OPSETS:
            raise ModelError(
                f"{path}: opset {item.version}; must be {OPSETS.start} to {OPSETS.stop - 1} "
                f"(onnx.version_converter changes it)"
            )


def _load_external_data(path: Path, model: onnx.ModelProto) -> None:
    folder = path.parent.resolve()
    for node in model.graph.node:
        for item in node.attribute:
            if any(map(external_data_helper.uses_external_data, (item.t, *item.tensors))):
                raise ModelError(
                    f"{path}: attribute {item.name} of node {node.name or node.op_type} has its "
                    f"data in a file; only initializers can"
                )
    tensors = [t for t in model.graph.initializer if external_data_helper.uses_external_data(t)]
    if sum(_external_size(path, tensor, folder) for tensor in tensors) > MAX_MODEL_BYTES:
        raise ModelError(f"{path}: data in files of more than {MAX_MODEL_BYTES} bytes")
    for tensor in tensors:
        try:
            external_data_helper.load_external_data_for_tensor(tensor, str(folder))
        except (OSError, ValueError, onnx.checker.ValidationError) as error:
            raise ModelError(f"{path}: data of tensor {tensor.name}: {error}") from None
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def _external_size(path: Path, tensor: onnx.TensorProto, folder: Path) -> int:
    """Bytes that a tensor takes of a file in the folder, which must have them."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    place = entries.get("location", "")
    file = (folder / place).resolve()
    windows = PureWindowsPath(place)
    if not place or windows.drive or "\\" in place or not file.is_relative_to(folder):
        raise ModelError(
            f"{path}: tensor {tensor.name} has its data in {place!r}; must be a file in the "
            f"model's folder"
        )
    where = f"{path}: data of tensor {tensor.name}"
    texts = {key: entries[key] for key in ("offset", "length") if key in entries}
    if not all(text.isascii() and text.isdecimal() for text in texts.values()):
        raise ModelError(f"{where}: {texts} must be numbers of bytes")
    if not file.is_file():
        raise ModelError(f"{where}: {place} is no file")
    size, offset = file.stat().st_size, int(texts.get("offset", 0))
    length = int(texts.get("length", max(size - offset, 0)))
    if offset + length > size:
        raise ModelError(f"{where}: {length} bytes at {offset} of {place}, which has {size} bytes")
    return length
