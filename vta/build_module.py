"""From a schedule to a lowered program (:func:`lower`) and to a module (:func:`build`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from vta.compiler.codegen.codegen import generate
from vta.compiler.driver import LOOP_NEST, PASSES, run_passes
from vta.compiler.lower.lower import lower as _lower_schedule
from vta.compiler.schedule.schedule import Schedule
from vta.compiler.te.tensor import Operation, Tensor
from vta.environment import Environment, get_env
from vta.errors import CompileError
from vta.listing import instruction_lines, uop_lines
from vta.runtime.module import CompiledModule

if TYPE_CHECKING:
    from vta.compiler.tir.ir import PrimFunc

__all__ = ["LOOP_NEST", "PASSES", "build", "build_config", "lower"]

_FLAGS = (
    "DEBUG_DUMP_INSN",
    "DEBUG_DUMP_UOP",
    "DEBUG_SKIP_READ_BARRIER",
    "DEBUG_SKIP_WRITE_BARRIER",
)
_ALL_FLAGS = sum(getattr(Environment, name) for name in _FLAGS)
_debug_flags: ContextVar[int] = ContextVar("debug_flags", default=0)


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
        The pass after which to stop, a key of :data:`~vta.build_module.PASSES`, or ``nest`` for the
        loop nest before the first one. None: after the last one, before code generation.
    name : str
        Of the program.
    simple_mode : bool
        Accepted for programs written for TVM; there is one way to print.

    Raises
    ------
    CompileError
        If ``schedule`` is no schedule or ``args`` no list of tensors.
    LoweringError
        If the program has no counterpart on the machine.
    """
    args = _require_arguments("lower", schedule, args)
    func = _lower_schedule(schedule, args, name)
    return run_passes(func, get_env().compiler_target, stage)


def build(
    schedule: Schedule,
    args: Sequence[Tensor],
    target: object = None,
    target_host: object = None,
    *,
    name: str = "main",
) -> CompiledModule:
    """A module that can be called, or saved and loaded elsewhere.

    Parameters
    ----------
    schedule, args, name
        As for :func:`lower`.
    target, target_host : object
        Accepted for programs written for TVM: what is built is for the current environment's
        machine (:func:`vta.get_env`), on every target alike, and there is no host code.

    Raises
    ------
    CompileError
        If ``schedule`` is no schedule, ``args`` no list of tensors, or a further argument a tensor.
    LoweringError
        If the program has no counterpart on the machine.
    """
    if any(isinstance(item, Tensor | list | tuple) for item in (target, target_host)):
        raise CompileError(
            f"build: target is {target}; the tensors must be one list: vta.build(s, [A, B])"
        )
    args = _require_arguments("build", schedule, args)
    env = get_env()
    func = lower(schedule, args, name=name)
    program = generate(func, env.cfg)
    flags = _debug_flags.get()
    if flags & Environment.DEBUG_DUMP_UOP:
        print(f"{name}: {len(program.uop_words)} micro-ops", *uop_lines(program), sep="\n")
    if flags & Environment.DEBUG_DUMP_INSN:
        count = program.instruction_count
        print(f"{name}: {count} instructions", *instruction_lines(program), sep="\n")
    return CompiledModule(program)


def _require_arguments(what: str, schedule: object, args: object) -> Sequence[Tensor]:
    """``args`` as a list of tensors.

    Raises
    ------
    CompileError
        If it is none, or ``schedule`` is no schedule; the message starts with ``what``.
    """
    call = f"must be called as vta.{what}(s, [A, B]) with the schedule and all inputs and outputs"
    if not isinstance(schedule, Schedule):
        got = str(schedule) if isinstance(schedule, Tensor) else type(schedule).__name__
        raise CompileError(
            f"{what}: schedule is {got}; {call} (te.create_schedule(B.op) makes a schedule)"
        )
    if isinstance(args, Tensor):
        raise CompileError(f"{what}: args is the tensor {args.name} alone; {call}")
    if not isinstance(args, Sequence) or isinstance(args, str):
        raise CompileError(f"{what}: args is of type {type(args).__name__}; {call}")
    if not args:
        needed = [stage for stage in schedule.stages if stage.is_output or not stage.is_compute]
        names = ", ".join(stage.name for stage in needed)
        raise CompileError(f"{what}: args is empty; must have {names} in the order of the call")
    for number, arg in enumerate(args):
        if isinstance(arg, Operation):
            raise CompileError(
                f"{what}: args[{number}] is the operation of {arg.name}; must be the tensor itself"
            )
        if not isinstance(arg, Tensor):
            raise CompileError(f"{what}: args[{number}] is {arg!r}; must be a te.Tensor")
    return args


@contextmanager
def build_config(
    debug_flag: int = 0, *, disabled_pass: Sequence[str] = (), **options: object
) -> Iterator[None]:
    """A context for :func:`build`, for programs written for TVM.

    Parameters
    ----------
    debug_flag : int
        What :func:`build` prints of each program: ``env.DEBUG_DUMP_INSN`` its instructions, with
        the tokens in the queues after each, ``env.DEBUG_DUMP_UOP`` its micro-ops, or both.
        ``DEBUG_SKIP_READ_BARRIER`` and ``DEBUG_SKIP_WRITE_BARRIER`` are accepted and change
        nothing: there are no caches to flush.
    disabled_pass : sequence of str
        Names of TVM's own passes (``tir.*``); there are none of them here to disable.

    Raises
    ------
    CompileError
        For a flag that does not exist, a pass that is part of the way to the machine, or another
        option.
    """
    if isinstance(debug_flag, bool) or not isinstance(debug_flag, int) or debug_flag & ~_ALL_FLAGS:
        names = ", ".join(f"env.{name} ({getattr(Environment, name)})" for name in _FLAGS)
        raise CompileError(f"build_config: debug_flag is {debug_flag!r}; must be a sum of {names}")
    for item in disabled_pass:
        if not item.startswith("tir."):
            raise CompileError(f"build_config: the pass {item!r} cannot be disabled")
    if options:
        raise CompileError(f"build_config: no option {next(iter(options))!r}")
    before = _debug_flags.set(debug_flag)
    try:
        yield
    finally:
        _debug_flags.reset(before)
