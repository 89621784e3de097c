"""`vta check`: findings, limits, exit codes."""

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support.configurations import CONFIGURATIONS
from vta.cli import main
from vta.isa import Alu, Finish, Isa, Load, MemId, Store, Uop
from vta.program import UOP_BUFFER, Program, Relocation, TensorSpec

TINY = CONFIGURATIONS["tiny"]
ISA = Isa.of(TINY)
UOPS = Load(memory=MemId.UOP, dram_base=0x400, y_size=1, x_size=1, x_stride=1)
LOAD = Load(memory=MemId.ACC, dram_base=0x102, y_size=1, x_size=2, x_stride=2)
ALU = Alu(uop_end=1, iter_in=2, dst_factor_in=1, push_next=True)
STORE = Store(dram_base=0x410, y_size=1, x_size=2, x_stride=2, pop_prev=True)
GOOD = (UOPS, LOAD, ALU, STORE, Finish())


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with an image at 0x1000 that begins with a micro-op."""
    monkeypatch.chdir(tmp_path)
    image = np.zeros(128, np.uint8)
    image[:4] = ISA.encode_uops([Uop()]).view(np.uint8)
    image.tofile("dram.bin")


def vta_check(*insns, options=("--preset", "tiny", "--dram", "dram.bin")):
    with open("insns.bin", "wb") as file:
        file.write(ISA.encode_all(insns))
    return CliRunner().invoke(main, ["check", "insns.bin", *options])


def test_no_findings():
    result = vta_check(*GOOD)
    assert result.exit_code == 0
    assert result.output == "insns.bin: 5 instructions, no findings\n"


def test_findings():
    result = vta_check(UOPS, ALU, STORE, Finish())
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "instruction 1: ALU MIN acc uop[0:1] in(2: dst+1 src+0)  push(next)",
        "  unwritten: reads ACC entries 0..1, which nothing before it has written",
        "Error: insns.bin: 1 finding",
    ]
    options = ("--preset", "tiny", "--dram", "dram.bin", "--after-reset")
    assert vta_check(UOPS, ALU, STORE, Finish(), options=options).exit_code == 0


def test_many_findings():
    load = Load(memory=MemId.ACC, sram_base=9, y_pad_0=1, x_size=1, push_next=True)
    late = Load(memory=MemId.ACC, y_pad_0=1, x_size=2)
    insns = [load, *[Load(memory=MemId.INP, push_next=True)] * 25, STORE, late, Finish()]
    result = vta_check(*insns)
    assert "... and 6 more (--all prints them)" in result.output
    assert result.output.endswith("Error: insns.bin: 26 findings\n")
    result = vta_check(*insns, options=("--preset", "tiny", "--all", "--leftover-tokens"))
    assert result.output.endswith("Error: insns.bin: 1 finding\n")


def test_without_an_image():
    result = vta_check(*GOOD, options=("--preset", "tiny"))
    assert result.exit_code == 0
    assert "limit: 1 instructions run micro-ops that are not known" in result.output
    assert "--dram gives their image" in result.output


def test_a_saved_program():
    tensors = (
        TensorSpec("A", (2, 4), "int32", read=True),
        TensorSpec("B", (2, 4), "int8", written=True),
    )
    stream = [
        Load(memory=MemId.UOP, y_size=1, x_size=1, x_stride=1),
        Load(memory=MemId.ACC, y_size=1, x_size=2, x_stride=2),
        ALU,
        Store(y_size=1, x_size=2, x_stride=2, pop_prev=True),
        Finish(),
    ]
    relocations = (Relocation(0, UOP_BUFFER), Relocation(1, 0), Relocation(3, 1))
    uops = ISA.encode_uops([Uop()]).tobytes()
    Program("p", TINY, ISA.encode_all(stream), uops, tensors, relocations).save("p.vta")
    run = CliRunner().invoke
    assert run(main, ["check", "p.vta"]).output == "p.vta: 5 instructions, no findings\n"
    result = run(main, ["check", "p.vta", "--dram", "dram.bin"])
    assert result.exit_code == 2 and "are for raw streams" in result.output
    result = run(main, ["check", "p.vta", "--preset", "default"])
    assert result.exit_code == 1 and "compiled for 1x4_" in result.output
    stream[2] = Alu(uop_end=1)
    Program("p", TINY, ISA.encode_all(stream), uops, tensors, relocations).save("p.vta")
    result = run(main, ["check", "p.vta"])
    assert result.exit_code == 1 and "pops token 1 of g2s" in result.output
