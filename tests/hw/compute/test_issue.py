"""Issue and retirement in the compute module: tokens, hazards, order."""

import random
from itertools import combinations

import pytest

from tests.support.issue_bench import depends, run_issue, unit_of
from vta.config import VTAConfig
from vta.hw.compute.issue import Issue
from vta.isa import Alu, AluOpcode, Finish, Gemm, Isa, Load, MemId, Uop
from vta.memmap import ErrorCode, ModuleState, Source

CFG = VTAConfig.preset("tiny")
ISA = Isa.of(CFG)
NOP = Load(memory=MemId.ACC)


# ---- tokens ----


def test_two_tokens_are_popped_in_one_cycle():
    insn = Gemm(pop_prev=True, pop_next=True)
    run = run_issue(ISA, [insn], cycles=30, duration=lambda _: 3, arrivals={4: "prev", 19: "next"})
    assert run.pops == {"prev": [20], "next": [20]}
    assert run.issued == {0: 20}
    assert run.states[12:20] == [ModuleState.WAITING] * 8
    assert run.states[20:25] == [ModuleState.RUNNING] * 5
    assert run.states[25] == ModuleState.IDLE


def test_the_state_is_running_while_access_ranges_are_computed():
    run = run_issue(ISA, [Gemm(pop_prev=True)], cycles=30, duration=lambda _: 3)
    waits_from = run.states.index(ModuleState.WAITING)
    assert 0 < waits_from <= Issue.LATENCY
    assert set(run.states[:waits_from]) == {ModuleState.RUNNING}
    assert set(run.states[waits_from:]) == {ModuleState.WAITING}


def test_the_state_is_waiting_although_a_younger_instruction_is_there():
    """The ranges of the GEMM cannot be computed before its micro-ops are loaded."""
    load = Load(memory=MemId.UOP, x_size=1, y_size=1, pop_prev=True)
    run = run_issue(ISA, [load, Gemm(uop_end=1)], cycles=40, duration=lambda _: 3)
    assert not run.issued
    assert run.states[20:] == [ModuleState.WAITING] * 20


def test_tokens_are_pushed_in_the_cycle_after_done():
    insn = Alu(push_prev=True, push_next=True)
    run = run_issue(ISA, [insn], cycles=30, duration=lambda _: 6)
    retires = run.issued[0] + 7
    assert run.retired == [retires]
    assert run.pushes == {"prev": [retires], "next": [retires]}


def test_a_nop_issues_at_once_and_retires_in_order():
    nop = Load(memory=MemId.UOP, pop_prev=True, push_next=True)
    run = run_issue(ISA, [Gemm(), nop, nop], cycles=40, duration=lambda _: 12, prev_tokens=2)
    gemm = run.issued[0]
    assert all(gemm < cycle < gemm + 12 for cycle in run.pops["prev"])
    assert run.pushes["next"] == [gemm + 14, gemm + 15]


# ---- latency ----


@pytest.mark.parametrize(
    "insn",
    [
        Gemm(uop_end=1),
        Alu(uop_end=1),
        Load(memory=MemId.UOP, x_size=1, y_size=1),
        Gemm(iter_out=0),
    ],
)
def test_latency_without_stalls(insn):
    assert Issue.LATENCY == 17
    run = run_issue(ISA, [insn], cycles=20, duration=lambda _: 1)
    assert run.issued[0] <= Issue.LATENCY


# ---- hazards ----

UOPS = [Uop(n, 40 + n) for n in range(8)]
EIGHT = {"uop_bgn": 0, "uop_end": 8}
HAZARDS = {
    "WAW: the same dst": (Gemm(**EIGHT), Alu(**EIGHT, use_imm=True), True),
    "WAW: the inner loop goes on into dst": (
        Gemm(**EIGHT),
        Alu(**EIGHT, use_imm=True, iter_in=2, dst_factor_in=4),
        True,
    ),
    "WAW: the last iteration of the outer loop": (
        Gemm(**EIGHT, iter_out=5, dst_factor_out=8),
        Load(memory=MemId.ACC, sram_base=39, x_size=1, y_size=1),
        True,
    ),
    "behind the last iteration of the outer loop": (
        Gemm(**EIGHT, iter_out=5, dst_factor_out=8),
        Load(memory=MemId.ACC, sram_base=40, x_size=9, y_size=2),
        False,
    ),
    "WAW: the last iteration of both loops": (
        Alu(**EIGHT, use_imm=True, iter_out=2, dst_factor_out=20, iter_in=3, dst_factor_in=8),
        Load(memory=MemId.ACC_8BIT, sram_base=43, x_size=1, y_size=1),
        True,
    ),
    "behind the last iteration of both loops": (
        Alu(**EIGHT, use_imm=True, iter_out=2, dst_factor_out=20, iter_in=3, dst_factor_in=8),
        Load(memory=MemId.ACC_8BIT, sram_base=44, x_size=1, y_size=1),
        False,
    ),
    "WAR: src is loaded": (
        Alu(**EIGHT),
        Load(memory=MemId.ACC, sram_base=47, x_size=1, y_size=1),
        True,
    ),
    "RAW: src was loaded": (
        Load(memory=MemId.ACC, sram_base=47, x_size=1, y_size=1),
        Alu(**EIGHT),
        True,
    ),
    "WAR: the last src of both loops": (
        Alu(**EIGHT, iter_in=3, src_factor_in=4, iter_out=2, src_factor_out=3),
        Load(memory=MemId.ACC, sram_base=58, x_size=1, y_size=1),
        True,
    ),
    "behind the last src of both loops": (
        Alu(**EIGHT, iter_in=3, src_factor_in=4, iter_out=2, src_factor_out=3),
        Load(memory=MemId.ACC, sram_base=59, x_size=1, y_size=1),
        False,
    ),
    "an immediate: src is not read": (
        Alu(**EIGHT, use_imm=True),
        Load(memory=MemId.ACC, sram_base=47, x_size=1, y_size=1),
        False,
    ),
    "GEMM: src is no accumulator": (
        Gemm(**EIGHT),
        Load(memory=MemId.ACC, sram_base=41, x_size=1, y_size=1),
        False,
    ),
    "WAW: the last entry of the padding": (
        Load(memory=MemId.ACC, sram_base=20, x_size=3, y_size=2, x_pad_0=1, x_pad_1=2, y_pad_1=1),
        Alu(uop_bgn=7, uop_end=8, use_imm=True, iter_in=2, dst_factor_in=30),
        True,
    ),
    "behind the padding": (
        Load(memory=MemId.ACC, sram_base=20, x_size=3, y_size=2, x_pad_0=1, x_pad_1=2, y_pad_1=1),
        Alu(uop_bgn=7, uop_end=8, use_imm=True, iter_in=1, iter_out=1, dst_factor_in=31),
        False,
    ),
    "WAW: a LOAD of nothing but padding": (
        Load(memory=MemId.ACC, sram_base=0, x_size=3, y_size=0, y_pad_0=1),
        Gemm(**EIGHT),
        True,
    ),
    "a LOAD of no rows": (Load(memory=MemId.ACC, sram_base=0, x_size=3), Gemm(**EIGHT), False),
    "a loop of no iterations": (Alu(**EIGHT), Gemm(**EIGHT, iter_in=0), False),
    "WAR: micro-ops in use are loaded": (
        Gemm(**EIGHT),
        Load(memory=MemId.UOP, sram_base=7, x_size=1, y_size=1),
        True,
    ),
    "other micro-ops are loaded": (
        Gemm(**EIGHT),
        Load(memory=MemId.UOP, sram_base=8, x_size=1, y_size=1),
        False,
    ),
    "RAW: the micro-ops were loaded": (
        Load(memory=MemId.UOP, sram_base=0, x_size=1, y_size=1),
        Gemm(**EIGHT),
        True,
    ),
    "other micro-ops were loaded": (
        Load(memory=MemId.UOP, sram_base=8, x_size=9, y_size=1),
        Gemm(**EIGHT),
        False,
    ),
    "accumulators and micro-ops of one number": (
        Load(memory=MemId.UOP, sram_base=8, x_size=30, y_size=1),
        Gemm(**EIGHT, iter_in=6, dst_factor_in=8),
        False,
    ),
}


@pytest.mark.parametrize("name", HAZARDS)
def test_hazards(name):
    older, younger, hazard = HAZARDS[name]
    assert depends(younger, older, UOPS) == hazard  # the table is right
    run = run_issue(ISA, [older, younger], cycles=130, uops=UOPS, duration=lambda _: 50)
    if hazard:
        assert run.issued[1] >= run.done[0]
    else:
        assert run.issued[1] - run.issued[0] <= Issue.LATENCY


def test_instructions_of_one_unit_have_no_hazards():
    """Three GEMM and three ALU instructions on the same accumulators: each unit is given all of its
    instructions before it is done with the first; the ALU waits for the last GEMM."""
    insns = [Gemm(uop_end=1)] * 3 + [Alu(uop_end=1)] * 3
    run = run_issue(ISA, insns, cycles=130, duration=lambda _: 40)
    assert max(run.issued[n] for n in (0, 1, 2)) < run.done[0]
    assert run.issued[3] == run.done[2] + 2
    assert run.issued[5] < run.done[3]


def test_an_instruction_that_is_done_but_not_retired_is_no_dependency():
    """The LOAD is done before the older GEMM; the ALU depends on the LOAD only."""
    insns = [
        Gemm(uop_end=1, iter_in=1),
        Load(memory=MemId.ACC, sram_base=5, x_size=1, y_size=1, push_next=True),
        Alu(uop_bgn=5, uop_end=6, use_imm=True),
    ]
    run = run_issue(ISA, insns, cycles=130, uops=UOPS, duration=lambda n: (90, 30, 10)[n])
    assert run.done[1] <= run.issued[2] < run.done[1] + 3
    assert run.pushes["next"][0] > run.done[0]


def test_eight_instructions_are_in_flight_at_most():
    insns = [NOP, *[Gemm()] * (VTAConfig.issue_depth + 3)]
    run = run_issue(ISA, insns, cycles=160, duration=lambda _: 140)
    assert VTAConfig.issue_depth == 8
    first_gemm_retires = run.retired[1]
    assert run.issued[8] < first_gemm_retires < run.issued[9]


# ---- random streams, FINISH ----


def random_insn(rng, uops):
    flags = ("pop_prev", "pop_next", "push_prev", "push_next")
    given = {flag: rng.random() < 0.2 for flag in flags}
    kind = rng.choice([Gemm, Alu, Alu, Load, Load])
    if kind is Load:
        return Load(
            memory=rng.choice([MemId.UOP, MemId.ACC, MemId.ACC, MemId.ACC_8BIT]),
            sram_base=rng.randrange(20), x_size=rng.choice([0, 1, 1, 2, 4]),
            y_size=rng.randrange(3), x_pad_0=rng.randrange(2), x_pad_1=rng.randrange(2),
            y_pad_0=rng.randrange(2), y_pad_1=rng.randrange(2), **given,
        )  # fmt: skip
    bgn = rng.randrange(len(uops))
    fields = {
        "uop_bgn": bgn, "uop_end": rng.randint(bgn, min(bgn + 4, len(uops))),
        "iter_out": rng.choice([0, 1, 1, 2, 3]), "iter_in": rng.choice([1, 1, 2, 3]),
        **{f"{name}_factor_{loop}": rng.choice([0, 1, 4])
           for name in ("dst", "src") for loop in ("out", "in")},
    }  # fmt: skip
    if kind is Alu:
        opcode = rng.choice(list(AluOpcode))
        fields |= {"use_imm": rng.choice(opcode.y_sources) == "imm", "alu_opcode": opcode}
    return kind(**fields, **given)


@pytest.mark.parametrize("seed", range(6))
def test_random_streams(seed):
    rng = random.Random(seed)
    uops = [Uop(rng.randrange(30), rng.randrange(30)) for _ in range(24)]
    insns = [*(random_insn(rng, uops) for _ in range(60)), Finish(push_next=True)]
    durations = [rng.randint(2, 60) for _ in insns]
    arrivals = {cycle: rng.choice(["prev", "next"]) for cycle in range(0, 3500, 5)}
    run = run_issue(
        ISA, insns, cycles=3500, uops=uops, duration=lambda n: durations[n], arrivals=arrivals,
        unit_ready=lambda: rng.random() < 0.7,
    )  # fmt: skip
    assert len(run.retired) == len(insns)
    assert run.finished_at == run.retired[-1] + 1
    assert run.states[-1] == ModuleState.IDLE
    for side in ("prev", "next"):
        assert len(run.pops[side]) == sum(getattr(insn, f"pop_{side}") for insn in insns)

    # The n-th retirement is that of the n-th instruction, with its tokens, when it is done.
    for cycle, insn in zip(run.retired, insns):
        for side in ("prev", "next"):
            assert (cycle in run.pushes[side]) == getattr(insn, f"push_{side}")
    assert all(run.retired[n] >= cycle for n, cycle in run.done.items())

    # Instructions that execute on two units at once are independent; and there are many of them.
    at_once = 0
    for older, younger in combinations(run.issued, 2):
        overlaps = run.issued[younger] < run.done[older]
        if overlaps and unit_of(insns[older]) != unit_of(insns[younger]):
            assert not depends(insns[younger], insns[older], uops), (older, younger)
            at_once += 1
    assert at_once > 5


def test_finish_retires_last():
    run = run_issue(ISA, [Gemm(), Finish()], cycles=60, duration=lambda _: 19)
    assert run.finished_at == run.done[0] + 3
    assert run.error == (ErrorCode.NONE, 0)


def test_an_instruction_behind_finish_is_an_error():
    run = run_issue(ISA, [Finish(), Gemm(), NOP], cycles=30, duration=lambda _: 2)
    assert not run.issued
    assert run.error == (ErrorCode.AFTER_FINISH, Source.COMPUTE)
