"""ResNet-18 with seeded random weights, as a float ONNX model: for its size, not its answers."""

import numpy as np
from onnx import helper

from tests.support.onnx_models import model

#: Channels and stride of the first block of each of the four stages of two blocks.
STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))


def resnet18(size=224, seed=0):
    """The model, batch norms folded, from an image of ``size`` pixels a side to 1,000 logits."""
    rng = np.random.default_rng(seed)
    weights, nodes, node = {}, [], helper.make_node

    def conv(name, source, inputs, outputs, taps, stride, *, active=True):
        deviation = np.sqrt(2 / (inputs * taps * taps))
        shape = (outputs, inputs, taps, taps)
        weights[f"{name}.w"] = rng.normal(0, deviation, shape).astype(np.float32)
        weights[f"{name}.b"] = rng.normal(0, 0.1, outputs).astype(np.float32)
        names = [source, f"{name}.w", f"{name}.b"]
        pads = [taps // 2] * 4
        nodes.append(
            node("Conv", names, [f"{name}.sum"], name, pads=pads, strides=[stride, stride])
        )
        return relu(name, f"{name}.sum") if active else f"{name}.sum"

    def relu(name, source):
        nodes.append(node("Relu", [source], [f"{name}.out"], f"{name}/relu"))
        return f"{name}.out"

    data = conv("conv1", "data", 3, 64, 7, 2)
    nodes.append(
        node("MaxPool", [data], ["pool1"], "pool1", kernel_shape=[3, 3], strides=[2, 2],
             pads=[1, 1, 1, 1])
    )  # fmt: skip
    data, channels = "pool1", 64
    for stage, (out, first) in enumerate(STAGES, 2):
        for block in range(2):
            name, stride = f"conv{stage}_{block + 1}", first if block == 0 else 1
            inner = conv(f"{name}/a", data, channels, out, 3, stride)
            inner = conv(f"{name}/b", inner, out, out, 3, 1, active=False)
            if stride != 1 or channels != out:
                data = conv(f"{name}/short", data, channels, out, 1, stride, active=False)
            nodes.append(node("Add", [inner, data], [f"{name}.sum"], f"{name}/add"))
            data, channels = relu(name, f"{name}.sum"), out
    weights["fc.w"] = rng.normal(0, 0.04, (1000, channels)).astype(np.float32)
    weights["fc.b"] = np.zeros(1000, np.float32)
    nodes += [
        node("GlobalAveragePool", [data], ["average"], "average"),
        node("Flatten", ["average"], ["features"], "flatten"),
        node("Gemm", ["features", "fc.w", "fc.b"], ["logits"], "fc", transB=1),
    ]
    return model(nodes, {"data": [1, 3, size, size]}, {"logits": [1, 1000]}, weights)
