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
from vta.compiler.codegen.codegen import generate
from vta.compiler.driver import run_passes
from vta.compiler.lower.lower import lower
from vta.compiler.target import Target
from vta.config import VTAConfig
from vta.isa import Alu, Finish, Gemm, Load, MemId, Store

DEFAULT = VTAConfig.preset("default")


@cache
def lowered(kind):
    target = Target.from_config(DEFAULT)
    if kind == "vadd":
        ops = vadd(64, 1, 16)
        schedule = schedule_vadd(ops)
    elif kind == "matmul":
        ops = matmul(1, 64, 64, 1, 16)
        schedule = schedule_matmul(ops, target, 16, 16)
    else:
        ops = conv2d()
        schedule = schedule_conv2d(ops, target)
    return run_passes(lower(schedule, ops.args), target)


@pytest.mark.parametrize("kind", ["vadd", "matmul", "conv2d"])
def test_each_instruction_has_the_line_that_emits_it(kind):
    func = lowered(kind)
    program = generate(func, DEFAULT)
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


def test_deferred_instructions_keep_their_sources():
    """A convolution defers its ALU instructions behind the products of the next block."""
    program = generate(lowered("conv2d"), DEFAULT)
    kinds = {type(insn) for insn in program.instructions}
    assert {Gemm, Alu} <= kinds
    stages = {
        program.sources.of(index).text.split(",")[0]
        for index, insn in enumerate(program.instructions)
        if isinstance(insn, Alu)
    }
    assert stages and not any("gemm" in stage for stage in stages)
