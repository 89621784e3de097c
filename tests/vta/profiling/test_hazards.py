"""Entries of hazards: of the instructions' own operands, on the timing model and the RTL."""

import re
from functools import cache

import numpy as np
import pytest

from tests.sim.timing.test_timing import compiled
from tests.vta.profiling.test_trace import events
from vta.check.accesses import operand_reach
from vta.config import VTAConfig
from vta.isa import Gemm, Isa, Load, MemId
from vta.profiling import profile_program
from vta.profiling.hazards import HazardEntries
from vta.sim.timing import Cause, Wait

TINY = VTAConfig.preset("tiny")


@cache
def layer(target="sim", kind="matmul"):
    return profile_program(compiled(kind, TINY), target=target).layers[0]


def accumulators(program, index):
    """The entries of ACC that an instruction uses, by its own operands and micro-ops."""
    insn, isa = program.instructions[index], Isa.of(program.cfg)
    if isinstance(insn, Load):
        return set(range(insn.sram_base, insn.sram_base + insn.x_size * insn.y_size))
    uops = np.zeros(isa.depth(MemId.UOP), np.uint32)
    for older in program.instructions[:index]:
        if isinstance(older, Load) and older.memory is MemId.UOP:
            words = program.uop_words[older.dram_base : older.dram_base + older.x_size]
            uops[older.sram_base : older.sram_base + older.x_size] = words
    fields = isa.uop_indices(uops[insn.uop_bgn : insn.uop_end])
    used = set(operand_reach(insn, "dst", fields["dst"]).tolist())
    if not isinstance(insn, Gemm) and not insn.use_imm:
        used |= set(operand_reach(insn, "src", fields["src"]).tolist())
    return used


@pytest.mark.parametrize("target", ["sim", "tsim"])
@pytest.mark.parametrize("kind", ["vadd", "matmul"])
def test_each_hazard_has_entries_of_both_instructions(kind, target):
    found = layer(target, kind)
    hazards = HazardEntries(found.program, found.timing)
    seen = set()
    for timing in found.timing.instructions:
        for wait in timing.waits:
            if wait.cause is not Cause.HAZARD:
                continue
            older = hazards.source(wait, timing.index)
            if older is None and target == "tsim":
                continue  # a LOAD of micro-ops behind another one, for example
            assert older is not None and older < timing.index
            assert found.timing.instructions[older].retire >= wait.begin
            entries = hazards.between(older, timing.index)
            assert entries
            for text in entries:
                memory, low, high = re.fullmatch(r"(ACC|UOP) (\d+) to (\d+)", text).groups()
                seen.add(memory)
                common = {int(low), int(high)}
                for index in (older, timing.index):
                    insn = found.program.instructions[index]
                    if memory == "ACC":
                        assert common <= accumulators(found.program, index)
                    elif isinstance(insn, Load):
                        end = insn.sram_base + insn.x_size
                        assert insn.memory is MemId.UOP and insn.sram_base <= min(common)
                        assert max(common) < end
                    else:
                        assert insn.uop_bgn <= min(common) and max(common) < insn.uop_end
    assert seen or (kind, target) == ("vadd", "tsim")


@pytest.mark.parametrize("target", ["sim", "tsim"])
def test_the_trace_has_the_entries(target):
    slices = [e for e in events(target) if e["ph"] == "X" and e["name"].startswith("hazard")]
    known = [e for e in slices if "for" in e["args"]]
    assert known and all(" to " in e["args"]["entries"] for e in known)
    assert all(e["name"] == "hazard of compute" for e in known)
    assert len(known) == len(slices) or target == "tsim"


def test_a_raw_stream_has_none():
    found = layer()
    raw = HazardEntries(
        type(found.program)("raw", TINY, found.program.code, b"", (), ()), found.timing
    )
    assert raw.between(0, 1) == []
    assert raw.source(Wait(Cause.HAZARD, 0, 1), found.timing.instructions[-1].index) is None
