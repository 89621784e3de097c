"""A page for each public module of the package; autodoc fills it from the docstrings."""

from __future__ import annotations

import importlib

from docs.site.markdown import first_paragraph, table

__all__ = ["MODULES", "pages"]

MODULES = {
    "Programs": [
        "vta.te", "vta.topi", "vta.ops", "vta.packing", "vta.program", "vta.check", "vta.tuning",
    ],
    "Runs": ["vta.runtime", "vta.rpc", "vta.run_result", "vta.profiling", "vta.testing"],
    "Networks": [
        "vta.networks", "vta.network", "vta.network_file", "vta.quantization", "vta.calibration",
        "vta.inspection", "vta.preprocessing", "vta.comparison",
    ],
    "The machine": [
        "vta.config", "vta.environment", "vta.isa", "vta.memmap", "vta.memory_timing",
        "vta.bitstream", "vta.sim.timing",
    ],
    "Errors": ["vta.errors"],
    "Programs written for TVM": ["vta.compat", "vta.top"],
}  # fmt: skip
"""The public modules, by what they are for."""

HEAD = """# Python

% Generated from the list in docs/site/python_api.py and from the docstrings.

What programs of a user import. `vta` itself has the names of the first table; everything else is in
a module of its own.

"""


def pages() -> dict[str, str]:
    """The pages in Markdown, by file name."""
    out = {"index.md": _index(), "vta.md": _package()}
    for names in MODULES.values():
        for name in names:
            out[f"{name}.md"] = (
                f"# {name}\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```\n"
            )
    return out


def _package() -> str:
    """The names of the package itself that no other page has."""
    elsewhere = {
        id(getattr(module, name))
        for names in MODULES.values()
        for module in map(importlib.import_module, names)
        for name in module.__all__
    }
    vta = importlib.import_module("vta")
    text = "# vta\n```{eval-rst}\n.. automodule:: vta\n   :no-members:\n\n"
    for name in vta.__all__:
        value = getattr(vta, name)
        if callable(value) and id(value) not in elsewhere:
            text += f".. autofunction:: vta.{name}\n"
    return text + "```\n"


def _index() -> str:
    text = HEAD
    vta = importlib.import_module("vta")
    rows = []
    for name in vta.__all__:
        value = getattr(vta, name)
        if name != "__version__":
            home = getattr(value, "__module__", None) or value.__name__
            rows.append([f"`vta.{name}`", f"`{home}`", first_paragraph(value.__doc__)])
    text += table(["name", "from", "what"], rows)
    for title, names in MODULES.items():
        rows = [
            [f"[`{name}`]({name}.md)", first_paragraph(importlib.import_module(name).__doc__)]
            for name in names
        ]
        text += f"\n## {title}\n" + table(["module", "what"], rows)
    everything = "vta\n" + "\n".join(f"{name}" for names in MODULES.values() for name in names)
    return f"{text}\n```{{toctree}}\n:hidden:\n\n{everything}\n```\n"
