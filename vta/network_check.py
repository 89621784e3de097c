"""What must hold of a network, whatever file it comes from, so that a run stays in its memory."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from vta.errors import NetworkError, TensorError
from vta.host_operators import HOST_OPERATORS
from vta.network import JOIN, LAUNCH
from vta.program import MAX_TENSOR_BYTES

if TYPE_CHECKING:
    from vta.network import Network, Step
    from vta.program import Program

__all__ = ["MAX_TENSOR", "check_network"]

MAX_TENSOR = 1 << 30
"""Bytes of a tensor: an image of 224 x 224 pixels and 64 channels has 3 million."""
_MAX_RANK = 6
"""Of the tensors of host operators: four axes of an image and two of a tile."""


def check_network(network: Network) -> None:
    """Check a network.

    Each tensor of a program lies in the arena and has the bytes of the program's parameter, each
    step reads what was computed before, each host operator exists and makes no more than its
    result holds.

    Raises
    ------
    NetworkError
        Naming the tensor or the step.
    """
    if not 0 <= network.arena <= MAX_TENSOR_BYTES:
        raise NetworkError(f"the arena has {network.arena} bytes; must be 0 to {MAX_TENSOR_BYTES}")
    element = network.cfg.batch * network.cfg.block_out
    for tensor in network.tensors.values():
        if tensor.nbytes > MAX_TENSOR:
            raise NetworkError(f"tensor {tensor.name}: {tensor.nbytes} bytes; at most {MAX_TENSOR}")
        if tensor.offset is not None and (
            tensor.offset % element or not 0 <= tensor.offset <= network.arena - tensor.nbytes
        ):
            raise NetworkError(
                f"tensor {tensor.name}: {tensor.nbytes} bytes at offset {tensor.offset}; must lie "
                f"in the arena of {network.arena} bytes, at a multiple of {element}"
            )
    ready = {name for name, tensor in network.tensors.items() if tensor.values is not None}
    for name in network.inputs:
        if name not in network.tensors or name in ready:
            raise NetworkError(f"input {name} is no tensor, or has values already")
        ready.add(name)
    for step in network.steps:
        for name in step.inputs:
            if name not in ready:
                raise NetworkError(f"step {step.name} reads {name}, which is not computed before")
        for name in (*step.inner, step.output):
            if name in ready or name not in network.tensors:
                raise NetworkError(f"step {step.name} computes {name} again, or no tensor")
            ready.add(name)
        if not 0 <= step.products <= MAX_TENSOR_BYTES:
            raise NetworkError(f"step {step.name} has {step.products} products")
        if step.inner and step.operator != LAUNCH:
            raise NetworkError(f"step {step.name} has inner tensors; must be a {LAUNCH}")
        if step.operator == JOIN:
            _check_join(network, step)
        elif step.operator == LAUNCH:
            _check_launch(network, step)
        elif step.program is None:
            _check_host(network, step)
        else:
            _check_program(network, step)
    for name in network.outputs:
        if name not in ready:
            raise NetworkError(f"output {name} is not computed")
    if not network.outputs:
        raise NetworkError("there is no output")


def _check_join(network: Network, step: Step) -> None:
    """The inputs lie one after the other, from the start to the end of the output."""
    result = network.tensors[step.output]
    if result.offset is None or step.program is not None or step.attributes:
        raise NetworkError(f"step {step.name}: its result {result.name} must lie in the arena")
    place = result.offset
    for name in step.inputs:
        part = network.tensors[name]
        if part.offset != place or part.values is not None or part.dtype != result.dtype:
            raise NetworkError(
                f"step {step.name}: {name} lies at {part.offset}; must lie at {place}, where its "
                f"part of {result.name} is"
            )
        place += part.nbytes
    if place != result.offset + result.nbytes:
        raise NetworkError(
            f"step {step.name}: its inputs have {place - result.offset} bytes, {result.name} "
            f"{result.nbytes}"
        )


def _check_machine(network: Network, step: Step, program: Program) -> None:
    if program.cfg.fingerprint != network.cfg.fingerprint:
        raise NetworkError(
            f"step {step.name}: its program is for {program.cfg.fingerprint}, the network for "
            f"{network.cfg.fingerprint}"
        )


def _check_launch(network: Network, step: Step) -> None:
    """The program stays in the arena, and the tensors that it uses lie there."""
    program = step.program
    if program is None or step.attributes:
        raise NetworkError(f"step {step.name}: a {LAUNCH} must have a program and no attributes")
    _check_machine(network, step, program)
    sizes = [spec.nbytes for spec in program.tensors]
    if len(sizes) != 1 or sizes[0] > network.arena:
        raise NetworkError(
            f"step {step.name}: its program takes tensors of {sizes} bytes; must be one, in the "
            f"arena of {network.arena}"
        )
    for name in (*step.inputs, *step.inner, step.output):
        if network.tensors[name].offset is None:
            raise NetworkError(f"step {step.name}: tensor {name} does not lie in the arena")


def _check_program(network: Network, step: Step) -> None:
    program = step.program
    assert program is not None
    _check_machine(network, step, program)
    names = (*step.inputs, step.output)
    if len(program.tensors) != len(names):
        raise NetworkError(
            f"step {step.name}: {len(names)} tensors for a program with {len(program.tensors)}"
        )
    for spec, name in zip(program.tensors, names):
        tensor = network.tensors[name]
        if tensor.offset is None or tensor.nbytes != spec.nbytes:
            where = " on the host" if tensor.offset is None else ""
            raise NetworkError(
                f"step {step.name}: tensor {name} has {tensor.nbytes} bytes{where}; its program "
                f"takes {spec.nbytes}"
            )
        if spec.written != (name == step.output):
            raise NetworkError(f"step {step.name}: its program writes another tensor than {name}")


def _check_host(network: Network, step: Step) -> None:
    row = HOST_OPERATORS.get(step.operator)
    if row is None:
        raise NetworkError(
            f"step {step.name}: no host operator {step.operator}; must be one of "
            f"{', '.join(HOST_OPERATORS)}"
        )
    inputs = [network.tensors[name] for name in step.inputs]
    result = network.tensors[step.output]
    if any(len(tensor.shape) > _MAX_RANK for tensor in (*inputs, result)):
        raise NetworkError(f"step {step.name}: tensors of more than {_MAX_RANK} dimensions")
    if (row.inputs is not None and len(inputs) != row.inputs) or not inputs:
        raise NetworkError(f"step {step.name}: {len(inputs)} inputs; must be {row.inputs}")
    if set(step.attributes) != set(row.attributes):
        raise NetworkError(
            f"step {step.name}: attributes {sorted(step.attributes)}; must be "
            f"{sorted(row.attributes)}"
        )
    try:
        made = row.size([tensor.shape for tensor in inputs], step.attributes)
    except (ValueError, TypeError, IndexError, TensorError) as error:
        raise NetworkError(f"step {step.name}: {step.operator}: {error}") from None
    if made != prod(result.shape):
        raise NetworkError(
            f"step {step.name}: {step.operator} makes {made} elements; {result.name} has "
            f"{prod(result.shape)}"
        )
