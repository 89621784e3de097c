"""From a schedule to a lowered program (:func:`lower`) and to a module (:func:`build`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vta.compiler.codegen import generate
from vta.compiler.driver import LOOP_NEST, PASSES, run_passes
from vta.compiler.lower import lower as _lower_schedule
from vta.environment import get_env
from vta.errors import CompileError
from vta.runtime.module import CompiledModule

if TYPE_CHECKING:
    from vta.compiler.ir import PrimFunc
    from vta.compiler.schedule import Schedule
    from vta.compiler.tensor import Tensor

__all__ = ["LOOP_NEST", "PASSES", "build", "build_config", "lower"]


def lower(
    schedule: Schedule,
    args: Sequence[Tensor],
    *,
    stage: str | None = None,
    name: str = "main",
    simple_mode: bool = True,
) -> PrimFunc:
    """The program of a schedule, as loops with transfers, micro-ops and tokens; it prints readably.

    Parameters
    ----------
    schedule : Schedule
        What is computed, and in which order.
    args : sequence of Tensor
        The parameters of the program: all placeholders and outputs.
    stage : str or None
        The pass after which to stop, a key of :data:`PASSES`, or ``nest`` for the loop nest before
        the first one. None: after the last one, before code generation.
    name : str
        Of the program.
    simple_mode : bool
        Accepted for programs written for TVM; there is one way to print.

    Raises
    ------
    LoweringError
        If the program has no counterpart on the machine.
    """
    func = _lower_schedule(schedule, args, name)
    return run_passes(func, get_env().compiler_target, stage)


def build(
    schedule: Schedule,
    args: Sequence[Tensor],
    target: object = None,
    *,
    name: str = "main",
) -> CompiledModule:
    """A module that can be called, or saved and loaded elsewhere.

    Parameters
    ----------
    schedule, args, name
        As for :func:`lower`.
    target : object
        Accepted for programs written for TVM: what is built is for the current environment's
        machine (:func:`vta.get_env`), on every target alike.

    Raises
    ------
    LoweringError
        If the program has no counterpart on the machine.
    """
    env = get_env()
    func = lower(schedule, args, name=name)
    return CompiledModule(generate(func, env.cfg))


@contextmanager
def build_config(
    debug_flag: int = 0, *, disabled_pass: Sequence[str] = (), **options: object
) -> Iterator[None]:
    """A context for :func:`build`, for programs written for TVM.

    Parameters
    ----------
    debug_flag : int
        Must be 0; ``vta disasm`` prints a program's instructions.
    disabled_pass : sequence of str
        Names of TVM's own passes (``tir.*``); there are none of them here to disable.

    Raises
    ------
    CompileError
        For a pass that is part of the way to the machine, or an option that does not exist.
    """
    if debug_flag:
        raise CompileError(f"build_config: debug_flag is {debug_flag}; must be 0")
    for item in disabled_pass:
        if not item.startswith("tir."):
            raise CompileError(f"build_config: the pass {item!r} cannot be disabled")
    if options:
        raise CompileError(f"build_config: no option {next(iter(options))!r}")
    yield
