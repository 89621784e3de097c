"""Programs that fill queues: legal and ordered on any machine, and as long as they should be."""

import random

import pytest

from tests.support.configurations import CONFIGURATIONS
from vta.config import INSN_QUEUE_DEPTH
from vta.isa import Alu, Gemm, Load, PipelineModule, Store
from vta.sim.fuzzing.congestion import MANY, congested_program
from vta.sim.fuzzing.differential import is_sound

SMALL = ("tiny", "batch2", "int4_by_int16", "block2", "two_entries")


@pytest.mark.parametrize("name", SMALL)
def test_programs_are_sound(name):
    """The static checker finds nothing, and the model runs them."""
    for number in range(4):
        assert is_sound(congested_program(CONFIGURATIONS[name], random.Random(number)))


def test_every_kind_of_congestion_occurs():
    """Queues of all modules, transfers in a row, rows of one transfer."""
    most, rows, in_a_row = dict.fromkeys(PipelineModule, 0), 0, 0
    for number in range(40):
        program = congested_program(CONFIGURATIONS["tiny"], random.Random(number))
        same = 0
        for before, insn in zip(program.instructions, program.instructions[1:]):
            nop = isinstance(insn, Load | Store) and insn.is_nop
            if isinstance(insn, Load | Store):
                rows = max(rows, insn.y_size if not nop else 0)
                same = same + 1 if type(insn) is type(before) and not nop else 0
                in_a_row = max(in_a_row, same)
        for module in PipelineModule:
            count = sum(insn.module is module for insn in program.instructions)
            most[module] = max(most[module], count)
    assert min(most.values()) > INSN_QUEUE_DEPTH
    assert rows == MANY and in_a_row >= MANY // 2


def test_gemm_and_alu_run_side_by_side():
    """Through more micro-ops each than a unit holds, next to each other, in either order."""
    orders = set()
    for number in range(40):
        program = congested_program(CONFIGURATIONS["tiny"], random.Random(number))
        for pair in zip(program.instructions, program.instructions[1:]):
            kinds = tuple(type(insn) for insn in pair)
            if set(kinds) == {Gemm, Alu} and all(i.uop_end - i.uop_bgn > 12 for i in pair):
                orders.add(kinds)
    assert orders == {(Gemm, Alu), (Alu, Gemm)}
