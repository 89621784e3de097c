"""What `make test` says at its start."""

import re
from pathlib import Path

from tests.conftest import DEFAULT_SELECTION
from tests.support.expected_time import REFERENCE_LOOP, estimate, loop_seconds

MAKEFILE = Path(__file__).parents[2] / "Makefile"


def test_the_last_run_counts():
    record = {"seconds": 605, "workers": 2}
    assert estimate(2, record, True) == "expected: 10 minutes, as the last run here took"
    assert "as the last run" not in estimate(4, record, True)


def test_a_computer_of_another_speed():
    def said(workers, built, factor):
        text = estimate(workers, None, built, loop=lambda: factor * REFERENCE_LOOP)
        return int(re.search(r"about (\d+) minutes", text)[1])

    assert said(2, True, 2) == 2 * said(2, True, 1) or said(2, True, 2) - 2 * said(2, True, 1) < 2
    assert said(4, True, 1) < said(2, True, 1) < said(2, False, 1)
    assert loop_seconds() > 0


def test_the_selection_is_that_of_make():
    assert f'-m "{DEFAULT_SELECTION}"' in MAKEFILE.read_text()
