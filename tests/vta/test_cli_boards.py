"""`vta program` and `vta serve` on boards."""

import pytest
from click.testing import CliRunner

from tests.support.fake_boards import FakeDe10Nano, FakePynq, de10_bitstream, pynq_bitstream
from vta.cli import main


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


def test_program_a_vendors_file(tmp_path):
    (tmp_path / "x.bit").write_bytes(bytes.fromhex("00090ff00ff00ff00ff0000001") + bytes(50))
    result = vta("program", tmp_path / "x.bit")
    assert result.exit_code == 1 and "use the .vtabit file" in result.output


def test_serve_a_board_elsewhere(tmp_path):
    result = vta("serve", "--target", "pynq", "--state", tmp_path / "state")
    assert result.exit_code == 1
    assert "there is no /sys/class/u-dma-buf" in result.output


@pytest.mark.parametrize(
    ("target", "option", "message"),
    [
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
