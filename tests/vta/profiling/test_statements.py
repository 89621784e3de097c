"""Cycles by statement of the schedule, and by node of a joined program."""

from collections import Counter

from tests.sim.timing.test_timing import compiled
from tests.support.networks import integer
from tests.support.onnx_models import quantised, residual
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.isa import Finish, Load, Store
from vta.profiling import profile_network, profile_program

TINY = VTAConfig.preset("tiny")


def test_statements_have_all_work_of_the_instructions():
    layer = profile_program(compiled("matmul", TINY)).layers[0]
    busy = Counter()
    for row in layer.statements:
        busy[row.unit] += row.busy
    assert busy == layer.timing.busy()
    emitted = [
        insn
        for insn in layer.program.instructions
        if not isinstance(insn, Finish) and not (isinstance(insn, Load | Store) and insn.is_nop)
    ]
    assert sum(row.instructions for row in layer.statements) == len(emitted)
    lines = [r for r in layer.statements if r.source.text.startswith("uop_push(gemm, dst")]
    assert {row.unit for row in lines} == {"gemm", "loader"}  # the products, and their micro-ops


def test_nodes_of_a_joined_program_add_up(tmp_path):
    graph = integer(quantised(residual(channels=16), tmp_path))
    network = compile_network(graph, VTAConfig(), join_programs=True)
    names = [step.name for step in compile_network(graph, VTAConfig()).steps if step.program]
    found = profile_network(network)
    (layer,) = (layer for layer in found.layers if layer.nodes)
    assert [node.name for node in layer.nodes] == names
    assert layer.nodes[0].begin == 0 and layer.nodes[-1].end == layer.cycles
    assert all(a.end == b.begin for a, b in zip(layer.nodes, layer.nodes[1:]))
    assert all(node.cycles > 0 for node in layer.nodes)
    parts = layer.as_dict()["nodes"]
    assert list(parts) == names
    for cause, cycles in layer.as_dict()["causes"].items():
        assert sum(part[cause] for part in parts.values()) == cycles
    found.write(tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert f"Nodes of {layer.name}" in page and all(f"<td>{name}</td>" in page for name in names)


def test_a_single_program_has_no_nodes():
    layer = profile_program(compiled("vadd", TINY)).layers[0]
    assert layer.nodes == [] and layer.as_dict()["nodes"] == {}
