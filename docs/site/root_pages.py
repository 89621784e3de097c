"""Pages of the site whose source is in the top folder: the README and the rules of the project."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["RULES", "pages", "start"]

ROOT = Path(__file__).parents[2]
LEFT_OUT = ("What is in the tree", "Documentation", "Contributing", "Licence")
RULES = ("CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md")


def pages() -> dict[str, str]:
    """The pages in Markdown, by their path in the site."""
    return {
        "start.md": start(),
        **{name: _links((ROOT / name).read_text(encoding="utf-8")) for name in RULES},
    }


def start() -> str:
    """The first page: the README, without its lists of folders and pages."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    beginning, *sections = re.split(r"^## ", readme, flags=re.MULTILINE)
    wanted = [text for text in sections if text.partition("\n")[0] not in LEFT_OUT]
    text = beginning.partition("\n")[2] + "".join(f"## {section}" for section in wanted)
    text = re.sub(r"^!\[.*\]\(.*\)\n+", "", text, flags=re.MULTILINE)
    return f"# Start here\n{_links(text)}"


def _links(text: str) -> str:
    """Links to pages in docs/ as links between pages; those to other files as their names."""
    text = re.sub(r"\[([^\]]*)\]\((?:\.github|CITATION)[^)]*\)", r"`\1`", text)
    return re.sub(r"\]\(docs/", "](", text)
