"""The model against the slow executor of tests/support, on random programs and many machines."""

import dataclasses
import random

import numpy as np
import pytest
from hypothesis import given, settings

from tests.support.configurations import CONFIGURATIONS
from tests.support.programs import programs, seeded_programs
from tests.support.slow_model import SlowModel
from vta.errors import ExecutionError
from vta.isa import Isa
from vta.sim.fuzzing.random_programs import RandomProgram, random_program
from vta.sim.reference.model import ReferenceModel

TINY = CONFIGURATIONS["tiny"]


def check(program: RandomProgram) -> None:
    """The same DRAM, on-chip memories, counters and tokens from both."""
    memory, model = program.memory(), ReferenceModel(program.cfg)
    result = model.run(program.stream, memory)
    slow = SlowModel(program.cfg)
    dram, counters, tokens = slow.run(program.stream, program.image.tobytes(), program.base)
    assert memory.data.tobytes() == dram
    assert result.as_dict() == counters
    assert result.tokens == tokens
    for name in ("uop", "inp", "wgt", "acc"):
        fast = getattr(model.datapath, name)
        assert np.array_equal(fast, np.array(getattr(slow, name)).reshape(fast.shape)), name


@given(programs(TINY))
@settings(max_examples=100)
def test_tiny(program):
    check(program)


def test_without_the_extension():
    for program in seeded_programs(TINY.replace(extension=0), 30, seed=3):
        check(program)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_machines(name):
    cfg = CONFIGURATIONS[name]
    operations = 4 if name == "block64" else 32
    for program in seeded_programs(cfg, 30, seed=1, max_operations=operations):
        check(program)


@pytest.mark.parametrize("name", ["tiny", "batch4_block2"])
def test_result_does_not_depend_on_timing(name):
    for program in seeded_programs(CONFIGURATIONS[name], 60, seed=2):
        expected = program.memory()
        result = ReferenceModel(program.cfg).run(program.stream, expected)
        for seed in range(6):
            memory = program.memory()
            assert ReferenceModel(program.cfg, seed=seed).run(program.stream, memory) == result
            assert np.array_equal(memory.data, expected.data)


def test_programs_need_their_tokens():
    """Without its tokens a program does depend on timing: the generator makes real dependencies."""
    wrong = 0
    for program in seeded_programs(TINY, 40, seed=3):
        flags = dict.fromkeys(("pop_prev", "pop_next", "push_prev", "push_next"), False)
        loose = [dataclasses.replace(insn, **flags) for insn in program.instructions]
        expected = program.memory()
        ReferenceModel(TINY).run(program.stream, expected)
        for seed in range(6):
            memory = program.memory()
            ReferenceModel(TINY, seed=seed).run(loose, memory)
            if not np.array_equal(memory.data, expected.data):
                wrong += 1
                break
    assert wrong > 12


def test_same_seed_same_program():
    one, two = (random_program(TINY, random.Random(7)) for _ in range(2))
    assert one.stream == two.stream
    assert one.base == two.base
    assert np.array_equal(one.image, two.image)


@given(programs(TINY, steps=8))
@settings(max_examples=100)
def test_a_damaged_stream_ends_in_an_error_or_in_a_result(program):
    """Any 16 bytes are an instruction or an IllegalInstructionError; nothing else comes out."""
    rng = random.Random(len(program.instructions))
    stream = bytearray(program.stream)
    for _ in range(3):
        stream[rng.randrange(len(stream))] ^= 1 << rng.randrange(8)
    memory = program.memory()
    around = memory.data.size
    try:
        ReferenceModel(TINY).run(bytes(stream), memory)
    except ExecutionError as error:
        assert set(error.heads) == {"load", "compute", "store"}
        assert set(error.tokens) == {"l2g", "g2l", "g2s", "s2g"}
    assert memory.data.size == around


def test_encoded_and_typed_streams_are_the_same():
    program = random_program(TINY, random.Random(11))
    one, two = program.memory(), program.memory()
    assert ReferenceModel(TINY).run(program.stream, one) == ReferenceModel(TINY).run(
        Isa.of(TINY).decode_all(program.stream), two
    )
    assert np.array_equal(one.data, two.data)
