"""Steps of the accelerator that follow each other, as one launch of one program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from vta.compiler.codegen.join_programs import PlacedProgram, join_programs
from vta.compiler.graph.names import NewNames
from vta.config import VTAConfig
from vta.network import JOIN, LAUNCH, NetworkTensor, Step

__all__ = ["grouped", "launches"]


def grouped(steps: Sequence[Step]) -> list[Step]:
    """The steps in an order with few changes between host and accelerator.

    A step of the host is put off until no other step can run.
    """
    computed = {step.output for step in steps}
    done: set[str] = set()
    left = list(steps)
    result: list[Step] = []
    on_host = False
    while left:
        ready = next(
            (
                step for step in left
                if (step.where == "host") == on_host
                and all(name in done or name not in computed for name in step.inputs)
            ),
            None,
        )  # fmt: skip
        if ready is None:
            on_host = not on_host
            continue
        result.append(ready)
        done.add(ready.output)
        left.remove(ready)
    return result


def launches(
    steps: Sequence[Step], tensors: Mapping[str, NetworkTensor], arena: int, cfg: VTAConfig
) -> list[Step]:
    """The steps, with each run of programs that no step of the host interrupts as one step.

    Parameters
    ----------
    steps : sequence of Step
    tensors : mapping of str to NetworkTensor
        With their places in the arena.
    arena : int
        Bytes.
    cfg : VTAConfig
    """
    result: list[Step] = []
    names = NewNames((), (step.name for step in steps))
    for on_host, run in groupby(steps, key=lambda step: step.where == "host"):
        group = list(run)
        if on_host or sum(step.program is not None for step in group) < 2:
            result += group
        else:
            result.append(_launch(group, tensors, arena, cfg, names))
    return result


def _launch(
    group: Sequence[Step],
    tensors: Mapping[str, NetworkTensor],
    arena: int,
    cfg: VTAConfig,
    names: NewNames,
) -> Step:
    def offset(name: str) -> int:
        place = tensors[name].offset
        assert place is not None, name
        return place

    parts = [
        PlacedProgram(
            step.program, tuple(offset(name) for name in (*step.inputs, step.output)), step.name
        )
        for step in group
        if step.program is not None and step.operator != JOIN
    ]  # fmt: skip
    computed = [step.output for step in group]
    read = dict.fromkeys(name for step in group for name in step.inputs)
    name = names.node(f"{group[0].name} to {group[-1].name}")
    return Step(
        name, LAUNCH,
        tuple(name for name in read if name not in computed), computed[-1],
        join_programs(name, cfg, parts, arena),
        products=sum(step.products for step in group), inner=tuple(computed[:-1]),
        tuned=any(step.tuned for step in group),
    )  # fmt: skip
