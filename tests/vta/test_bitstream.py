"""Bitstream files: what is saved comes back, what is damaged, foreign or inconsistent is not
taken."""

import hashlib
import io
import json
import zipfile
from dataclasses import replace

import pytest

from vta.bitstream import Bitstream
from vta.config import VTAConfig
from vta.errors import BitstreamError

TINY = VTAConfig.preset("tiny")
GOOD = Bitstream("pynq_z1", "xc7z020clg400-1", TINY, 100_000_000, "xilinx-bin", bytes(range(256)))


def changed(**entries):
    """The file of GOOD with some entries of its manifest changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(GOOD.to_bytes())) as old, zipfile.ZipFile(out, "w") as new:
        manifest = json.loads(old.read("manifest.json")) | entries
        new.writestr(zipfile.ZipInfo("manifest.json"), json.dumps(manifest))
        new.writestr(zipfile.ZipInfo("bitstream.bin"), old.read("bitstream.bin"))
    return out.getvalue()


def test_round_trip(tmp_path):
    path = tmp_path / "x.vtabit"
    GOOD.save(path)
    assert Bitstream.load(path) == GOOD
    assert path.read_bytes() == GOOD.to_bytes()  # no date, no random number in it


def test_the_file_is_a_zip_that_anybody_can_read():
    with zipfile.ZipFile(io.BytesIO(GOOD.to_bytes())) as archive:
        assert archive.read("bitstream.bin") == GOOD.data
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["format"] == "vta-bitstream"
    assert manifest["fingerprint"] == "1x4_i8w8a32_8_8_10_10"
    assert manifest["sha256"] == hashlib.sha256(bytes(range(256))).hexdigest()
    assert manifest["config"]["LOG_BLOCK"] == 2
    assert manifest["config_words"][1] == 0x0A_0A_08_08


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"format": "vta-program"}, "does not say format 'vta-bitstream'"),
        ({"version": 2}, "version 2; this package reads version 1"),
        ({"board": 5}, "entry 'board' is 5; must be str"),
        ({"board": "../x"}, r"the board is '\.\./x'; must be a name"),
        ({"part": ""}, "the part is ''"),
        ({"clock_hz": True}, "entry 'clock_hz' is True; must be int"),
        ({"clock_hz": 0}, "the clock is 0 Hz"),
        ({"data_format": "jed"}, "the data format is 'jed'; must be one of xilinx-bit"),
        ({"config": {"LOG_BLOCK": 99}}, "LOG_BLOCK is 99"),
        ({"fingerprint": "1x16"}, "entry 'fingerprint' is '1x16', but the rest gives '1x4_"),
        ({"config_words": [0, 0]}, "entry 'config_words'"),
        ({"nbytes": 255}, "entry 'nbytes' is 255, but the rest gives 256"),
        ({"sha256": "00"}, "entry 'sha256' is '00'"),
        ({"tool": None}, "entry 'tool' is None"),
        ({"register_map": "1"}, "entry 'register_map' is '1'"),
    ],
)
def test_a_wrong_manifest_is_refused(entries, message):
    with pytest.raises(BitstreamError, match=f"^f: .*{message}"):
        Bitstream.from_bytes(changed(**entries), where="f")


@pytest.mark.parametrize(
    ("magic", "message"),
    [
        ("00090ff00ff00ff00ff0000001", r"f is a Xilinx \.bit, .* use the \.vtabit file"),
        ("ffffffffaa995566", r"f is raw configuration data .* use the \.vtabit file"),
        ("ff004c617474696365", r"f is a Lattice \.bit, .* use the \.vtabit file"),
        ("534f4600", r"f is a Quartus \.sof, .* use the \.vtabit file"),
        ("7f454c46", "f: not a VTA bitstream, or damaged"),
        ("", "f: not a VTA bitstream, or damaged"),
    ],
)
def test_other_files_are_refused_and_the_right_one_is_named(magic, message):
    with pytest.raises(BitstreamError, match=message):
        Bitstream.from_bytes(bytes.fromhex(magic) + bytes(100 if magic else 0), where="f")


def test_every_damaged_byte_is_refused():
    good = GOOD.to_bytes()
    for at in range(len(good)):
        damaged = good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :]
        with pytest.raises(BitstreamError):
            Bitstream.from_bytes(damaged)
    for size in range(0, len(good), 7):
        with pytest.raises(BitstreamError):
            Bitstream.from_bytes(good[:size])


def test_a_missing_file(tmp_path):
    with pytest.raises(BitstreamError, match="cannot read the VTA bitstream"):
        Bitstream.load(tmp_path / "nothing")
    with pytest.raises(BitstreamError, match="cannot be saved"):
        GOOD.save(tmp_path)


def test_another_machine_is_refused_by_every_key_that_differs():
    GOOD.require_machine(TINY)
    GOOD.require_machine(replace(TINY, target="pynq", hw_ver="9", log_bus_width=7, addr_bits=40))
    with pytest.raises(
        BitstreamError,
        match=r"holds 1x4_i8w8a32_8_8_10_10, the device was opened for 1x4_i8w8a32_9_8_10_10 "
        r"\(they differ in: LOG_UOP_BUFF_SIZE 8 and 9\)",
    ):
        GOOD.require_machine(replace(TINY, log_uop_buff_size=9))


def test_which_bytes_are_a_bitstream():
    assert Bitstream.is_one(GOOD.to_bytes())
    assert not Bitstream.is_one(b"PK\x03\x04")
    assert not Bitstream.is_one(GOOD.data)
