"""The samples that show the ranges of a float model's tensors: photos and arrays in a folder."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vta.compiler.frontend.onnx_model import read_model
from vta.errors import ModelError
from vta.float_model import with_shapes
from vta.preprocessing import Preprocessing

__all__ = ["InputType", "Sample", "calibration_inputs", "input_types"]

_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm")

Array = npt.NDArray[Any]
Sample = Mapping[str, Array]
"""Values of the inputs of a model, by name."""


@dataclass(frozen=True)
class InputType:
    """The type of an input of a model."""

    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.dtype} of shape {self.shape}"


def calibration_inputs(
    folder: Path,
    model: str | Path,
    preprocessing: Preprocessing | None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> list[Sample]:
    """The samples in a folder: .npz files with an array for each input, or, for a model with one
    input, photos and .npy files.

    Parameters
    ----------
    folder : Path
        Files are taken in the order of their names. Those that are neither are refused.
    model : path
    preprocessing : Preprocessing or None
        Needed for photos.
    shapes : mapping of str to sequence of int
        Shapes of inputs that the file leaves open.

    Raises
    ------
    ModelError
        If the folder cannot be read, is empty, or holds another file; if an array is missing or
        does not fit.
    vta.preprocessing.PreprocessingError
        If a photo does not fit.
    """
    inputs = input_types(model, shapes)
    try:
        files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ModelError(f"calibration: cannot read {folder}: {error.strerror}") from None
    if not files:
        raise ModelError(f"calibration: {folder} is empty; must hold photos, .npy or .npz files")
    return [_sample(path, inputs, preprocessing) for path in files]


def _sample(
    path: Path, inputs: Mapping[str, InputType], preprocessing: Preprocessing | None
) -> Sample:
    if path.suffix == ".npz":
        return _arrays(path, inputs)
    if len(inputs) != 1:
        raise ModelError(
            f"calibration: {path} has one array; the model has the inputs {', '.join(inputs)}, "
            f"which need a .npz file with an array for each"
        )
    ((name, own),) = inputs.items()
    shape = own.shape
    if path.suffix.lower() in _PICTURES:
        if preprocessing is None:
            raise ModelError(
                f"calibration: {path} is a photo, and the model does not say how its input is made "
                f"of one; give --preprocess"
            )
        if own.dtype != "float32":
            raise ModelError(f"calibration: {path} is a photo; the input {name} is {own}")
        return {name: preprocessing.load(path, shape)}
    if path.suffix != ".npy":
        raise ModelError(
            f"calibration: {path} is neither a photo ({', '.join(_PICTURES)}) nor a .npy or "
            f".npz file"
        )
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(f"calibration: cannot read {path}: {error}") from None
    _require(path, values, name, own)
    return {name: values}


def _arrays(path: Path, inputs: Mapping[str, InputType]) -> Sample:
    """The arrays of a .npz file, one for each input."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            values = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"calibration: cannot read {path}: {error}") from None
    if set(values) != set(inputs):
        raise ModelError(
            f"calibration: {path} has the arrays {', '.join(sorted(values)) or 'none'}; must have "
            f"{', '.join(inputs)}"
        )
    for name, own in inputs.items():
        _require(path, values[name], name, own)
    return values


def _require(path: Path, values: Any, name: str, own: InputType) -> None:
    fits = isinstance(values, np.ndarray) and values.dtype.name == own.dtype
    if not fits or values.shape != own.shape:
        found = f"{getattr(values, 'dtype', '?')} of shape {getattr(values, 'shape', '?')}"
        raise ModelError(f"calibration: {path} holds {found}; the input {name} is {own}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ModelError(f"calibration: {path} holds a value that is not finite")


def input_types(
    model: str | Path, shapes: Mapping[str, Sequence[int]] | None = None
) -> dict[str, InputType]:
    """The types of the inputs of a model, by name.

    Parameters
    ----------
    model : path
    shapes : mapping of str to sequence of int
        Shapes of inputs that the file leaves open.

    Raises
    ------
    ModelError
        If the model cannot be read, or an extent is not known.
    """
    import onnx

    graph = with_shapes(read_model(model), shapes or {}).graph
    constants = {item.name for item in graph.initializer}
    found = {}
    for value in graph.input:
        if value.name in constants:
            continue
        kind = value.type.tensor_type
        shape = tuple(dim.dim_value for dim in kind.shape.dim)
        if not shape or min(shape) < 1:
            raise ModelError(
                f"calibration: input {value.name} of {model} has an open shape; all extents must "
                f"be given (--shape {value.name}=1,...)"
            )
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
        found[value.name] = InputType(dtype, shape)
    return found
