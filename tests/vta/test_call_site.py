"""Lines of scripts as sources of instructions: beside a program in memory, not in its file."""

import pickle
import runpy
import sys
from collections import OrderedDict
from pathlib import Path

import pytest

import vta
from tests.support.networks import integer
from tests.support.onnx_models import quantised, residual
from vta import call_site
from vta.build_module import build
from vta.compiler import ops
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.environment import Environment
from vta.program import Program

DEFAULT = VTAConfig.preset("default")
TUTORIALS = Path(__file__).parents[2] / "tutorials"
SCRIPT = """\
import vta
from vta import te

env = vta.get_env()
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
program = vta.build(s, [A, C], name="plus_one").program
"""


def profiled(script, monkeypatch):
    """The programs that a script runs on the reference model."""
    monkeypatch.setattr(sys, "argv", [str(script), "--target", "sim"])
    monkeypatch.syspath_prepend(str(script.parent))
    monkeypatch.setattr(Environment, "current", None)  # the tutorials set their own
    with vta.profile() as p:
        runpy.run_path(str(script), run_name="__main__")
    return p.programs


def made(script):
    """The program of a script with the text :data:`SCRIPT`."""
    script.parent.mkdir(exist_ok=True)
    script.write_text(SCRIPT)
    return runpy.run_path(str(script))["program"]


def expected(source):
    """The primitive of a tutorial that asks for a statement: its beginnings, and its key."""
    if source.text.startswith("uop_push(gemm"):
        return [f"s[{source.stage}].tensorize("], "env.gemm"
    if source.text.startswith("uop_push("):
        return ["s[C_buf].pragma(", "s[stage].pragma("], "env.alu"
    return [f"s[{source.stage}].pragma(", "s[copy].pragma("], "env.dma_copy"


@pytest.mark.parametrize(
    ("name", "lines"),
    [("vta_get_started", 2), ("matrix_multiply_opt", 5), ("convolution_opt", 5)],
)
def test_instructions_of_a_tutorial_have_the_line_of_their_primitive(name, lines, monkeypatch):
    """The tutorials save, upload and load their programs."""
    script = TUTORIALS / f"{name}.py"
    text = script.read_text().splitlines()
    (program,) = profiled(script, monkeypatch)
    found = set()
    for source in program.sources.table:
        assert Path(source.call.file) == script
        line = text[source.call.line - 1].strip()
        assert line == source.call.text
        beginnings, key = expected(source)
        assert line.startswith(tuple(beginnings)) and key in line
        found.add(source.call.line)
    asked = {
        number for number, line in enumerate(text, 1)
        if line.lstrip().startswith("s[") and (".pragma(" in line or ".tensorize(" in line)
    }  # fmt: skip
    assert found == asked and len(found) == lines


def test_the_file_of_a_program_does_not_depend_on_the_script(tmp_path):
    one, other = made(tmp_path / "a" / "one.py"), made(tmp_path / "elsewhere" / "other_name.py")
    assert one.to_bytes() == other.to_bytes() and one == other
    assert {Path(call.file).name for call in one.sources.calls} == {"one.py"}
    assert {Path(call.file).name for call in other.sources.calls} == {"other_name.py"}
    assert b".py" not in one.to_bytes() and str(tmp_path).encode() not in one.to_bytes()
    assert {call.line for call in one.sources.calls} == {13, 14, 15}
    assert str(one.sources.of(0)).endswith("(one.py:13)")


def test_calls_are_kept_by_copies_and_in_the_process_that_wrote_the_file(tmp_path, monkeypatch):
    program = made(tmp_path / "script.py")
    assert pickle.loads(pickle.dumps(program)).sources.calls == program.sources.calls
    content = program.to_bytes()
    found = Program.from_bytes(content)
    assert found == program and found.sources.calls == program.sources.calls
    monkeypatch.setattr(call_site, "_kept", OrderedDict())  # as in another process
    found = Program.from_bytes(content)
    assert found == program and not any(found.sources.calls)


def test_the_oldest_files_are_forgotten(monkeypatch):
    monkeypatch.setattr(call_site, "_kept", OrderedDict())
    monkeypatch.setattr(call_site, "KEPT", 2)
    line = call_site.CallSite("script.py", 1)
    for content in (b"a", b"b", b"a", b"c"):
        call_site.remember_calls(content, [line])
    call_site.remember_calls(b"d", [None])  # without lines: nothing to know
    known = [call_site.calls_of(content) for content in (b"a", b"b", b"c", b"d")]
    assert known == [(line,), None, (line,), None]


def test_an_operator_of_the_library_has_the_line_that_calls_it():
    op = ops.conv2d((1, 16, 4, 4), 16, 3, cfg=DEFAULT, requantise=ops.Requantise(8), padding=1)
    program = build(op.schedule, op.args, name=op.name).program
    (call,) = set(program.sources.calls)
    assert Path(call.file) == Path(__file__) and call.text.startswith("op = ops.conv2d(")


def test_the_programs_of_a_network_have_no_lines(tmp_path):
    network = compile_network(integer(quantised(residual(channels=16), tmp_path)), DEFAULT)
    sources = [step.program.sources for step in network.steps if step.program is not None]
    assert all(sources) and not any(call for item in sources for call in item.calls)
