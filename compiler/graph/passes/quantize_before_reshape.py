"""The result of an operator is quantised before a reshape, not after it."""

from __future__ import annotations

from dataclasses import replace

from vta.compiler.graph.ir import Graph, Node, Tensor

__all__ = ["quantize_before_reshape"]


def quantize_before_reshape(graph: Graph) -> Graph:
    """``quantize(reshape(x))`` -> ``quantize(reshape(dequantize(quantize(x))))``.

    With one scale and zero point for both, the result is the same. Only where nothing else reads
    ``x``, and ``x`` is no input and not dequantised: then what computes ``x`` has a quantised
    result.
    """
    producers, consumers = graph.producers(), graph.consumers()
    tensors: list[Tensor] = []
    names = graph.new_names()
    before: dict[str, list[Node]] = {}
    """By the name of a reshape: nodes in front of it."""
    for node in graph.nodes:
        source = producers.get(node.inputs[0]) if node.operator == "quantize" else None
        if source is None or source.operator != "reshape" or len(consumers[source.output]) > 1:
            continue
        name = source.inputs[0]
        producer = producers.get(name)
        scale = graph[node.inputs[1]]
        if producer is None or producer.operator in ("dequantize", "reshape"):
            continue
        if len(consumers[name]) > 1 or name in graph.outputs or scale.shape not in ((), (1,)):
            continue
        stored = Tensor(
            names.tensor(f"{node.output}.before"), graph[name].shape,
            graph[node.output].dtype,
        )  # fmt: skip
        real = Tensor(names.tensor(f"{stored.name}.real"), stored.shape, "float32")
        tensors += [stored, real]
        parameters = node.inputs[1:]
        before[source.name] = [
            Node(names.node(f"{node.name}.before"), "quantize", (name, *parameters),
                 (stored.name,), node.attributes, node.source),
            Node(names.node(f"{node.name}.before.real"), "dequantize", (stored.name, *parameters),
                 (real.name,), node.attributes, node.source),
        ]  # fmt: skip
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.name in before:
            nodes += before[node.name]
            node = replace(node, inputs=(before[node.name][-1].output,))
        nodes.append(node)
    return graph.rewritten(nodes, tensors)
