"""Which folder may know which: the arrows between the packages, read from the imports."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
VOCABULARY = {
    "config", "isa", "memmap", "packing", "container", "program", "bitstream", "listing", "errors",
    "check", "uartlink", "run_result", "diagnosis", "memory_timing", "cycle_bound", "extras",
    "cache", "dtypes", "int4", "config_file", "targets", "output", "host_elementwise",
    "host_sequences", "host_operators", "network",
    "network_check", "network_file", "program_sources", "call_site", "preprocessing", "html_tables",
    "whole_files", "file_kinds", "pcie_ids",
}  # fmt: skip
FOLDERS = ("hw", "compiler", "runtime", "sim", "boards")
ALLOWED = {"boards": {"hw"}}
EXCEPTIONS = {
    ("vta.sim.rtl.machine", "hw"),  # the simulated RTL needs the RTL
    ("vta.sim.timing.constants", "hw"),  # the model's latencies are those of the RTL's classes
    ("vta.runtime.simulated", "sim"),  # the devices `sim` and `tsim`
}


def modules():
    """(dotted name, path) of every module: top folders are installed as subpackages of vta."""
    for folder in ("vta", *FOLDERS):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            parts = parts if folder == "vta" else ("vta", *parts)
            yield ".".join(part for part in parts if part != "__init__"), path


def imports(name, path, *, for_types=False):
    """The dotted names that a module imports; those for type checking only if ``for_types``."""
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and not for_types
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                parts = parts[: len(parts) - node.level + 1]
                base = ".".join([*parts, base] if base else parts)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def room(dotted):
    """The folder or vocabulary module that a dotted name is in; None outside vta, `face` else."""
    parts = dotted.split(".")
    if parts[0] != "vta":
        return None
    known = len(parts) > 1 and (parts[1] in FOLDERS or parts[1] in VOCABULARY)
    return parts[1] if known else "face"


def test_every_folder_is_seen():
    assert {room(name) for name, _ in modules()} >= {*FOLDERS, "config", "isa", "errors"}


def test_arrows():
    wrong = []
    for name, path in modules():
        source = room(name)
        if source == "face":
            continue  # the faces and the command line may know everything
        for imported in imports(name, path):
            target = room(imported)
            if target is None or target in VOCABULARY or target == source:
                continue
            if target in ALLOWED.get(source, ()):
                continue
            if (name, target) in EXCEPTIONS:
                continue
            wrong.append(f"{name} imports {imported}")
    assert not wrong, "\n".join(wrong)


def test_drivers_and_remote_sessions_do_not_know_the_simulators():
    """Not even for types: what a run gives, and what went wrong, is vocabulary."""
    importers = {
        name
        for name, path in modules()
        if room(name) == "runtime"
        for imported in imports(name, path, for_types=True)
        if room(imported) == "sim"
    }
    assert importers == {"vta.runtime.simulated"}
