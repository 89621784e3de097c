"""The first page of the site: the README, without its lists of folders and pages."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["page"]

README = Path(__file__).parents[2] / "README.md"
LEFT_OUT = ("What is in the tree", "Documentation", "Licence")


def page() -> str:
    """The page in Markdown."""
    _, *sections = re.split(r"^## ", "\n" + README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    beginning = README.read_text(encoding="utf-8").partition("\n## ")[0].partition("\n")[2]
    wanted = [text for text in sections if text.partition("\n")[0] not in LEFT_OUT]
    text = "".join(f"## {section}" for section in wanted)
    text = re.sub(r"^!\[.*\]\(.*\)\n+", "", text, flags=re.MULTILINE)
    return f"# Start here\n{_links(beginning)}\n{_links(text)}"


def _links(text: str) -> str:
    """Links of the README as links of a page in docs/."""
    return re.sub(r"\]\(docs/", "](", text)
