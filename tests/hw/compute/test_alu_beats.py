"""The ALU with fewer lanes than values in a tile: the same results, in two or four times the
cycles."""

import pytest

from tests.hw.compute.test_alu import check, run
from tests.support.alu_programs import random_alu_program
from tests.support.hwmemories import machine, set_uops
from vta.config import VTAConfig
from vta.hw.compute.alu import Alu
from vta.hw.compute.alu_lane import TWO_CYCLE_OPERATIONS
from vta.isa import Alu as AluInsn
from vta.isa import AluOpcode, Uop
from vta.memmap import ErrorCode, Source

TINY = VTAConfig.preset("tiny")
MACHINES = {
    "two": TINY.replace(log_alu_beats=1),
    "four": TINY.replace(log_alu_beats=2),
    "four-of-one-bank": TINY.replace(log_alu_beats=2, log_acc_banks=0),
    "two-of-8-lanes": TINY.replace(log_alu_beats=1, log_batch=1),
    "two-in-base-set": TINY.replace(log_alu_beats=1, extension=0),
}
OPERANDS = [(opcode, source == "imm") for opcode in AluOpcode for source in opcode.y_sources]


@pytest.mark.parametrize("beats", [1, 2])
def test_a_tile_takes_as_many_cycles_as_beats(beats):
    cfg = TINY.replace(log_alu_beats=beats)
    model = machine(cfg)
    set_uops(model, [Uop(0, 0, 0)])
    insn = AluInsn(uop_bgn=0, uop_end=1, use_imm=True, imm=3, iter_in=9, dst_factor_in=1)
    trace = check(model, [insn])
    assert trace.issue_span == 8 * cfg.alu_beats + 1
    assert trace.written[0] == trace.started[0] + Alu.LATENCY
    assert len(trace.written) == 9 * cfg.alu_beats
    assert trace.done == [trace.written[-1]]


@pytest.mark.parametrize("beats", [1, 2])
@pytest.mark.parametrize(("opcode", "use_imm"), OPERANDS)
def test_a_chain_of_micro_ops_on_one_tile(opcode, use_imm, beats):
    """A beat reads what the same beat of the micro-op before it wrote: the other beats hide the
    second cycle of SHR and MUL."""
    model = machine(TINY.replace(log_alu_beats=beats), seed=2)
    set_uops(model, [Uop(0, 32, 0)])
    insn = AluInsn(
        alu_opcode=opcode, use_imm=use_imm, imm=7, uop_bgn=0, uop_end=1, iter_in=6
    )  # fmt: skip
    trace = check(model, [insn])
    if opcode in TWO_CYCLE_OPERATIONS and use_imm:
        assert trace.issue_span == (5 << beats) + 1


@pytest.mark.parametrize("beats", [1, 2])
@pytest.mark.parametrize("opcode", [AluOpcode.MIN, AluOpcode.MAX, AluOpcode.ADD])
def test_a_run_that_starts_overwrites_every_lane(opcode, beats):
    """Runs of three micro-ops, next to each other in two instructions."""
    model = machine(TINY.replace(log_alu_beats=beats), seed=8)
    set_uops(model, [Uop(n // 3, 32 + n, 0) for n in range(9)])
    insn = AluInsn(alu_opcode=opcode, start=True, uop_bgn=0, uop_end=9)
    again = AluInsn(
        alu_opcode=opcode, start=True, uop_bgn=8, uop_end=9, iter_in=2, src_factor_in=3
    )  # fmt: skip
    check(model, [insn, again, again])


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize(
    ("start_probability", "bank_probability"), [(1.0, 1.0), (0.3, 0.7), (1.0, 0.3)]
)
def test_random_instructions(start_probability, bank_probability, name):
    model, insns = random_alu_program(MACHINES[name], 60)
    check(model, insns, start_probability=start_probability, bank_probability=bank_probability)


def test_an_index_beyond_the_end_is_an_error_and_no_part_is_written():
    model = machine(MACHINES["four"])
    set_uops(model, [Uop(dst=TINY.acc_depth - 2)])
    trace = run(model, [AluInsn(uop_bgn=0, uop_end=1, iter_in=4, dst_factor_in=1)])
    model.alu(AluInsn(uop_bgn=0, uop_end=1, iter_in=2, dst_factor_in=1))
    assert trace.acc == model.acc
    assert trace.error == (ErrorCode.SRAM_RANGE, Source.COMPUTE, TINY.acc_depth)
    assert not trace.done
