"""The teaching kit: what is given fails its tests, the solutions pass them."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from exercises.fit_board import budget
from exercises.grading import ANSWERS
from tests.support.patched_tree import PatchedTree, changes_of
from vta.config import VTAConfig

ROOT = Path(__file__).parents[2]
EXERCISES = ROOT / "exercises"
NAMES = ("hazard", "alu_operation", "double_buffer", "fit_board", "default_schedule")
QUICK = ("double_buffer", "fit_board", "default_schedule")


def outcomes(names, out, *options, answers=None, cwd=ROOT):
    """Grade exercises: of each (exercise, test), whether it passed."""
    environment = {**os.environ, **({ANSWERS: str(answers)} if answers else {})}
    folders = [f"exercises/{name}" for name in names]
    subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
            f"--junitxml={out}", *options, *folders,
        ],
        cwd=cwd, env={**environment, "PYTHONPATH": str(cwd)}, capture_output=True, check=False,
    )  # fmt: skip
    return {
        (case.get("classname").split(".")[1], case.get("name")): len(case) == 0
        for case in ElementTree.parse(out).iter("testcase")
    }


def test_all_are_here():
    assert {path.parent.name for path in EXERCISES.glob("*/test_answer.py")} == set(NAMES)
    for name in NAMES:
        assert any((EXERCISES / "solutions" / name).iterdir())
        text = (EXERCISES / name / "README.md").read_text(encoding="utf-8")
        for part in ("**Goal.**", "## Background", "## Steps", "## How it is graded"):
            assert part in text, (name, part)
        assert f"make exercise EXERCISE={name}" in text


def test_the_fault_of_the_solution_is_in_the_rtl():
    """The slow test runs it; a change of the RTL can take its text away."""
    names = runpy.run_path(str(EXERCISES / "solutions" / "hazard" / "answer.py"))
    assert (ROOT / "hw" / names["FILE"]).read_text().count(names["OLD"]) == 1


def test_what_is_given_fails(tmp_path):
    found = outcomes(NAMES, tmp_path / "given.xml")
    for name in NAMES:
        own = {test: passed for (exercise, test), passed in found.items() if exercise == name}
        assert own and not all(own.values()), name
    passed = {test for (exercise, test), passed in found.items() if passed and exercise in QUICK}
    assert {"test_result_and_bytes", "test_nothing_races", "test_result"} <= passed
    assert not {("double_buffer", "test_cycles"), ("default_schedule", "test_cycles")} & {
        key for key, was_passed in found.items() if was_passed
    }


def test_solutions_pass(tmp_path):
    found = outcomes(QUICK, tmp_path / "solved.xml", answers=EXERCISES / "solutions")
    assert {exercise for exercise, _ in found} == set(QUICK)
    assert [test for test, passed in found.items() if not passed] == []


@pytest.fixture(scope="module")
def with_operation(tmp_path_factory):
    """A copy of the tree with the solution of the ALU operation."""
    tree = PatchedTree(tmp_path_factory.mktemp("tree"))
    shutil.copytree(EXERCISES, tree.folder / "exercises")
    for change in changes_of(EXERCISES / "solutions" / "alu_operation" / "changes.md"):
        tree.apply(change)
    return tree.folder


def test_the_operation_of_the_solution(with_operation, tmp_path):
    found = outcomes(
        ["alu_operation"], tmp_path / "operation.xml", "-k", "not rtl", cwd=with_operation
    )
    assert len(found) >= 14
    assert [test for test, passed in found.items() if not passed] == []


@pytest.mark.slow
def test_model_and_rtl_of_the_operation(with_operation, tmp_path):
    found = outcomes(["alu_operation"], tmp_path / "rtl.xml", "-k", "rtl", cwd=with_operation)
    assert found == {("alu_operation", "test_model_and_rtl_agree"): True}


@pytest.mark.slow
def test_the_hazard_of_the_solution(tmp_path):
    found = outcomes(["hazard"], tmp_path / "hazard.xml", answers=EXERCISES / "solutions")
    assert len(found) == 3
    assert [test for test, passed in found.items() if not passed] == []


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["tiny", "ulx3s_85f"])
def test_the_memories_of_the_budget_are_those_of_the_rtl(preset):
    from vta.hw.emit import emit_verilog

    cfg = VTAConfig.preset(preset)
    verilog, _ = emit_verilog(cfg)
    declared = [
        (int(bits) + 1, int(words) + 1)
        for bits, words in re.findall(r"reg \[(\d+):0\] \S+ +\[(\d+):0\];", verilog)
    ]
    for count, bits, words in budget.memories(cfg).values():
        assert declared.count((bits, words)) >= count
    large = [size for size in declared if size[1] > 64]
    counted = [
        (bits, words)
        for count, bits, words in budget.memories(cfg).values()
        for _ in range(count)
        if words > 64
    ]
    assert sorted(large) == sorted(counted)
