"""The pass pipeline, and compilation of a loop nest to a program."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vta.compiler.codegen.codegen import generate
from vta.compiler.passes.allocate_storage import allocate_storage
from vta.compiler.passes.alu_nests_to_kernels import alu_nests_to_kernels
from vta.compiler.passes.copies_to_transfers import copies_to_transfers
from vta.compiler.passes.gemm_tiles_to_kernels import gemm_tiles_to_kernels
from vta.compiler.passes.insert_tokens import insert_tokens
from vta.compiler.passes.interleave_threads import interleave_threads
from vta.compiler.passes.loops_to_uop_loops import loops_to_uop_loops
from vta.compiler.passes.merge_scopes import merge_scopes
from vta.compiler.passes.reuse_buffers import reuse_buffers
from vta.compiler.target import Target
from vta.compiler.tir.ir import PrimFunc
from vta.errors import LoweringError

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.program import Program

__all__ = ["LOOP_NEST", "PASSES", "compile_func", "run_passes"]

Pass = Callable[[PrimFunc, Target], PrimFunc]

LOOP_NEST = "nest"
"""The stage in front of the first pass."""
PASSES: dict[str, Pass] = {
    "copies_to_transfers": copies_to_transfers,
    "reuse_buffers": reuse_buffers,
    "alu_nests_to_kernels": alu_nests_to_kernels,
    "gemm_tiles_to_kernels": gemm_tiles_to_kernels,
    "allocate_storage": allocate_storage,
    "merge_scopes": merge_scopes,
    "insert_tokens": insert_tokens,
    "interleave_threads": interleave_threads,
    "loops_to_uop_loops": loops_to_uop_loops,
}
"""All passes by name, in order of execution. A pass, its module and its function have one name."""


def run_passes(
    func: PrimFunc,
    target: Target,
    stage: str | None = None,
    *,
    observe: Callable[[PrimFunc, str, Target], None] | None = None,
) -> PrimFunc:
    """``func`` after the pass ``stage``; after all of them if it is None.

    ``observe`` is called after each pass with the program, the pass's name and the target
    (:func:`vta.compiler.verify.verify` is one that tests use).

    Raises
    ------
    LoweringError
        If there is no such pass, or the program has no counterpart on the machine.
    """
    if stage is not None and stage != LOOP_NEST and stage not in PASSES:
        raise LoweringError(f"no stage {stage!r}; must be one of {', '.join((LOOP_NEST, *PASSES))}")
    if stage == LOOP_NEST:
        return func
    for name, run in PASSES.items():
        func = run(func, target)
        if observe is not None:
            observe(func, name, target)
        if name == stage:
            break
    return func


def compile_func(func: PrimFunc, cfg: VTAConfig) -> Program:
    """The program of a loop nest.

    Raises
    ------
    LoweringError
        If it has no counterpart on the machine.
    """
    return generate(run_passes(func, Target.from_config(cfg)), cfg)
