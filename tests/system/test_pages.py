"""The documentation pages show what their code prints (``--update-golden`` writes it)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pages import run_page

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    "page",
    [
        "tutorials/kernel.md",
        "compiler/ops.md",
        "compiler/schedule.md",
        "compiler/program-text.md",
        "compiler/errors.md",
        "compiler/modules.md",
    ],
)
def test_page(page: str, request: pytest.FixtureRequest) -> None:
    run_page(DOCS / page, update=request.config.getoption("--update-golden"))
