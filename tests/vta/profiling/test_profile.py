"""Profiles of programs: cycles by cause, files, failures."""

import csv
import gzip
import json
import resource
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.sim.timing.test_timing import compiled
from tests.support.compiled import run_program
from tests.support.verilated import verilated
from vta.cli import main
from vta.config import VTAConfig
from vta.errors import DeviceError, ProgramError, VTAError
from vta.isa import Isa, PipelineModule, disassemble
from vta.profiling import profile_program
from vta.profiling.difference import difference, read_profile
from vta.profiling.tokens import token_edges
from vta.program import Program
from vta.sim.timing import Cause

TINY = VTAConfig.preset("tiny")
FILES = {"trace.json.gz", "report.html", "layers.csv", "profile.json"}


@cache
def program(kind="matmul"):
    return compiled(kind, TINY)


@cache
def profiled(kind="matmul", target="sim", memory="ideal"):
    return profile_program(program(kind), target=target, memory=memory)


def without_pushes():
    """The same program, where the load module pushes no token: the compute module never starts."""
    isa = Isa.of(TINY)
    insns = [
        replace(insn, push_next=False) if insn.module is PipelineModule.LOAD else insn
        for insn in program().instructions
    ]
    code = isa.encode_all(insns)
    old = program()
    return Program(old.name, old.cfg, code, old.uops, old.tensors, old.relocations)


@pytest.mark.parametrize("memory", ["ideal", "ddr"])
@pytest.mark.parametrize("target", ["sim", "tsim"])
@pytest.mark.parametrize("kind", ["vadd", "matmul"])
def test_causes_add_up_to_the_cycles_of_the_run(kind, target, memory):
    found = profiled(kind, target, memory)
    assert sum(found.by_cause.values()) == found.cycles == len(found.layers[0].causes)
    if target == "tsim":
        machine = verilated("tiny", memory)
        machine.reset()  # other tests share it, and the memory's bandwidth depends on the time
        inputs = [np.zeros(t.shape, t.dtype) for t in program(kind).tensors if not t.written]
        _, result = run_program(program(kind), inputs, machine=machine)
        assert found.cycles == result.cycle_count
        assert found.layers[0].products == result.counters.gemm_counter
        assert found.layers[0].vectors == result.counters.alu_counter


def test_both_targets_time_the_same_instructions():
    """In the same units, with the same work, and starts that differ by a few cycles."""
    model, rtl = (profiled(target=target).layers[0].timing for target in ("sim", "tsim"))
    assert [i.unit for i in model.instructions] == [i.unit for i in rtl.instructions]
    for mine, other in zip(model.instructions, rtl.instructions):
        assert mine.busy == other.busy or mine.unit == "none", (mine, other)
        assert abs(mine.issue - other.issue) <= 16, (mine, other)
        assert abs(mine.retire - other.retire) <= 16, (mine, other)


@pytest.mark.parametrize("target", ["sim", "tsim"])
def test_waits_before_issue_add_up(target):
    for insn in profiled(target=target).layers[0].timing.instructions:
        before = [wait for wait in insn.waits if wait.end <= insn.issue]
        assert sum(wait.cycles for wait in before) == insn.issue - insn.head


@pytest.mark.parametrize("target", ["sim", "tsim"])
def test_a_wait_for_micro_ops_is_a_hazard(target):
    """The ALU's first instruction waits until its operands and micro-ops are loaded."""
    instructions = profiled("vadd", target).layers[0].timing.instructions
    loaded = max(insn.end for insn in instructions if insn.unit == "loader")
    (alu,) = (insn for insn in instructions if insn.unit == "alu")
    longest = max(alu.waits, key=lambda wait: wait.cycles)
    assert longest.cause is Cause.HAZARD
    hazards = [wait for wait in alu.waits if wait.cause is Cause.HAZARD]
    assert abs(hazards[-1].end - loaded) <= 4
    assert hazards[-1].end - hazards[0].begin > (alu.issue - alu.head) / 2


def test_each_token_has_a_producer_and_a_consumer():
    insns = program().instructions
    for queue, producer, consumer in token_edges(insns):
        assert insns[producer].module.name[0] != insns[consumer].module.name[0]
        assert {queue[0], queue[2]} <= set("lgs")
    pops = sum(insn.pop_prev + insn.pop_next for insn in insns)
    assert len(token_edges(insns)) == pops


def test_the_folder_holds_all_files(tmp_path):
    folder = tmp_path / "out"
    profiled().write(folder)
    assert {path.name for path in folder.iterdir()} == FILES
    (row,) = csv.DictReader((folder / "layers.csv").read_text().splitlines())
    assert int(row["cycles"]) == profiled().cycles
    causes = [int(value) for name, value in row.items() if name.endswith("_cycles")]
    assert sum(causes) == profiled().cycles
    assert sources((folder / "report.html").read_text()) == ["data:,"]  # no network


def sources(page):
    """What a page refers to."""
    found = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.extend(value for name, value in attrs if name in ("src", "href"))

    Parser().feed(page)
    return found


def test_trace_slices_of_a_track_do_not_overlap(tmp_path):
    path = tmp_path / "trace.json.gz"
    profiled(target="tsim").to_perfetto(path)
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    tracks = {}
    for event in events:
        if event["ph"] == "X":
            tracks.setdefault(event["tid"], []).append((event["ts"], event["ts"] + event["dur"]))
    for slices in tracks.values():
        slices.sort()
        assert all(a[1] <= b[0] for a, b in pairwise(slices))
    instructions = [e for e in events if e["ph"] == "X" and "instruction" in e.get("args", {})]
    assert len(instructions) == program().instruction_count
    starts = [e["id"] for e in events if e["ph"] == "s"]
    assert sorted(starts) == sorted(e["id"] for e in events if e["ph"] == "f")
    assert len(starts) == len(token_edges(program().instructions))


def test_the_same_profile_gives_the_same_trace(tmp_path):
    for name in ("a.json.gz", "b.json.gz"):
        profile_program(program()).to_perfetto(tmp_path / name)
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()


@pytest.mark.parametrize("target", ["sim", "tsim"])
def test_a_run_that_fails_keeps_what_came_before(target, tmp_path):
    found = profile_program(without_pushes(), target=target)
    assert found.failure is not None and "deadlock" in str(found.failure)
    retired = found.layers[0].timing.instructions
    assert 0 < len(retired) < program().instruction_count
    found.write(tmp_path / "out")
    events = json.loads(gzip.decompress((tmp_path / "out" / "trace.json.gz").read_bytes()))
    (mark,) = (
        event for event in events["traceEvents"]
        if event["ph"] == "i" and event["name"].startswith("FAILED: ")
    )  # fmt: skip
    stuck = program().instructions[mark["args"]["index"]]
    assert stuck.pop_prev or stuck.pop_next
    assert mark["args"]["index"] not in {insn.index for insn in retired}
    assert mark["ts"] == found.cycles and disassemble(stuck) in mark["name"]
    assert "The run failed" in (tmp_path / "out" / "report.html").read_text()


def test_an_existing_folder_needs_force(tmp_path):
    with pytest.raises(VTAError, match="exists; --force replaces the profile in it"):
        profiled().write(tmp_path)
    profiled().write(tmp_path, force=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(VTAError, match="is not a folder"):
        profiled().write(tmp_path / "file", force=True)


def test_no_space_is_a_message(tmp_path, monkeypatch):
    opened = Path.open

    def full(self, mode="r", *others, **options):
        if mode == "xb":
            raise OSError(28, "No space left on device")
        return opened(self, mode, *others, **options)

    monkeypatch.setattr("pathlib.Path.open", full)
    with pytest.raises(VTAError, match=r"cannot write .*trace\.json\.gz: No space left on device"):
        profiled().write(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_disk_that_is_full_half_way_changes_no_file_of_an_older_profile(tmp_path):
    """A limit of the file size, which the report is beyond and the trace is not."""
    profiled().write(tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(VTAError, match=r"cannot write .*report\.html: File too large"):
            profiled(memory="ddr").write(tmp_path / "out", force=True)
        with pytest.raises(VTAError, match="File too large"):
            profiled(memory="ddr").write(tmp_path / "new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    after = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert after == before
    assert not (tmp_path / "new").exists()


def test_unknown_target_memory_and_machine():
    with pytest.raises(
        DeviceError, match="the target of a profile is 'pynq'; must be one of sim, tsim"
    ):
        profile_program(program(), target="pynq")
    with pytest.raises(DeviceError, match="no memory preset 'fast'"):
        profile_program(program(), memory="fast")
    with pytest.raises(ProgramError, match="but the machine is"):
        profile_program(program(), cfg=VTAConfig.preset("default"))


def test_difference_names_the_causes(tmp_path):
    profiled().write(tmp_path / "a")
    profiled(memory="ddr").write(tmp_path / "b")
    text = difference(read_profile(tmp_path / "a"), read_profile(tmp_path / "b"))
    change = profiled(memory="ddr").cycles - profiled().cycles
    assert f"{change:+,}" in text and "waits for load +" in text


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"layers": [{}], "format": 1}'])
def test_difference_of_something_else(content, tmp_path):
    (tmp_path / "profile.json").write_text(content)
    with pytest.raises(VTAError, match="is no profile of `vta profile`"):
        read_profile(tmp_path)


def test_command_line(tmp_path):
    file = tmp_path / "matmul.vta"
    program().save(file)
    run = CliRunner().invoke
    result = run(main, ["profile", str(file), "-o", str(tmp_path / "a")])
    assert result.exit_code == 0, result.output
    assert f"{profiled().cycles:,}" in result.output
    again = run(main, ["profile", str(file), "-o", str(tmp_path / "a")])
    assert again.exit_code == 1 and "--force" in again.output
    other = run(main, ["profile", str(file), "-o", str(tmp_path / "b"), "--preset", "default"])
    assert other.exit_code == 1 and "but the machine is" in other.output
    assert not (tmp_path / "b").exists()
    both = run(main, ["profile", "--diff", str(tmp_path / "a"), str(tmp_path / "a")])
    assert both.exit_code == 0 and "+0" in both.output
    assert run(main, ["profile", str(file)]).exit_code == 2
    failing = tmp_path / "failing.vta"
    without_pushes().save(failing)
    failed = run(main, ["profile", str(failing), "-o", str(tmp_path / "c")])
    assert failed.exit_code == 1 and "deadlock" in failed.output
    assert {path.name for path in (tmp_path / "c").iterdir()} == FILES
