"""`vta run`: a saved program on arrays in files, on every kind of device; help and completion."""

import json
import os
import stat
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support.fake_boards import FakePynq, pynq_bitstream
from tests.support.serving import serving
from tests.support.small_vadd import vadd_module
from vta import __version__
from vta.cli import main
from vta.runtime.drivers import boards

SHAPE = vadd_module().program.tensors[0].shape
A = np.random.default_rng(0).integers(-60, 60, SHAPE).astype(np.int32)
B = np.random.default_rng(1).integers(-60, 60, SHAPE).astype(np.int32)
EXPECTED = (A + B).astype(np.int8)
INPUTS = ("--input", "A=a.npy", "--input", "B=b.npy")
RUN = ("run", "vadd.vta", *INPUTS)


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """A folder with a program that adds two arrays, and these."""
    monkeypatch.chdir(tmp_path)
    vadd_module().save("vadd.vta")
    np.save("a.npy", A)
    np.save("b.npy", B)
    return tmp_path


def vta(*args):
    return CliRunner().invoke(main, [str(arg) for arg in args])


def right(result, file="c.npy"):
    assert result.exit_code == 0, result.output
    got = np.load(file)
    assert got.dtype == np.int8
    np.testing.assert_array_equal(got, EXPECTED)


def test_report():
    result = vta(*RUN, "--output", "c.npy")
    right(result)
    lines = result.output.splitlines()
    assert lines[0] == "vadd on sim(1x4_i8w8a32_8_8_10_10): 6 instructions"
    shape = "x".join(map(str, SHAPE))
    assert lines[1] == f"C int8 {shape} -> c.npy"
    assert lines[2].split() == ["inp_load_nbytes", "0"] and len(lines) == 9


def test_report_as_json():
    result = vta(*RUN, "--output", "C=c.npy", "--json")
    right(result)
    report = json.loads(result.output)
    assert (report["name"], report["kind"], report["instructions"]) == ("vadd", "program", 6)
    output = {"name": "C", "dtype": "int8", "shape": list(SHAPE), "file": "c.npy"}
    assert report["outputs"] == [output]
    assert report["counters"]["out_store_nbytes"] == EXPECTED.size


def test_an_output_may_stay_unwritten(files):
    before = sorted(os.listdir())
    result = vta(*RUN)
    assert result.exit_code == 0 and "not written (--output C=FILE.npy)" in result.output
    assert sorted(os.listdir()) == before


def test_on_the_rtl():
    result = vta(*RUN, "--output", "c.npy", "--target", "tsim", "--memory", "ddr")
    right(result)
    assert "cycle_count" in result.output and "on tsim(" in result.output


def test_on_a_server(files, monkeypatch):
    with serving(files / "state") as server:
        (files / "token").write_text(server.token.text)
        where = ("--remote", f"127.0.0.1:{server.port}", "--token-file", "token")
        result = vta(*RUN, "--output", "c.npy", *where)
        right(result)
        assert f"at 127.0.0.1:{server.port}" in result.output


def test_on_a_board(files, monkeypatch):
    fake = FakePynq(files / "root")
    opened = boards.open_board

    def open_board(cfg, **options):
        return opened(cfg, **{**options, **fake.options(bitstream=pynq_bitstream())})

    monkeypatch.setattr(boards, "open_board", open_board)
    result = vta(*RUN, "--output", "c.npy", "--target", "pynq")
    right(result)
    assert "on pynq(" in result.output


def test_arrays_of_the_other_byte_order_and_layout():
    np.save("a.npy", np.asfortranarray(A.astype(">i4")))
    right(vta(*RUN, "--output", "c.npy"))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--input", "A=a.npy"), r"vadd.vta reads B (int32 of shape "),
        (("--input", "a.npy"), "--input a.npy: say of which tensor, as --input NAME=a.npy; there"),
        ((*INPUTS, "--input", "D=a.npy"), "--input D=a.npy: no such tensor; there are A, B"),
        ((*INPUTS, "--input", "C=a.npy"), "--input C=a.npy: no such tensor; there are A, B"),
        ((*INPUTS, "--input", "A=b.npy"), "--input: A is given twice, a.npy and b.npy"),
        ((*INPUTS, "--output", "A=c.npy"), "--output A=c.npy: no such tensor; there are C"),
        ((*INPUTS, "--output", "=c.npy"), "'=c.npy' is not NAME=FILE.npy"),
        ((*INPUTS, "--output", "c.png"), "--output c.png: .png is not written; must be .npy"),
        ((*INPUTS, "--output", "c.CSV"), "--output c.CSV: .csv is not written; must be .npy"),
        ((*INPUTS, "--top", "-1"), "-1 is not in the range x>=0"),
        ((*INPUTS, "--memory", "ddr"), "--memory is for the targets tsim; the target is sim"),
        (
            (*INPUTS, "--serial", "x"),
            "--serial is for the targets ulx3s, tangmega138k, tangnano20k; the target is sim",
        ),
        ((*INPUTS, "--remote", "x"), "'x' is not HOST:PORT"),
        ((*INPUTS, "--remote", "x:1", "--target", "sim"), "--target goes without --remote"),
        ((*INPUTS, "--token-file", "a.npy"), "--token-file is for --remote HOST:PORT"),
    ],
)
def test_wrong_command_lines(args, message):
    result = vta("run", "vadd.vta", *args)
    assert result.exit_code == 2 and message in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.save, "input A: a.npy holds int64 of shape (3,); must be int32 of shape"),
        (lambda f, x: np.savez(f, x), "a.npy is an archive of arrays; must be one array in a .npy"),
        (lambda f, x: f.write(b"no array"), "input A: cannot read a.npy: "),
        (lambda f, x: f.write(b""), "input A: cannot read a.npy: "),
        (lambda f, x: np.save(f, np.array([{}])), "input A: cannot read a.npy: "),
        (
            lambda f, x: np.lib.format.write_array_header_1_0(
                f, {"descr": "<i4", "fortran_order": False, "shape": (1 << 40,)}
            ),
            "input A: cannot read a.npy: ",
        ),
    ],
)
def test_wrong_arrays(content, message):
    with open("a.npy", "wb") as file:
        content(file, np.arange(3))
    result = vta(*RUN, "--output", "c.npy")
    assert result.exit_code == 1 and message in result.output
    assert not os.path.exists("c.npy")


def test_wrong_files(files):
    (files / "insns.bin").write_bytes(bytes(32))
    result = vta("run", "insns.bin")
    assert result.exit_code == 1 and "is no saved program, which" in result.output
    pynq_bitstream().save("x.vtabit")
    assert "is a bitstream; `vta program` configures" in vta("run", "x.vtabit").output
    (files / "half.vta").write_bytes((files / "vadd.vta").read_bytes()[:600])
    assert "half.vta: not a VTA program, or damaged" in vta("run", "half.vta").output
    result = vta(*RUN, "--output", "no/such/folder/c.npy")
    assert result.exit_code == 1 and "cannot write no/such/folder/c.npy" in result.output


def test_an_output_that_is_no_regular_file_stays_what_it_is(files):
    """A device file, which root could replace, a named pipe, a symbolic link."""
    (files / "store").mkdir()
    (files / "link.npy").symlink_to(files / "store" / "c.npy")
    right(vta(*RUN, "--output", "C=link.npy"), files / "store" / "c.npy")
    assert (files / "link.npy").is_symlink()
    os.mkfifo("pipe")
    with open(os.open("pipe", os.O_RDWR), "rb", buffering=0) as reader:
        assert vta(*RUN, "--output", "C=pipe").exit_code == 0
        assert reader.read(6) == b"\x93NUMPY"
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)


def test_an_output_that_takes_nothing(files):
    if not stat.S_ISCHR(os.stat("/dev/full").st_mode):
        pytest.skip("no /dev/full")
    (files / "full").symlink_to("/dev/full")
    result = vta(*RUN, "--output", "C=full")
    assert result.exit_code == 1
    assert result.output == "Error: cannot write full: No space left on device\n"
    assert (files / "full").is_symlink()


def test_exec_names_run():
    for more in ((), ("--dram", "a.npy")):
        result = vta("exec", "vadd.vta", *more)
        assert result.exit_code == 2 and "vadd.vta is a saved program" in result.output
        assert "run it by: vta run vadd.vta" in " ".join(result.output.split())


# ---- help and completion -------------------------------------------------------------------------


@pytest.mark.parametrize("command", [(), *((name,) for name in sorted(main.commands))])
def test_help(command):
    short, long = vta(*command, "-h"), vta(*command, "--help")
    assert short.exit_code == 0 and short.output == long.output
    usage, _, text = short.output.partition("\n\n")
    assert "Usage: " in usage and "..." not in text.split("Commands:")[-1]


def test_the_version_is_that_of_the_package_that_runs(monkeypatch):
    """Of a checkout that is not installed, and beside a foreign distribution called ``vta``."""
    monkeypatch.setattr("importlib.metadata.version", lambda name: "9.9")
    result = CliRunner().invoke(main, ["--version"], prog_name="vta")
    assert result.output == f"vta, version {__version__}\n"


def test_the_list_of_commands_is_not_cut():
    text = " ".join(vta("-h").output.split())
    for name, command in main.commands.items():
        assert f"{name} {command.get_short_help_str(1000)}" in text


def test_fuzz_states_one_preset():
    text = " ".join(vta("fuzz", "-h").output.split())
    assert "Default: the preset `tiny`" in text and "the preset `default`" not in text


def test_completion():
    code = "import sys; sys.argv = ['vta']; from vta.cli import main; main(prog_name='vta')"
    for shell in ("bash", "zsh", "fish"):
        env = {**os.environ, "_VTA_COMPLETE": f"{shell}_source"}
        ran = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        assert ran.returncode == 0 and "_VTA_COMPLETE" in ran.stdout
    words = {"COMP_WORDS": "vta r", "COMP_CWORD": "1", "_VTA_COMPLETE": "bash_complete"}
    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **words}, capture_output=True, text=True
    )
    assert ran.stdout.split() == ["plain,run"]
