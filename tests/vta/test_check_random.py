"""The static checker against the model: what it passes does not depend on timing, and a missing
token that changes a result is found."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.configurations import CONFIGURATIONS
from tests.support.programs import seeded_programs
from vta.check import check_stream
from vta.errors import ExecutionError
from vta.isa import Isa, TokenCounts
from vta.sim.reference.model import ReferenceModel

TINY = CONFIGURATIONS["tiny"]
FLAGS = {
    "l2g": ("push_next", "pop_prev"),
    "g2l": ("push_prev", "pop_next"),
    "g2s": ("push_next", "pop_prev"),
    "s2g": ("push_prev", "pop_next"),
}
"""For each queue the flag of the one that pushes, and of the one that pops."""


def check(program, insns=None):
    stream = program.stream if insns is None else Isa.of(program.cfg).encode_all(insns)
    return check_stream(
        program.cfg, stream, image=program.image, base=program.base,
        after_reset=True, leftover_tokens=True,
    )  # fmt: skip


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_random_programs_pass(name):
    operations = 4 if name == "block64" else 48
    for program in seeded_programs(CONFIGURATIONS[name], 40, seed=5, max_operations=operations):
        report = check(program)
        assert report.ok and not report.limits, f"{report}\n{program}"


def result(program, insns, seed):
    """DRAM and counters of a run with the modules in some order; None if it fails."""
    memory = program.memory()
    try:
        run = ReferenceModel(program.cfg, seed=seed).run(insns, memory)
    except ExecutionError:
        return None
    return tuple(run.counters.as_dict().values()), memory.data.tobytes()


def tokens(insns):
    """(pushing instruction, popping instruction or None, queue) of every token."""
    for queue in FLAGS:
        pushes = [n for n, insn in enumerate(insns) if queue in TokenCounts.pushed_by(insn)]
        pops = [n for n, insn in enumerate(insns) if queue in TokenCounts.popped_by(insn)]
        for k, push in enumerate(pushes):
            yield push, pops[k] if k < len(pops) else None, queue


def without(insns, index, flag):
    return [*insns[:index], replace(insns[index], **{flag: False}), *insns[index + 1 :]]


@pytest.mark.parametrize("what", ["both", "push", "pop"])
def test_a_token_that_matters_is_missed(what):
    """Take away a token, or one of its ends: if any order of the modules then gives something else,
    the checker must have a finding."""
    harmful = harmless = 0
    for program in seeded_programs(TINY, 24, seed=6, steps=14):
        expected = result(program, program.instructions, None)
        for push, pop, queue in tokens(program.instructions):
            if pop is None:
                continue
            insns = list(program.instructions)
            if what != "pop":
                insns = without(insns, push, FLAGS[queue][0])
            if what != "push":
                insns = without(insns, pop, FLAGS[queue][1])
            report = check(program, insns)
            same = all(result(program, insns, seed) == expected for seed in (None, 1, 2, 3))
            assert same or not report.ok, f"{what} {push} {pop} {queue} of {program}"
            harmful += not same
            harmless += report.ok
    assert harmful > 30 and (harmless > 30 or what == "push")  # a push too few mostly deadlocks


def test_a_changed_field_never_passes_and_fails():
    """What the checker passes, the model runs, and alike in every order."""
    rng = np.random.default_rng(7)
    passed = failed = 0
    names = (
        "sram_base",
        "dram_base",
        "x_size",
        "uop_end",
        "iter_in",
        "dst_factor_in",
        "pop_prev",
    )
    for program in seeded_programs(TINY, 80, seed=8, steps=14):
        insns = list(program.instructions)
        for _ in range(5):
            index, name = int(rng.integers(len(insns))), names[rng.integers(len(names))]
            if not hasattr(insns[index], name):
                continue
            value = getattr(insns[index], name)
            step = int(rng.choice([1, 2, 8, 40]))
            value = not value if isinstance(value, bool) else value + step
            field = Isa.of(TINY).format_of(insns[index].opcode)[name]
            changed = list(insns)
            changed[index] = replace(insns[index], **{name: min(value, field.high)})
            report = check(program, changed)
            results = {result(program, changed, seed) for seed in (None, 1, 2)}
            if report.ok and not report.limits:
                assert len(results) == 1 and None not in results, program
                passed += 1
            failed += not report.ok
    assert passed > 50 and failed > 50
