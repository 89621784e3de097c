"""The log of a schedule: applied primitives, with names in place of stages, axes and tensors."""

from __future__ import annotations

from dataclasses import dataclass

from vta.compiler.te.expr import IterVar

__all__ = ["AppliedPrimitive", "AxisRef", "StageRef", "TensorRef"]


@dataclass(frozen=True)
class AxisRef:
    """An axis by the names of stage and axis. ``number`` tells axes of one name apart, in order."""

    stage: str
    axis: str
    number: int = 0

    def __str__(self) -> str:
        return self.axis


@dataclass(frozen=True)
class StageRef:
    """A stage by name."""

    stage: str

    def __str__(self) -> str:
        return f"s[{self.stage}]"


@dataclass(frozen=True)
class TensorRef:
    """The tensor of a stage by name."""

    stage: str

    def __str__(self) -> str:
        return self.stage


@dataclass(frozen=True)
class AppliedPrimitive:
    """One primitive that was applied. The arguments are names and numbers, so that
    :meth:`~vta.compiler.schedule.schedule.Schedule.replay` can apply the primitive to another
    schedule of the same computation.
    """

    stage: str | None
    primitive: str
    args: tuple[object, ...]
    keywords: tuple[tuple[str, object], ...] = ()

    def __str__(self) -> str:
        args = [*map(_text, self.args), *(f"{key}={_text(arg)}" for key, arg in self.keywords)]
        owner = "s" if self.stage is None else f"s[{self.stage}]"
        return f"{owner}.{self.primitive}({', '.join(args)})"


def _text(arg: object) -> str:
    if isinstance(arg, tuple):
        return f"[{', '.join(map(_text, arg))}]"
    if isinstance(arg, IterVar):
        return f"thread_axis({arg.name!r})"
    return str(arg) if isinstance(arg, AxisRef | StageRef | TensorRef) else repr(arg)
