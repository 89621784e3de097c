"""Models of an OCR package that read printed text, and pictures of printed text."""

import io

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
"""Of the classifier and the recogniser: values from -1 to 1."""
LINES = (
    "Hello World", "OPEN source 42", "deep learning", "Accelerator", "quick brown fox",
    "lazy dog 1987", "Tensor 16x16", "printed text", "Photograph", "simulated RTL", "New York",
    "matrix",
)  # fmt: skip


def model(kind):
    """A model of the package; extents of its input are open."""
    return onnx.load_model_from_string(member(PACKAGE, FILES[kind]))


def picture(text, size, *, at=(6, 8), height=26, paper=245, ink=20):
    """An RGB picture, uint8, of a line of printed text; ``size`` is width and height."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", size, (paper,) * 3)
    font = ImageFont.load_default(size=height)
    ImageDraw.Draw(image).text(at, text, (ink,) * 3, font=font)
    return np.asarray(image)


def png(pixels):
    """The bytes of a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()
