"""Which folder may know which: the arrows between the packages, read from the imports."""

import grimp
import pytest

VOCABULARY = {"vta.config", "vta.isa", "vta.memmap", "vta.packing", "vta.program", "vta.errors"}
FOLDERS = ("vta.hw", "vta.compiler", "vta.runtime", "vta.sim", "vta.boards")
ALLOWED = {
    "vta.hw": set(),
    "vta.compiler": set(),
    "vta.sim": set(),  # and vta.sim.verilator -> vta.hw, below
    "vta.runtime": {"vta.sim"},
    "vta.boards": {"vta.hw"},
}
EXCEPTIONS = {("vta.sim.verilator", "vta.hw")}


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("vta", cache_dir=None)


def folder_of(module):
    return next((f for f in FOLDERS if module == f or module.startswith(f + ".")), None)


def test_every_folder_is_seen(graph):
    assert {folder_of(module) for module in graph.modules} >= set(FOLDERS)


def test_arrows(graph):
    wrong = []
    for module in sorted(graph.modules):
        source = folder_of(module)
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            target = folder_of(imported)
            if source is None:
                if module in VOCABULARY and imported not in VOCABULARY:
                    wrong.append(f"{module} (vocabulary) imports {imported}")
            elif target is None:
                if imported not in VOCABULARY:
                    wrong.append(f"{module} imports {imported}, a face")
            elif target != source and target not in ALLOWED[source]:
                if not any(module.startswith(m) and target == t for m, t in EXCEPTIONS):
                    wrong.append(f"{module} imports {imported}")
    assert not wrong, "\n".join(wrong)
