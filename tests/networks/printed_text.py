"""Models of an OCR package that read printed text, pictures of printed text, and what is around the
networks: from probabilities to boxes and to characters."""

import numpy as np
import onnx

from tests.networks.packages import member
from vta.preprocessing import Preprocessing

PACKAGE = "rapidocr==3.10.0"
FILES = {
    "classifier": "rapidocr/models/ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "detector": "rapidocr/models/PP-OCRv6_det_small.onnx",
    "recogniser": "rapidocr/models/PP-OCRv6_rec_small.onnx",
}
CENTRED = Preprocessing("bgr", 0, 1 / 255, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
PREPROCESSING = {
    "classifier": CENTRED,
    "detector": Preprocessing("bgr", 0, 1 / 255, (0.406, 0.456, 0.485), (0.225, 0.224, 0.229)),
    "recogniser": CENTRED,
}
LINES = (
    "Hello World", "OPEN source 42", "deep learning", "Accelerator", "quick brown fox",
    "lazy dog 1987", "Tensor 16x16", "printed text", "Photograph", "simulated RTL", "New York",
    "matrix",
)  # fmt: skip
THRESHOLD = 0.3
"""The probability from which a pixel is text."""
GROWTH = 1.5
"""How much larger a line is than what the detector marks of it (unclip ratio)."""
LEAST = 3
"""Rows and columns of a line, at least."""


def model(kind):
    """A model of the package; extents of its input are open."""
    return onnx.load_model_from_string(member(PACKAGE, FILES[kind]))


# ---- pictures ------------------------------------------------------------------------------------


def picture(text, size, *, at=(6, 8), height=26, paper=245, ink=20):
    """An RGB picture, uint8, of a line of printed text; ``size`` is width and height."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", size, (paper,) * 3)
    font = ImageFont.load_default(size=height)
    ImageDraw.Draw(image).text(at, text, (ink,) * 3, font=font)
    return np.asarray(image)


def line(text, shape, number=0):
    """A picture of one line for an input of ``shape``; ``number`` varies colours and sizes."""
    size, number = (shape[3], shape[2]), number % 12
    at, height = (4 + number % 3 * 3, 8), 26 + number % 4
    return picture(text, size, at=at, height=height, paper=250 - 4 * number, ink=8 * number)


def page(shape, seed):
    """A picture of some lines of text of several sizes and colours, for an input of ``shape``."""
    from PIL import Image, ImageDraw, ImageFont

    rng = np.random.default_rng(seed)
    paper = tuple(int(part) for part in rng.integers(200, 255, 3))
    image, top = Image.new("RGB", (shape[3], shape[2]), paper), 8
    while top < shape[2] - 30:
        height, left = int(rng.integers(16, 28)), int(rng.integers(4, 60))
        ink = tuple(int(part) for part in rng.integers(0, 90, 3))
        font = ImageFont.load_default(size=height)
        text = LINES[rng.integers(len(LINES))]
        ImageDraw.Draw(image).text((left, top), text, ink, font=font)
        top += height + int(rng.integers(10, 24))
    return np.asarray(image)


def fitted(pixels, shape):
    """A picture of a line for an input of ``shape``: as high as that, and filled up on the right
    with its last column."""
    from PIL import Image

    height, width = shape[2:]
    wide = min(width, max(1, round(pixels.shape[1] * height / pixels.shape[0])))
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image = np.asarray(image.resize((wide, height), Image.Resampling.BILINEAR))
    return np.concatenate([image, image[:, -1:].repeat(width - wide, axis=1)], axis=1)


# ---- after the networks --------------------------------------------------------------------------


def boxes(probability):
    """(top, left, bottom, right) of each line, from the top: the connected pixels of text, larger
    by :data:`GROWTH`, inside the picture."""
    text = probability > THRESHOLD
    left, found = {tuple(place) for place in np.argwhere(text)}, []
    while left:
        front = [left.pop()]
        places = []
        while front:
            y, x = front.pop()
            places.append((y, x))
            near = {(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)} & left
            left -= near
            front += near
        (top, first), (bottom, last) = np.min(places, axis=0), np.max(places, axis=0) + 1
        height, width = bottom - top, last - first
        if height < LEAST or width < LEAST:
            continue
        more = round(GROWTH * height * width / (2 * (height + width)))
        found.append((
            max(0, top - more), max(0, first - more),
            min(text.shape[0], bottom + more), min(text.shape[1], last + more),
        ))  # fmt: skip
    return sorted(tuple(map(int, box)) for box in found)


def characters():
    """The characters of the recogniser, the blank first."""
    (text,) = (p.value for p in model("recogniser").metadata_props if p.key == "character")
    return ["", *text.split("\n"), " "]


def text_of(scores, known):
    """The text of scores (places, characters): the best character at each place, without those that
    are repeated and without blanks."""
    best = scores.argmax(axis=1)
    fresh = np.concatenate([[True], best[1:] != best[:-1]])
    return "".join(known[index] for index in best[fresh])
