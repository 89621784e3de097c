"""The container of program and bitstream files: every byte counts, and sizes are bounded before
anything is computed with them."""

import io
import json
import zipfile

import pytest

from vta.bitstream import Bitstream
from vta.config import VTAConfig
from vta.container import MANIFEST, MAX_MANIFEST_BYTES, FileKind
from vta.errors import BitstreamError, ProgramError
from vta.isa import Finish, Isa, Store
from vta.program import Program, Relocation, TensorSpec

CFG = VTAConfig.preset("tiny")
CODE = Isa.of(CFG).encode_all([Store(y_size=1, x_size=1, x_stride=1), Finish()])
PROGRAM = Program(
    "kernel", CFG, CODE, b"", (TensorSpec("c", (4,), "int8", written=True),), (Relocation(0, 0),)
).to_bytes()
BITSTREAM = Bitstream("pynq_z1", "xc7z020clg400-1", CFG, 100_000_000, "rbf", b"bits").to_bytes()
KINDS = [
    pytest.param(PROGRAM, Program.from_bytes, ProgramError, id="program"),
    pytest.param(BITSTREAM, Bitstream.from_bytes, BitstreamError, id="bitstream"),
]


def entry(name):
    """The fixed header of a member, as the writer of the package sets it."""
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o600 << 16
    return info


def repacked(data, *, info=entry, order=lambda names: names, between=0, comment=b"", prefix=b""):
    """The members of a file in a container that is made differently; CRCs and offsets are right."""
    out = io.BytesIO(prefix)
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "a") as new:
        for name in order(old.namelist()):
            new.writestr(info(name), old.read(name))
            new.start_dir += between
        new.comment = comment
    return out.getvalue()


def with_manifest(data, text):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(entry(name), text if name == MANIFEST else old.read(name))
    return out.getvalue()


def manifest(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return json.loads(archive.read(MANIFEST))


def changed(**entries):
    """The program with some entries of its manifest changed."""
    return with_manifest(PROGRAM, json.dumps(manifest(PROGRAM) | entries))


# ---- bytes outside the members ------------------------------------------------------------------


@pytest.mark.parametrize(("data", "read", "error"), KINDS)
def test_the_container_of_this_test_is_taken_unchanged(data, read, error):
    assert repacked(data) == data
    read(data)


@pytest.mark.parametrize(("data", "read", "error"), KINDS)
@pytest.mark.parametrize("tail", [b"\0", b"\n", b"PK\x05\x06", b"x" * 70_000])
def test_bytes_after_the_end(data, read, error, tail):
    with pytest.raises(error, match=r"bytes follow the end|the end of the ZIP archive is missing"):
        read(data + tail)


@pytest.mark.parametrize(("data", "read", "error"), KINDS)
def test_a_second_file_after_the_first(data, read, error):
    with pytest.raises(error, match=r"byte \d+ lies outside"):
        read(data + data)


def with_attribute(name):
    info = entry(name)
    info.external_attr = 0o755 << 16
    return info


def with_comment(name):
    info = entry(name)
    info.comment = b"x"
    return info


def with_extra(name):
    info = entry(name)
    info.extra = b"\xfe\xca\2\0hi"
    return info


def with_date(name):
    return zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))


def of_windows(name):
    info = entry(name)
    info.create_system = 0
    return info


OTHERS = {
    "before the beginning": {"prefix": b"#!/bin/sh\n"},
    "between the members": {"between": 3},
    "comment of the archive": {"comment": b"x"},
    "comment of a member": {"info": with_comment},
    "extra field": {"info": with_extra},
    "date": {"info": with_date},
    "attributes": {"info": with_attribute},
    "system": {"info": of_windows},
    "order": {"order": lambda names: names[::-1]},
}


@pytest.mark.parametrize(("data", "read", "error"), KINDS)
@pytest.mark.parametrize("name", OTHERS)
def test_every_byte_around_the_members_is_fixed(data, read, error, name):
    other = repacked(data, **OTHERS[name])
    with zipfile.ZipFile(io.BytesIO(other)) as archive:  # a valid archive of the same members
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == sorted(manifest_members(data))
    with pytest.raises(error, match=r"byte \d+ lies outside|bytes follow the end"):
        read(other)


def manifest_members(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.namelist()


def test_a_member_twice():
    out = io.BytesIO(PROGRAM)
    with pytest.warns(UserWarning), zipfile.ZipFile(out, "a") as archive:
        archive.writestr(entry(MANIFEST), b"{}")
    with pytest.raises(ProgramError, match="must hold exactly"):
        Program.from_bytes(out.getvalue())


def test_a_directory_of_thousands_is_not_read(monkeypatch):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(1000):
            archive.writestr(entry(str(number)), b"")
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(ProgramError, match="holds 1000 members"):
        Program.from_bytes(out.getvalue())
    assert not Bitstream.is_one(out.getvalue())


def test_a_size_that_is_announced_only():
    """A member that claims to have 2 GiB: refused by its header, nothing is allocated."""
    data = bytearray(PROGRAM)
    at = data.index(b"PK\x01\x02")  # the directory's first entry
    data[at + 20 : at + 28] = (0x7FFFFFFF).to_bytes(4, "little") * 2
    with pytest.raises(ProgramError, match=r"manifest\.json has 2147483647 bytes; at most 1048576"):
        Program.from_bytes(bytes(data))


# ---- the manifest -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "not a VTA program, or damaged"),
        ('{"a":' * 50_000, "not a VTA program, or damaged"),
        ('{"version": ' + "9" * 21 + "}", "an integer of 21 digits; at most 20"),
        ('{"version": ' + "9" * 1_000_000 + "}", "an integer of 1000000 digits"),
        ('{"version": -1.5}', r"the number -1\.5; must be an integer"),
        ('{"version": 1e999999999}', "must be an integer"),
        ('{"version": NaN}', "the number NaN"),
        ('{"format": 1, "format": 2}', "a key twice"),
        ('{"format": "' + "x" * 256 + '"}', "has 256 characters; at most 255"),
        ('{"' + "x" * 300 + '": 1}', "has 300 characters"),
        (r'{"format": "\ud800"}', "all printable"),
        (r'{"format": "\u001b[2J"}', "all printable"),
        ('{"a": [' + "[]," * 200_000 + "[]]}", "does not say format"),
    ],
)
def test_what_a_manifest_may_hold(text, message):
    with pytest.raises(ProgramError, match=message) as error:
        Program.from_bytes(with_manifest(PROGRAM, text))
    assert len(str(error.value)) < 500


def test_a_manifest_that_is_too_large():
    text = json.dumps(manifest(PROGRAM)).ljust(MAX_MANIFEST_BYTES + 1)
    with pytest.raises(ProgramError, match=r"manifest\.json has 1048577 bytes; at most 1048576"):
        Program.from_bytes(with_manifest(PROGRAM, text))


def test_a_wrong_entry_is_shown_in_part():
    with pytest.raises(ProgramError, match=r"'tensors' is \{'x0'.* \.\.\.; must be list") as error:
        Program.from_bytes(changed(tensors={f"x{n}": n for n in range(10_000)}))
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    "entries",
    [
        {"version": ["x" * 70_000]},
        {"tensors": [{"name": "c", "shape": ["x" * 70_000], "dtype": "int8", "read": True,
                      "written": True}]},
        {"config": {"LOG_BLOCK": ["x" * 70_000]}},
        {"config": {"HW_VER": ["x" * 70_000]}},
    ],
)  # fmt: skip
def test_a_message_repeats_a_part_only(entries):
    with pytest.raises(ProgramError) as error:
        Program.from_bytes(changed(**entries), where="kernel.vta")
    assert len(str(error.value)) < 1100


def test_what_could_not_be_read_is_not_written():
    for name in ("x" * 256, "\n", "\ud800"):
        long = Program(name, CFG, CODE, b"", (TensorSpec("c", (4,), "int8"),), ())
        with pytest.raises(ProgramError, match="characters; at most 255, all printable"):
            long.to_bytes()
    with pytest.raises(ValueError, match="at most 1048576"):
        FileKind("x", 1, "x", (), ValueError).pack({"a": [0] * (1 << 19)}, {})


# ---- what a program's sizes may be --------------------------------------------------------------


def tensor(shape, dtype="int8"):
    return {"name": "c", "shape": shape, "dtype": dtype, "read": True, "written": True}


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ([1] * 33, "33 dimensions; at most 32"),
        ([10**19], r"the first 1 of 1 extents make more than 17592186044416 bytes"),
        ([1 << 22, 1 << 22, 2], "the first 3 of 3 extents make more than"),
        ([1 << 40] * 32, "the first 2 of 32 extents"),
    ],
)
def test_shapes_are_bounded(shape, message):
    with pytest.raises(ProgramError, match=message):
        Program.from_bytes(changed(tensors=[tensor(shape)]))
    with pytest.raises(ProgramError, match=message):
        TensorSpec("c", tuple(shape), "int8")


def test_the_largest_shapes():
    assert Program.from_bytes(changed(tensors=[tensor([1] * 31 + [4])])).tensors[0].nbytes == 4
    assert TensorSpec("c", (1 << 44,), "int8").nbytes == 1 << 44
    assert TensorSpec("c", (1 << 22, 1 << 23), "int4").nbytes == 1 << 44
    with pytest.raises(ProgramError, match="make more than"):
        TensorSpec("c", (10**5000,), "int8")  # nothing prints this number


def test_the_number_of_tensors_is_bounded():
    tensors = [{"name": "c", "shape": [4], "dtype": "int8", "read": True, "written": True}] * 4097
    with pytest.raises(ProgramError, match="4097 tensors; at most 4096"):
        Program.from_bytes(changed(tensors=tensors))
    with pytest.raises(ProgramError, match="4097 tensors; at most 4096"):
        Program("k", CFG, CODE, b"", (TensorSpec("c", (4,), "int8"),) * 4097, ())


def test_more_relocations_than_instructions():
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(PROGRAM)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data = bytes(3 * 8) if name == "relocations.bin" else old.read(name)
            new.writestr(entry(name), data)
    with pytest.raises(ProgramError, match="at most one relocation of 8 bytes for each instruct"):
        Program.from_bytes(out.getvalue())
