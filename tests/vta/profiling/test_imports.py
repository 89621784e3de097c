"""The modules of profiles import each other in one direction, types and late imports included."""

from graphlib import TopologicalSorter

from tests.test_architecture import imports, modules

ROOM = "vta.profiling"


def test_no_module_imports_itself_by_way_of_others():
    paths = {name: path for name, path in modules() if name.startswith(f"{ROOM}.")}
    assert len(paths) > 10
    graph = {
        name: {
            other
            for imported in imports(name, path, for_types=True)
            for other in paths
            if imported.startswith(f"{other}.") and other != name
        }
        for name, path in paths.items()
    }
    assert f"{ROOM}.layers" in graph[f"{ROOM}.report"]
    order = list(TopologicalSorter(graph).static_order())  # CycleError names a circle
    assert order.index(f"{ROOM}.causes") < order.index(f"{ROOM}.results")
