"""The `vta` command: what it prints and writes, and how it fails."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support import fst
from tests.support.configurations import CONFIGURATIONS
from vta.cli import main
from vta.isa import Finish, Gemm, Instruction, Isa, Load, MemId, Store

TINY = CONFIGURATIONS["tiny"]
LOAD = Load(memory=MemId.ACC, dram_base=0x100, y_size=1, x_size=2, x_stride=2, push_next=True)
STORE = Store(dram_base=0x408, y_size=1, x_size=2, x_stride=2, pop_prev=True)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with a tiny machine, a program that copies 8 values, and an image at 0x1000."""
    monkeypatch.chdir(tmp_path)
    write("insns.bin", LOAD, STORE, Finish())
    image = np.zeros(64, "<i4")
    image[:8] = range(10, 18)
    image.tofile("dram.bin")
    (tmp_path / "tiny.json").write_text(json.dumps(TINY.to_dict()))
    return tmp_path


def write(name: str, *insns: Instruction) -> None:
    with open(name, "wb") as file:
        file.write(Isa.of(TINY).encode_all(insns))


def vta(*args: str):
    return CliRunner().invoke(main, args)


EXEC = ("exec", "insns.bin", "--dram", "dram.bin", "--config", "tiny.json")


def test_exec(files):
    result = vta(*EXEC, "--out", "out.bin", "--stats", "stats.json")
    assert result.exit_code == 0, result.output
    assert result.output == ""
    out = np.fromfile("out.bin", np.uint8)
    expected = np.fromfile("dram.bin", np.uint8)
    expected[32:40] = range(10, 18)
    assert np.array_equal(out, expected)
    assert json.loads((files / "stats.json").read_text()) == {
        "inp_load_nbytes": 0, "wgt_load_nbytes": 0, "acc_load_nbytes": 32, "uop_load_nbytes": 0,
        "out_store_nbytes": 8, "gemm_counter": 0, "alu_counter": 0,
    }  # fmt: skip
    assert sorted(os.listdir()) == ["dram.bin", "insns.bin", "out.bin", "stats.json", "tiny.json"]


def test_exec_prints_the_counters(files):
    result = vta(*EXEC)
    assert json.loads(result.output)["acc_load_nbytes"] == 32


def test_base(files):
    write("insns.bin", Finish())
    for base in ("0x1000", "4096", "0"):
        assert vta(*EXEC, "--base", base).exit_code == 0
    for base in ("-1", "abc", "10h"):
        assert vta(*EXEC, "--base", base).exit_code == 2
    write("insns.bin", LOAD, STORE, Finish())
    result = vta(*EXEC, "--base", "0x2000")
    assert result.exit_code == 1
    assert "0x1000..0x1020" in result.output and "0x2000..0x2100" in result.output


@pytest.mark.parametrize(
    ("insns", "message"),
    [
        ((STORE, Finish()), "deadlock"),
        ((LOAD,), "without FINISH"),
        (
            (Load(memory=MemId.ACC, dram_base=0x10F, y_size=2, x_size=1, x_stride=1), Finish()),
            "DRAM",
        ),
        (
            (Load(memory=MemId.ACC, dram_base=0x100, sram_base=64, y_size=1, x_size=1), Finish()),
            "ACC",
        ),
        ((Load(memory=MemId.OUT), Finish()), "cannot write OUT"),
    ],
)
def test_after_an_error_nothing_is_written(files, insns, message):
    write("insns.bin", *insns)
    result = vta(*EXEC, "--out", "out.bin", "--stats", "stats.json")
    assert result.exit_code == 1
    assert message in result.output
    assert not (files / "out.bin").exists() and not (files / "stats.json").exists()


def test_both_files_or_none(files):
    result = vta(*EXEC, "--out", "out.bin", "--stats", "no/such/folder/stats.json")
    assert result.exit_code == 1
    assert "cannot write" in result.output
    assert sorted(os.listdir()) == ["dram.bin", "insns.bin", "tiny.json"]


def test_refusals(files):
    for option in (("--memory", "ideal"), ("--trace", "waves.fst")):
        result = vta(*EXEC, "--target", "sim", *option)
        assert result.exit_code == 2 and "no bus" in result.output
    assert vta(*EXEC, "--preset", "tiny").exit_code == 2
    assert vta("exec", "none.bin", "--dram", "dram.bin").exit_code == 2
    (files / "insns.bin").write_bytes(bytes(17))
    result = vta(*EXEC)
    assert result.exit_code == 1 and "multiple of 16 bytes; got 17" in result.output


def test_message_on_stderr_without_traceback(files):
    write("insns.bin", LOAD)
    run = subprocess.run(
        [sys.executable, "-c", "from vta.cli import main; main()", *EXEC],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.startswith("Error: the stream of 1 instructions ended without FINISH\n")
    assert "Traceback" not in run.stderr


def test_disasm(files):
    result = vta("disasm", "insns.bin", "--config", "tiny.json")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "    #  l2g g2l g2s s2g",
        "    0    0   0   1   0  LOAD ACC sram=0 dram=0x100 rows=1 cols=2 stride=2  push(next)",
        "    1    0   0   0   0  STORE OUT sram=0 dram=0x408 rows=1 cols=2 stride=2  pop(prev)",
        "    2    0   0   0   0  FINISH",
    ]


def test_disasm_goes_on_after_what_is_illegal(files):
    write("insns.bin", Load(memory=MemId.OUT, pop_prev=True), Store(pop_prev=True), Finish())
    with open("insns.bin", "ab") as file:
        file.write(b"\x07" + bytes(15))
    result = vta("disasm", "insns.bin", "--preset", "tiny")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert "[illegal: a LOAD cannot write OUT]" in lines[1]
    assert lines[2] == "    1    0   0  -1   0  NOP (store)  pop(prev)"
    assert "[illegal: opcode 7 does not exist" in lines[4]
    assert lines[5] == "Error: insns.bin: 2 of the words are no legal instructions"


def test_config(files):
    result = vta("config", "tiny.json")
    assert result.exit_code == 0
    values = dict(line.split()[:2] for line in result.output.splitlines() if len(line.split()) == 2)
    assert values["LOG_BLOCK"] == "2"
    assert values["wgt_elem_bytes"] == "16"
    assert values["acc_depth"] == "64"
    assert values["fingerprint"] == TINY.fingerprint == "1x4_i8w8a32_8_8_10_10"
    assert vta("config", "--preset", "tiny").output == result.output
    assert "1x16_i8w8a32_15_15_18_17" in vta("config").output
    (files / "wrong.json").write_text('{"LOG_BLOCK": 9}')
    result = vta("config", "wrong.json")
    assert result.exit_code == 1 and "LOG_BLOCK is 9; must be in 1..6" in result.output


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize("args", [["config"], ["--help"], ["disasm", "insns.bin"]], ids=str)
def test_output_that_cannot_be_written(files, args):
    with open("/dev/full", "wb") as full:
        run = subprocess.run(
            [sys.executable, "-m", "vta", *args], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert run.returncode == 1
    assert run.stderr == "Error: cannot write the output: No space left on device\n"


def test_a_reader_that_goes_away(files):
    write("insns.bin", *[LOAD, STORE] * 20000, Finish())
    with subprocess.Popen(
        [sys.executable, "-m", "vta", "disasm", "insns.bin", "--preset", "tiny"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as run:  # fmt: skip
        run.stdout.readline()
        run.stdout.close()
        assert run.stderr.read() == ""
    assert run.returncode == 1


def test_characters_that_the_output_does_not_have(files):
    name = b"insns-\xff-\xc3\xa9.bin"
    os.rename("insns.bin", name)
    run = subprocess.run(
        [sys.executable, "-m", "vta", "check", name, "--preset", "tiny"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
    )
    assert run.stderr == b"" and run.returncode == 0
    assert b"insns-" in run.stdout and b"instructions, no findings" in run.stdout


def test_exec_writes_the_times_of_instructions(files):
    result = vta(*EXEC, "--target", "tsim", "--trace-events", "events.json.gz")
    assert result.exit_code == 0, result.output
    events = json.loads(gzip.decompress(Path("events.json.gz").read_bytes()))["traceEvents"]
    named = [e["args"]["instruction"] for e in events if "instruction" in e.get("args", {})]
    assert len(named) == len(Path("insns.bin").read_bytes()) // 16
    refused = vta(*EXEC, "--target", "sim", "--trace-events", "events.json")
    assert refused.exit_code == 2 and "--trace-events is for --target tsim" in refused.output


def test_exec_writes_the_times_of_instructions_with_micro_ops(files):
    """The micro-ops of a stream are in the image: its trace has no tracks of memory in use."""
    uops = Load(memory=MemId.UOP, sram_base=0, dram_base=0x410, y_size=1, x_size=2, x_stride=2)
    reset = Gemm(uop_bgn=0, uop_end=2, iter_out=1, iter_in=1, reset=True, push_next=True)
    write("insns.bin", uops, reset, STORE, Finish())
    result = vta(*EXEC, "--target", "tsim", "--trace-events", "events.json")
    assert result.exit_code == 0, result.output
    events = json.loads(Path("events.json").read_bytes())["traceEvents"]
    assert sum("instruction" in e.get("args", {}) for e in events) == 4
    assert not any("in use" in event["name"] for event in events)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--trace", "w.fst", "--from-instruction", "2", "--to-instruction", "1"),
         "waves of instructions 2 to 1: must be a range of the 3 instructions of the stream"),
        (("--trace", "w.fst", "--from-instruction", "3"), "waves of instructions 3 to 2: "),
        (("--trace", "w.fst", "--to-instruction", "3"), "waves of instructions 0 to 3: "),
        (("--from-instruction", "1"), "--from-instruction cuts the waves of --trace"),
        (("--to-instruction", "1"), "--to-instruction cuts the waves of --trace"),
        (("--trace", "w.gtkw"), "--trace names the waves; w.gtkw is the name of their layout"),
    ],
)  # fmt: skip
def test_exec_refuses_a_window_of_waves(files, options, message):
    result = vta(*EXEC, "--target", "tsim", *options)
    assert result.exit_code == 2 and message in " ".join(result.output.split()), result.output
    assert not list(files.glob("w.*"))


@pytest.mark.slow  # a build of the simulator with waves
def test_exec_writes_waves_of_a_window_with_their_layout(files):
    window = ("--from-instruction", "1", "--to-instruction", "2")
    result = vta(*EXEC, "--target", "tsim", "--trace", "w.fst", *window)
    assert result.exit_code == 0, result.output
    begin, end = fst.times(Path("w.fst").read_bytes())
    assert 0 < begin < end
    assert '[dumpfile] "w.fst"' in Path("w.gtkw").read_text()


def test_exec_writes_the_times_until_an_error(files):
    stream = Path("insns.bin").read_bytes()
    Path("insns.bin").write_bytes(stream[:-16] + b"\xff" * 16)
    result = vta(*EXEC, "--target", "tsim", "--trace-events", "events.json")
    assert result.exit_code == 1
    document = json.loads(Path("events.json").read_text())
    assert document["otherData"]["failure"]
