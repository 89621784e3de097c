"""The values of a stage that its primitives set: place, pragmas, threads, tensorization."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from vta.call_site import CallSite, call_site
from vta.compiler.target import SCOPES, GemmIntrin
from vta.compiler.te.expr import IterVar
from vta.errors import ScheduleError

if TYPE_CHECKING:
    from vta.compiler.schedule.stage import Stage

__all__ = [
    "PRAGMAS",
    "SKIP_ZEROS",
    "Attach",
    "PragmaRequest",
    "Tensorization",
    "require_scope",
    "thread_axis",
]

SKIP_ZEROS = "conv2d_transpose_gemm"
PRAGMAS = ("dma_copy", "alu", "skip_dma_copy", "skip_alu", SKIP_ZEROS)
"""Keys that :meth:`~vta.compiler.schedule.stage.Stage.pragma` accepts."""


@dataclass(frozen=True)
class Attach:
    """The place where a stage is computed: at the outermost level (``root``), in its readers
    (``inline``), or in loop ``axis`` of ``stage`` (``at``).
    """

    kind: Literal["root", "inline", "at"] = "root"
    stage: Stage | None = None
    axis: IterVar | None = None


@dataclass(frozen=True)
class PragmaRequest:
    """A pragma on a loop. ``call`` is the line of the user's script that asks for it."""

    key: str
    value: int | str | None
    call: CallSite | None = field(default_factory=call_site, compare=False)


@dataclass(frozen=True)
class Tensorization:
    """The loops from ``axis`` inwards become tensor instructions.

    Without ``intrin`` the buffers decide the sizes, and products with zeros of a dilated tensor are
    left out (``conv2d_transpose_gemm``). With ``start`` the first product of a sum overwrites its
    tile. ``call`` is as of :class:`PragmaRequest`.
    """

    axis: IterVar
    intrin: GemmIntrin | None = None
    start: bool = False
    call: CallSite | None = field(default_factory=call_site, compare=False)


def require_scope(where: str, scope: object) -> None:
    """``scope`` must be the name of a memory; the message starts with ``where``."""
    if scope not in SCOPES:
        raise ScheduleError(
            f"{where}: {scope!r} is not a memory; must be one of {', '.join(SCOPES)}"
        )


def thread_axis(dom: object = None, tag: str = "", name: str = "") -> IterVar:
    """A virtual thread to bind an axis to: ``thread_axis("cthread")``.

    Raises
    ------
    ScheduleError
        For a tag other than ``cthread`` (the machine has no other threads).
    """
    extent, tag = (None, dom) if isinstance(dom, str) else (dom, tag)
    if tag != "cthread":
        raise ScheduleError(f"thread_axis: tag is {tag!r}; must be 'cthread'")
    if extent is None:
        return IterVar(name or tag, extent=0, kind="thread")
    if not isinstance(extent, int) or extent < 1:
        raise ScheduleError(f"thread_axis: extent is {extent!r}; must be a positive integer")
    return IterVar(name or tag, extent=extent, kind="thread")
