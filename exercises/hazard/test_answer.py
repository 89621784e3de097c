"""The fault must be one change that breaks results, and only where instructions meet."""

import re
from pathlib import Path

import numpy as np
import pytest

from exercises.grading import answer_of
from tests.mutation.faulty_machine import faulty_machine
from tests.mutation.mutants import Mutant
from tests.support.copy_program import GOOD, low_bytes, memory
from vta.config import VTAConfig
from vta.sim.fuzzing.campaign import Campaign
from vta.sim.fuzzing.differential import save_case
from vta.sim.reference.model import ReferenceModel

ROOT = Path(__file__).parents[2]
FILES = ("compute/issue_request.py", "compute/scoreboard.py", "compute/alu_hazards.py")
PROGRAMS = 300
CASE = ROOT / "build" / "exercises" / "hazard"


@pytest.fixture(scope="module")
def fault():
    """The change, which must be possible before a machine is built from it."""
    answer = answer_of(__file__)
    assert answer.FILE in FILES, f"FILE must be one of {', '.join(FILES)}"
    text = (ROOT / "hw" / answer.FILE).read_text(encoding="utf-8")
    assert answer.OLD and text.count(answer.OLD) == 1, "OLD must occur once in the file"
    assert answer.NEW != answer.OLD, "NEW must differ from OLD"
    return Mutant("exercise", "a hazard is not seen", answer.FILE, answer.OLD, answer.NEW)


@pytest.fixture(scope="module")
def machine(fault):
    with faulty_machine(fault, ROOT / "hw", ROOT / "build" / "exercises", "chaos") as machine:
        yield machine


def test_instructions_that_do_not_meet_still_work(machine):
    image = memory()
    before = image.data.copy()
    machine.reset()
    machine.run(GOOD, image)
    (start,) = np.flatnonzero(before != image.data)[:1]
    assert start % 8 == 0
    np.testing.assert_array_equal(image.data[start : start + 8], low_bytes(before, 4))


def test_the_fuzzer_finds_it(machine):
    cfg = VTAConfig.preset("tiny")
    campaign = Campaign(cfg, ReferenceModel(cfg), machine)
    for trial in campaign.trials():
        if trial.failure is not None or trial.number + 1 == PROGRAMS:
            break
    assert trial.failure is not None, f"{PROGRAMS} programs run as they should"
    small = campaign.shrink(trial.failure, seconds=30)
    save_case(CASE, small.program, difference=small.difference, memory="chaos")
    print(small.program, small.difference, sep="\n")
    assert "bytes of DRAM differ" in small.difference, "the machine stops; it must compute wrongly"


def test_the_explanation():
    answer = answer_of(__file__)
    assert answer.KIND in ("RAW", "WAR", "WAW")
    assert len(re.findall(r"\w+", answer.EXPLANATION)) >= 20
