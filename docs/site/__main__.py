"""Build the site into build/docs/html: ``python -m docs.site``. ``make docs`` calls this.

The pages in docs/ are copied into build/docs/source beside the generated ones, and Sphinx makes
HTML of that folder. A warning of Sphinx is an error.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx

from docs.site.links import broken_links
from docs.site.staging import stage

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "docs"


def main() -> int:
    """Build the site; the exit code is 0 if there was no warning and no broken link."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="read every page anew")
    options = parser.parse_args()
    source, html = BUILD / "source", BUILD / "html"
    stage(source, BUILD / "notebooks")
    shutil.rmtree(html, ignore_errors=True)  # pages that have gone; what was read is kept
    arguments = ["-W", "--keep-going", "-q", "-b", "html", "-c", str(Path(__file__).parent)]
    arguments += ["-d", str(BUILD / "doctrees"), *(["-E", "-a"] if options.fresh else [])]
    if code := sphinx([*arguments, str(source), str(html)]):
        return code
    if broken := broken_links(html):
        print("\n".join(broken), file=sys.stderr)
        return 1
    print(f"{html / 'index.html'}: {len(list(html.rglob('*.html')))} pages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
