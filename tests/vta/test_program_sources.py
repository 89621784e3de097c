"""The sources of instructions in program files."""

import io
import json
import zipfile
from dataclasses import replace

import pytest

from vta.config import VTAConfig
from vta.container import MANIFEST
from vta.errors import ProgramError
from vta.isa import Finish, Isa, Store
from vta.program import Program, Relocation, TensorSpec
from vta.program_sources import InstructionSource, ProgramSources

CFG = VTAConfig.preset("tiny")
CODE = Isa.of(CFG).encode_all([Store(y_size=1, x_size=1, x_stride=1), Finish()])
BARE = Program(
    "kernel", CFG, CODE, b"", (TensorSpec("c", (4,), "int8", written=True),), (Relocation(0, 0),)
)
SOURCE = InstructionSource("c", 7, "store_2d(...)", ("i in range(2)",), "conv1")
PROGRAM = replace(BARE, sources=ProgramSources.of_each([SOURCE, None]))


def members(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in parts.items():
            info = zipfile.ZipInfo(name)
            info.create_system, info.create_version, info.extract_version = 3, 20, 20
            info.external_attr = 0o600 << 16
            archive.writestr(info, content)
    return out.getvalue()


def with_sources(document):
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return packed(members(PROGRAM.to_bytes()) | {"sources.json": text})


def test_a_file_keeps_the_sources():
    data = PROGRAM.to_bytes()
    assert list(members(data))[-1] == "sources.json"
    found = Program.from_bytes(data)
    assert found == PROGRAM and found.to_bytes() == data
    assert found.sources.of(0) == SOURCE and found.sources.of(1) is None
    assert str(SOURCE) == "conv1: c, line 7: store_2d(...)"


def test_a_program_without_sources_has_no_such_member():
    data = BARE.to_bytes()
    assert list(members(data)) == [
        MANIFEST, "instructions.bin", "uops.bin", "relocations.bin",
    ]  # fmt: skip
    found = Program.from_bytes(data)
    assert found == BARE and not found.sources and found.sources.of(0) is None


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"", "member sources.json is empty; must be left out then"),
        (b"[", "not a VTA program, or damaged"),
        ([], "must be an object with table and numbers"),
        ({"table": []}, "must be an object with table and numbers"),
        ({"table": {}, "numbers": [-1, -1]}, "must be a list of at most 65536"),
        ({"table": [], "numbers": "00"}, "numbers of sources.json must be a list of integers"),
        ({"table": [], "numbers": [-1, True]}, "numbers of sources.json must be a list of integ"),
        ({"table": [], "numbers": [-1]}, "has 1 numbers for 2 instructions"),
        ({"table": [], "numbers": [0, -1]}, "sources -1 to 0 of instructions; must be from -1 to"),
        ({"table": [], "numbers": [-2, -1]}, "sources -2 to -1 of instructions; must be"),
        ({"table": [["", "c", 1, "t"]], "numbers": [0, 0]}, "an entry of sources.json is"),
        ({"table": [["", "c", "1", "t", []]], "numbers": [0, 0]}, "an entry of sources.json is"),
        ({"table": [["", "c", 1, "t", ["a\n"]]], "numbers": [0, 0]}, "255 printable characters"),
        ({"table": [["x" * 256, "c", 1, "t", []]], "numbers": [0, 0]}, "255 printable characters"),
    ],
)
def test_damaged_sources_are_refused(document, message):
    with pytest.raises(ProgramError) as why:
        Program.from_bytes(with_sources(document))
    assert message in str(why.value) and len(str(why.value)) < 500


def test_the_number_of_sources_is_that_of_the_instructions():
    with pytest.raises(ProgramError, match=r"3 sources for 2 instructions"):
        replace(BARE, sources=ProgramSources.of_each([SOURCE, None, None]))
