"""From float operators between ``dequantize`` and ``quantize`` to operators on stored integers.

Activations become int8: those stored as uint8 are 128 less, with their zero point; inputs and
outputs of the network that are uint8 stay so, with a ``recode`` node. What stays float
afterwards is ``quantize`` and ``dequantize`` at the border, and the host's float operators.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from vta.compiler.graph.ir import Attribute, Graph, Node, Quantisation, Tensor
from vta.compiler.graph.operators.pointwise import by_channel
from vta.compiler.graph.operators.quantised import real_range
from vta.compiler.graph.user_names import input_name, result_name
from vta.errors import ModelError
from vta.host_operators import run_host_operator

__all__ = ["integers"]

_WEIGHTED = ("conv2d", "conv2d_transpose", "dense")
_ACCUMULATING = (*_WEIGHTED, "matmul", "average_pool", "ragged_average")
_WHOLE = ("dense", "matmul")
"""Operators whose sums can be stored as they are, where their result is not quantised."""
_OF_IMAGES: dict[str, Attribute] = {"axes": (2, 3)}
_ELEMENTWISE = {"add": "real_add", "multiply": "real_multiply", "clip": "clip"}
"""Operators that the host runs on real numbers where they are not quantised, under other names."""
_ONE_FUNCTION = ("lookup", "line", "two_slopes", "hard_swish")
_MOVING = (
    "max_pool", "reshape", "transpose", "concat", "pad", "resize", "slice", "upsample",
)  # fmt: skip
_RESCALED_FIRST = ("concat", "pad")
"""What is added to the data need not be in the range of their scale."""


def integers(graph: Graph) -> Graph:
    """The integer graph of a quantised one.

    Raises
    ------
    ModelError
        If an operator of the accelerator has an input or a result that is not quantised: it names
        the node and says how to quantise a model.
    """
    return _Rewriter(graph).run()


class _Rewriter:
    def __init__(self, graph: Graph) -> None:
        self.graph, self.names = graph, graph.new_names()
        self.consumers, self.producers = graph.consumers(), graph.producers()
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        self.done: set[str] = set()
        self.recoded: dict[str, str] = {}
        """The int8 tensor of each uint8 tensor that the host gives."""
        self.unsigned: dict[str, str] = {}
        """The uint8 tensor of each one that is stored as int8, for the host."""
        self.zeros: dict[str, str] = {}
        """The int8 zero point of each one that is stored otherwise."""
        self.constants: dict[tuple[str, Quantisation], str] = {}
        """The int8 tensor of each constant with what its integers mean."""

    def run(self) -> Graph:
        for node in self.graph.nodes:
            if node.name in self.done:
                continue
            if node.operator == "quantize":
                self._quantize(node)
            elif node.operator == "dequantize":
                self._dequantize(node)
            elif self._is_real_mean(node):
                self.nodes.append(replace(node, operator="mean", attributes=_OF_IMAGES))
            elif node.operator in (*_ACCUMULATING, *_ONE_FUNCTION) or self._is_quantised(node):
                self._integer(node)
            elif node.operator in _ELEMENTWISE:
                self._real(node)
            else:
                if node.operator == "pad" and node.real("real_value") != node.integer("value"):
                    raise _error(
                        node, f"pads by {node.real('real_value')}; must be an integer, where data "
                        f"and result are not quantised"
                    )  # fmt: skip
                self.nodes.append(self._of_the_host(node))
        for name in self.graph.outputs:
            if self._is_recoded(name):
                self._recode_output(name)
        return self.graph.rewritten(self.nodes, self.tensors.values())

    # ---- the border --------------------------------------------------------------------------

    def _is_recoded(self, name: str) -> bool:
        """Whether a uint8 tensor of the model is stored as int8."""
        stored = self.tensors.get(name)
        return self.graph[name].dtype == "uint8" and stored is not None and stored.dtype == "int8"

    def _of_the_host(self, node: Node) -> Node:
        """A node that reads integers as the model has them: uint8 is not int8."""
        for name in node.inputs:
            if self._is_recoded(name) and name not in self.unsigned:
                moved = self.names.tensor(f"{name}.uint8")
                self.tensors[moved] = replace(self.graph[name], name=moved)
                self.unsigned[name] = moved
                own = self.names.node(f"{name}.unsigned")
                self.nodes.append(Node(own, "recode", (name,), (moved,), {}, node.source))
        return replace(node, inputs=tuple(self.unsigned.get(name, name) for name in node.inputs))

    def _parameters(self, node: Node) -> Quantisation:
        """What a ``quantize`` or ``dequantize`` says of its stored integers, as int8."""
        scale, zero = (self.graph[name].values for name in node.inputs[1:])
        assert scale is not None and zero is not None
        several = scale.size > 1
        move = 128 if zero.dtype == np.uint8 else 0
        zeros = np.broadcast_to(zero.reshape(-1), (scale.size,)).astype(np.int64) - move
        return Quantisation(
            tuple(map(float, scale.reshape(-1))),
            tuple(map(int, zeros)),
            node.integer("axis") if several else None,
        )

    def _activation(self, node: Node) -> Quantisation:
        found = self._parameters(node)
        if found.axis is not None:
            raise _error(node, "stores activations with several scales; must be one for the tensor")
        return found

    def _stored(self, name: str, quantisation: Quantisation) -> Tensor:
        """A tensor of stored integers, as int8."""
        tensor = replace(self.graph[name], dtype="int8", quantisation=quantisation)
        self.tensors[name] = tensor
        return tensor

    def _zero(self, name: str, quantisation: Quantisation) -> str:
        """The name of the zero point as int8."""
        if self.graph[name].dtype == "int8":
            return name
        if name not in self.zeros:
            moved = self.zeros[name] = self.names.tensor(f"{name}.int8")
            values = np.array(quantisation.zero, np.int8)
            self.tensors[moved] = Tensor(moved, (), "int8", values=values)
        return self.zeros[name]

    def _quantize(self, node: Node) -> None:
        quantisation = self._activation(node)
        self._stored(node.output, quantisation)
        zero = self._zero(node.inputs[2], quantisation)
        self.nodes.append(replace(node, inputs=(*node.inputs[:2], zero)))

    def _dequantize(self, node: Node) -> None:
        source = self.graph[node.inputs[0]]
        if source.is_constant:
            self._dequantize_constant(node)
            return
        quantisation = self._activation(node)
        if source.name not in self.tensors:
            if source.dtype == "uint8":
                self._recode_input(node, source, quantisation)
            else:
                self._stored(source.name, quantisation)
        stored = self.recoded.get(source.name, source.name)
        if self.tensors[stored].quantisation != quantisation:
            name = input_name(self.graph, source.name)
            raise _error(node, f"reads {name} with another scale than it was stored with")
        zero = self._zero(node.inputs[2], quantisation)
        self.nodes.append(replace(node, inputs=(stored, node.inputs[1], zero)))

    def _dequantize_constant(self, node: Node) -> None:
        """For readers on the host; those of the accelerator take the stored integers."""
        values = [self.graph[name].values for name in node.inputs]
        real = run_host_operator(
            "dequantize", [v for v in values if v is not None], {"axis": node.integer("axis")}
        )
        self.tensors[node.output] = replace(self.graph[node.output], values=real)

    def _recode_input(self, node: Node, source: Tensor, quantisation: Quantisation) -> None:
        if source.name not in self.recoded:
            stored = replace(
                source, name=self.names.tensor(f"{source.name}.int8"), dtype="int8",
                quantisation=quantisation,
            )  # fmt: skip
            self.tensors[stored.name] = stored
            self.recoded[source.name] = stored.name
            own = self.names.node(f"{source.name}.recode")
            recode = Node(own, "recode", (source.name,), (stored.name,), {}, node.source)
            self.nodes.append(recode)

    def _recode_output(self, name: str) -> None:
        """A uint8 output is computed as int8 under another name."""
        stored = self.names.tensor(f"{name}.int8")
        self.tensors[stored] = replace(self.tensors[name], name=stored)
        self.tensors[name] = self.graph[name]

        def renamed(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(stored if other == name else other for other in names)

        self.nodes = [
            replace(node, inputs=renamed(node.inputs), outputs=renamed(node.outputs))
            for node in self.nodes
        ]
        own = self.names.node(f"{name}.recode")
        self.nodes.append(Node(own, "recode", (stored,), (name,), {}, self.producers[name].source))

    # ---- operators ---------------------------------------------------------------------------

    def _source(self, name: str) -> Node | None:
        producer = self.producers.get(name)
        return producer if producer is not None and producer.operator == "dequantize" else None

    def _result(self, node: Node) -> Node | None:
        """The only reader of a node's result, if it is a ``quantize``."""
        readers = self.consumers[node.output]
        if node.output in self.graph.outputs or len(readers) != 1:
            return None
        return readers[0] if readers[0].operator == "quantize" else None

    def _is_real_mean(self, node: Node) -> bool:
        """Whether a node is the mean of whole images whose result is not quantised, as onnxruntime
        leaves ReduceMean: the host computes it."""
        if node.operator != "average_pool" or self._result(node) is not None:
            return False
        whole = node.integers("kernel") == self.graph[node.inputs[0]].shape[2:]
        return whole and not any(node.integers("pads")) and self._source(node.inputs[0]) is not None

    def _is_quantised(self, node: Node) -> bool:
        if node.operator in _ELEMENTWISE:
            return self._fits_alu(node)
        if node.operator not in _MOVING:
            return False
        sources = all(self._source(name) is not None for name in node.inputs)
        if sources and self._result(node) is not None:
            return True
        if node.operator in ("max_pool", "upsample"):
            self._integer(node)  # says what is missing
        return False

    def _fits_alu(self, node: Node) -> bool:
        """Whether data and result are stored, and have shapes that the vector ALU combines."""
        if any(self._stored_data(name) is None for name in node.inputs):
            return False
        whole = self.graph[node.output].shape
        if self._result(node) is None or not 2 <= len(whole) <= 5:
            return False
        others = [shape for name in node.inputs if (shape := self.graph[name].shape) != whole]
        if node.operator == "multiply" and len(others) == 1:
            return by_channel(whole, others[0])
        return not others

    def _stored_data(self, name: str) -> Node | None:
        """The ``dequantize`` of data that are computed."""
        source = self._source(name)
        return None if source is None or self.graph[source.inputs[0]].is_constant else source

    def _real(self, node: Node) -> None:
        """An elementwise operator, and the clip that became part of it, on real numbers."""
        low, high = real_range(node)
        limits = [("maximum", low)] * (low > -np.inf) + [("minimum", high)] * (high < np.inf)
        shape, name = self.graph[node.output].shape, node.inputs[0]
        parts = [] if node.operator == "clip" else [(_ELEMENTWISE[node.operator], node.inputs)]
        chain: list[tuple[str, tuple[str, ...] | float]] = [*parts, *limits]
        for number, (kind, operand) in enumerate(chain, 1):
            last = number == len(chain)
            output = node.output if last else self.names.tensor(f"{node.output}.{number}")
            if isinstance(operand, float):
                value = np.array(operand, np.float32)
                limit = Tensor(self.names.tensor(f"{output}.limit"), (), "float32", values=value)
                self.tensors[limit.name] = limit
                operand = (name, limit.name)
            if not last:
                self.tensors[output] = Tensor(output, shape, "float32")
            own = node.name if number == 1 else self.names.node(f"{node.name}.{number}")
            self.nodes.append(Node(own, kind, operand, (output,), {}, node.source))
            name = output

    def _integer(self, node: Node) -> None:
        result = self._result(node)
        several = (*_MOVING, "add", "matmul", "multiply")
        data = node.inputs if node.operator in several else node.inputs[:1]
        for name in data:
            if self._source(name) is None:
                given = input_name(self.graph, name)
                raise _error(node, f"computes in real numbers: its input {given} is not quantised")
        if result is None:
            if node.operator in _WHOLE and real_range(node) == (-np.inf, np.inf):
                self._whole_sums(node, data)
                return
            output = result_name(self.graph, node.output)
            raise _error(node, f"computes in real numbers: {output} is not quantised")
        self.done.add(result.name)
        quantisation = self._activation(result)
        if node.operator == "multiply":  # one value a channel is the second operand
            data = tuple(sorted(data, key=lambda name: -prod(self.graph[name].shape)))
        stored = [self._name_of(name) for name in data]
        final = self._stored(result.output, quantisation)
        if node.operator in _MOVING:
            self._moving(node, stored, final)
            return
        operator = "rescale" if node.operator == "clip" else node.operator
        constants = list(node.inputs[1:]) if node.operator == "lookup" else []
        if node.operator in _WEIGHTED:
            constants = self._weights(node)
        self.nodes.append(
            replace(node, operator=operator, inputs=(*stored, *constants), outputs=(final.name,))
        )

    def _whole_sums(self, node: Node, data: Sequence[str]) -> None:
        """A product whose result is not rounded to 8 bits: sums, and their scale."""
        stored = [self._name_of(name) for name in data]
        constants = self._weights(node) if node.operator == "dense" else []
        units = 1.0
        for name in stored:
            quantisation = self.tensors[name].quantisation
            assert quantisation is not None, name
            units *= quantisation.scale
        scales = np.array([units])
        if constants:
            weights = self.tensors[constants[0]].quantisation
            assert weights is not None
            scales = units * np.array(weights.scales)
        final = self.graph[node.output]
        sums = replace(final, name=self.names.tensor(f"{final.name}.sums"), dtype="int32")
        scale, zero = (
            Tensor(
                self.names.tensor(f"{sums.name}.{what}"), values.shape, values.dtype.name,
                values=values,
            )
            for what, values in (
                ("scale", scales.astype(np.float32)), ("zero", np.zeros(len(scales), np.int32))
            )
        )  # fmt: skip
        self.tensors |= {tensor.name: tensor for tensor in (sums, scale, zero)}
        whole = replace(node, inputs=(*stored, *constants), outputs=(sums.name,))
        axis: dict[str, int] = {"axis": len(final.shape) - 1}
        inputs = (sums.name, scale.name, zero.name)
        own = self.names.node(f"{node.name}.dequantize")
        self.nodes += [
            whole.with_attributes(whole_sums=1),
            Node(own, "dequantize", inputs, (final.name,), axis, node.source),
        ]

    def _name_of(self, real: str) -> str:
        source = self._source(real)
        assert source is not None
        stored = self.graph[source.inputs[0]]
        if stored.is_constant:
            return self._constant(stored, self._activation(source))
        return self.recoded.get(stored.name, stored.name)

    def _constant(self, stored: Tensor, quantisation: Quantisation) -> str:
        """The int8 tensor of a stored constant; one that is read with several scales is several.

        The host may read the stored integers as well, so uint8 stays what it is.
        """
        key, values = (stored.name, quantisation), stored.values
        if key not in self.constants:
            assert values is not None
            name = stored.name
            if values.dtype == np.uint8:
                values = (values.astype(np.int16) - 128).astype(np.int8)
            if stored.dtype == "uint8" or name in self.tensors:
                name = self.names.tensor(f"{name}.int8")
            self.tensors[name] = replace(
                stored, name=name, dtype="int8", values=values, quantisation=quantisation
            )
            self.constants[key] = name
        return self.constants[key]

    def _moving(self, node: Node, stored: list[str], final: Tensor) -> None:
        """Operands of another scale are rescaled first, or the result of a single one."""
        quantisations = [self.tensors[name].quantisation for name in stored]
        if node.operator == "pad":
            node = node.with_attributes(value=_stored_value(node, final.quantisation))
        if node.operator not in _RESCALED_FIRST and quantisations[0] != final.quantisation:
            inner = replace(
                final, name=self.names.tensor(f"{final.name}.before"),
                quantisation=quantisations[0],
            )  # fmt: skip
            self.tensors[inner.name] = inner
            self.nodes.append(replace(node, inputs=tuple(stored), outputs=(inner.name,)))
            self._rescale(node, "rescale", inner.name, final.name)
            return
        inputs = []
        for number, (name, found) in enumerate(zip(stored, quantisations)):
            if found != final.quantisation:
                moved = replace(
                    self.tensors[name], name=self.names.tensor(f"{final.name}.{number}"),
                    quantisation=final.quantisation,
                )  # fmt: skip
                if moved.is_constant:
                    moved = _rescaled(moved, found)
                self.tensors[moved.name] = moved
                if moved.is_constant:
                    inputs.append(moved.name)
                    continue
                self._rescale(node, f"rescale_{number}", name, moved.name)
                name = moved.name
            inputs.append(name)
        self.nodes.append(replace(node, inputs=tuple(inputs), outputs=(final.name,)))

    def _rescale(self, node: Node, suffix: str, source: str, result: str) -> None:
        shape = self.tensors[source].shape
        if not 2 <= len(shape) <= 5:
            raise _error(
                node, f"changes the scale of {input_name(self.graph, source)}, of shape {shape}; "
                f"must have 2 to 5 dimensions, or one scale for operands and result"
            )  # fmt: skip
        own = self.names.node(f"{node.name}.{suffix}")
        self.nodes.append(Node(own, "rescale", (source,), (result,), {}, node.source))

    def _weights(self, node: Node) -> list[str]:
        """The kernel as int8, and the bias as real numbers or as it is stored, as constants."""
        source = self._source(node.inputs[1])
        kernel = None if source is None else self.graph[source.inputs[0]]
        if source is None or kernel is None or kernel.values is None:
            name = input_name(self.graph, node.inputs[1])
            raise _error(node, f"computes in real numbers: {name} is not quantised")
        name = input_name(self.graph, kernel.name)
        if kernel.dtype not in ("int8", "uint8"):
            raise _error(node, f"weights {name} are {kernel.dtype}; must be 8-bit integers")
        quantisation = self._parameters(source)
        if any(quantisation.zeros):
            middle = 128 if kernel.dtype == "uint8" else 0
            raise _error(node, f"weights {name} have a zero point that is not {middle}")
        if quantisation.axis not in (None, 0):
            raise _error(
                node, f"weights {name} have scales along axis {quantisation.axis}; must be "
                f"one scale, or one an output channel"
            )  # fmt: skip
        return [self._constant(kernel, quantisation), self._bias(node, quantisation).name]

    def _bias(self, node: Node, weights: Quantisation) -> Tensor:
        """The bias as int32, in units of the products: rounded to nearest, halves to even, if it is
        stored otherwise."""
        data = self.tensors[self._name_of(node.inputs[0])].quantisation
        assert data is not None
        unit = np.float64(data.scale) * np.array(weights.scales, np.float64)
        name = self.names.tensor(f"{node.name}.bias")
        kernel = self._source(node.inputs[1])
        assert kernel is not None
        channels = self.graph[kernel.inputs[0]].shape[0]
        if len(node.inputs) < 3:
            sums = np.zeros(channels)
        else:
            real = self._real_bias(node.inputs[2])
            if real.size not in (1, channels) or real.shape[-1:] not in ((), (real.size,)):
                raise _error(
                    node, f"the bias {input_name(self.graph, node.inputs[2])} has shape "
                    f"{real.shape}; must be one number, or one for each of {channels} channels"
                )  # fmt: skip
            sums = np.broadcast_to(real.reshape(-1), (channels,)) / unit
        if (np.abs(sums) >= 2.0**31).any():
            raise _error(
                node, f"the bias {input_name(self.graph, node.inputs[2])} is beyond sums of 32 bits"
            )
        bias = Tensor(name, (channels,), "int32", values=np.rint(sums).astype(np.int32))
        self.tensors[name] = bias
        return bias

    def _real_bias(self, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        values = self.graph[name].values
        if values is not None:
            return values.astype(np.float64)
        source = self._source(name)
        assert source is not None
        stored, scale, zero = (self.graph[part].values for part in source.inputs)
        assert stored is not None and scale is not None and zero is not None
        return np.asarray((stored.astype(np.float64) - zero) * scale.astype(np.float64))


def _stored_value(node: Node, quantisation: Quantisation | None) -> int:
    """What fills the frame of a ``pad``, as it is stored."""
    assert quantisation is not None
    steps = np.clip(node.real("real_value") / quantisation.scale, -1e6, 1e6)
    return int(np.clip(np.rint(steps) + quantisation.zero, -128, 127))


def _rescaled(constant: Tensor, before: Quantisation | None) -> Tensor:
    """Stored integers of one scale with that of the tensor: rounded to nearest, halves to even."""
    after, values = constant.quantisation, constant.values
    assert before is not None and after is not None and values is not None
    real = (values.astype(np.float64) - before.zero) * before.scale
    steps = np.rint(real / after.scale) + after.zero
    return replace(constant, values=np.clip(steps, -128, 127).astype(np.int8))


def _error(node: Node, message: str) -> ModelError:
    return ModelError(
        f"node {node.label} {message}. Models must be quantised to int8, with "
        f"QuantizeLinear and DequantizeLinear or with QLinear operators, as onnxruntime does"
    )
