"""Quantised ONNX models whose products keep 32 bits where only real operators read them."""

from __future__ import annotations

from collections.abc import Collection

import onnx

__all__ = ["with_whole_sums"]

_PRODUCTS = frozenset(("Gemm", "MatMul"))
_MOVING = frozenset(("Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze"))


def with_whole_sums(model: onnx.ModelProto, real: Collection[str]) -> onnx.ModelProto:
    """The model without QuantizeLinear and DequantizeLinear behind matrix products, and behind what
    moves their results, whose only readers are nodes of ``real``.

    Such sums leave the machine in 32 bits: the residual sum before a norm, of which a few elements
    are far larger than the others, keeps its small ones.
    """
    producers = {name: node for node in model.graph.node for name in node.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {value.name for value in model.graph.output}
    free: set[str] = set()
    """Tensors that need not be rounded."""
    gone: set[int] = set()
    for node in reversed(model.graph.node):
        moved = node.op_type in _MOVING and _is_of_product(node, producers)
        if node.op_type not in _PRODUCTS and not moved:
            continue
        name = node.output[0]
        after = readers.get(name, [])
        if name in outputs or len(after) != 1 or after[0].op_type != "QuantizeLinear":
            continue
        (back,) = readers[after[0].output[0]]
        behind = readers.get(back.output[0], [])
        if back.output[0] in outputs or not behind:
            continue
        if not all(
            item.name in real or (item.op_type in _MOVING and item.output[0] in free)
            for item in behind
        ):
            continue
        gone |= {id(after[0]), id(back)}
        free.add(name)
        for item in behind:
            for index, other in enumerate(item.input):
                if other == back.output[0]:
                    item.input[index] = name
    left = [node for node in model.graph.node if id(node) not in gone]
    del model.graph.node[:]
    model.graph.node.extend(left)
    read = {name for node in left for name in node.input} | outputs
    for item in list(model.graph.initializer):
        if item.name not in read:
            model.graph.initializer.remove(item)
    return model


def _is_of_product(node: onnx.NodeProto, producers: dict[str, onnx.NodeProto]) -> bool:
    """Whether a node moves the result of a product, through rounding and other moves."""
    found = producers.get(node.input[0])
    while found is not None:
        if found.op_type in _PRODUCTS:
            return True
        if found.op_type not in _MOVING | {"DequantizeLinear", "QuantizeLinear"}:
            return False
        found = producers.get(found.input[0])
    return False
