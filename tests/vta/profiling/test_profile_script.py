"""`vta profile SCRIPT.py`: the programs that a script runs."""

import gzip
import json
import sys
from pathlib import Path

from click.testing import CliRunner

from vta.cli import main

SCRIPT = """\
import os
import sys
import tempfile

import beside
import numpy as np

import vta
from vta import te
from vta.rpc import LocalSession
from vta.runtime import array, empty

env = vta.get_env()
print("arguments:", sys.argv[1:], beside.NAME, __name__)
shape = (1, 4, env.BATCH, env.BLOCK_OUT)
A = te.placeholder(shape, name="A", dtype="int32")
A_buf = te.compute(shape, lambda *i: A(*i), "A_buf")
C_buf = te.compute(shape, lambda *i: A_buf(*i) + 1, "C_buf")
C = te.compute(shape, lambda *i: C_buf(*i).astype("int8"), name="C")
s = te.create_schedule(C.op)
for tensor in (A_buf, C_buf):
    s[tensor].set_scope(env.acc_scope)
s[A_buf].pragma(s[A_buf].op.axis[0], "dma_copy")
s[C_buf].pragma(s[C_buf].op.axis[0], "alu")
s[C].pragma(s[C].op.axis[0], "dma_copy")
f = vta.build(s, [A, C], name="plus_one")
device = LocalSession(env.cfg.replace(target="sim")).ext_dev(0)
for _ in range(int(sys.argv[1])):
    f(array(np.zeros(shape, "int32"), device), empty(shape, "int8", device))
if sys.argv[2] == "error":
    os.chdir(tempfile.gettempdir())
    raise LookupError("after the programs")
sys.exit(int(sys.argv[2]))
"""


def run(folder, *arguments):
    script = folder / "plus_one.py"
    script.write_text(SCRIPT)
    (folder / "beside.py").write_text("NAME = 'a neighbour'\n")
    command = ["profile", str(script), "-o", str(folder / "out"), *arguments]
    before = list(sys.argv), list(sys.path)
    try:
        return CliRunner().invoke(main, command)
    finally:
        assert (sys.argv, sys.path) == before
        sys.modules.pop("beside", None)


def test_programs_of_a_script_with_the_lines_of_its_schedule(tmp_path):
    result = run(tmp_path, "--memory", "ddr", "--", "2", "0", "--option")
    assert result.exit_code == 0, result.output
    assert "arguments: ['2', '0', '--option'] a neighbour __main__" in result.output
    assert "plus_one.py on sim (timing model), memory ddr" in result.output
    trace = json.loads(gzip.decompress((tmp_path / "out" / "trace.json.gz").read_bytes()))
    lines = {
        event["args"]["schedule line"]: event["args"]["schedule"]
        for event in trace["traceEvents"]
        if "schedule line" in event.get("args", {})
    }
    asked = dict(enumerate(SCRIPT.splitlines(), 1))
    assert lines == {f"plus_one.py:{number}": asked[number] for number in (23, 24, 25)}
    for line in lines:
        assert line in result.output
        assert line in (tmp_path / "out" / "report.html").read_text()
    layers = (tmp_path / "out" / "layers.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in layers] == ["layer", "plus_one", "plus_one"]


def test_a_script_that_runs_no_program_or_fails(tmp_path):
    nothing = run(tmp_path, "--", "0", "0")
    assert nothing.exit_code == 1
    assert "plus_one.py: no program of the accelerator has run" in nothing.output
    failed = run(tmp_path, "--", "x", "0")
    assert failed.exit_code == 1
    assert "ValueError: invalid literal" in failed.stderr and 'plus_one.py", line' in failed.stderr
    assert "runpy" not in failed.stderr, "frames of the command say nothing"
    assert not (tmp_path / "out").exists()


def test_a_script_that_fails_leaves_the_profile_of_what_ran_before(tmp_path, monkeypatch):
    assert run(tmp_path, "--", "1", "3").exit_code == 3
    layers = (tmp_path / "out" / "layers.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in layers] == ["layer", "plus_one"]

    monkeypatch.chdir(tmp_path)  # the folder stays where it was asked for
    failed = run(Path("."), "--force", "--", "2", "error")
    assert failed.exit_code == 1 and "LookupError: after the programs" in failed.stderr
    assert "plus_one.py failed; the profile has the programs that ran before" in failed.output
    layers = (tmp_path / "out" / "layers.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in layers] == ["layer", "plus_one", "plus_one"]


def test_what_a_script_does_not_take(tmp_path):
    refused = run(tmp_path, "--preset", "tiny", "--", "1", "0")
    assert refused.exit_code == 2 and "chooses its machine itself" in refused.output
    program = tmp_path / "program.vta"
    program.write_bytes(b"")
    refused = CliRunner().invoke(main, ["profile", str(program), "-o", "out", "--", "more"])
    assert refused.exit_code == 2 and "takes no arguments; got more" in refused.output
