"""The target that has ended: every place that takes the name of a target says what there is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import vta
from vta.cli import main
from vta.config import VTAConfig
from vta.errors import ConfigError, DeviceError
from vta.targets import TARGETS, how_configured, wrong_target

ROOT = Path(__file__).parents[2]
ENDED = "intelfocl was a PCIe card programmed with the Intel FPGA SDK for OpenCL"


def test_names_that_can_be():
    assert [wrong_target("TARGET", name) for name in TARGETS] == [None] * len(TARGETS)


def test_the_text_of_a_name_that_cannot_be():
    assert wrong_target("TARGET", "moon", ("sim", "tsim")) == (
        "TARGET is 'moon'; must be one of sim, tsim"
    )
    assert wrong_target("TARGET", ["intelfocl"], ("sim",)) == (
        "TARGET is ['intelfocl']; must be one of sim"
    )
    assert wrong_target("TARGET", "intelfocl", ("sim", "tsim")) == (
        "TARGET is 'intelfocl'; must be one of sim, tsim; intelfocl was a PCIe card programmed "
        "with the Intel FPGA SDK for OpenCL, which Intel has ended; a card in a PC, with an AMD "
        "UltraScale+ FPGA, is the target pcie (docs/boards/pcie.md). The board with an Intel FPGA "
        "is de10nano, and sim and tsim run the same programs on any computer"
    )


def test_how_a_target_is_configured():
    assert how_configured("ulx3s") == "by the board's own programmer"
    assert how_configured("pcie").startswith("over JTAG, as by openFPGALoader or Vivado; then")


def test_configuration_and_variables(tmp_path, monkeypatch):
    path = tmp_path / "vta_config.json"
    path.write_text(json.dumps({"TARGET": "intelfocl"}))
    with pytest.raises(ConfigError, match=ENDED):
        VTAConfig.from_file(path)
    with pytest.raises(ConfigError, match=ENDED):
        VTAConfig.preset("tiny").replace(target="intelfocl")
    monkeypatch.setenv("VTA_TARGET", "intelfocl")
    with pytest.raises(ConfigError, match=f"VTA_TARGET is 'intelfocl'.*{ENDED}"):
        vta.get_env()


def test_profiles():
    with pytest.raises(DeviceError, match=ENDED), vta.profile("intelfocl"):
        raise AssertionError("the block must not run")


@pytest.mark.parametrize(
    "command",
    [
        ("run", __file__),
        ("exec", __file__, "--dram", __file__),
        ("profile", __file__),
        ("serve",),
    ],
    ids=lambda command: command[0],
)
def test_options(command):
    result = CliRunner().invoke(main, [*command, "--target", "intelfocl"])
    assert result.exit_code == 2 and ENDED in " ".join(result.output.split())


def test_the_board_that_a_search_measures_on():
    result = CliRunner().invoke(main, ["tune", "dense", "--measure-on", "intelfocl"])
    assert result.exit_code == 2 and ENDED in " ".join(result.output.split())


def test_tutorials():
    done = subprocess.run(
        [sys.executable, "tutorials/vta_get_started.py", "--target", "intelfocl"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and ENDED in " ".join(done.stderr.split())
