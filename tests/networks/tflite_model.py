"""TensorFlow Lite files of int8 networks with variables, as ONNX models.

Images become NCHW. Variables, which ONNX does not have, become inputs and outputs: the output
``NAME.next`` is the input ``NAME`` of the next run. Only the operators of one kind of network are
converted: streaming convolutions.
"""

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_AXES = (0, 2, 3, 1)
"""Of an axis of NHWC, that of NCHW."""
_TYPES = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}


def converted(content, name, answer):
    """An ONNX model with QuantizeLinear and DequantizeLinear.

    ``content`` is the file; its only input, int8, is called ``name``, and its only output, uint8,
    ``answer``.
    """
    return _Converter(content).model(name, answer)


@dataclass
class _Converter:
    """From the first subgraph of a TensorFlow Lite file to a graph of ONNX."""

    content: bytes
    nodes: list = field(default_factory=list)
    constants: list = field(default_factory=list)
    names: dict = field(default_factory=dict)
    parameters: dict = field(default_factory=dict)

    def __post_init__(self):
        import tflite

        self.tflite = tflite
        self.file = tflite.Model.GetRootAs(self.content, 0)
        self.graph = self.file.Subgraphs(0)
        self.kinds = {
            code: name for name, code in vars(tflite.BuiltinOperator).items()
            if isinstance(code, int)
        }  # fmt: skip
        self.variables = {}
        """Of the result of VAR_HANDLE, the variable's name."""
        self.inputs, self.outputs = [], []

    def model(self, name, answer):
        (data,), (result,) = self.graph.InputsAsNumpy(), self.graph.OutputsAsNumpy()
        self.names[data] = name
        self._declare(self.inputs, name, "int8", self._shape(data))
        for number in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(number)
            code = self.file.OperatorCodes(operator.OpcodeIndex())
            kind = self.kinds[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            sources, results = operator.InputsAsNumpy(), operator.OutputsAsNumpy()
            getattr(self, f"_{kind.lower()}")(
                operator, [] if operator.InputsLength() == 0 else list(sources),
                [] if operator.OutputsLength() == 0 else list(results),
            )  # fmt: skip
        self._output(result, answer, "uint8", self._shape(result))
        graph = helper.make_graph(
            self.nodes, "network", self.inputs, self.outputs, self.constants
        )  # fmt: skip
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(made, full_check=True)
        return made

    # ---- tensors ---------------------------------------------------------------------------------

    def _declare(self, where, name, dtype, shape):
        where.append(helper.make_tensor_value_info(name, _TYPES[dtype], shape))

    def _name(self, index):
        """The name of a tensor: of joined operators, that of the last."""
        if index not in self.names:
            full = self.graph.Tensors(index).Name().decode().split(";")[-1].removesuffix(":0")
            name = full.removeprefix("model_1/").split("/BiasAdd")[0].removesuffix("/Conv2D")
            taken = set(self.names.values())
            self.names[index] = name if name not in taken else f"{name}.{index}"
        return self.names[index]

    def _constant(self, name, values):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _values(self, index):
        """The values of a constant tensor."""
        tensor = self.graph.Tensors(index)
        kinds = {self.tflite.TensorType.INT8: np.int8, self.tflite.TensorType.INT32: np.int32}
        data = self.file.Buffers(tensor.Buffer()).DataAsNumpy().tobytes()
        return np.frombuffer(data, kinds[tensor.Type()]).reshape(tensor.ShapeAsNumpy())

    def _shape(self, index):
        """In NCHW, if it is an image."""
        shape = [int(extent) for extent in self.graph.Tensors(index).ShapeAsNumpy()]
        return [shape[_AXES.index(axis)] for axis in range(4)] if len(shape) == 4 else shape

    def _parameters(self, index):
        """Names of the scale and the zero point of a tensor."""
        if index not in self.parameters:
            tensor, name = self.graph.Tensors(index), self._name(index)
            found = tensor.Quantization()
            unsigned = tensor.Type() == self.tflite.TensorType.UINT8
            zero = np.array(found.ZeroPointAsNumpy()[0], np.uint8 if unsigned else np.int8)
            self.parameters[index] = [
                self._constant(f"{name}.scale", found.ScaleAsNumpy()[0]),
                self._constant(f"{name}.zero", zero),
            ]
        return self.parameters[index]

    def _real(self, index):
        """A tensor in real numbers."""
        name = self._name(index)
        if not any(node.output[0] == f"{name}.real" for node in self.nodes):
            inputs = [name, *self._parameters(index)]
            self._add("DequantizeLinear", f"{name}.dequantize", inputs, f"{name}.real")
        return f"{name}.real"

    def _add(self, kind, name, inputs, result, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [result], name, **attributes))
        return result

    def _quantised(self, index, real):
        name = self._name(index)
        self._add("QuantizeLinear", f"{name}.quantize", [real, *self._parameters(index)], name)

    def _apply(self, kind, result, sources, constants=(), **attributes):
        """An operator of ONNX on real numbers between quantised tensors."""
        name = self._name(result)
        real = self._add(kind, name, [*map(self._real, sources), *constants], f"{name}.exact",
                         **attributes)  # fmt: skip
        self._quantised(result, real)

    def _output(self, index, name, dtype, shape):
        """A quantised tensor as an output of the model."""
        self._add("Identity", f"{name}.output", [self._name(index)], name)
        self._declare(self.outputs, name, dtype, shape)

    # ---- variables -------------------------------------------------------------------------------

    def _call_once(self, operator, sources, results):
        """The second subgraph gives variables their first values."""

    def _var_handle(self, operator, sources, results):
        self.variables[results[0]] = self._name(results[0]).removesuffix("/states")

    def _read_variable(self, operator, sources, results):
        self.names[results[0]] = name = self.variables[sources[0]]
        self._declare(self.inputs, name, "int8", self._shape(results[0]))

    def _assign_variable(self, operator, sources, results):
        name = f"{self.variables[sources[0]]}.next"
        self._output(sources[1], name, "int8", self._shape(sources[1]))

    # ---- operators -------------------------------------------------------------------------------

    def _options(self, operator, kind):
        options = getattr(self.tflite, kind)()
        table = operator.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        return options

    def _reshape(self, operator, sources, results):
        """Rows of features to an image whose channels are the features, or an image to a row."""
        before, after = self._shape(sources[0]), self._shape(results[0])
        name, real = self._name(results[0]), self._real(sources[0])
        if len(before) == 4:
            assert after == [1, before[1] * before[2] * before[3]], name
            nhwc = self._add("Transpose", f"{name}.turned", [real], f"{name}.nhwc",
                             perm=[0, 2, 3, 1])  # fmt: skip
            real = self._add("Flatten", name, [nhwc], f"{name}.exact")
        else:
            assert after == [1, before[2], before[1], 1], name
            shape = self._constant(f"{name}.shape", np.array([1, before[1], 1, before[2]]))
            nhwc = self._add("Reshape", f"{name}.rows", [real, shape], f"{name}.nhwc")
            real = self._add("Transpose", name, [nhwc], f"{name}.exact", perm=[0, 3, 1, 2])
        self._quantised(results[0], real)

    def _concatenation(self, operator, sources, results):
        axis = self._options(operator, "ConcatenationOptions").Axis()
        self._apply("Concat", results[0], sources, axis=_AXES[axis % 4])

    def _strided_slice(self, operator, sources, results):
        """The last rows of an image: other axes are whole."""
        data, begin = sources[0], self._values(sources[1])
        options = self._options(operator, "StridedSliceOptions")
        height = self._shape(data)[2]
        first = 0 if options.BeginMask() & 2 else int(begin[1]) % height
        assert all(part == 1 for part in self._values(sources[3]))
        count = self._shape(results[0])[2]
        name = self._name(results[0])
        constants = [
            self._constant(f"{name}.{key}", np.array([value], np.int64))
            for key, value in (("begin", first), ("end", first + count), ("axis", 2))
        ]
        self._apply("Slice", results[0], [data], constants)

    def _split_v(self, operator, sources, results):
        sizes, axis = self._values(sources[1]), int(self._values(sources[2]))
        begins = np.cumsum([0, *sizes])
        for number, result in enumerate(results):
            name = self._name(result)
            constants = [
                self._constant(f"{name}.{key}", np.array([value], np.int64))
                for key, value in (
                    ("begin", begins[number]), ("end", begins[number + 1]),
                    ("axis", _AXES[axis % 4]),
                )
            ]  # fmt: skip
            self._apply("Slice", result, [sources[0]], constants)

    def _weighted(self, kind, result, sources, order, data=None, **attributes):
        """A convolution or a matrix product: weights with their axes in ``order``, and a bias in
        units of the products. ``data`` is the first source in real numbers, if not as it is."""
        source, kernel, bias = sources
        found = self.graph.Tensors(kernel).Quantization()
        assert not np.any(found.ZeroPointAsNumpy())
        weights, scales = self._values(kernel).transpose(order), found.ScaleAsNumpy()
        unit = self.graph.Tensors(source).Quantization().ScaleAsNumpy()[0]
        name = self._name(result)
        real = [data or self._real(source)]
        for part, values, steps in (
            ("weights", weights, scales), ("bias", self._values(bias), unit * scales)
        ):  # fmt: skip
            if len(steps) == 1:
                steps = steps.reshape(())
            inputs = [
                self._constant(f"{name}.{part}", values),
                self._constant(f"{name}.{part}.scale", steps.astype(np.float32)),
            ]
            real.append(
                self._add(
                    "DequantizeLinear",
                    f"{name}.{part}.dequantize",
                    inputs,
                    f"{name}.{part}.real",
                    axis=0,
                )
            )
        self._quantised(result, self._add(kind, name, real, f"{name}.exact", **attributes))

    def _convolution(self, operator, sources, results, kind, order, group):
        options = self._options(operator, kind)
        valid = options.Padding() == self.tflite.Padding.VALID
        assert valid or self._shape(results[0])[2:] == [1, 1]
        strides = [options.StrideH(), options.StrideW()]
        self._weighted("Conv", results[0], sources, order, strides=strides, group=group)

    def _conv_2d(self, operator, sources, results):
        self._convolution(operator, sources, results, "Conv2DOptions", (0, 3, 1, 2), 1)

    def _depthwise_conv_2d(self, operator, sources, results):
        kind, group = "DepthwiseConv2DOptions", self._shape(results[0])[1]
        self._convolution(operator, sources, results, kind, (3, 0, 1, 2), group)

    def _fully_connected(self, operator, sources, results):
        """The product of a row, or of the pixel of an image."""
        name, parameters = f"{self._name(results[0])}.row", self._parameters(sources[0])
        flat = self._add("Flatten", name, [self._real(sources[0])], f"{name}.exact")
        row = self._add("QuantizeLinear", f"{name}.quantize", [flat, *parameters], f"{name}.stored")
        data = self._add("DequantizeLinear", f"{name}.dequantize", [row, *parameters],
                         f"{name}.real")  # fmt: skip
        self._weighted("Gemm", results[0], sources, (0, 1), data, transB=1)

    def _logistic(self, operator, sources, results):
        self._apply("Sigmoid", results[0], sources)

    def _quantize(self, operator, sources, results):
        self._quantised(results[0], self._real(sources[0]))
