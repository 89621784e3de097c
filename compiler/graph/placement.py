"""Where the tensors of a network lie, and which of them need not be moved to be joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

from vta.compiler.graph.memory_plan import LiveRange, plan
from vta.network import JOIN, NetworkTensor, Step

__all__ = ["joined", "placed"]


def joined(
    steps: Sequence[Step], tensors: Mapping[str, NetworkTensor], outputs: Sequence[str]
) -> list[Step]:
    """Concatenations of the host that only join memory, as steps that nothing runs.

    The channels of a single image in tiles (N = 1) lie one after the other. So a program that
    computes a part of the result can write it there, if the part is computed by a program and is
    no part of another result.
    """
    by_program = {step.output for step in steps if step.program is not None}
    taken: set[str] = set()
    result = []
    for step in steps:
        if step.operator == "concat" and step.attributes["axis"] == 1:
            shape = tensors[step.output].shape
            parts = set(step.inputs)
            in_tiles = len(shape) == len(tensors[step.output].logical) + 2
            single = in_tiles and prod(shape[:1]) == 1
            free = parts <= by_program and not parts & taken and len(parts) == len(step.inputs)
            if single and free and not parts.intersection(outputs):
                taken |= parts
                step = replace(step, operator=JOIN, attributes={})
        result.append(step)
    return result


def placed(
    tensors: Mapping[str, NetworkTensor], steps: Sequence[Step]
) -> tuple[dict[str, NetworkTensor], int]:
    """The tensors with the places of those that programs use, and the bytes of the arena.

    Constants lie behind all others, because they are written once. The inputs of :data:`JOIN` lie
    in its output.
    """
    on_device = {
        name
        for step in steps
        if step.program is not None or step.operator == JOIN
        for name in (*step.inputs, step.output)
    }
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for number, step in enumerate(steps):
        first[step.output] = number
        for name in (*step.inputs, step.output):
            last[name] = number
    within: dict[str, tuple[str, int]] = {}
    for step in steps:
        if step.operator == JOIN:
            place = 0
            for name in step.inputs:
                within[name] = (step.output, place)
                place += tensors[name].nbytes
                first[step.output] = min(first[step.output], first[name])
                last[step.output] = max(last[step.output], last[name])
    ranges = {
        name: LiveRange(tensors[name].nbytes, first.get(name, -1), last[name])
        for name in sorted(on_device)
        if tensors[name].values is None and name not in within
    }
    offsets, end = plan(ranges)
    for name, (whole, place) in within.items():
        offsets[name] = offsets[whole] + place
    weights = {
        name: LiveRange(tensors[name].nbytes, 0, 0)
        for name in sorted(on_device)
        if tensors[name].values is not None
    }
    behind, size = plan(weights)
    offsets.update({name: end + offset for name, offset in behind.items()})
    result = {name: replace(tensor, offset=offsets.get(name)) for name, tensor in tensors.items()}
    return result, end + size
