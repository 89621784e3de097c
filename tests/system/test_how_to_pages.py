"""The how-to pages: their changes are made in a copy of the tree, which must then work."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.support.patched_tree import PatchedTree, changes_of, commands_of

PAGE = Path(__file__).parents[2] / "docs" / "hardware" / "add-an-alu-operation.md"
ROW = "vta/isa/alu_operations.py"
TABLES = {
    "sim/reference/alu.py": "vta.sim.reference.alu",
    "tests/support/slow_model.py": "tests.support.slow_model",
    "hw/compute/alu_lane.py": "vta.hw.compute.alu_lane",
    "sim/fuzzing/coverage.py": "vta.sim.fuzzing.coverage",
}
"""Where an operation has a function: file, module."""
CHECKS = [line for line in commands_of(PAGE) if line.startswith("python -m pytest")]
RANDOM_PROGRAMS = """
import random
from tests.support.verilated import verilated
from tests.system.test_model_vs_rtl import check
from vta.sim.fuzzing.coverage import CoveredModel
from vta.sim.fuzzing.random_programs import random_program

machine = verilated("tiny", "chaos")
model = CoveredModel(machine.cfg)
for seed in range(300):
    program = random_program(machine.cfg, random.Random(seed), steps=40)
    machine.seed = seed
    check(machine, [program])
    model.reset()
    model.run(program.stream, program.memory())
print(model.coverage.counts["instructions"]["ABS imm"])
print(*sorted(name for name in model.coverage.counts["values"] if name.startswith("ABS")))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    tree = PatchedTree(tmp_path_factory.mktemp("tree"))
    for change in changes_of(PAGE):
        tree.apply(change)
    return tree


def test_the_page_touches_few_files():
    assert len({change.path for change in changes_of(PAGE)} | {"CHANGELOG.md"}) <= 10


def test_a_row_without_its_functions_stops_every_level(tmp_path):
    tree = PatchedTree(tmp_path)
    row, *others = changes_of(PAGE)
    assert row.path == ROW and {*TABLES} <= {change.path for change in others}
    tree.apply(row)
    for module in TABLES.values():
        result = tree.python("-c", f"import {module}")
        assert result.returncode and "AssertionError" in result.stderr, module


@pytest.mark.parametrize("command", CHECKS, ids=[line.split("/")[-1] for line in CHECKS])
def test_what_the_page_runs(tree, command):
    result = tree.python(*shlex.split(command)[1:], "-q", "-p", "no:cacheprovider")
    assert result.returncode == 0, result.stdout + result.stderr


def test_model_and_rtl_agree_on_programs_with_the_operation(tree):
    result = tree.python("-c", RANDOM_PROGRAMS)
    assert result.returncode == 0, result.stdout + result.stderr
    count, names = result.stdout.splitlines()
    assert int(count) > 100
    assert names == "ABS imm lowest ABS imm negative ABS imm positive"
