"""The vendors' Tcl, run without the vendors."""

import pytest

from vta.boards.toolchains import tcl
from vta.boards.toolchains.tcl import commands
from vta.boards.toolchains.toolchain import CheckError
from vta.errors import ToolError


@pytest.fixture(params=["tclsh", "tkinter"])
def interpreter(request, monkeypatch):
    """Either of the two, and not the other."""
    if request.param == "tkinter":
        pytest.importorskip("tkinter")
        monkeypatch.setattr(tcl.shutil, "which", lambda name: None)
    elif tcl.shutil.which("tclsh") is None:
        pytest.skip("no tclsh")


def run(tmp_path, text, **answers):
    (tmp_path / "script.tcl").write_text(text, encoding="utf-8")
    return commands(tmp_path, "script.tcl", answers)


@pytest.mark.usefixtures("interpreter")
class TestCommands:
    def test_words_are_kept_as_they_are(self, tmp_path):
        got = run(tmp_path, 'set_pin "a b" {c $d} [get_ports {led[0]}] \\\n  "" \u00b5')
        assert got == [
            ("get_ports", "led[0]"),
            ("set_pin", "a b", "c $d", "vta_thing", "", "\u00b5"),
        ]

    def test_answers_and_control_flow(self, tmp_path):
        text = "foreach x [things] {if {[width $x] > 7} {wide $x} else {narrow $x}}; exit; puts hi"
        assert run(tmp_path, text, things="1", width="8") == [
            ("things",), ("width", "1"), ("wide", "1"), ("exit",), ("puts", "hi"),
        ]  # fmt: skip

    def test_scripts_may_source_others_beside_them(self, tmp_path):
        (tmp_path / "other.tcl").write_text("inside 1")
        assert run(tmp_path, "source other.tcl\noutside") == [("inside", "1"), ("outside",)]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a {b", "missing close-brace"),
            ("a [b", "missing close-bracket"),
            ("a $b", 'can\'t read "b": no such variable'),
            ("error {it said}", "it said"),
            ("source nowhere.tcl", "couldn't read file"),
        ],
    )
    def test_bad_scripts(self, tmp_path, text, message):
        with pytest.raises(CheckError, match=rf"script\.tcl is not good Tcl: .*{message}"):
            run(tmp_path, text)


def test_without_tcl(tmp_path, monkeypatch):
    monkeypatch.setattr(tcl.shutil, "which", lambda name: None)
    monkeypatch.setitem(__import__("sys").modules, "tkinter", None)
    with pytest.raises(ToolError, match="neither tclsh on PATH nor tkinter"):
        run(tmp_path, "a")
