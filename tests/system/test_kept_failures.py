"""Small programs that some faulty machine once failed, as `vta fuzz` writes them: model, RTL and
the slow executor of the tests agree on each."""

from pathlib import Path

import pytest

from tests.support.slow_model import SlowModel
from tests.support.verilated import verilated
from vta.check.order import find_order
from vta.isa import Isa
from vta.sim.fuzzing.differential import difference, is_sound, load_case
from vta.sim.reference.model import ReferenceModel

FOLDER = Path(__file__).parent.parent / "golden" / "fuzz"
CASES = sorted(path.name for path in FOLDER.iterdir())


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    program, note = load_case(FOLDER / name)
    assert is_sound(program)
    machine = verilated(program.cfg, note["memory"])
    for seed in (note["machine_seed"], 0, 1, 2):
        machine.seed = seed
        assert difference(ReferenceModel(program.cfg), machine, program) is None, program


@pytest.mark.parametrize("name", CASES)
def test_the_model_is_right(name):
    program, _ = load_case(FOLDER / name)
    memory = program.memory()
    result = ReferenceModel(program.cfg).run(program.stream, memory)
    order = find_order(program.instructions).sequence  # the slow executor goes by the stream
    stream = Isa.of(program.cfg).encode_all(program.instructions[n] for n in order)
    dram, counters, tokens = SlowModel(program.cfg).run(
        stream, program.image.tobytes(), program.base
    )
    assert memory.data.tobytes() == dram
    assert result.as_dict() == counters and result.tokens == tokens
