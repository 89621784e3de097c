"""`vta program` and `vta serve` on boards."""

import pytest
from click.testing import CliRunner

from tests.support.fake_boards import FakeDe10Nano, FakePynq, de10_bitstream, pynq_bitstream
from tests.support.fake_pcie import FakeComputer
from vta.cli import main
from vta.config import VTAConfig
from vta.runtime.drivers.linux import Linux


def vta(*args):
    return CliRunner().invoke(main, list(map(str, args)))


@pytest.fixture
def on(monkeypatch):
    """Make this machine a fake board."""

    def become(fake):
        monkeypatch.setattr("vta.runtime.drivers.boards.Linux", lambda: fake.linux)
        return fake

    return become


@pytest.mark.parametrize(
    ("kind", "bitstream", "said"),
    [
        (FakePynq, pynq_bitstream, "pynq_z1 is 1x4_i8w8a32_8_8_10_10 at 100 MHz now"),
        (FakeDe10Nano, de10_bitstream, "de10_nano is 1x4_i8w8a32_8_8_10_10 at 50 MHz now"),
    ],
)
def test_program(tmp_path, on, kind, bitstream, said):
    board = on(kind(tmp_path / "root"))
    bitstream().save(tmp_path / "x.vtabit")
    result = vta("program", tmp_path / "x.vtabit")
    assert (result.exit_code, result.output) == (0, f"{said}\n")
    assert board.rtl is not None


def test_program_elsewhere(tmp_path):
    pynq_bitstream().save(tmp_path / "x.vtabit")
    result = vta("program", tmp_path / "x.vtabit")
    assert result.exit_code == 1 and "or this machine is not the board" in result.output


def test_program_what_the_board_does_not_do_itself(tmp_path):
    pynq_bitstream(board="ulx3s_85f", data_format="ecp5-bit").save(tmp_path / "x.vtabit")
    result = vta("program", tmp_path / "x.vtabit")
    assert result.exit_code == 1
    assert "ulx3s_85f, which does not configure its own FPGA; those that do are" in result.output


def test_program_a_card(tmp_path):
    cfg = VTAConfig.preset("tiny").replace(target="pcie")
    pynq_bitstream(board="as02mc04", cfg=cfg).save(tmp_path / "x.vtabit")
    result = vta("program", tmp_path / "x.vtabit")
    assert result.exit_code == 1
    assert "The FPGA of as02mc04 is configured over JTAG, as by openFPGALoader" in result.output


def test_program_a_vendors_file(tmp_path):
    (tmp_path / "x.bit").write_bytes(bytes.fromhex("00090ff00ff00ff00ff0000001") + bytes(50))
    result = vta("program", tmp_path / "x.bit")
    assert result.exit_code == 1 and "use the .vtabit file" in result.output


def test_serve_a_board_elsewhere(tmp_path):
    result = vta("serve", "--target", "pynq", "--state", tmp_path / "state")
    assert result.exit_code == 1
    assert "there is no /sys/class/u-dma-buf" in result.output


def test_serve_a_card_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr("vta.runtime.drivers.pcie.Linux", lambda: Linux(tmp_path))
    result = vta("serve", "--target", "pcie", "--state", tmp_path / "state")
    assert result.exit_code == 1 and "there is no /sys/bus/pci/devices" in result.output
    assert not (tmp_path / "state").exists()


def test_serve_the_card_that_is_named(tmp_path, monkeypatch):
    computer = FakeComputer(tmp_path)
    monkeypatch.setattr("vta.runtime.drivers.pcie.Linux", lambda: computer.linux)
    result = vta("serve", "--target", "pcie", "--card", "0000:07:00.0")
    assert result.exit_code == 1
    assert "nothing is at 0000:07:00.0 on the PCI bus; cards are at 0000:04:00.0" in result.output


def test_serve_with_memory_of_another_size(tmp_path, monkeypatch):
    """48 MiB are more than this process may lock."""
    computer = FakeComputer(tmp_path, locked=1 << 25)
    monkeypatch.setattr("vta.runtime.drivers.pcie.Linux", lambda: computer.linux)
    monkeypatch.setattr("vta.runtime.drivers.pcie.Kernel", lambda: computer.kernel)
    result = vta("serve", "--target", "pcie", "--card-memory", "48")
    assert result.exit_code == 1
    assert "cannot give 50331648 bytes at 0x10000000 to the card" in result.output
    assert "this process may lock 33554432 bytes" in result.output


@pytest.mark.parametrize(
    ("target", "option", "message"),
    [
        ("sim", "--card=0000:04:00.0", "--card is for the targets pcie; the target is sim"),
        ("tsim", "--card-memory=8", "--card-memory is for the targets pcie; the target is tsim"),
        ("pcie", "--card-memory=0", "0 is not in the range x>=1"),
        ("pcie", "--buffer=x", "--buffer is for the targets pynq, ultra96, zcu104, de10nano; the"),
        ("sim", "--buffer=x", "--buffer is for the targets pynq, ultra96, zcu104, de10nano; the t"),
        ("pynq", "--memory=ddr", "--memory is for the targets tsim; the target is pynq"),
        (
            "de10nano",
            "--serial=x",
            "--serial is for the targets ulx3s, tangmega138k, tangnano20k; the target is de10nano",
        ),
        (
            "ulx3s",
            f"--bitstream={__file__}",
            "--bitstream is for the targets pynq, ultra96, zcu104",
        ),
    ],
)
def test_serve_options_are_for_some_targets(target, option, message):
    result = vta("serve", "--target", target, option)
    assert result.exit_code == 2 and message in " ".join(result.output.split())
