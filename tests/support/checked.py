"""Compile with the static checker looking at what comes out."""

from __future__ import annotations

from vta.build_module import build
from vta.check import check_program
from vta.program import Program
from vta.runtime.module import CompiledModule

__all__ = ["checked", "checked_build"]


def checked(program: Program) -> Program:
    """The program itself, if the static checker finds nothing; otherwise the test fails with the
    findings."""
    report = check_program(program)
    assert report.ok and not report.limits, f"{program.name}:\n{report}"
    return program


def checked_build(schedule, args, *, name: str = "main") -> CompiledModule:
    """``vta.build`` for the current environment, checked."""
    module = build(schedule, args, name=name)
    checked(module.program)
    return module
