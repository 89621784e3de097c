"""The PCIe card: its project for Vivado, the numbers in it, and what is checked of it."""

import re
from dataclasses import replace
from fractions import Fraction

import pytest

from tests.support.designs import shared_design
from tests.support.verilog_text import constant_blocks
from vta import memmap, pcie_ids
from vta.boards.bitstream import check, write
from vta.boards.board import find_board
from vta.boards.shells.pcie_clock import MmcmSettings
from vta.boards.toolchains import vivado
from vta.boards.toolchains.tcl import commands
from vta.boards.toolchains.toolchain import CheckError
from vta.config import VTAConfig
from vta.errors import ConfigError

TINY = VTAConfig.preset("tiny").replace(log_bus_width=7)


@pytest.fixture(scope="module")
def design():
    return shared_design("as02mc04", TINY)


@pytest.fixture(autouse=True)
def no_synthesis(monkeypatch):
    """Synthesis takes minutes: see test_shells_fit.py."""
    monkeypatch.setattr(vivado, "resources", lambda design, tell: "enough")


def test_checks_of_the_project(design, tmp_path):
    write(design, tmp_path)
    seen = {item.what: item.detail for item in check(design, tmp_path)}
    assert list(seen) == [
        "memory port", "script", "pins", "clock", "pcie4_uscale_plus", "resources",
    ]  # fmt: skip
    assert seen["memory port"].endswith("addresses of 32 bits in 64")
    assert seen["pins"] == (
        "4 ports, each with a pin and an I/O standard; 18 of transceivers, each with a pin"
    )
    assert seen["clock"] == "10 ns at pcie_0__clock__p; the MMCM makes 10 ns of 8 ns"


def test_no_block_has_a_constant_only(design):
    assert constant_blocks(design.verilog) == []


def test_the_ip(design, tmp_path):
    """Made before synthesis, with the numbers that the driver looks for and one page of
    registers."""
    write(design, tmp_path)
    done = commands(tmp_path, "vta_top.tcl", {"version": "2022.2"})
    names = [command[0] for command in done]
    steps = ["create_ip", "generate_target", "synth_ip", "synth_design"]
    assert [name for name in names if name in steps] == steps
    properties = next(c[2] for c in done if c[0] == "set_property" and c[1] == "-dict").split()
    given = dict(zip(properties[::2], properties[1::2], strict=True))
    for key, number in (
        ("vendor_id", pcie_ids.VENDOR_ID),
        ("PF0_DEVICE_ID", pcie_ids.DEVICE_ID),
        ("PF0_SUBSYSTEM_VENDOR_ID", pcie_ids.SUBSYSTEM_VENDOR_ID),
        ("PF0_SUBSYSTEM_ID", pcie_ids.SUBSYSTEM_DEVICE_ID),
        ("PF0_CLASS_CODE", pcie_ids.CLASS_CODE),
    ):
        assert int(given[f"CONFIG.{key}"], 16) == number
    assert given["CONFIG.pf0_bar0_scale"] == "Kilobytes"
    assert int(given["CONFIG.pf0_bar0_size"]) << 10 == 1 << memmap.ADDR_BITS


def test_crossings_of_the_clocks_have_a_limit(design, tmp_path):
    """Both ways, after synthesis: the clocks of the IP do not exist before."""
    write(design, tmp_path)
    done = commands(tmp_path, "vta_top.tcl", {"version": "2022.2"})
    names = [command[0] for command in done]
    limit = ("set_max_delay", "-datapath_only", "8.000")
    limits = [n for n, c in enumerate(done) if c[:3] == limit]
    assert len(limits) == 2
    assert names.index("synth_design") < limits[0] and limits[-1] < names.index("place_design")
    pins = [c[-1] for c in done if c[:2] == ("get_pins", "-hierarchical")]
    assert pins == ["NAME =~ *mmcm/CLKIN1", "NAME =~ *mmcm/CLKOUT0"]
    (mmcm,) = re.findall(r"^  \) (\w+) \(\n    \.CLKFBIN", design.verilog, re.MULTILINE)
    assert mmcm == "mmcm"


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("vta_top.xdc", "LOC V2", "LOC T2", "two ports are at T2"),
        ("vta_top.xdc", 'set_property LOC W5 [get_ports "pcie_0__tx__p\\[2]"]', "",
         r"pcie_0__tx__p\[2\] has no pin"),
        ("vta_top.xdc", 'set_property IOSTANDARD "LVCMOS18" [get_ports "pcie_0__reset_n__io"]', "",
         "pcie_0__reset_n__io has no I/O standard"),
        ("vta_clock.xdc", "pcie_0__clock__p", "clock", "clock is no port of vta_top"),
        ("vta_clock.xdc", "get_ports", "get_pins", "which is no port of vta_top"),
        ("vta_clock.xdc", "10.000", "8.000", "the clock has 8 ns; must be 10"),
        ("vta_top.v", "CLKOUT0_DIVIDE_F(10.0)", "CLKOUT0_DIVIDE_F(8.0)", "has 8 ns; must be 10"),
        ("vta_top.v", "MMCME4_BASE #", "MMCME4_ADV #", "no MMCME4_BASE with its dividers"),
        ("vta_top.v", "  pcie4_uscale_plus_0 ", "  pcie4_uscale_plus_1 ",
         "instances pcie4_uscale_plus_0 0 times; must be once"),
        ("pcie4_uscale_plus_0.tcl", "create_ip", "make_ip", "uses make_ip, which is not known"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(design, tmp_path, name, old, new, message):
    text = design.files[name]
    assert old in text
    wrong = replace(design, files={**design.files, name: text.replace(old, new)})
    write(wrong, tmp_path)
    with pytest.raises(CheckError, match=message):
        list(check(wrong, tmp_path))


@pytest.mark.parametrize("mhz", [8, 62.5, 80, 99, 100, 110, 125, 132.5, 150, 187.5, 250])
def test_clocks(mhz):
    found = MmcmSettings.find(125_000_000, round(mhz * 1e6))
    assert Fraction(found.in_hz) * found.multiplier / found.divider == mhz * 1_000_000
    assert 800_000_000 <= found.in_hz * found.multiplier <= 1_600_000_000
    assert (found.multiplier * 8).denominator == (found.divider * 8).denominator == 1
    assert 2 <= found.multiplier <= 128 and 2 <= found.divider <= 128


@pytest.mark.parametrize("mhz", [103.3, 7.1, 6, 900])
def test_clocks_that_are_none(mhz):
    """What the error proposes can be made."""
    with pytest.raises(ConfigError, match=f"not make {mhz:g} MHz of 125 MHz exactly") as caught:
        find_board("as02mc04").shell(TINY, round(mhz * 1e6))
    near = re.search(r"the nearest that it makes are ([\d.]+) and ([\d.]+) MHz", str(caught.value))
    for clock in near.groups():
        MmcmSettings.find(125_000_000, round(float(clock) * 1e6))
