"""From a photo to the input of a network: what a model was trained on, as a few numbers.

A value of the input is ``(pixel * scale - mean[c]) / deviation[c]`` of a photo that was resized
and cropped; pixels are 0 to 255. The numbers are part of the model: they are given once, by name or
in a TOML file, kept in the model's metadata, and never guessed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vta.container import shown
from vta.errors import VTAError
from vta.extras import importing

__all__ = ["CLASSES", "METADATA", "NAMED", "Preprocessing", "PreprocessingError", "load_photo"]

METADATA = "vta.preprocessing"
"""The entry of an ONNX model's metadata that holds :meth:`Preprocessing.text`."""
CLASSES = "vta.classes"
"""The entry that holds names of the classes of an output vector, a line each."""
_CHANNELS = {"rgb": "RGB", "bgr": "RGB", "gray": "L"}
"""Of an order of channels: the mode of the photos that it is made of."""
_KEYS = ("channels", "short_side", "scale", "mean", "deviation")
_MAX_SIDE = 1 << 14
_MAX_PIXELS = 1 << 27


class PreprocessingError(VTAError):
    """A photo that cannot be read or does not fit a model, or a wrong description of the
    preprocessing."""


@dataclass(frozen=True)
class Preprocessing:
    """How a photo becomes an input.

    Attributes
    ----------
    channels : str
        ``rgb``, ``bgr`` or ``gray``: the order of the channels of the input.
    short_side : int
        The photo is resized, bilinear, so that its short side has so many pixels, and the centre is
        cropped to the input's height and width. 0: the whole photo is resized to them.
    scale : float
        What pixels are multiplied with.
    mean, deviation : tuple of float
        One a channel, in the order of ``channels``.
    """

    channels: str
    short_side: int
    scale: float
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @property
    def count(self) -> int:
        """How many channels there are."""
        return 1 if self.channels == "gray" else 3

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], where: str) -> Preprocessing:
        """The preprocessing that a TOML table describes.

        Parameters
        ----------
        values : mapping
            ``channels`` is required; ``short_side``, ``scale``, ``mean`` and ``deviation`` default
            to 0, 1, 0 and 1.
        where : str
            For messages.

        Raises
        ------
        PreprocessingError
            Naming the key, its value, and what is required.
        """
        for key in values:
            if key not in _KEYS:
                raise PreprocessingError(
                    f"{where}: unknown key {shown(key)}; the keys are {', '.join(_KEYS)}"
                )
        channels = values.get("channels")
        if not isinstance(channels, str) or channels not in _CHANNELS:
            raise PreprocessingError(
                f"{where}: channels is {shown(repr(channels))}; must be {', '.join(_CHANNELS)}"
            )
        side = values.get("short_side", 0)
        if isinstance(side, bool) or not isinstance(side, int) or not 0 <= side <= _MAX_SIDE:
            raise PreprocessingError(
                f"{where}: short_side is {shown(repr(side))}; must be 0 to {_MAX_SIDE} pixels"
            )
        (scale,) = _numbers(where, "scale", values.get("scale", 1.0), 1)
        count = 1 if channels == "gray" else 3
        mean = _numbers(where, "mean", values.get("mean", [0.0] * count), count)
        deviation = _numbers(where, "deviation", values.get("deviation", [1.0] * count), count)
        if not all(value > 0 for value in deviation):
            raise PreprocessingError(f"{where}: deviation is {deviation}; must be positive")
        return cls(channels, side, scale, mean, deviation)

    @classmethod
    def from_text(cls, text: str, where: str) -> Preprocessing:
        """As :meth:`from_mapping`, of TOML."""
        try:
            return cls.from_mapping(tomllib.loads(text), where)
        except tomllib.TOMLDecodeError as error:
            raise PreprocessingError(f"{where}: not TOML: {error}") from None

    @classmethod
    def named(cls, name: str) -> Preprocessing:
        """One of :data:`NAMED`, or that in a file whose name ends with ``.toml``.

        Raises
        ------
        PreprocessingError
            If there is none.
        """
        if name in NAMED:
            return NAMED[name]
        if not name.endswith(".toml"):
            raise PreprocessingError(
                f"preprocessing is {name}; must be {', '.join(NAMED)} or a .toml file"
            )
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PreprocessingError(f"cannot read the preprocessing {name}: {error}") from None
        return cls.from_text(text, name)

    def text(self) -> str:
        """The TOML that :meth:`from_text` reads."""
        return (
            f'channels = "{self.channels}"\nshort_side = {self.short_side}\n'
            f"scale = {self.scale!r}\nmean = {list(self.mean)!r}\n"
            f"deviation = {list(self.deviation)!r}\n"
        )

    def apply(self, photo: npt.NDArray[np.uint8], shape: Sequence[int]) -> npt.NDArray[np.float32]:
        """The input of ``shape`` (1, channels, height, width) of a photo from :func:`load_photo`.

        Raises
        ------
        PreprocessingError
            If the input is no single image of :attr:`count` channels.
        """
        from PIL import Image

        if len(shape) != 4 or tuple(shape[:2]) != (1, self.count):
            raise PreprocessingError(
                f"the input has shape {tuple(shape)}; photos with channels {self.channels} are for "
                f"inputs of shape (1, {self.count}, height, width)"
            )
        height, width = shape[2:]
        image = Image.fromarray(photo)
        if not self.short_side:
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        else:
            if self.short_side < max(height, width):
                raise PreprocessingError(
                    f"short_side is {self.short_side}; must be at least the input's {height} x "
                    f"{width} pixels"
                )
            scale = self.short_side / min(image.size)
            sides = [max(self.short_side, round(side * scale)) for side in image.size]
            if prod(sides) > _MAX_PIXELS:
                raise PreprocessingError(
                    f"the photo of {image.width} x {image.height} pixels would have {sides[0]} x "
                    f"{sides[1]} with a short side of {self.short_side}; at most {_MAX_PIXELS} in "
                    f"all"
                )
            image = image.resize((sides[0], sides[1]), Image.Resampling.BILINEAR)
            left, top = (image.width - width) // 2, (image.height - height) // 2
            image = image.crop((left, top, left + width, top + height))
        pixels = np.asarray(image, np.float64).reshape(height, width, self.count)
        if self.channels == "bgr":
            pixels = pixels[:, :, ::-1]
        values = (pixels * self.scale - np.array(self.mean)) / np.array(self.deviation)
        return np.ascontiguousarray(values.transpose(2, 0, 1)[None], np.float32)

    def picture(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """The photo that :meth:`apply` would make ``values`` of: pixels of an image that a network
        computes, rounded and clipped to 0 to 255.

        Parameters
        ----------
        values : ndarray of shape (1, channels, height, width)

        Returns
        -------
        ndarray of uint8, shape (height, width, 3) or (height, width)

        Raises
        ------
        PreprocessingError
            If ``values`` are no single image of :attr:`count` channels, or not finite.
        """
        if values.ndim != 4 or values.shape[:2] != (1, self.count):
            raise PreprocessingError(
                f"the output has shape {values.shape}; pictures with channels {self.channels} are "
                f"of outputs of shape (1, {self.count}, height, width)"
            )
        if not np.isfinite(values).all():
            raise PreprocessingError("the output holds a value that is not finite")
        planes = values[0].astype(np.float64).transpose(1, 2, 0)
        pixels = (planes * np.array(self.deviation) + np.array(self.mean)) / self.scale
        if self.channels == "bgr":
            pixels = pixels[:, :, ::-1]
        found = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        return found[:, :, 0] if self.count == 1 else np.ascontiguousarray(found)

    def load(self, path: Path, shape: Sequence[int]) -> npt.NDArray[np.float32]:
        """The input of ``shape`` of the photo in a file.

        Raises
        ------
        PreprocessingError
            As :func:`load_photo` and :meth:`apply`.
        """
        photo = load_photo(path, _CHANNELS[self.channels])
        try:
            return self.apply(photo, shape)
        except PreprocessingError as error:
            raise PreprocessingError(f"{path}: {error}") from None


NAMED = {
    "imagenet": Preprocessing(
        "rgb", 256, 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    ),
    "caffe": Preprocessing("bgr", 256, 1.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
}  # fmt: skip
"""``imagenet``: the classifiers of PyTorch. ``caffe``: those of Caffe and of Keras."""


def load_photo(path: Path, mode: str) -> npt.NDArray[np.uint8]:
    """The pixels of a picture, upright.

    Parameters
    ----------
    path : Path
        Of any format that Pillow reads.
    mode : {"RGB", "L"}
        Colour or gray; nothing is converted.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3) or (height, width)

    Raises
    ------
    PreprocessingError
        If the file is no picture, too large, or of another mode.
    ToolError
        If Pillow is not installed.
    """
    with importing("reading photos", "onnx"):
        from PIL import Image, ImageOps, UnidentifiedImageError
    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > _MAX_PIXELS:
                raise PreprocessingError(
                    f"{path}: {opened.width} x {opened.height} pixels; at most {_MAX_PIXELS} in all"
                )
            found = opened.mode
            if found == mode:
                return np.array(ImageOps.exif_transpose(opened), np.uint8)
    except UnidentifiedImageError:
        raise PreprocessingError(f"{path}: not a picture, or damaged") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PreprocessingError(f"{path}: cannot read the picture: {error}") from None
    names = {"RGB": "colour (RGB)", "L": "gray (L)"}
    raise PreprocessingError(
        f"{path}: the picture is {names.get(found, f'of mode {found}')}; the model takes "
        f"{names[mode]}, and nothing is converted"
    )


def _numbers(where: str, key: str, value: Any, count: int) -> tuple[float, ...]:
    values = [value] if count == 1 and not isinstance(value, list) else value
    good = isinstance(values, list) and all(
        isinstance(item, int | float) and not isinstance(item, bool) and isfinite(item)
        for item in values
    )
    if not good or len(values) != count:
        raise PreprocessingError(
            f"{where}: {key} is {shown(repr(value))}; must be {count} number{'s' * (count > 1)}"
        )
    return tuple(map(float, values))
