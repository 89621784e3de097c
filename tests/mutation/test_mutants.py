"""The faults of the mutation check fit the RTL: whoever changes a line changes its fault."""

from pathlib import Path

import pytest

from tests.mutation.mutants import MUTANTS

HW = Path(__file__).parents[2] / "hw"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_place_is_there_once(mutant):
    assert (HW / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1
    assert mutant.new != mutant.old


def test_names_are_unique_and_the_documentation_has_all():
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names) >= 20
    page = (HW.parent / "docs" / "hardware" / "verification.md").read_text(encoding="utf-8")
    for mutant in MUTANTS:
        assert f"| `{mutant.name}` | {mutant.what} |" in page
