"""A builder of small float ONNX models."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """Nodes and constants of a model; methods return the name of a result."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.constants = [], {}

    def constant(self, values):
        name = f"constant_{len(self.constants)}"
        self.constants[name] = np.asarray(values)
        return name

    def integers(self, *values):
        return self.constant(np.array(values, np.int64))

    def real(self, value):
        return self.constant(np.float32(value))

    def normal(self, *shape, scale=1.0):
        return self.rng.normal(0, scale, shape).astype(np.float32)

    def op(self, kind, *inputs, results=1, **attributes):
        number = len(self.nodes)
        names = [f"{kind.lower()}_{number}_{index}" for index in range(results)]
        made = helper.make_node(kind, list(inputs), names, f"{kind}_{number}", **attributes)
        self.nodes.append(made)
        return names[0] if results == 1 else names

    def conv(self, x, inputs, outputs, kernel=3, stride=1, pad=None, group=1, dilation=1,
             bias=True, axes=2):  # fmt: skip
        """A convolution that keeps the size, but for its stride, unless ``pad`` is given."""
        taps = [kernel] * axes if isinstance(kernel, int) else list(kernel)
        pads = [dilation * (k - 1) // 2 if pad is None else pad for k in taps]
        depth = inputs // group * int(np.prod(taps))
        weights = self.normal(outputs, inputs // group, *taps, scale=(2 / depth) ** 0.5)
        constants = [self.constant(weights)]
        if bias:
            constants.append(self.constant(self.normal(outputs, scale=0.1)))
        return self.op(
            "Conv", x, *constants, kernel_shape=taps, strides=[stride] * axes, pads=[*pads, *pads],
            group=group, dilations=[dilation] * axes,
        )  # fmt: skip

    def norm(self, x, channels):
        """A batch norm."""
        values = (
            1 + self.normal(channels, scale=0.2), self.normal(channels, scale=0.1),
            self.normal(channels, scale=0.1), 1 + 0.3 * self.rng.random(channels),
        )  # fmt: skip
        constants = (self.constant(np.asarray(array, np.float32)) for array in values)
        return self.op("BatchNormalization", x, *constants)

    def relu(self, x):
        return self.op("Relu", x)

    def silu(self, x):
        return self.op("Mul", x, self.op("Sigmoid", x))

    def block(self, x, inputs, outputs, kernel=3, stride=1, group=1):
        """Convolution, batch norm, rectifier."""
        made = self.conv(x, inputs, outputs, kernel, stride, group=group, bias=False)
        return self.relu(self.norm(made, outputs))

    def pool(self, x, kernel=2, stride=2, pad=0):
        return self.op(
            "MaxPool", x, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4
        )

    def dense(self, x, inputs, outputs):
        weights = self.constant(self.normal(outputs, inputs, scale=inputs**-0.5))
        return self.op("Gemm", x, weights, self.constant(self.normal(outputs, scale=0.1)), transB=1)

    def rows(self, x, inputs, outputs):
        """A product of rows and weights, as transformers have it."""
        weights = self.constant(self.normal(inputs, outputs, scale=inputs**-0.5))
        bias = self.constant(self.normal(outputs, scale=0.1))
        return self.op("Add", self.op("MatMul", x, weights), bias)

    def classes(self, x, channels):
        """Global average, and a dense layer."""
        return self.dense(self.op("Flatten", self.op("GlobalAveragePool", x)), channels, 10)

    def layer_norm(self, x, width):
        constants = (1 + self.normal(width, scale=0.1), self.normal(width, scale=0.1))
        return self.op("LayerNormalization", x, *map(self.constant, constants), axis=-1)

    def patches(self, x, channels, size):
        """Squares of an image as rows."""
        weights = self.normal(channels, 3, size, size, scale=0.6 / size)
        x = self.op("Conv", x, self.constant(weights), kernel_shape=[size] * 2, strides=[size] * 2)
        x = self.op("Reshape", x, self.integers(1, channels, -1))
        return self.op("Transpose", x, perm=[0, 2, 1])

    def resized(self, x, factor, **attributes):
        scales = self.constant(np.float32([1, 1, factor, factor]))
        return self.op("Resize", x, "", scales, **attributes)

    def model(self, outputs, shape, *, opset=17, integer=False, kind=TensorProto.FLOAT):
        """The model with the input ``x`` of a shape, outputs of a type, and all shapes inferred."""
        names = outputs if isinstance(outputs, list) else [outputs]
        kind = TensorProto.INT64 if integer else kind
        graph = helper.make_graph(
            self.nodes, "network", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(name, kind, None) for name in names],
            [numpy_helper.from_array(values, name) for name, values in self.constants.items()],
        )  # fmt: skip
        made = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9
        )
        return onnx.shape_inference.infer_shapes(made, strict_mode=True)
