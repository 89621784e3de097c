"""Programs with bits flipped, instructions lost and doubled: the RTL always ends, and well.

What the model refuses whatever the order of its modules, the RTL refuses; what the model runs, the
RTL runs. (Which of several faults is reported first is not defined, nor the result of a program
that has lost its tokens.) The next launch finds a machine that works.
"""

import random

import pytest

from tests.support.copy_program import check_good
from tests.support.verilated import verilated
from vta.config import INSN_BYTES, VTAConfig
from vta.cycle_bound import cycle_bound
from vta.errors import ExecutionError, TimeoutError
from vta.sim.fuzzing.random_programs import random_program
from vta.sim.reference.model import ReferenceModel

LONGEST = 4_000_000
"""Cycles; a flipped bit may ask for days of work."""


def damage(stream, rng):
    """The stream with one to three faults."""
    stream = bytearray(stream)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        count = len(stream) // INSN_BYTES
        here, there = (INSN_BYTES * rng.randrange(count) for _ in range(2))
        match rng.choice(("flip", "flip", "flip", "lose", "double")):
            case "flip":
                bit = rng.randrange(8 * len(stream))
                stream[bit // 8] ^= 1 << bit % 8
            case "lose" if count > 1:
                del stream[here : here + INSN_BYTES]
            case _:
                stream[here:here] = stream[there : there + INSN_BYTES]
    return bytes(stream)


def outcome(machine, stream, memory):
    """What a run comes to, as far as it does not depend on timing in any legal program."""
    try:
        return machine.run(stream, memory).counters
    except TimeoutError:
        raise
    except ExecutionError as error:
        assert error.heads.keys() >= {"load", "compute", "store"}
        return "refused"


MACHINES = {
    "tiny": VTAConfig.preset("tiny"),
    "no-detail": VTAConfig.preset("tiny").replace(error_detail=0, load_engines=1),
}


@pytest.mark.parametrize(
    ("name", "memory"),
    [("tiny", "ideal"), ("tiny", "ddr"), ("tiny", "chaos"), ("no-detail", "chaos")],
)
def test_a_broken_program_ends_and_the_next_one_runs(name, memory):
    machine = verilated(MACHINES[name], memory)
    cfg, refused, run = machine.cfg, 0, 0
    for seed in range(300):
        rng = random.Random(seed)
        program = random_program(cfg, rng, steps=rng.randrange(1, 15))
        stream = damage(program.stream, rng)
        if cycle_bound(machine.isa, stream, machine.timing) > LONGEST:
            continue
        possible = [
            outcome(ReferenceModel(cfg, seed=order), stream, program.memory())
            for order in (None, 1, 2, 3)
        ]
        machine.seed = seed
        machine.reset()
        got = outcome(machine, stream, program.memory())
        if all(other == possible[0] for other in possible):
            assert got == possible[0], f"seed {seed}"
        refused, run = refused + (got == "refused"), run + (got != "refused")
        check_good(machine)
    assert refused > 80 and run > 80
