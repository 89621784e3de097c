"""Small ONNX models for tests, and their quantisation by onnxruntime."""

import logging
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CALIBRATIONS = 8


def model(nodes, inputs, outputs, weights, *, opset=17):
    """A checked model: ``inputs`` and ``outputs`` are shapes by name, ``weights`` arrays."""
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(np.asarray(w), n) for n, w in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.checker.check_model(made, full_check=True)
    return made


def digits(seed=0, size=28):
    """Two convolutions with rectifier and maximum, and a matrix product: a float model."""
    rng = np.random.default_rng(seed)

    def normal(scale, *shape):
        return rng.normal(0, scale, shape).astype(np.float32)

    node = helper.make_node
    side = size // 4
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], ["r1"], "relu1"),
        node("MaxPool", ["r1"], ["p1"], "pool1", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p1", "w2", "b2"], ["c2"], "conv2", pads=[1, 1, 1, 1]),
        node("Relu", ["c2"], ["r2"], "relu2"),
        node("MaxPool", ["r2"], ["p2"], "pool2", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["p2"], ["f"], "flatten"),
        node("Gemm", ["f", "w3", "b3"], ["y"], "fc", transB=1),
    ]
    weights = {
        "w1": normal(0.3, 8, 1, 3, 3), "b1": normal(0.1, 8),
        "w2": normal(0.2, 20, 8, 3, 3), "b2": normal(0.1, 20),
        "w3": normal(0.1, 10, 20 * side * side), "b3": normal(0.1, 10),
    }  # fmt: skip
    return model(nodes, {"x": [1, 1, size, size]}, {"y": [1, 10]}, weights)


def residual(seed=0, channels=20, size=9):
    """A convolution, a depthwise one with ReLU6, an addition, and a global average."""
    rng = np.random.default_rng(seed)

    def normal(scale, *shape):
        return rng.normal(0, scale, shape).astype(np.float32)

    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], "expand"),
        node("Clip", ["c1", "low", "high"], ["r1"], "relu6"),
        node("Conv", ["r1", "w2"], ["c2"], "depthwise", pads=[1, 1, 1, 1], group=channels),
        node("Add", ["c2", "r1"], ["a"], "add"),
        node("Concat", ["a", "r1"], ["j"], "concat", axis=1),
        node("GlobalAveragePool", ["j"], ["g"], "average"),
        node("Flatten", ["g"], ["f"], "flatten"),
        node("Gemm", ["f", "w3"], ["l"], "fc", transB=1),
        node("Softmax", ["l"], ["y"], "softmax"),
    ]
    weights = {
        "w1": normal(0.5, channels, 16, 1, 1), "b1": normal(1.0, channels),
        "w2": normal(0.4, channels, 1, 3, 3), "w3": normal(0.4, 7, 2 * channels),
        "low": np.float32(0), "high": np.float32(6),
    }  # fmt: skip
    return model(nodes, {"x": [1, 16, size, size]}, {"y": [1, 7]}, weights)


def inputs_of(made, seed):
    """Normal random values for each input."""
    rng = np.random.default_rng(seed)
    constants = {item.name for item in made.graph.initializer}
    return {
        value.name: rng.normal(
            0, 1, [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        ).astype(np.float32)
        for value in made.graph.input
        if value.name not in constants
    }


def quantised(made, folder, *, symmetric=True, per_channel=True, calibration=None):
    """The path of the model quantised to int8 in the QDQ form.

    It is calibrated on a sequence of inputs, by name; None: random ones.
    """
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self.left = iter(calibration or [inputs_of(made, n) for n in range(CALIBRATIONS)])

        def get_next(self):
            return next(self.left, None)

    source, result = folder / "float.onnx", folder / "int8.onnx"
    onnx.save(made, source)
    kind = quantization.QuantType
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            quantization.quantize_static(
                source, result, Reader(),
                quant_format=quantization.QuantFormat.QDQ, per_channel=per_channel,
                activation_type=kind.QInt8 if symmetric else kind.QUInt8,
                weight_type=kind.QInt8, extra_options={"ActivationSymmetric": symmetric},
            )  # fmt: skip
        finally:
            logging.disable(logging.NOTSET)
    return result


def by_onnxruntime(path, inputs):
    """The outputs by name, on one thread of the CPU, without any of its optimisations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))
