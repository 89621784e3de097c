"""Classifiers that several tests use, quantised on the photos; each is made once a process."""

import numpy as np
import pytest

from tests.networks import mobilenet, photos, resnet, squeezenet
from tests.support.onnx_models import by_onnxruntime, quantised

INPUT = "data"


def _caffe(image):
    return photos.caffe(image, squeezenet.MEANS, squeezenet.SIZE)


CLASSIFIERS = {
    "squeezenet": (squeezenet.squeezenet, _caffe),
    "mobilenet": (mobilenet.mobilenet, photos.imagenet),
    "resnet18": (resnet.resnet18, photos.imagenet),
}


class Classifier:
    """A quantised model.

    Attributes
    ----------
    path : Path
        Of the int8 file.
    inputs : list of ndarray
        One of each photo.
    wanted : ndarray
        The logits of the float model, by onnxruntime; a row a photo.
    """

    def __init__(self, name, folder):
        build, prepare = CLASSIFIERS[name]
        self.inputs = [prepare(image) for _, image in photos.labelled()]
        given = [{INPUT: values} for values in self.inputs]
        self.path = quantised(build(), folder, calibration=given, symmetric=False)
        rows = [next(iter(by_onnxruntime(folder / "float.onnx", x).values())) for x in given]
        self.wanted = np.concatenate(rows)


@pytest.fixture(scope="session")
def classifier(tmp_path_factory):
    """``classifier(name)``: one of :data:`CLASSIFIERS`."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = Classifier(name, tmp_path_factory.mktemp(name))
        return made[name]

    return get
