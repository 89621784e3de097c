"""Vivado's project, what is checked of it, and a tool that is not the real one: no Vivado has been
at hand. The reports have the layout of UG906."""

import os
import stat
from dataclasses import replace

import pytest

from tests.support.designs import design_of_once, shared_design
from vta.bitstream import Bitstream
from vta.boards import bitstream
from vta.boards.bitstream import build, check, collect, design_of, main, write
from vta.boards.board import find_board
from vta.boards.synthesis.parts import SynthesisError
from vta.boards.toolchains import vivado
from vta.boards.toolchains.tcl import commands
from vta.boards.toolchains.toolchain import CheckError, TimingError
from vta.boards.toolchains.usercode import usercode_digits
from vta.config import VTAConfig
from vta.errors import ToolError

TINY = VTAConfig.preset("tiny")

REPORT = """\
Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.
---------------------------------------------------------------------------------------------
| Tool Version : Vivado v.2022.2 (lin64) Build 3671981 Fri Oct 14 04:59:54 MDT 2022
| Command      : report_timing_summary -datasheet -max_paths 10 -file vta_top_timing.rpt
---------------------------------------------------------------------------------------------

------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  \
THS Failing Endpoints  THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  \
TPWS Total Endpoints
    -------      -------  ---------------------  -------------------      -------      -------  \
---------------------  -------------------     --------     --------  ----------------------  \
--------------------
      {wns}        0.000                      0                 6789        {whs}        0.000  \
                    0                 6789        {wpws}        0.000                       0  \
                2345


All user specified timing constraints are met.
"""


def report(wns="1.234", whs="0.045", wpws="3.750"):
    return REPORT.format(wns=wns, whs=whs, wpws=wpws)


BIT = (
    b"\x00\x09\x0f\xf0\x0f\xf0\x0f\xf0\x0f\xf0\x00\x00\x01"
    b"a\x00\x2bvta_top;UserID=0X%s;Version=2022.2\x00"
)
"""The beginning of a .bit file."""

FAKE = """#!/bin/sh
if [ "$1" = -version ]; then echo "vivado v{version} (64-bit)"; exit 0; fi
cp "$FAKE_REPORT" vta_top_timing.rpt
cp "$FAKE_BIT" vta_top.bit
echo "$@" > arguments
echo "ERROR: [Place 30-58] said the tool"
exit {code}
"""


@pytest.fixture(scope="module")
def design():
    return shared_design("pynq_z1", TINY)


@pytest.fixture
def made_once(monkeypatch):
    """The command takes a shared design."""
    monkeypatch.setattr(bitstream, "design_of", design_of_once)


@pytest.fixture
def project(design, tmp_path):
    write(design, tmp_path)
    return tmp_path


def tampered(design, name, old, new):
    """The design with a file in which ``old`` is ``new``."""
    text = design.files[name]
    assert old in text
    return replace(design, files={**design.files, name: text.replace(old, new)})


@pytest.fixture
def no_synthesis(monkeypatch):
    """Synthesis takes minutes: see test_shells_fit.py."""
    monkeypatch.setattr(vivado, "resources", lambda design, tell: "enough")


@pytest.fixture
def tool(design, tmp_path, monkeypatch):
    """Puts a tool on PATH that leaves a report and a bitstream, and ends with a code."""

    def install(*, version="2022.2", code=0, text=None, bit=None):
        folder = tmp_path / "bin"
        folder.mkdir()
        path = folder / "vivado"
        path.write_text(FAKE.format(version=version, code=code))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        identity = usercode_digits(design.verilog).encode()
        for name, content in (
            ("FAKE_REPORT", (text or report()).encode()),
            ("FAKE_BIT", bit or BIT % identity + b"\xff" * 64),
        ):
            (tmp_path / name).write_bytes(content)
            monkeypatch.setenv(name, str(tmp_path / name))

    return install


# ---- what is written ---------------------------------------------------------------------------


def test_the_same_machine_gives_the_same_files(design):
    assert design_of(find_board("pynq_z1"), TINY).files == design.files


def test_checks_of_the_project(design, project, no_synthesis):
    seen = {item.what: item.detail for item in check(design, project)}
    assert list(seen) == ["memory port", "script", "pins", "clock", "resources"]
    assert seen["memory port"].startswith("S_AXI_HP0: 64 bits")
    assert seen["pins"] == "2 ports, each with a pin and an I/O standard"
    assert seen["clock"] == "10 ns at ps/FCLKCLK[0]"


def test_the_script_names_the_part_and_what_it_reads(design, project):
    done = commands(project, "vta_top.tcl", {"version": "2022.2"})
    (project_of,) = [c for c in done if c[0] == "create_project"]
    assert project_of[-2:] == ("-part", "xc7z020clg400-1")
    assert ("write_bitstream", "-force", "-bin_file", "vta_top.bit") in done
    expected = f"0x{usercode_digits(design.verilog)}"
    assert ("set_property", "BITSTREAM.CONFIG.USERID", expected, "vta_thing") in done


def test_the_script_refuses_an_old_version(project):
    with pytest.raises(CheckError, match=r"Vivado 2019\.2 is too old: this project needs 2020\.1"):
        commands(project, "vta_top.tcl", {"version": "2019.2"})


@pytest.mark.parametrize("slack", ["-0.001", "{}"])
def test_the_script_refuses_a_missed_clock(project, slack):
    script = project / "vta_top.tcl"
    script.write_text(script.read_text().replace("set slack [", f"set slack {slack} ;# ["))
    with pytest.raises(CheckError, match=r"timing is missed: the worst path \(-setup\)"):
        commands(project, "vta_top.tcl", {"version": "2022.2"})


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("vta_top.xdc", 'LOC R14 [get_ports "led_0__io"]', 'LOC R14 [get_ports "led"]',
         "led is no port of vta_top"),
        ("vta_top.xdc", 'set_property LOC P14 [get_ports "led_1__io"]', "",
         "led_1__io has no pin"),
        ("vta_top.xdc", 'IOSTANDARD "LVCMOS33" [get_ports "led_0__io"]',
         'DRIVE 4 [get_ports "led_0__io"]', "led_0__io has no I/O standard"),
        ("vta_top.xdc", "LOC P14", "LOC R14", "two ports are at R14"),
        ("vta_clock.xdc", "create_clock", "create_lock", "uses create_lock, which is not known"),
        ("vta_clock.xdc", "create_clock", "set_property", "create one clock; they create 0"),
        ("vta_clock.xdc", "-period 10.000", "-period 20.000", "the clock has 20 ns; must be 10"),
        ("vta_clock.xdc", "ps/FCLKCLK", "ps/FCLK", r"at ps/FCLK\[0\], which is no pin"),
        ("vta_clock.xdc", "get_pins", "get_cells", "is no pin of the processing system"),
        ("vta_top.tcl", "route_design", "root_design", "uses root_design, which is not known"),
        ("vta_top.tcl", "place_design", "", "in this order; place_design is missing"),
        ("vta_top.tcl", "vta_top.xdc", "other.xdc", r"reads other\.xdc, which is not in the"),
        ("vta_top.tcl", "foreach cell [", "foreach cell [[", "is not good Tcl: missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(design, tmp_path, no_synthesis, name, old, new, message):
    wrong = tampered(design, name, old, new)
    write(wrong, tmp_path)
    with pytest.raises(CheckError, match=message):
        list(check(wrong, tmp_path))


# ---- the tool ----------------------------------------------------------------------------------


def test_a_bitstream(design, project, tool):
    tool()
    path = build(design, project)
    made = Bitstream.load(path)
    assert path == project / "pynq_z1.vtabit"
    assert (made.board, made.part, made.clock_hz) == ("pynq_z1", "XC7Z020", 100_000_000)
    assert made.cfg == TINY.replace(target="pynq") and made.tool == "Vivado 2022.2"
    assert made.data_format == "xilinx-bit" and made.data.startswith(b"\x00\x09\x0f\xf0")
    assert "-source vta_top.tcl" in (project / "arguments").read_text()


@pytest.mark.parametrize(
    ("slacks", "code", "message"),
    [
        ({"wns": "-1.250"}, 0, r"misses 100 MHz on pynq_z1 by 1\.250 ns; the bitstream is refused\."
                               r" This run would carry 88\.9 MHz: give a lower clock with --mhz"),
        ({"wns": "-1.250"}, 1, r"misses 100 MHz on pynq_z1 by 1\.250 ns"),
        ({"wpws": "-0.5"}, 0, r"misses 100 MHz on pynq_z1 by 0\.500 ns"),
        ({"whs": "-0.040"}, 0, r"misses hold times by 0\.040 ns"),
    ],
)  # fmt: skip
def test_a_missed_clock_is_refused(design, project, tool, slacks, code, message):
    """Whether or not the tool itself takes it for an error."""
    tool(text=report(**slacks), code=code)
    with pytest.raises(TimingError, match=message):
        build(design, project)
    assert not list(project.glob("*.vtabit"))


def test_a_tool_that_fails(design, project, tool):
    tool(code=3)
    with pytest.raises(ToolError, match=r"Vivado 2022\.2 in .* ended with 3; .*vta_top\.log") as it:
        build(design, project)
    assert "[Place 30-58] said the tool" in str(it.value)
    assert not list(project.glob("*.vtabit"))


@pytest.mark.parametrize(
    ("version", "message"),
    [("2018.3", r"Vivado 2020\.1 or later is needed, .*bin/vivado is 2018\.3"),
     ("ivado", "ended with 0 and named no version")],
)  # fmt: skip
def test_a_tool_of_another_version(design, project, tool, version, message):
    tool(version=version)
    with pytest.raises(ToolError, match=message):
        build(design, project)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": "nothing"}, "holds no Design Timing Summary with numbers"),
        ({"text": report(wns="NA")}, "holds no Design Timing Summary with numbers"),
        ({"bit": b"\x00\x09"}, r"of another design: its UserID must be [0-9A-F]{8}, it is none"),
        ({"bit": BIT % b"00000000"}, r"its UserID must be .*, it is 00000000"),
    ],
)
def test_results_that_cannot_be_read(design, project, tool, changes, message):
    tool(**changes)
    with pytest.raises(ToolError, match=message):
        build(design, project)


def test_old_results_are_not_taken_for_new_ones(design, project, tool, tmp_path):
    tool()
    build(design, project)
    (tmp_path / "FAKE_REPORT").unlink()
    (tmp_path / "FAKE_BIT").unlink()
    with pytest.raises(ToolError, match="left no timing report"):
        build(design, project)


# ---- without the tool, and the command ---------------------------------------------------------


@pytest.fixture
def no_tool(monkeypatch):
    monkeypatch.setattr(vivado.Vivado, "find", lambda self: None)


def test_without_the_tool(design, project, no_tool):
    with pytest.raises(ToolError) as it:
        build(design, project)
    assert str(it.value) == (
        "vivado is not on PATH: Vivado 2020.1 or later makes the bitstream of pynq_z1. Where it "
        f"is installed, run\n    (cd {project} && sh build_vta_top.sh)\n"
        "and then, with the folder back here,\n"
        "    python -m vta.boards.bitstream pynq_z1 --config "
        f"{project}/vta_config.json --collect -o {project}"
    )


def test_collect_what_was_made_elsewhere(design, project):
    with pytest.raises(ToolError, match="left no timing report"):
        collect(design, project)
    (project / "vta_top_timing.rpt").write_text(report())
    with pytest.raises(ToolError, match="left no bitstream"):
        collect(design, project)
    (project / "vta_top.bit").write_bytes(BIT % usercode_digits(design.verilog).encode())
    assert Bitstream.load(collect(design, project)).fingerprint == TINY.fingerprint
    (project / "vta_top_timing.rpt").write_text(report(wns="-0.1"))
    with pytest.raises(TimingError):
        collect(design, project)
    other = shared_design("pynq_z1", TINY, 62_500_000)
    with pytest.raises(CheckError, match=r"vta_clock\.xdc is not what .* 62\.5 MHz"):
        collect(other, project)


def test_the_command(tmp_path, made_once, no_synthesis, no_tool, capsys):
    """After everything that can be looked at, an error and exit code 1; then the results come."""
    arguments = ["pynq_z1", "--preset", "tiny", "--mhz", "62.5", "-o", str(tmp_path)]
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert "PYNQ-Z1" in said.out and "at 62.5 MHz" in said.out and "16 ns at ps/FCLKCLK" in said.out
    assert "error: vivado is not on PATH" in said.err
    assert f"--config {tmp_path}/vta_config.json --mhz 62.5 --collect" in said.err
    identity = (tmp_path / vivado.IDENTITY).read_text().split()[2].removeprefix("0x")
    (tmp_path / "vta_top_timing.rpt").write_text(report())
    (tmp_path / "vta_top.bit").write_bytes(BIT % identity.encode())
    collecting = ["pynq_z1", "--config", str(tmp_path / "vta_config.json"), "--mhz", "62.5"]
    assert main([*collecting, "--collect", "-o", str(tmp_path)]) == 0
    (made,) = tmp_path.glob("*.vtabit")
    assert Bitstream.load(made).clock_hz == 62_500_000


def test_a_machine_that_does_not_fit(monkeypatch, made_once, tmp_path, capsys):
    def too_large(design, tell):
        raise SynthesisError("does not fit")

    monkeypatch.setattr(vivado, "resources", too_large)
    assert main(["pynq_z1", "--preset", "tiny", "-o", str(tmp_path)]) == 1
    assert capsys.readouterr().err.endswith("error: does not fit\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pynq_z3"], "no board 'pynq_z3'"),
        (["ultra96", "--preset", "tiny"], "LOG_BUS_WIDTH is 6"),
        (["pynq_z1", "--mhz", "0"], "the clock is 0 MHz; must be"),
        (["pynq_z1", "--config", "/nowhere/c.json"], "cannot read the configuration"),
    ],
)
def test_mistakes_of_the_user(arguments, message, capsys):
    assert main(arguments) == 1
    assert message in capsys.readouterr().err
