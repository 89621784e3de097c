"""Links inside the built site: every target must exist, also the place in its page."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["broken_links"]

LINKS = {("a", "href"), ("img", "src"), ("script", "src"), ("link", "href")}
"""Elements with a link, and its attribute."""


class _Page(HTMLParser):
    """The targets of the links of a page, those without which it does not show, and the names of
    its places."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.needed: set[str] = set()
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name"):
                self.places.add(value or "")
            elif (tag, name) in (
                ("a", "href"),
                ("img", "src"),
                ("script", "src"),
                ("link", "href"),
            ):
                self.links.add(value or "")
                if tag != "a":
                    self.needed.add(value or "")


def broken_links(html: Path) -> list[str]:
    """A line for each link of the site in ``html`` whose file or place does not exist, sorted.

    Links to other sites are not followed; a page that needs one (a style, a script, a picture from
    another site) is listed, because the site must work without a network.
    """
    pages = {
        path.resolve(): _Page(path.read_text(encoding="utf-8")) for path in html.rglob("*.html")
    }
    out = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.needed:
                    out.append(f"{path.relative_to(html.resolve())}: {link}: needs a network")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            missing = not target.exists() or (
                parts.fragment and target in pages
                and unquote(parts.fragment) not in pages[target].places
            )  # fmt: skip
            if missing:
                out.append(f"{path.relative_to(html.resolve())}: {link}: no such page or place")
    return sorted(out)
