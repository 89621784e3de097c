"""The reference model and the RTL agree on random programs: memory, counters, leftover tokens."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.verilated import verilated
from vta.sim.fuzzing.random_programs import random_program
from vta.sim.reference.model import ReferenceModel

MEMORIES = ("ideal", "ddr", "chaos")


def check(machine, programs):
    """Run programs one after the other on the machine and on the model, both fresh at first."""
    machine.reset()
    model = ReferenceModel(machine.cfg)
    for program in programs:
        expected, got = program.memory(), program.memory()
        want = model.run(program.stream, expected)
        have = machine.run(program.stream, got)
        different = (expected.data != got.data).nonzero()[0]
        assert not different.size, f"first at 0x{program.base + different[0]:x} in {program}"
        assert have.counters == want.counters, program
        assert have.tokens == want.tokens, program


@pytest.mark.parametrize("memory", MEMORIES)
@settings(max_examples=300)
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 60))
def test_tiny(memory, seed, steps):
    machine = verilated("tiny", memory)
    machine.seed = seed
    check(machine, [random_program(machine.cfg, random.Random(seed), steps=steps)])


@pytest.mark.parametrize("memory", MEMORIES)
@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 40))
def test_default(memory, seed, steps):
    machine = verilated("default", memory)
    machine.seed = seed
    check(machine, [random_program(machine.cfg, random.Random(seed), steps=steps)])


@pytest.mark.parametrize("memory", MEMORIES)
def test_long_programs(memory):
    """More instructions than a queue holds, so that fetch has to wait."""
    machine = verilated("tiny", memory)
    machine.seed = 1
    program = random_program(machine.cfg, random.Random(1), steps=2500)
    assert len(program.instructions) > 3000
    check(machine, [program])


ODD = {
    "two_rows": {"log_batch": 1},
    "four_rows_wide_bus": {"log_batch": 2, "log_bus_width": 9},
    "blocks_of_two": {"log_block": 1, "log_inp_buff_size": 6, "log_wgt_buff_size": 7},
    "nibbles": {"log_inp_width": 2, "log_wgt_width": 2, "log_bus_width": 7},
    "halfwords": {"log_inp_width": 4, "log_wgt_width": 4, "log_bus_width": 8},
    "mixed": {"log_inp_width": 4, "log_wgt_width": 2, "addr_bits": 40},
}


@pytest.mark.slow
@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("name", ODD)
def test_odd_machines(name, memory):
    tiny = verilated().cfg
    machine = verilated(tiny.replace(**ODD[name]), memory)
    for seed in range(150):
        machine.seed = seed
        check(machine, [random_program(machine.cfg, random.Random(seed), steps=30)])
