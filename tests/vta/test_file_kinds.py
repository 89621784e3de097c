"""A file in place of another: the message says what it is, and none is overwritten that is read."""

import io
import zipfile

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from tests.support.onnx_models import digits
from vta.cli import main
from vta.compiler.frontend.onnx_model import read_model
from vta.errors import ModelError
from vta.file_kinds import kind_of
from vta.tuning import ScheduleLog


def archive(*names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name in names:
            made.writestr(name, b"x")
    return out.getvalue()


def npy():
    out = io.BytesIO()
    np.save(out, np.zeros(3))
    return out.getvalue()


KINDS = {
    "network": (archive("manifest.json", "programs.bin"), "a compiled network (.vtanet)"),
    "program": (archive("manifest.json", "instructions.bin"), "a saved program (.vta)"),
    "bitstream": (archive("manifest.json", "bitstream.bin"), "a bitstream (.vtabit)"),
    "pytorch": (archive("net/data.pkl", "net/version"), "a model or weights of PyTorch"),
    "zip": (archive("a.txt"), "a ZIP archive"),
    "cut": (archive("manifest.json", "programs.bin")[:60], "a damaged ZIP archive"),
    "npy": (npy(), "an array in a .npy file"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(40), "a model of TensorFlow Lite"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS"),
}


@pytest.mark.parametrize("name", KINDS)
def test_in_place_of_a_model(name, tmp_path):
    content, kind = KINDS[name]
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_model(path)
    assert str(caught.value).startswith(f"{path}: not an ONNX model, but {kind}")


@pytest.mark.parametrize("content", [b"", b"\x08\x09", bytes(16), b"text", b"PL\x03\x04"])
def test_other_bytes_are_of_no_kind(content):
    assert kind_of(content) is None


@pytest.mark.parametrize("command", ["disasm", "check", "exec"])
@pytest.mark.parametrize("name", ["npy", "tflite", "network"])
def test_in_place_of_a_stream(command, name, tmp_path):
    content, kind = KINDS[name]
    path = tmp_path / "stream"
    path.write_bytes(content)
    ran = CliRunner().invoke(main, [command, str(path)])
    assert ran.exit_code and kind.removesuffix(" (.vtanet)") in ran.output.replace("\n", " ")


def test_a_model_in_place_of_a_stream(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(digits(), path)
    ran = CliRunner().invoke(main, ["disasm", str(path)])
    assert ran.exit_code == 1 and "net.onnx is an ONNX model; must be" in ran.output


@pytest.mark.parametrize("name", ["pytorch", "npy"])
def test_what_run_does_not_run(name, tmp_path):
    path = tmp_path / "net.pt"
    path.write_bytes(KINDS[name][0])
    ran = CliRunner().invoke(main, ["run", str(path)])
    assert ran.exit_code == 1 and KINDS[name][1] in ran.output


@pytest.mark.parametrize(
    "line",
    ["compile {} -o {}", "quantize {} --calibrate . -o {}", "run {} --output y={}",
     "run {} --json {}", "compare {} --picture {}"],
)  # fmt: skip
def test_the_model_is_not_overwritten(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    onnx.save(digits(), "net.onnx")
    before = (tmp_path / "net.onnx").read_bytes()
    (tmp_path / "link.onnx").symlink_to("net.onnx")
    ran = CliRunner().invoke(main, line.format("net.onnx", "./link.onnx").split())
    assert ran.exit_code == 2 and "link.onnx is a file that the command reads" in ran.output
    assert (tmp_path / "net.onnx").read_bytes() == before


def test_a_log_of_schedules_is_not_overwritten(tmp_path):
    """By its own export; it may hold hours of a search."""
    log = tmp_path / "log.sqlite"
    ScheduleLog(log, create=True)
    before = log.read_bytes()
    ran = CliRunner().invoke(main, ["tune", "--log", str(log), "--export", str(log)])
    assert ran.exit_code == 2 and "log.sqlite is a file that the command reads" in ran.output
    assert log.read_bytes() == before


def test_a_long_operator_is_no_file(tmp_path):
    log = ["--log", str(tmp_path / "log.sqlite")]
    ran = CliRunner().invoke(main, ["tune", f"dense((4, 32), -{'1' * 300})", *log])
    assert ran.exit_code == 1 and "must be an integer of at least 1" in ran.output


def test_two_outputs_are_two_files(tmp_path):
    path, result = tmp_path / "insns.bin", str(tmp_path / "result")
    path.write_bytes(bytes(16))
    line = ["exec", str(path), "--dram", str(path), "--out", result, "--stats", result]
    ran = CliRunner().invoke(main, line)
    assert ran.exit_code == 2 and "is that of --out, too" in ran.output


@pytest.mark.parametrize("option", ["--out", "--stats", "--trace", "--trace-events"])
def test_the_stream_is_not_overwritten(option, tmp_path):
    path = tmp_path / "insns.bin"
    path.write_bytes(bytes(16))
    ran = CliRunner().invoke(main, ["exec", str(path), option, str(path)])
    assert ran.exit_code == 2 and f"{option}: " in ran.output
    assert path.read_bytes() == bytes(16)
