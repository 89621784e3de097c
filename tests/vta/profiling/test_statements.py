"""Cycles by statement of the schedule, and by node of a joined program."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.sim.timing.test_timing import compiled
from tests.support.networks import integer
from tests.support.onnx_models import quantised, residual
from vta.call_site import CallSite
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.isa import Finish, Load, Store
from vta.profiling import profile_network, profile_program
from vta.profiling.statements import schedule_lines
from vta.sim.timing import Cause

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


@pytest.mark.parametrize("target", ["sim", "tsim"])
def test_an_instruction_behind_another_one_waits_for_that_one_alone(target):
    """Instructions are issued in order, so that the waits of a module do not overlap: those of the
    products are for tokens, and no cycle counts twice."""
    layer = profile_program(compiled("matmul", TINY), target=target).layers[0]
    waited = Counter()
    for row in layer.statements:
        waited[row.unit] += row.waited - row.waits[Cause.MEMORY] - row.waits[Cause.BANK]
    assert sum(waited[unit] for unit in ("gemm", "alu", "loader", "none")) <= layer.cycles
    assert waited["load"] <= layer.cycles and waited["store"] <= layer.cycles
    (products,) = (
        row for row in layer.statements
        if row.unit == "gemm" and row.source.text.startswith("uop_push(gemm, dst")
    )  # fmt: skip
    assert products.largest == Cause.TOKEN


def test_lines_of_the_schedule_have_all_work_of_the_instructions(tmp_path):
    found = profile_program(compiled("matmul", TINY))
    (layer,) = found.layers
    lines = schedule_lines(layer.statements)
    busy = Counter()
    for line in lines:
        busy[line.unit] += line.busy
    assert busy == layer.timing.busy()
    assert [line.busy for line in lines] == sorted((line.busy for line in lines), reverse=True)
    (products,) = (line for line in lines if line.unit == "gemm")
    assert products.call.text == "s[ops.gem].tensorize(b_tns, target.gemm)"
    shown = found.summary().splitlines()
    (row,) = (text for text in shown if text.split()[:2] == [str(products.call), "gemm"])
    assert row.endswith(products.call.text) and f"{products.busy:,}" in row.split()
    assert products.call.text in found._repr_html_()
    found.write(tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert f'<span title="{products.call.text}">{products.call}</span>' in page


def test_a_long_line_of_a_schedule_is_cut(tmp_path):
    script = tmp_path / "long.py"
    script.write_text(f"s[C].pragma(axis, {'long' * 30})\n")
    program = compiled("matmul", TINY)
    calls = [CallSite(str(script), 1)] * len(program.sources.table)
    found = profile_program(replace(program, sources=program.sources.with_calls(calls)))
    assert f"s[C].pragma(axis, {'long' * 12}lo ...\n" in found.summary()


def test_a_program_of_a_file_of_another_process_has_no_lines(tmp_path):
    program = compiled("matmul", TINY)
    found = profile_program(replace(program, sources=program.sources.without_calls()))
    assert schedule_lines(found.layers[0].statements) == []
    assert "line of the schedule" not in found.summary() + found._repr_html_()
    found.write(tmp_path / "out")
    assert "<button>schedule</button>" not in (tmp_path / "out" / "report.html").read_text()


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
