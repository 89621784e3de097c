"""The source of each instruction: the line of the lowered program that emits it."""

from functools import cache

import pytest

from tests.support.workloads import (
    conv2d,
    matmul,
    schedule_conv2d,
    schedule_matmul,
    schedule_vadd,
    vadd,
)
from vta.compiler import ops
from vta.compiler.codegen.codegen import generate
from vta.compiler.driver import run_passes
from vta.compiler.lower.lower import lower
from vta.compiler.ops import Tiling
from vta.compiler.target import Target
from vta.config import VTAConfig
from vta.isa import Alu, Finish, Gemm, Load, MemId, Store

DEFAULT, TINY = VTAConfig.preset("default"), VTAConfig.preset("tiny")


@cache
def lowered(kind):
    """A program, and its machine."""
    target = Target.from_config(DEFAULT)
    if kind == "early start":
        start = {"start_parts": 3, "start_steps": 5, "late_constants": True}
        tiling = Tiling(4, 2, 4, 1, "yo", 2, 1, 1, **start)
        op = ops.conv2d(
            (1, 8, 8, 8), 16, 3, cfg=TINY, requantise=ops.Requantise(3, low=0), padding=1,
            tiling=tiling,
        )  # fmt: skip
        return run_passes(lower(op.schedule, op.args), Target.from_config(TINY)), TINY
    if kind == "vadd":
        work = vadd(64, 1, 16)
        schedule = schedule_vadd(work)
    elif kind == "matmul":
        work = matmul(1, 64, 64, 1, 16)
        schedule = schedule_matmul(work, target, 16, 16)
    else:
        work = conv2d()
        schedule = schedule_conv2d(work, target)
    return run_passes(lower(schedule, work.args), target), DEFAULT


@pytest.mark.parametrize("kind", ["vadd", "matmul", "conv2d", "early start"])
def test_each_instruction_has_the_line_that_emits_it(kind):
    func, cfg = lowered(kind)
    program = generate(func, cfg)
    lines = str(func).splitlines()
    for index, insn in enumerate(program.instructions):
        source = program.sources.of(index)
        if isinstance(insn, Finish) or (isinstance(insn, Load | Store) and insn.is_nop):
            assert source is None
            continue
        line = lines[source.line - 1].strip()
        assert source.text == line if len(line) < 256 else line.startswith(source.text[:-4])
        assert beginning(insn, source) in line
        nest = [other for other in lines[: source.line - 1] if " in " in other and "for " in other]
        assert all(any(loop in other for other in nest) for loop in source.loops)
        assert source.layer == ""


def beginning(insn, source):
    """How the text of the statement begins that can emit an instruction."""
    match insn:
        case Load(memory=MemId.UOP):
            return "uop_push("
        case Load():
            return f"load_2d({insn.memory.name}, {source.stage}, "
        case Store():
            return f"dst={source.stage}, "
        case Gemm():
            return "uop_push(gemm, reset, " if insn.reset else "uop_push(gemm, dst="
        case Alu():
            return f"uop_push({insn.alu_opcode.name.lower()}, "
