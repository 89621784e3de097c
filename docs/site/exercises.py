"""Pages of the exercises, whose sources are the README files in the folder of each."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["NAMES", "pages"]

EXERCISES = Path(__file__).parents[2] / "exercises"
NAMES = ("hazard", "alu_operation", "double_buffer", "fit_board", "default_schedule")
"""In the order of the list."""


def pages() -> dict[str, str]:
    """The pages in Markdown, by their path in the site."""
    listed = "\n".join(NAMES)
    tree = f"\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n"
    return {
        "exercises/index.md": _linked(EXERCISES / "README.md") + tree,
        **{f"exercises/{name}.md": _linked(EXERCISES / name / "README.md") for name in NAMES},
    }


def _linked(path: Path) -> str:
    """A page, whose links to files of the project are links to pages of the site."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"\]\((\w+)/README\.md\)", r"](\1.md)", text)
    text = re.sub(r"\]\((?:\.\./)+docs/", "](../", text)
    return re.sub(r"\]\((?:\.\./)+tutorials/(\w+)\.py\)", r"](../tutorials/\1.ipynb)", text)
