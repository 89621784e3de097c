"""References in docstrings to what has no page, as a module inside the compiler.

They are shown as code without a link. A reference to a name that does not exist at all stays a
warning, and so an error of the build.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docutils.nodes import Element
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

__all__ = ["exists", "setup", "without_page"]


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("missing-reference", without_page)
    return {"parallel_read_safe": True}


def without_page(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: Element
) -> Element | None:
    """The text of a reference if its target exists in Python, else None: a warning."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    module, parent = node.get("py:module"), node.get("py:class")
    names = [target, f"{module}.{target}", f"{module}.{parent}.{target}"]
    return text if any(exists(name) for name in names) else None


def exists(name: str) -> bool:
    """Whether a dotted name is a module of Python or something inside one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            value: Any = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for part in parts[count:]:
            fields = getattr(value, "__dataclass_fields__", {})
            if part in fields or part in getattr(value, "__annotations__", {}):
                return True
            try:
                value = getattr(value, part)
            except (AttributeError, ImportError):  # vta.top says what to use instead
                return False
        return True
    return False
