"""Quantised models that several tests use, made once a process."""

import numpy as np
import pytest

from tests.networks import photos, squeezenet
from tests.support.onnx_models import by_onnxruntime, quantised


class Quantised:
    """A model, quantised on its photos: ``path`` of the int8 file, ``inputs``, float results."""

    def __init__(self, made, name, inputs, folder, **options):
        self.name, self.inputs = name, inputs
        self.path = quantised(made, folder, calibration=[{name: x} for x in inputs], **options)
        (outputs,) = zip(
            *(by_onnxruntime(folder / "float.onnx", {name: x}).values() for x in inputs)
        )
        self.float = np.concatenate(outputs)


@pytest.fixture(scope="session")
def squeezenet_model(tmp_path_factory):
    pictures = [image for _, image in photos.labelled()]
    inputs = [photos.caffe(image, squeezenet.MEANS, squeezenet.SIZE) for image in pictures]
    folder = tmp_path_factory.mktemp("squeezenet")
    return Quantised(squeezenet.squeezenet(), "data", inputs, folder, symmetric=False)
