"""The documentation pages show what their code prints (``--update-golden`` writes it)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pages import run_page

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    "page", ["kernel.md", "ops.md", "schedule.md", "program-text.md", "errors.md", "modules.md"]
)
def test_page(page: str, request: pytest.FixtureRequest) -> None:
    run_page(DOCS / page, update=request.config.getoption("--update-golden"))
