"""A page for each folder of the RTL: what each block computes, its ports, its timing.

The text is that of the docstrings; autodoc reads them.
"""

from __future__ import annotations

import ast
from pathlib import Path

__all__ = ["pages"]

HW = Path(__file__).parents[2] / "hw"
FOLDERS = {
    "frontend": "Fetch, decode, token queues", "dma": "Load and store", "compute": "Compute module",
    "bus": "Bus masters", "control": "Registers, run control, counters", "lib": "Small parts",
    "debug": "Probes for proofs and coverage",
}  # fmt: skip
HEAD = """# Blocks of the RTL

% Generated from the docstrings of hw/.

[The microarchitecture](../../hardware/hardware.md) says how the blocks work together. These pages
have what the source says of each: arithmetic, timing, ports, and what the block does not do.

```{toctree}
:maxdepth: 1

"""


def pages() -> dict[str, str]:
    """The pages in Markdown, by file name."""
    out = {"index.md": HEAD + "\n".join(FOLDERS) + "\n```\n"}
    for folder, title in FOLDERS.items():
        text = f"# {title}\n"
        for path in sorted((HW / folder).glob("*.py")):
            if path.stem != "__init__":
                text += _block(f"vta.hw.{folder}.{path.stem}", path)
        out[f"{folder}.md"] = text
    return out


def _block(name: str, path: Path) -> str:
    """The docstring of a module, then its public classes and functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    public = _public(tree)
    lines = [f"## {name.removeprefix('vta.hw.')}", "```{eval-rst}", f".. automodule:: {name}",
             "   :no-members:", ""]  # fmt: skip
    for item in tree.body:
        if isinstance(item, ast.ClassDef | ast.FunctionDef) and item.name in public:
            kind = "class" if isinstance(item, ast.ClassDef) else "function"
            if ast.get_docstring(item):
                lines += [f".. auto{kind}:: {name}.{item.name}", ""]
    return "\n".join(lines) + "\n```\n\n"


def _public(tree: ast.Module) -> list[str]:
    for item in tree.body:
        if isinstance(item, ast.Assign) and ast.unparse(item.targets[0]) == "__all__":
            return list(ast.literal_eval(item.value))
    return []
