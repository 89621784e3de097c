"""The Quartus project of a Cyclone V board: its checks, and its reports with a tool that only
pretends. The texts of reports are laid out as Quartus 20.1 to 25.1 have them."""

import re
import shlex
import shutil
import sys
from dataclasses import replace

import pytest

from tests.support.designs import shared_design
from vta.bitstream import Bitstream
from vta.boards.bitstream import build, collect, design_of, write
from vta.boards.board import find_board
from vta.boards.toolchains.quartus import FLOW_FILE
from vta.boards.toolchains.quartus_checks import check_clocks, check_flow, check_pins
from vta.boards.toolchains.tcl import commands
from vta.boards.toolchains.toolchain import CheckError, TimingError
from vta.boards.toolchains.usercode import usercode_digits
from vta.config import VTAConfig
from vta.errors import ToolError

VERSION = "23.1std.0 Build 991 11/28/2023 SC Lite Edition"
RBF = b"\xff\xff\xff\xff compressed configuration"

FIT = f"""\
Fitter Status : Successful - Sat Nov 21 19:00:00 2026
Quartus Prime Version : {VERSION}
Revision Name : vta_top
Top-level Entity Name : vta_top
Family : Cyclone V
Device : 5CSEBA6U23I7
Timing Models : Final
Logic utilization (in ALMs) : 20,123 / 41,910 ( 48 % )
Total registers : 19041
Total RAM Blocks : 468 / 553 ( 85 % )
Total DSP Blocks : 111 / 112 ( 99 % )
"""
CORE = "pll|general[0].gpll~PLL_OUTPUT_COUNTER|divclk"
STA = f"""\
------------------------------------------------------------
Timing Analyzer Summary
------------------------------------------------------------

Type  : Slow 1100mV 100C Model Setup '{CORE}'
Slack : 1.234
TNS   : 0.000

Type  : Slow 1100mV 100C Model Hold '{CORE}'
Slack : 0.301
TNS   : 0.000

Type  : Slow 1100mV 100C Model Recovery '{CORE}'
Slack : 7.500
TNS   : 0.000

Type  : Slow 1100mV 100C Model Minimum Pulse Width 'clk50_0__io'
Slack : 9.670
TNS   : 0.000

Type  : Slow 1100mV -40C Model Setup '{CORE}'
Slack : 0.875
TNS   : 0.000

Type  : Fast 1100mV -40C Model Hold '{CORE}'
Slack : 0.125
TNS   : 0.000

"""
RPT = """\
+--------------------------------------------------+
; Unconstrained Paths Summary                      ;
+---------------------------------+-------+--------+
; Property                        ; Setup ; Hold   ;
+---------------------------------+-------+--------+
; Illegal Clocks                  ; 0     ; 0      ;
; Unconstrained Clocks            ; 0     ; 0      ;
; Unconstrained Input Ports       ; 0     ; 0      ;
; Unconstrained Output Ports      ; 0     ; 0      ;
+---------------------------------+-------+--------+
"""

TOOL = """\
#!/bin/sh
'''exec' {python} "$0" "$@"
' '''
import pathlib, shutil, sys
if sys.argv[1:] == ["--version"]:
    print("Quartus Prime Shell")
    print("Version {version}")
elif sys.argv[1:] == ["-t", "build.tcl"]:
    assert pathlib.Path("vta_top.qsf").is_file() and pathlib.Path("vta_top.v").is_file()
    assert not pathlib.Path("vta_top.rbf").exists()
    for result in pathlib.Path({results!r}).iterdir():
        shutil.copy(result, ".")
    print("Info: pretending", "x" * 5000)
    print("{last}")
    sys.exit({code})
"""


@pytest.fixture(scope="module")
def design():
    return shared_design("de10_nano", VTAConfig.preset("tiny"))


@pytest.fixture
def project(design, tmp_path):
    """The folder of the project."""
    write(design, tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def results(design, tmp_path):
    """What a run that succeeds leaves, file name to text, in a folder."""
    folder = tmp_path / "results"
    folder.mkdir()
    for name, text in (("fit.summary", FIT), ("sta.summary", STA), ("sta.rpt", RPT)):
        (folder / f"vta_top.{name}").write_text(text)
    code = usercode_digits(design.verilog)
    (folder / "vta_top.asm.rpt").write_text(f"; JTAG usercode  ; 0x{code}      ;\n")
    (folder / "vta_top.rbf").write_bytes(RBF)
    return folder


@pytest.fixture
def tool(tmp_path, results, monkeypatch):
    """Puts a Quartus on PATH that copies ``results``."""

    def make(version=VERSION, code=0, last="Info: done"):
        path = tmp_path / "bin" / "quartus_sh"
        path.parent.mkdir()
        path.write_text(
            TOOL.format(
                python=shlex.quote(sys.executable),
                version=version,
                results=str(results),
                code=code,
                last=last,
            )
        )
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(path.parent), prepend=":")

    return make


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


# ---- the tool ----------------------------------------------------------------------------------


def test_a_bitstream(design, project, tool):
    tool()
    made = Bitstream.load(build(design, project))
    assert made.data == RBF and made.data_format == "rbf"
    assert (made.board, made.part, made.clock_hz) == ("de10_nano", "5CSEBA6", 50_000_000)
    assert made.cfg.fingerprint == design.cfg.fingerprint and made.cfg.target == "de10nano"
    assert made.tool == f"Quartus Prime {VERSION}"


def test_what_was_made_elsewhere(design, project, results):
    shutil.copytree(results, project, dirs_exist_ok=True)
    assert Bitstream.load(collect(design, project)).data == RBF


def test_without_the_tool(design, project, monkeypatch):
    monkeypatch.setenv("PATH", "")
    message = r"quartus_sh is not on PATH: Quartus Prime .* 18\.1 or later .*sh build_vta_top\.sh"
    with pytest.raises(ToolError, match=rf"(?s){message}.*--collect"):
        build(design, project)
    assert f"-t {FLOW_FILE}" in design.files["build_vta_top.sh"]


def test_a_missed_clock_is_refused(design, project, results, tool):
    """The script of a real run ends with an error then, too."""
    edit(results / "vta_top.sta.summary", "Slack : 0.875", "Slack : -5.000")
    tool(code=1)
    message = r"misses 50 MHz on de10_nano by 5\.000 ns.*would carry 40\.0 MHz"
    with pytest.raises(TimingError, match=message):
        build(design, project)
    assert not list(project.glob("*.vtabit"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Slack : 0.125", "Slack : -0.020", r"hold times by 0\.020 ns"),
        ("Slack : 7.500", "Slack : -1.000", r"misses 50 MHz .* by 1\.000 ns"),
        ("Slack : 9.670", "Slack : -0.500", r"misses 50 MHz .* by 0\.500 ns"),
    ],
    ids=["hold", "recovery", "pulse width"],
)
def test_every_kind_of_timing_counts(design, project, results, tool, old, new, message):
    edit(results / "vta_top.sta.summary", old, new)
    tool()
    with pytest.raises(TimingError, match=message):
        build(design, project)


def test_a_run_that_fails(design, project, results, tool):
    for path in results.iterdir():
        path.unlink()
    tool(code=2, last="Error (10161): something is not declared")
    with pytest.raises(ToolError, match=r"ended with 2; .*\n.*xxx\nError \(10161\): something"):
        build(design, project)
    assert "pretending" in (project / "quartus.log").read_text()


def test_reports_of_an_earlier_run_do_not_count(design, project, results, tool):
    shutil.copytree(results, project, dirs_exist_ok=True)
    for path in results.iterdir():
        path.unlink()
    tool()
    with pytest.raises(ToolError, match=r"Quartus left no vta_top\.fit\.summary"):
        build(design, project)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("17.0.2 Build 602 07/19/2017 SJ Lite Edition", r"18\.1 or later is needed, .* says 17\.0"),
        ("unknown", r"names no version of Quartus: 'Quartus Prime Shell"),
    ],
)
def test_another_version(design, project, tool, version, message):
    tool(version=version)
    with pytest.raises(ToolError, match=message):
        build(design, project)


@pytest.mark.parametrize(
    ("report", "old", "new", "message"),
    [
        ("fit.summary", "5CSEBA6U23I7", "5CSEMA4U23C6",
         "another design: the device must be 5CSEBA6U23I7, it is 5CSEMA4U23C6"),
        ("fit.summary", "Name : vta_top", "Name : blink", "the top module must be vta_top"),
        ("asm.rpt", "0x", "0x00000000 ; ; JTAG usercode ; 0x", "the JTAG usercode must be"),
        ("asm.rpt", "JTAG usercode", "Checksum", "names no JTAG usercode"),
        ("fit.summary", "Successful", "Failed", "does not say that the fitter was successful"),
        ("fit.summary", "Device :", "Dev :", "has no line 'Device'"),
        ("fit.summary", "23.1std", "16.1", r"18\.1 or later is needed, vta_top\.fit\.summary says"),
        ("sta.rpt", "Unconstrained Clocks            ; 0 ", "Unconstrained Clocks            ; 1 ",
         "Unconstrained Clocks must be 0, got 1"),
        ("sta.rpt", "; Illegal Clocks", "; Some Clocks", "Illegal Clocks must be 0, got None"),
        ("sta.summary", CORE, "clk50_0__io", "no setup analysis of the core's clock"),
        ("sta.summary", "Slack : 1.234", "Slack : N/A", "a slack is 'N/A', not a number"),
    ],
)  # fmt: skip
def test_reports_that_are_refused(design, project, results, report, old, new, message):
    edit(results / f"vta_top.{report}", old, new)
    shutil.copytree(results, project, dirs_exist_ok=True)
    with pytest.raises(ToolError, match=message):
        collect(design, project)


@pytest.mark.parametrize(
    "name", ["fit.summary", "sta.summary", "sta.rpt", "asm.rpt", "rbf"]
)  # fmt: skip
def test_results_that_are_missing(design, project, results, name):
    (results / f"vta_top.{name}").unlink()
    shutil.copytree(results, project, dirs_exist_ok=True)
    with pytest.raises(ToolError, match=r"Quartus left no "):
        collect(design, project)


def test_another_machine_has_another_usercode(design):
    assert usercode_digits(design.verilog) != usercode_digits(
        design.verilog.replace("50.0", "51.0")
    )
    assert usercode_digits(design.verilog) in design.files["vta_top_identity.tcl"]


# ---- the script --------------------------------------------------------------------------------


def test_the_script_packs_what_meets_timing(project):
    (project / "vta_top.sta.summary").write_text(STA)
    last = commands(project, FLOW_FILE)[-1]
    assert last[0] == "qexec"
    assert last[1].split()[-2:] == ["vta_top.sof", "vta_top.rbf"]


def test_the_script_packs_nothing_else(project):
    (project / "vta_top.sta.summary").write_text(STA.replace("Slack : 0.301", "Slack : -0.301"))
    with pytest.raises(CheckError, match=r"timing is missed by 0\.301 ns: Slow .* Model Hold"):
        commands(project, FLOW_FILE)


# ---- the checks --------------------------------------------------------------------------------


def test_the_project_is_accepted(design, project):
    assert "clk50_0__io V11, led_0__io W15, led_1__io AA24" in check_pins(design, project).detail
    assert check_clocks(design, project).detail.startswith("50 MHz from the PLL, 50 MHz at clk50")
    assert FLOW_FILE in check_flow(design, FLOW_FILE).detail


def test_loops_that_quartus_would_refuse(design):
    """The largest memory that a configuration can have is deeper than its own limit of 5,000."""
    limit = re.search(r"VERILOG_CONSTANT_LOOP_LIMIT (\d+)\n", design.files["vta_top.qsf"])
    assert int(limit[1]) > 1 << 16


def test_another_clock(tmp_path):
    """The PLL makes it; the pin stays at 50 MHz."""
    design = design_of(find_board("de10_nano"), VTAConfig.preset("tiny"), 62_500_000)
    write(design, tmp_path)
    assert check_clocks(design, tmp_path).detail == ("62.5 MHz from the PLL, 50 MHz at clk50_0__io")


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("qsf", 'set_location_assignment -to "led_1__io" PIN_AA24', "", "led_1__io has no pin"),
        ("qsf", '-to "clk50_0__io" -name io_standard', "-to led_0__io -name io_standard",
         "clk50_0__io has no I/O standard"),
        ("qsf", '"led_1__io"', '"led_2__io"', "led_2__io is no port of vta_top; there are clk50"),
        ("qsf", "PIN_AA24", "PIN_W15", "two ports are at PIN_W15"),
        ("qsf", "VERILOG_FILE vta_top.v", "VERILOG_FILE other.v", "other.v, which is not in the"),
        ("qsf", "set_location_assignment", "set_location", "set_location, which is not known"),
        ("qsf", "source vta_top_identity.tcl", "source nothing.tcl", "is not good Tcl: .*nothing"),
        ("sdc", "create_clock", "get_ports", "has no create_clock"),
        ("sdc", "-period 20.0", "-period 10.0", "clock of the pin is 100 MHz; must be 50 MHz"),
        ("sdc", "-name \"clk50_0__io\"", "-name other", "the clock is at other, which is no port"),
        ("sdc", "derive_pll_clocks\n", "", "has no derive_pll_clocks"),
        ("sdc", "derive_clock_uncertainty\n", "", "has no derive_clock_uncertainty"),
        ("sdc", "{din_s1 dreg[*]} {", "{din_s1 dreg[*]}", "is not good Tcl"),
    ],
)  # fmt: skip
def test_mistakes_that_are_found(design, project, file, old, new, message):
    edit(project / f"vta_top.{file}", old, new)
    with pytest.raises(CheckError, match=message):
        (check_pins if file == "qsf" else check_clocks)(design, project)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("execute_flow -compile\n", "", "must do load_package, .*execute_flow"),
        ("execute_flow", "execute_flaw", "execute_flaw, which is not known"),
        ("foreach line $lines {", "foreach line $lines", "not good Tcl"),
    ],
)
def test_mistakes_in_the_script(design, old, new, message):
    text = design.files[FLOW_FILE]
    assert old in text
    changed = replace(design, files={**design.files, FLOW_FILE: text.replace(old, new)})
    with pytest.raises(CheckError, match=message):
        check_flow(changed, FLOW_FILE)


def test_a_pll_that_does_not_agree(design, project):
    verilog = design.verilog.replace('frequency0("50.0', 'frequency0("40.0')
    changed = replace(design, files={**design.files, "vta_top.v": verilog})
    with pytest.raises(CheckError, match="output of the PLL is 40 MHz; must be 50 MHz"):
        check_clocks(changed, project)
