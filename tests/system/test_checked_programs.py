"""What the compiler emits for the tutorials passes the static checker, quickly."""

import time
from dataclasses import replace

import pytest

from tests.support import workloads
from tests.support.checked import checked
from vta.check import Kind, check_program
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.target import Target
from vta.config import VTAConfig
from vta.isa import Isa
from vta.program import Program

CFG = VTAConfig.preset("default")
TARGET = Target.from_config(CFG)


def program(name):
    """A tutorial's program, of the tutorial's size."""
    if name == "vadd":
        ops = workloads.vadd()
        schedule = workloads.schedule_vadd(ops)
    elif name == "matmul":
        ops = workloads.matmul()
        schedule = workloads.schedule_matmul(ops, TARGET)
    else:
        ops = workloads.conv2d()
        schedule = workloads.schedule_conv2d(ops, TARGET)
    return compile_func(lower(schedule, ops.args, name), CFG)


@pytest.mark.parametrize("name", ["vadd", "matmul", "conv2d"])
def test_tutorials(name):
    code = program(name)
    begin = time.perf_counter()
    checked(code)
    assert time.perf_counter() - begin < 5  # well below a second on an idle machine


@pytest.mark.parametrize("name", ["vadd", "matmul", "conv2d"])
def test_every_token_is_needed(name):
    """Without any one of its pops, each of these programs has a finding."""
    code = program(name)
    isa = Isa.of(CFG)
    insns = list(code.instructions)
    pops = [
        (n, flag)
        for n, insn in enumerate(insns)
        for flag in ("pop_prev", "pop_next")
        if getattr(insn, flag)
    ]
    assert pops
    for n, flag in pops[:: max(len(pops) // 12, 1)]:
        changed = list(insns)
        changed[n] = replace(insns[n], **{flag: False})
        broken = Program(
            code.name, CFG, isa.encode_all(changed), code.uops, code.tensors, code.relocations
        )
        found = check_program(broken).of(Kind.LEFTOVER, Kind.DEADLOCK, Kind.RACE, Kind.UNWRITTEN)
        assert found, f"instruction {n} without {flag}"
